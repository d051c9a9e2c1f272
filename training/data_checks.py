"""Whether data may be learned from: broken data stops a retraining, moved data is told.

What broke: rows that contradict each other, a record that ended long ago, events that are gone.
What moved: features and the share won, between the time before a moment and the time since.

References
----------
Siddiqi, N. (2006), Credit Risk Scorecards, Wiley: the population stability index (PSI).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.asof import WON
from model.errors import TrainingDataError
from model.events import DAY_US, KINDS
from model.feature import Rate
from model.history import History, Ints
from model.unusual import CALENDAR_NAMES
from training.dataset import NEVER, last_closings
from training.promotion import holm
from training.record import day_of
from training.thresholds import DataThresholds

if TYPE_CHECKING:
    from training.preparing import Learning

GROUPS: Final = 10  # of a feature's values, each about as large before the moment
BEFORE_DAYS: Final = 364.0  # whose open deals those since are set beside
WEEK_US: Final = 7 * DAY_US
LEAST_SHARE: Final = 1e-4  # of a group, so that the index stays finite
SCHEMA_COLUMNS: Final = ("deal_id", "kind", "occurred_at", "known_at", "source", "source_id")

Result = Literal["ok", "moved", "broken"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one look at the data found.

    Parameters
    ----------
    name
        ``schema``, ``freshness``, ``volume``, ``rejects``, ``rate``, ``win rate``, ``drift``.
    result
        ``ok``; ``moved``, which is told; or ``broken``, which stops.
    words
        The finding with its figures.
    """

    name: str
    result: Result
    words: str


def refuse_broken(checks: list[Check]) -> None:
    """Stop on broken data.

    Raises
    ------
    TrainingDataError
        With every broken check in words.
    """
    broken = [check.words for check in checks if check.result == "broken"]
    if broken:
        raise TrainingDataError(
            "data that is broken: " + "; ".join(broken),
            "a record that can be learned from",
            "mend the import, or set other limits with --thresholds",
        )


def check_schema(events: pa.Table) -> Check:
    """Rows that the schema lets pass singly, but that contradict each other."""
    import pandera.pandas as pandera

    frame = events.select(SCHEMA_COLUMNS).to_pandas(
        categories=["deal_id", "kind", "source"], self_destruct=False
    )
    schema = pandera.DataFrameSchema(
        {
            "kind": pandera.Column(checks=pandera.Check.isin(list(KINDS))),
            "known_at": pandera.Column(
                checks=pandera.Check(
                    lambda known: known >= frame["occurred_at"], error="known before it occurred"
                )
            ),
        },
        checks=pandera.Check(
            lambda rows: ~rows.duplicated(["source", "source_id", "deal_id"]),
            error="the same source_id twice in one source",
        ),
    )
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        failed = error.failure_cases
        reasons = sorted({str(reason) for reason in failed["check"]})
        words = f"{len(failed):,} values against the schema ({'; '.join(reasons)})"
        return Check(name="schema", result="broken", words=words)
    return Check(name="schema", result="ok", words=f"{len(frame):,} events hold to the schema")


def check_record(
    events: pa.Table,
    known_before: int,
    limits: DataThresholds,
    *,
    before: Mapping[str, Any] | None = None,
    rejected: int | None = None,
) -> list[Check]:
    """Freshness, volume and rejects.

    Parameters
    ----------
    events
        Known before the cut-off.
    known_before
        The cut-off, microseconds since 1970 UTC.
    limits
        Where to tell, and where to stop.
    before
        ``events`` and ``known_before`` (microseconds) of the champion's run; None where none was.
    rejected
        Rows that imports rejected; None where nobody counted.
    """
    known = events["known_at"].cast(pa.int64())
    last = int(pc.max(known).as_py() or 0)
    age = (known_before - last) / DAY_US
    checks = [
        Check(
            name="freshness",
            result=_above(age, limits.stale_days),
            words=f"the last event became known on {day_of(last)}, {age:.1f} days before",
        )
    ]
    if before is not None and before["events"] > 0:
        earlier = int(pc.sum(pc.less(known, before["known_before"])).as_py() or 0)
        share = earlier / before["events"]
        warn, stop = limits.fewer_events
        result: Result = "broken" if share < stop else "moved" if share < warn else "ok"
        words = f"{earlier:,} of the champion's {before['events']:,} events are there"
        checks.append(Check(name="volume", result=result, words=words))
        checks += _rate(events.num_rows - earlier, earlier, known, known_before, before, limits)
    if rejected is not None:
        share = rejected / max(rejected + events.num_rows, 1)
        words = f"{rejected:,} rows were rejected by imports, {share:.1%} of all"
        checks.append(Check(name="rejects", result=_above(share, limits.rejected), words=words))
    return checks


