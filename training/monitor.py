"""Whether the model in force still holds: what it said of deals that ended, and what is open now.

Every moment since is scored from what was known then, by the model that was in force then, and
never by one that learned from what came after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from model.artifact import Artifact
from model.errors import TrainingDataError
from model.events import from_microseconds
from model.feature_rows import usual_days
from model.scorer import Scorer
from training.data_checks import check_record, check_win_rate
from training.drift import Moved, drift_finding, moved_since
from training.expected_wins import Window, forecast_finding, windows_of
from training.finding import Finding, State
from training.held import Horizon, Month, calibration_finding, horizon_of, months_of
from training.record import Record, day_of
from training.said import in_force, said_regularly
from training.thresholds import MonitorThresholds, Thresholds

STATES: Final[dict[str, State]] = {"ok": "well", "moved": "told", "broken": "broken"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Monitoring:
    """All that was found."""

    model_version: str
    known_before: str
    as_of: str
    days: float
    findings: list[Finding]
    horizons: list[Horizon] = field(default_factory=list)
    months: list[Month] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)

    @property
    def retrain_now(self) -> bool:
        """Whether something asks for a retraining."""
        return bool(self.reasons)

    @property
    def reasons(self) -> list[str]:
        """Why to retrain, in words; empty where nothing asks for it."""
        return [each.words for each in self.findings if each.state == "retrain"]

    @property
    def broken(self) -> list[str]:
        """Why the data cannot be trusted, in words."""
        return [each.words for each in self.findings if each.state == "broken"]


def monitor(
    events: pa.Table,
    now_us: int,
    models: Sequence[Artifact],
    thresholds: Thresholds,
    *,
    since: Sequence[int] | None = None,
    before: Mapping[str, Any] | None = None,
    rejected: int | None = None,
) -> Monitoring:
    """Look at what the model in force said, and at what is open now.

    Parameters
    ----------
    events
        Of `model.event_table.EVENT_SCHEMA`.
    now_us
        Nothing known at or after this is used; microseconds since 1970 UTC.
    models
        Those that were in force, one after the other; the last one is.
    since
        From when each was, microseconds since 1970 UTC; None where nobody says: since its cut-off.
    before
        ``events`` of the run that trained it, for the check of volume; None where nobody says.
    rejected
        Rows that imports rejected; None where nobody counted.

    Raises
    ------
    TrainingDataError
        If no event is known before the moment, or it lies before the model's cut-off.
    """
    limits = thresholds.monitor
    answered = in_force(models, since, now_us)
    current = answered[-1].scorer
    if now_us < current.known_before:
        raise TrainingDataError(
            f"known before {day_of(now_us)}",
            f"a day from {day_of(current.known_before)} on, the cut-off of the model in force",
            "choose a later day",
        )
    cutoff = pa.scalar(now_us, pa.int64()).cast(events["known_at"].type)
    events = events.filter(pc.less(events["known_at"], cutoff))
    record = Record.of(events)
    told = None if before is None else {**before, "known_before": current.known_before}
    checks = check_record(events, now_us, thresholds.data, before=told, rejected=rejected)
    findings = [
        Finding(name=each.name, state=STATES[each.result], words=each.words) for each in checks
    ]
    days = usual_days(current.edges)
    judged = said_regularly(record, answered, current, limits)
    horizons = [
        horizon_of(judged, number, each) for number, each in enumerate(current.edges[1:].tolist())
    ]
    moved = moved_since(record, now_us, current, days, limits)
    windows = windows_of(record, answered, current, days, limits)
    findings += [
        calibration_finding(horizons, limits),
        drift_finding(moved, limits),
        forecast_finding(windows, days, limits),
        _win_rate_finding(record, current, thresholds),
        _closings_finding(record, current, limits),
    ]
    return Monitoring(
        model_version=current.artifact.model_version,
        known_before=current.artifact.facts["known_before"],
        as_of=from_microseconds(now_us).isoformat(),
        days=days,
        findings=findings,
        horizons=[each for each in horizons if each.deals],
        months=months_of(judged, current.edges[1:].tolist().index(days)),
        moved=moved,
        windows=windows,
    )


def _win_rate_finding(record: Record, current: Scorer, thresholds: Thresholds) -> Finding:
    check = check_win_rate(record.history, current.known_before, thresholds.data)
    state: State = "retrain" if check.result == "moved" else "well"
    if check.words.startswith("too few"):
        state = "unknown"
    return Finding(name="win rate", state=state, words=check.words)


def _closings_finding(record: Record, current: Scorer, limits: MonitorThresholds) -> Finding:
    """More to learn from than there was is a reason too; age alone is none."""
    closed = record.closed[record.closed < record.end_us]
    since = int((closed >= current.known_before).sum())
    earlier = len(closed) - since
    words = f"{since:,} deals closed since the cut-off, {earlier:,} before"
    much = since > limits.new_closings * max(earlier, 1)
    return Finding(name="closings", state="retrain" if much else "well", words=words)
