"""Whether the model in force still holds: what it said of deals that ended, and what is open now.

Every moment since is scored from what was known then, by the model that was in force then, and
never by one that learned from what came after it. A forecast of d days made at t counts only if
``t + d <= K - L``, whatever the outcome, as in `training.dataset`: looking at closed deals alone
would look at the fast ones.

*Forecast error.* At moments d days apart, with probabilities p_i of the deals open then, and W of
them won in time: ``W - sum p_i`` has the variance ``V + v V^2``, ``V = sum p_i (1 - p_i)``, and v
that of the shock common to all deals (`training.forecasting`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from model.artifact import Artifact
from model.errors import TrainingDataError
from model.events import DAY_US, from_microseconds
from model.feature_rows import usual_days
from model.feeds import feeds_of
from model.history import Floats, Ints
from model.outlook import shock_variance
from model.scorer import Scorer
from model.unusual import CALENDAR_NAMES
from training.backtest import open_moments
from training.clustered import NORMAL_95, calibration
from training.data_checks import check_record, check_win_rate, compare_values
from training.metrics import losses
from training.promotion import holm
from training.record import Record, day_of
from training.thresholds import MonitorThresholds, Thresholds

State = Literal["well", "unknown", "told", "retrain", "broken"]
SCORE: Final = "score"  # stands among the features for the model's own answer
REFERENCE_SPACING_DAYS: Final = 28.0
ROWS_AT_ONCE: Final = 20_000
STATES: Final[dict[str, State]] = {"ok": "well", "moved": "told", "broken": "broken"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one look found.

    Parameters
    ----------
    name
        ``freshness``, ``calibration``, ``drift``, ``forecast``, ``win rate``, ``closings`` ...
    state
        ``well``; ``unknown``, too little came to judge; ``told``, worth a look; ``retrain``; or
        ``broken``: the data cannot be trusted.
    words
        The finding with its figures.
    """

    name: str
    state: State
    words: str


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """Calibration of forecasts within some days; slope and intercept None where no line fits.

    Parameters
    ----------
    days
        Ahead.
    deals, won
        Judged, and won in time.
    loss
        Mean log-loss, nats.
    slope, intercept
        As in `training.clustered`, each with its standard error.
    """

    days: float
    deals: int
    won: int
    loss: float
    slope: float | None
    slope_error: float | None
    intercept: float | None
    intercept_error: float | None


@dataclass(frozen=True, kw_only=True)
class Month:
    """Forecasts made in one month: their mean, and the share that came true."""

    month: str
    deals: int
    forecasts: int
    expected: float
    came: float
    loss: float


@dataclass(frozen=True, kw_only=True)
class Moved:
    """How far a feature of today's open deals lies from those of training.

    Parameters
    ----------
    feature
        Its name, or ``score``.
    psi, p_value
        Of the stability index, and of the chi-squared test.
    moved
        Whether both say so, by the thresholds.
    """

    feature: str
    psi: float
    p_value: float
    moved: bool


@dataclass(frozen=True, kw_only=True)
class Window:
    """Wins expected of the deals open on a day, with their 80 % range, and what came."""

    day: str
    days: float
    deals: int
    expected: float
    low: float
    high: float
    came: int


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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Forecasts:
    """Of open deals at moments. Arrays of shape (R,), or (R, H)."""

    deal: Ints
    as_of: Ints
    probability: Floats
    counted: NDArray[np.bool_]
    won: NDArray[np.bool_]