def _rate(
    since: int,
    earlier: int,
    known: pa.ChunkedArray,
    known_before: int,
    before: Mapping[str, Any],
    limits: DataThresholds,
) -> list[Check]:
    """Events a day since the champion's cut-off, beside those before it."""
    first = int(pc.min(known).as_py())
    days = (known_before - before["known_before"]) / DAY_US
    earlier_days = (before["known_before"] - first) / DAY_US
    if days < 1.0 or earlier_days < 1.0 or earlier == 0:
        return []
    now, then = since / days, earlier / earlier_days
    far = not then / limits.rate_factor <= now <= then * limits.rate_factor
    words = f"{now:,.1f} events a day since then, {then:,.1f} before"
    return [Check(name="rate", result="moved" if far else "ok", words=words)]


def _above(value: float, limits: tuple[float, float]) -> Result:
    return "broken" if value > limits[1] else "moved" if value > limits[0] else "ok"


def check_drift(learning: Learning, since: int, limits: DataThresholds) -> list[Check]:
    """The share won and every feature, before a moment and since.

    Parameters
    ----------
    learning
        Of the whole record.
    since
        The moment, microseconds since 1970 UTC.
    """
    checks = [check_win_rate(learning.history, since, limits)]
    moved = moved_features(learning, since, limits)
    if moved is None:
        words = f"too few deals since {day_of(since)} to tell whether features moved"
        return [*checks, Check(name="drift", result="ok", words=words)]
    for name, psi, p_value in moved:
        words = f"{name} moved since {day_of(since)}: PSI {psi:.2f}, p {p_value:.1g}"
        checks.append(Check(name="drift", result="moved", words=words))
    if not moved:
        words = f"none of {len(learning.features.names)} features moved since {day_of(since)}"
        checks.append(Check(name="drift", result="ok", words=words))
    return checks


def moved_features(
    learning: Learning, since: int, limits: DataThresholds
) -> list[tuple[str, float, float]] | None:
    """Features whose values are others since a moment: name, PSI, p-value, the largest first.

    The open deals of whole weeks since are set beside those of the year before: by all of their
    snapshots, so that on both sides a deal stands as often as it was open long, and no weekday more
    often than another. A deal's snapshots are far from independent, and count as less than as many
    (Kish's effective size). A feature moved where its index is large and the chi-squared test of
    its groups says that it is no chance. None where too few deals are on a side. Months and the
    like, which come round, are left out, and win rates of owners and accounts, which begin at
    nothing known: whether the share won moved is asked by itself.
    """
    data = learning.data
    weeks = (learning.known_before - since) // WEEK_US
    recent = data.as_of >= learning.known_before - weeks * WEEK_US
    before = (data.as_of < since) & (data.as_of >= since - int(BEFORE_DAYS * DAY_US))
    sizes = [effective_deals(data.deal[rows]) for rows in (before, recent)]
    if min(sizes) < limits.fewest_deals:
        return None
    names, figures = [], []
    for column, feature in enumerate(learning.features.features):
        if feature.name not in CALENDAR_NAMES and not isinstance(feature.term, Rate):
            old, new = (learning.bins[rows, column].astype(np.int64) for rows in (before, recent))
            names.append(feature.name)
            figures.append(compare_values(old, new, *sizes))
    moved = which_moved(figures, limits.psi, limits.psi_level)
    found = [
        (name, psi, p)
        for name, (psi, p), is_moved in zip(names, figures, moved, strict=True)
        if is_moved
    ]
    return sorted(found, key=lambda each: -each[1])


