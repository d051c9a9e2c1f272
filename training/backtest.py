"""Rolling origin: train on what was known at a time, score what was open after it, look what came.

An origin is a moment of the calendar. Its artifact is trained on what was known before it, and
scores every deal open at regular moments until the next origin, each from what was known at that
moment. Outcomes are those of the full record. With knowledge ending at K and L the 99th percentile
of the lag with which closings are logged, a forecast of d days made at t is judged only if

    t + d <= K - L,      whatever the outcome,

as in `training.dataset`: else only fast wins would be looked at. Deals learned from occur again
where they are still open, as in real use; those opened after their origin are also judged alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.artifact import Artifact
from model.errors import TrainingDataError
from model.events import DAY_US
from model.feeds import feeds_of
from model.history import Floats, Ints
from model.scorer import Scorer
from training.baselines import BASELINES, Known
from training.dataset import NEVER
from training.fit import Progress, learn, no_progress
from training.preparing import Learning, Options, prepare
from training.record import Record, check_origins, choose_days, choose_origins, day_of
from training.scored_parts import parts, scored_parts
from training.standing import Standing, standing_of

ORIGINS: Final = 4
SPACING_DAYS: Final = 7.0
MOST_FORECASTS: Final = 100_000  # of one origin; of more so many are drawn evenly

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Origin:
    """One training of the past and the time that it answers for.

    Parameters
    ----------
    known_before_us
        Nothing known at or after this was learned from; microseconds since 1970 UTC.
    until_us
        Its forecasts are made from `known_before_us` to before this, microseconds.
    artifact
        What was learned.
    """

    known_before_us: int
    until_us: int
    artifact: Artifact


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An origin that could not be trained, and why.

    Parameters
    ----------
    known_before_us
        Its moment, microseconds since 1970 UTC.
    reason
        In words.
    """

    known_before_us: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What may be set about a backtest.

    Parameters
    ----------
    origins
        How many the data chooses, evenly over the later part of the record.
    origins_us
        The origins themselves, microseconds since 1970 UTC, instead.
    within_days
        Days judged; none: the edges of `options`, or those that the data chooses at the first
        origin.
    spacing_days
        Between two moments of scoring; where that makes more than `MOST_FORECASTS` for an origin,
        so many of them are drawn evenly.
    options
        Of each training.
    """

    origins: int = ORIGINS
    origins_us: tuple[int, ...] = ()
    within_days: tuple[float, ...] = ()
    spacing_days: float = SPACING_DAYS
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecasts:
    """What was forecast of open deals, and what came. Arrays of shape (R,) unless said.

    Parameters
    ----------
    days
        The horizons. Shape (H,).
    origin
        Index of the origin whose artifact answered.
    deal, as_of
        Index into the record's deals, and the moment, microseconds since 1970 UTC.
    standing
        How the deals stood.
    probability
        P(won within each horizon). Shape (R, H).
    baselines
        The same by each baseline; NaN where one had nothing to go by. Each of shape (R, H).
    counted
        Whether the end of each horizon is known. Shape (R, H).
    won
        Whether the deal was won by then. Shape (R, H).
    new
        Whether the deal became known after the origin: none of it was learned from.
    """

    days: Floats
    origin: Ints
    deal: Ints
    as_of: Ints
    standing: Standing
    probability: Floats
    baselines: dict[str, Floats]
    counted: Flags
    won: Flags
    new: Flags


@dataclass(frozen=True, kw_only=True, eq=False)
class Backtest:
    """All of a backtest, before it is put into figures.

    Parameters
    ----------
    record
        The whole of it.
    plan
        As asked.
    origins
        Those trained, in order of time.
    left_out
        Those that could not be.
    forecasts
        Of all origins.
    shown
        The features of the last origin's forecasts, to say which values occur. Shape (n, F).
    unscorable, unscorable_at
        The deal, and the moment in microseconds since 1970 UTC, where a score would have shown no
        number, so that none is judged. Shape (u,).
    """

    record: Record
    plan: Plan
    origins: list[Origin]
    left_out: list[LeftOut]
    forecasts: Forecasts
    shown: Floats
    unscorable: Ints
    unscorable_at: Ints


def backtest(events: pa.Table, plan: Plan, progress: Progress = no_progress) -> Backtest:
    """Train at each origin, score what was open after it, and look what came.

    Parameters
    ----------
    events
        The whole record, of `model.event_table.EVENT_SCHEMA`.
    plan
        Origins, horizons, moments.

    Raises
    ------
    TrainingDataError
        If no origin can be trained, or nothing was open at any moment.
    HorizonError
        If no horizon ends within the record.
    """
    record = Record.of(events)
    asked = min(plan.origins_us, default=None)
    days = choose_days(record, plan.within_days, plan.options.edges_days, asked)
    moments = (
        check_origins(record, plan.origins_us, days)
        if plan.origins_us
        else choose_origins(record, days, plan.origins)
    )
    trained: list[tuple[Learning, Origin]] = []
    left_out: list[LeftOut] = []
    for moment in moments:
        shown = named(progress, f"{day_of(moment)} ")
        try:
            learning, artifact = _train(record, moment, plan, days, shown)
        except TrainingDataError as error:
            left_out.append(LeftOut(known_before_us=moment, reason=str(error)))
            last = error
            continue
        # An origin answers until the next that can be trained, as the model in use would.
        if trained:
            before, earlier = trained[-1]
            trained[-1] = (before, replace(earlier, until_us=moment))
        origin = Origin(known_before_us=moment, until_us=record.end_us, artifact=artifact)
        trained.append((learning, origin))
    if not trained:
        raise TrainingDataError(
            f"no origin of {len(moments)} that can be trained: at the last, {last.given}",
            last.expected,
            "choose a later origin, or bring a longer record",
        )
    parts = [
        _forecast(record, plan, days, number, origin, learning, progress)
        for number, (learning, origin) in enumerate(trained)
    ]
    forecasts = _joined([part for part, _, _ in parts])
    if not forecasts.counted.any():
        raise TrainingDataError(
            f"no deal open at any moment from {day_of(trained[0][1].known_before_us)} on whose "
            "outcome is known",
            "deals that were open after an origin, and known well enough for a number",
            "choose earlier origins, or bring a longer record",
        )
    return Backtest(
        record=record,
        plan=plan,
        origins=[origin for _, origin in trained],
        left_out=left_out,
        forecasts=forecasts,
        shown=parts[-1][1],
        unscorable=np.concatenate([without[0] for _, _, without in parts]),
        unscorable_at=np.concatenate([without[1] for _, _, without in parts]),
    )


def named(progress: Progress, name: str) -> Progress:
    """The stages of a part, with its name before theirs."""

    def begin(stage: str, steps: int) -> Callable[[], None]:
        return progress(name + stage, steps)

    return begin


def _train(
    record: Record, moment: int, plan: Plan, days: Floats, progress: Progress
) -> tuple[Learning, Artifact]:
    """Learn from what was known before a moment, with the judged horizons among the edges."""
    options = plan.options
    if plan.within_days:
        options = replace(options, within_days=tuple(days.tolist()))
    else:
        options = replace(options, edges_days=tuple(days.tolist()))
    learning = prepare(record.events, moment, options)
    return learning, learn(learning, moment, options, progress)


def open_moments(record: Record, from_us: int, until_us: int, spacing_us: int) -> tuple[Ints, Ints]:
    """Every deal at every regular moment at which it was known as open, as far as known at last.

    Parameters
    ----------
    from_us, until_us
        The first moment, and the end, which is no moment any more; microseconds.
    spacing_us
        Between two moments.

    Returns
    -------
    deal, as_of
        By deal and time; a deal closed and reopened has its moments between them too.
    """
    first = np.maximum(-((from_us - record.opened) // spacing_us), 0)
    first = np.where(record.opened == NEVER, 0, first)
    last = -((from_us - np.minimum(record.closed, until_us)) // spacing_us)
    count = np.where(record.opened == NEVER, 0, np.maximum(last - first, 0))
    deal = np.repeat(np.arange(record.history.deals), count)
    nth = np.arange(deal.size) - np.repeat(np.cumsum(count) - count, count)
    return deal, from_us + (first[deal] + nth) * spacing_us


def _forecast(
    record: Record,
    plan: Plan,
    days: Floats,
    number: int,
    origin: Origin,
    learning: Learning,
    progress: Progress,
) -> tuple[Forecasts, Floats, tuple[Ints, Ints]]:
    """What one origin says of the deals open after it, beside the baselines.

    Returns
    -------
    tuple
        The forecasts; their features; and deals and moments that have no number.
    """
    history = record.history
    scorer = Scorer(origin.artifact)
    feeds = scorer.feeds(feeds_of(history))
    end = min(origin.until_us, record.countable_until - int(days[0] * DAY_US) + 1)
    deal, as_of = open_moments(record, origin.known_before_us, end, int(plan.spacing_days * DAY_US))
    if len(deal) > MOST_FORECASTS:
        rng = np.random.default_rng(plan.options.seed)
        drawn = np.sort(rng.choice(len(deal), MOST_FORECASTS, replace=False))
        deal, as_of = deal[drawn], as_of[drawn]
    steps = parts(len(deal)) + len(BASELINES)
    step = progress(f"{day_of(origin.known_before_us)} scoring", steps)
    probability, x = [np.empty((0, len(days)))], [np.empty((0, len(scorer.features.names)))]
    is_open, scorable = [np.empty(0, dtype=bool)], [np.empty(0, dtype=bool)]
    for _, scored in scored_parts(scorer, history, deal, as_of, feeds, checked=True):
        probability.append(scorer.probabilities(scored, days.tolist()))
        x.append(scored.x)
        is_open.append(scored.is_open)
        scorable.append(scored.scorable)
        step()
    shown = np.concatenate(scorable)
    without = np.flatnonzero(np.concatenate(is_open) & ~shown)
    unscorable = deal[without], as_of[without]
    rows = np.flatnonzero(shown)
    features, deal, as_of = np.concatenate(x)[rows], deal[rows], as_of[rows]
    known = Known.of(history, learning, origin.known_before_us)
    standing = standing_of(history, deal, as_of, known.text_fields)
    baselines = {}
    for name, baseline in BASELINES.items():
        found = baseline.forecast(known, days, features, standing)
        baselines[name] = np.full((len(rows), len(days)), np.nan) if found is None else found
        step()
    ahead = as_of[:, None] + (days * DAY_US).astype(np.int64)
    win = record.win[deal]
    forecasts = Forecasts(
        days=days,
        origin=np.full(len(rows), number),
        deal=deal,
        as_of=as_of,
        standing=standing,
        probability=np.concatenate(probability)[rows],
        baselines=baselines,
        counted=ahead <= record.countable_until,
        won=win[:, None] <= ahead,
        new=record.opened[deal] >= origin.known_before_us,
    )
    return forecasts, features, unscorable


def _joined(parts: list[Forecasts]) -> Forecasts:
    return Forecasts(
        days=parts[0].days,
        origin=np.concatenate([part.origin for part in parts]),
        deal=np.concatenate([part.deal for part in parts]),
        as_of=np.concatenate([part.as_of for part in parts]),
        standing=Standing.joined([part.standing for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
        baselines={
            name: np.concatenate([part.baselines[name] for part in parts]) for name in BASELINES
        },
        counted=np.concatenate([part.counted for part in parts]),
        won=np.concatenate([part.won for part in parts]),
        new=np.concatenate([part.new for part in parts]),
    )