def monitor(
    events: pa.Table,
    now_us: int,
    models: Sequence[Artifact],
    thresholds: Thresholds,
    *,
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
    scorers = sorted((Scorer(each) for each in models), key=lambda each: each.known_before)
    current = next(each for each in scorers if each.artifact is models[-1])
    scorers = [each for each in scorers if each.known_before <= current.known_before]
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
    judged = _weekly(record, scorers, current, limits)
    horizons = [
        _horizon(judged, number, each) for number, each in enumerate(current.edges[1:].tolist())
    ]
    moved = _moved(record, now_us, current, days, limits)
    windows = _windows(record, scorers, current, days, limits)
    findings += [
        _calibration_finding(horizons, limits),
        *_drift_findings(moved, limits),
        _forecast_finding(windows, days, limits),
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
        months=_months(judged, current.edges[1:].tolist().index(days)),
        moved=moved,
        windows=windows,
    )


def _forecasts(
    record: Record, scorers: Sequence[Scorer], deal: Ints, as_of: Ints, days: Floats
) -> _Forecasts:
    """Score open deals, each moment by the last model whose cut-off lies before it."""
    cutoffs = np.array([each.known_before for each in scorers])
    order = np.lexsort((as_of, deal))
    deal, as_of = deal[order], as_of[order]
    by = np.searchsorted(cutoffs, as_of, side="right") - 1
    found = np.full((len(deal), len(days)), np.nan)
    heard = feeds_of(record.history)
    for number, scorer in enumerate(scorers):
        rows = np.flatnonzero(by == number)
        within = days <= scorer.edges[-1]
        feeds = scorer.feeds(heard)
        for first in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[first : first + ROWS_AT_ONCE]
            scored = scorer.score_many(
                record.history, deal[part], as_of[part], None, feeds, checked=True
            )
            shown = np.array([each is not None and each.scorable for each in scored.checks], bool)
            answers = scorer.probabilities(scored, days[within].tolist())
            found[np.ix_(part[shown], within)] = answers[shown]
    ahead = as_of[:, None] + (days * DAY_US).astype(np.int64)
    return _Forecasts(
        deal=deal,
        as_of=as_of,
        probability=found,
        counted=(ahead <= record.countable_until) & np.isfinite(found),
        won=record.win[deal][:, None] <= ahead,
    )


def _weekly(
    record: Record, scorers: Sequence[Scorer], current: Scorer, limits: MonitorThresholds
) -> _Forecasts:
    """The deals open at regular moments of the past, while some model could score them."""
    days = current.edges[1:]
    until = record.countable_until - int(days[0] * DAY_US) + 1
    spacing = int(limits.spacing_days * DAY_US)
    first = max(scorers[0].known_before, until - int(limits.judged_days * DAY_US))
    deal, as_of = open_moments(record, first, until, spacing)
    return _forecasts(record, scorers, deal, as_of, days)


def _horizon(judged: _Forecasts, number: int, days: float) -> Horizon:
    rows = judged.counted[:, number]
    deal, won, p = judged.deal[rows], judged.won[rows, number], judged.probability[rows, number]
    line = calibration(deal, won, p)
    slope, intercept = line["slope"], line["intercept"]
    return Horizon(
        days=days,
        deals=len(np.unique(deal)),
        won=len(np.unique(deal[won])),
        loss=float(losses(won, p).mean()) if len(p) else float("nan"),
        slope=slope,
        slope_error=_error(line, "slope"),
        intercept=intercept,
        intercept_error=_error(line, "intercept"),
    )


def _error(line: Mapping[str, float | None], name: str) -> float | None:
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    return None if low is None or high is None else (high - low) / (2.0 * NORMAL_95)


def _months(judged: _Forecasts, number: int) -> list[Month]:
    """By the month in which forecasts were made."""
    rows = np.flatnonzero(judged.counted[:, number])
    month = judged.as_of[rows].astype("datetime64[us]").astype("datetime64[M]")
    found = []
    for each in np.unique(month):
        part = rows[month == each]
        won, p = judged.won[part, number], judged.probability[part, number]
        found.append(
            Month(
                month=str(each),
                deals=len(np.unique(judged.deal[part])),
                forecasts=len(part),
                expected=float(p.mean()),
                came=float(won.mean()),
                loss=float(losses(won, p).mean()),
            )
        )
    return found


def _moved(
    record: Record, now_us: int, current: Scorer, days: float, limits: MonitorThresholds
) -> list[Moved]:
    """Today's open deals beside those open at moments before the cut-off, the furthest first.

    Both are deals open at a moment, so both hold many slow ones. One deal is seen at several of
    the earlier moments, and counts as less than as many deals (Kish's effective size).
    """
    begin = current.known_before - int(limits.reference_days * DAY_US)
    spacing = int(REFERENCE_SPACING_DAYS * DAY_US)
    then = open_moments(record, max(begin, record.begin_us), current.known_before, spacing)
    today = np.flatnonzero((record.opened < now_us) & (record.closed >= record.end_us))
    old_x, old_p, old_deal = _open(record, current, *then, days)
    new_x, new_p, _ = _open(record, current, today, np.full(len(today), now_us), days)
    times = np.unique(old_deal, return_counts=True)[1].astype(np.float64)
    size = float(times.sum() ** 2 / max(float((times**2).sum()), 1.0))
    if min(len(new_p), size) < limits.open_deals:
        return []
    bins = current.artifact.grid.bin
    old_bins, new_bins = bins(old_x).astype(np.int64), bins(new_x).astype(np.int64)
    names, figures = [SCORE], [compare_values(*_tenths(old_p, new_p), size)]
    for column, name in enumerate(current.features.names):
        if name not in CALENDAR_NAMES:
            names.append(name)
            figures.append(compare_values(old_bins[:, column], new_bins[:, column], size))
    rejected = holm([p for _, p in figures], limits.psi_level)
    found = [
        Moved(feature=name, psi=psi, p_value=p, moved=is_rejected and psi > limits.psi)
        for name, (psi, p), is_rejected in zip(names, figures, rejected, strict=True)
    ]
    return sorted(found, key=lambda each: -each.psi)


def _open(
    record: Record, scorer: Scorer, deal: Ints, as_of: Ints, days: float
) -> tuple[Floats, Floats, Ints]:
    """Features, probability and deal of those open as known at each moment."""
    feeds = scorer.feeds(feeds_of(record.history))
    x, p, open_deal = [np.empty((0, len(scorer.features.names)))], [np.empty(0)], [deal[:0]]
    for first in range(0, len(deal), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        scored = scorer.score_many(record.history, deal[part], as_of[part], None, feeds)
        x.append(scored.x[scored.is_open])
        p.append(scorer.probabilities(scored, [days])[scored.is_open, 0])
        open_deal.append(deal[part][scored.is_open])
    return np.concatenate(x), np.concatenate(p), np.concatenate(open_deal)


def _tenths(old: Floats, new: Floats) -> tuple[Ints, Ints]:
    cuts = np.unique(np.quantile(old, np.arange(1, 10) / 10))
    return np.searchsorted(cuts, old), np.searchsorted(cuts, new)


def _windows(
    record: Record,
    scorers: Sequence[Scorer],
    current: Scorer,
    days: float,
    limits: MonitorThresholds,
) -> list[Window]:
    """Non-overlapping spans of the usual days, the last one ending with what is known."""
    length, last = int(days * DAY_US), record.countable_until - int(days * DAY_US)
    begin = max(scorers[0].known_before, last - int(limits.judged_days * DAY_US))
    if last < begin:
        return []
    first = last - (last - begin) // length * length
    deal, as_of = open_moments(record, first, last + 1, length)
    found = _forecasts(record, scorers, deal, as_of, np.array([days]))
    shock = shock_variance(current.artifact.facts["forecast"], days)
    windows = []
    for moment in np.unique(found.as_of):
        rows = (found.as_of == moment) & found.counted[:, 0]
        p = found.probability[rows, 0]
        half = 1.2816 * sqrt(_variance(p, shock))  # normal quantile of an 80 % interval
        windows.append(
            Window(
                day=day_of(int(moment)),
                days=days,
                deals=len(p),
                expected=float(p.sum()),
                low=max(float(p.sum()) - half, 0.0),
                high=float(p.sum()) + half,
                came=int(found.won[rows, 0].sum()),
            )
        )
    return windows


def _variance(p: Floats, shock: float) -> float:
    alone = float((p * (1.0 - p)).sum())
    return alone + shock * alone**2


def _calibration_finding(horizons: Sequence[Horizon], limits: MonitorThresholds) -> Finding:
    """Shown to lie outside a band: by intervals that hold for all horizons at once."""
    enough = [
        each
        for each in horizons
        if each.deals >= limits.fewest_deals
        and min(each.won, each.deals - each.won) >= limits.fewest_won
    ]
    if not enough:
        most = max(horizons, key=lambda each: each.deals)
        words = (
            f"{most.deals:,} deals with {most.won:,} won since the cut-off are too few to judge "
            f"calibration: {limits.fewest_deals:,} are needed, {limits.fewest_won:,} of them won"
        )
        return Finding(name="calibration", state="unknown", words=words)
    far = [words for each in enough for words in _outside(each, limits, 2 * len(enough))]
    if far:
        return Finding(name="calibration", state="retrain", words="; ".join(far))
    told = ", ".join(
        f"{each.days:g} days: slope {_two(each.slope)}, intercept {_two(each.intercept)}"
        for each in enough
    )
    return Finding(name="calibration", state="well", words=f"calibration holds within {told}")


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _outside(horizon: Horizon, limits: MonitorThresholds, tests: int) -> list[str]:
    from scipy.stats import norm

    z = float(norm.isf(limits.level / (2 * tests)))
    asked = (
        ("slope", horizon.slope, horizon.slope_error, limits.slope),
        ("intercept", horizon.intercept, horizon.intercept_error, limits.intercept),
    )
    return [
        f"within {horizon.days:g} days the calibration {name} over {horizon.deals:,} deals is "
        f"{value:.2f} ({value - z * error:.2f} to {value + z * error:.2f}), outside "
        f"{low:g} to {high:g}"
        for name, value, error, (low, high) in asked
        if value is not None
        and error is not None
        and (value - z * error > high or value + z * error < low)
    ]


def _drift_findings(moved: Sequence[Moved], limits: MonitorThresholds) -> list[Finding]:
    if not moved:
        words = "too few deals are open, or were, to tell whether they moved"
        return [Finding(name="drift", state="unknown", words=words)]
    far = [each for each in moved if each.moved]
    shown = ", ".join(f"{each.feature} (PSI {each.psi:.2f})" for each in far[:5])
    named = f"{shown}{f' and {len(far) - 5} more' if far[5:] else ''}"
    if not far:
        words = f"none of {len(moved) - 1} features of today's open deals moved, nor the score"
        return [Finding(name="drift", state="well", words=words)]
    words = f"{len(far)} of {len(moved)} moved beside training: {named}"
    many = len(far) > limits.moved_share * len(moved)
    asks = many or any(each.feature == SCORE for each in far)
    return [Finding(name="drift", state="retrain" if asks else "told", words=words)]


def _forecast_finding(windows: Sequence[Window], days: float, limits: MonitorThresholds) -> Finding:
    from scipy.stats import norm

    came, expected = sum(each.came for each in windows), sum(each.expected for each in windows)
    if came < limits.fewest_won:
        words = f"{came} wins in {len(windows)} spans are too few to judge the forecast"
        return Finding(name="forecast", state="unknown", words=words)
    sides = [(each.high - each.expected) / 1.2816 for each in windows]
    chance = 2.0 * float(norm.sf(abs(came - expected) / sqrt(sum(each**2 for each in sides))))
    error = (expected - came) / came
    words = (
        f"{expected:.1f} wins were expected in {len(windows)} spans of {days:g} days since "
        f"{windows[0].day}, and {came} came ({error:+.0%}, p {chance:.1g})"
    )
    far = abs(error) > limits.forecast_error and chance < limits.level
    return Finding(name="forecast", state="retrain" if far else "well", words=words)


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