def which_moved(figures: Sequence[tuple[float, float]], psi: float, level: float) -> list[bool]:
    """Which moved far, and not by chance: index above `psi`, and rejected by Holm's procedure.

    Parameters
    ----------
    figures
        Of each feature, as `compare_values` answers them.

    Examples
    --------
    >>> which_moved([(0.5, 0.001), (0.5, 0.2), (0.1, 0.001)], 0.2, 0.05)
    [True, False, False]
    """
    rejected = holm([p for _, p in figures], level)
    return [
        is_rejected and index > psi
        for (index, _), is_rejected in zip(figures, rejected, strict=True)
    ]


def effective_deals(deal: Ints) -> float:
    """As how many independent rows those of deals count: Kish's ``(sum r)^2 / sum r^2``.

    Parameters
    ----------
    deal
        Of each row. Shape (R,).

    Examples
    --------
    >>> effective_deals(np.array([1, 2, 3, 3])), effective_deals(np.array([7, 7]))
    (2.6666666666666665, 1.0)
    """
    rows = np.unique(deal, return_counts=True)[1].astype(np.float64)
    return float(rows.sum() ** 2 / max(float((rows**2).sum()), 1.0))


def compare_values(
    old: Ints, new: Ints, old_size: float | None = None, new_size: float | None = None
) -> tuple[float, float]:
    """The stability index of two samples of bins, and the p-value of the chi-squared test.

    ``PSI = sum_g (q_g - p_g) log(q_g / p_g)`` over groups of neighbouring bins of about a tenth of
    the old sample each. A sample counts in the test as so many values as its size says, where some
    of it repeat each other; as what it holds if None.

    Examples
    --------
    >>> compare_values(np.arange(200) % 5, np.arange(100) % 5)
    (0.0, 1.0)
    >>> psi, p = compare_values(np.arange(200) % 5, np.zeros(100, dtype=np.int64))
    >>> psi > 1.0, p < 1e-6
    (True, True)
    """
    from scipy.stats import chi2

    size = int(max(old.max(), new.max())) + 1
    old_count = np.bincount(old, minlength=size).astype(np.float64)
    group = np.minimum((np.cumsum(old_count) - old_count / 2) * GROUPS / len(old), GROUPS - 1)
    code = group.astype(np.int64)
    counts = np.stack(
        [
            np.bincount(code, weights=each, minlength=GROUPS)
            for each in (old_count, np.bincount(new, minlength=size))
        ]
    )
    counts = counts[:, counts.sum(axis=0) > 0]
    for row, size_told in enumerate((old_size, new_size)):
        if size_told is not None:
            counts[row] *= size_told / counts[row].sum()
    total = counts.sum(axis=1)
    p, q = np.maximum(counts / total[:, None], LEAST_SHARE)
    expected = total[:, None] * counts.sum(axis=0) / counts.sum()
    statistic = float(((counts - expected) ** 2 / expected).sum())
    degrees = counts.shape[1] - 1
    psi = float(((q - p) * np.log(q / p)).sum())
    return psi, float(chi2.sf(statistic, degrees)) if degrees else 1.0


def check_win_rate(history: History, since: int, limits: DataThresholds) -> Check:
    """The share won of deals closed before a moment and since, by the closing that stands."""
    last = last_closings(history, NEVER)
    last = last[last >= 0]
    won, recent = (history.kind[last] == WON).astype(np.int64), history.known[last] >= since
    sides = [won[~recent], won[recent]]
    if min(map(len, sides)) < limits.fewest_deals:
        words = f"too few deals closed since {day_of(since)} to tell whether the share won moved"
        return Check(name="win rate", result="ok", words=words)
    psi, p_value = compare_values(sides[0], sides[1])
    words = (
        f"{sides[1].mean():.1%} of {len(sides[1]):,} deals closed since {day_of(since)} were won, "
        f"{sides[0].mean():.1%} of {len(sides[0]):,} before (PSI {psi:.2f}, p {p_value:.1g})"
    )
    moved = p_value < limits.psi_level and psi > limits.psi / 5.0  # of two groups, not of ten
    return Check(name="win rate", result="moved" if moved else "ok", words=words)
