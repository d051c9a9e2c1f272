"""Train: events known before a time in, an artifact that answers by date out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.artifact import Artifact
from model.asof import LOST, OPENED
from model.errors import TrainingDataError
from model.event_table import EVENT_SCHEMA
from model.events import DAY_US, from_microseconds
from model.features import FeatureSet
from model.feeds import feeds_of, feeds_to_json
from model.grid import BinArray, Grid
from model.hazard import check_edges
from model.history import Floats, History
from model.rates import ClosingLog
from model.tables import Tables
from training.actions import action_table
from training.boosting import (
    Settings,
    bag_members,
    fit_booster,
    in_parallel,
    problems,
    thin,
)
from training.calibrating import fit_calibration
from training.compile import compile_tables
from training.dataset import (
    NEVER,
    Dataset,
    build_dataset,
    closing_lag,
    deal_of_rows,
    win_times,
)
from training.grid_fit import bin_weights, make_grid
from training.horizons import check_reach, check_wins, choose_edges, default_spacing_days
from training.judging import FOLDS, Division, Judgement, divide, judge
from training.leaks import find_leaks, refuse_leaks
from training.leaves import Booster
from training.quality import quality_by_edge
from training.vocabulary import learn_vocabulary

BAGS: Final = 8
FEWEST_WON: Final = 40  # closed deals of each outcome that anything can be learned from
FEWEST_LOST: Final = 40
SHORTEST_SPACING_DAYS: Final = 0.05
LONGEST_SPACING_DAYS: Final = 365.0
MOST_UNRECORDED_DAYS: Final = 7  # between the last known event and the cut-off
FEW_ROWS: Final = 20_000  # up to so many, stronger shrinkage is tried too
ROWS_PER_LEAF_SHARE: Final = 150  # a leaf holds at least this fraction of an ensemble's rows


@dataclass(frozen=True, kw_only=True)
class Options:
    """What may be set about training.

    Parameters
    ----------
    edges_days
        Horizon edges after 0; None chooses them by the data.
    within_days
        Days that will be asked for: each becomes an edge.
    spacing_days
        Between a deal's regular snapshots; None chooses it by the data.
    drop
        Features to leave out.
    strict
        Whether a feature that seems to know the outcome is refused, not only named.
    seed
        Of everything random.
    jobs
        Processes to use.
    """

    edges_days: tuple[float, ...] | None = None
    within_days: tuple[float, ...] = ()
    spacing_days: float | None = None
    drop: tuple[str, ...] = ()
    strict: bool = False
    seed: int = 0
    jobs: int = 2


Progress = Callable[[str, int], Callable[[], None]]
"""Begins a stage of so many steps; what it returns is called after each step."""


def no_progress(_stage: str, _steps: int) -> Callable[[], None]:
    """Show nothing."""
    return lambda: None


@dataclass(frozen=True, kw_only=True, eq=False)
class Learning:
    """Everything between events and artifact, for those who want to look inside.

    Parameters
    ----------
    history
        What was known before the cut-off.
    features
        Those that vary.
    data
        The snapshots.
    edges
        Days. Shape (B + 1,).
    grid, bins
        The common grid, and the bins of all rows. Shape (R, F).
    """

    history: History
    features: FeatureSet
    data: Dataset
    edges: Floats
    grid: Grid
    bins: BinArray


def prepare(events: pa.Table, known_before: int, options: Options) -> Learning:
    """Events to snapshots, edges and bins.

    Parameters
    ----------
    events
        Of `EVENT_SCHEMA`.
    known_before
        K, microseconds since 1970 UTC; later knowledge is dropped first of all.

    Raises
    ------
    TrainingDataError
        If too few deals closed, or an option does not fit the data.
    """
    end = _end_of_record(events)
    cutoff = pa.scalar(known_before, pa.int64()).cast(EVENT_SCHEMA.field("known_at").type)
    events = events.filter(pc.less(events["known_at"], cutoff))
    when = from_microseconds(known_before).date()
    if events.num_rows == 0:
        remedy = "choose a later date" if end else "bring a record that has events"
        raise TrainingDataError(f"no event known before {when}", "a record of closed deals", remedy)
    history = History.from_table(events)
    _check_closings(history, known_before, end)
    vocabulary = learn_vocabulary(history, known_before)
    everything = FeatureSet(vocabulary)
    _check_drop(options.drop, everything)
    spacing = options.spacing_days
    if spacing is None:
        spacing = default_spacing_days(history, known_before)
    if not SHORTEST_SPACING_DAYS <= spacing <= LONGEST_SPACING_DAYS:
        raise TrainingDataError(
            f"spacing {spacing:g} days",
            f"{SHORTEST_SPACING_DAYS:g} to {LONGEST_SPACING_DAYS:g} days",
            "leave it out, and the data's own time to win decides",
        )
    data = build_dataset(
        history,
        everything,
        known_before,
        spacing_days=spacing,
        seed=options.seed,
        feeds=feeds_of(history),
    )
    if data.rows == 0:
        raise TrainingDataError(
            f"no moment at which a deal was known as open before {when}",
            "openings known before their closings",
            "bring a record of how the deals went",
        )
    _check_record_reaches(end, known_before)
    kept = [
        column
        for column, name in enumerate(everything.names)
        if name not in options.drop and _varies(data.x[:, column])
    ]
    features = FeatureSet(vocabulary, tuple(everything.names[column] for column in kept))
    data = replace(data, x=data.x[:, kept])
    if options.edges_days is None:
        edges = choose_edges(data, options.within_days)
    else:
        edges = check_edges(sorted({0.0, *options.edges_days, *options.within_days}))
        check_reach(data, edges.tolist())
    check_wins(data, edges)
    grid = make_grid(
        data.x,
        names=features.names,
        categories=[
            len(features.categories(f)) if f.is_category else None for f in features.features
        ],
        directions=[f.direction for f in features.features],
        row_weights=data.weight,
    )
    return Learning(
        history=history,
        features=features,
        data=data,
        edges=edges,
        grid=grid,
        bins=grid.bin(data.x),
    )


def train(
    events: pa.Table,
    known_before: int,
    options: Options | None = None,
    progress: Progress = no_progress,
) -> Artifact:
    """Learn the probability to win by date.

    Parameters
    ----------
    events
        Of `EVENT_SCHEMA`.
    known_before
        K, microseconds since 1970 UTC: later knowledge does not exist.

    Returns
    -------
    Artifact
        Tables, calibration, and what is to be known about the training.

    Raises
    ------
    TrainingDataError
        If there is too little to learn from.
    """
    options = options or Options()
    return learn(prepare(events, known_before, options), known_before, options, progress)


def learn(
    learning: Learning, known_before: int, options: Options, progress: Progress = no_progress
) -> Artifact:
    """Learn from what `prepare` made of the same cut-off and options.

    Raises
    ------
    TrainingDataError
        If `options.strict` is set and a feature seems to know the outcome.
    """
    data, edges = learning.data, learning.edges
    leaks = find_leaks(learning.history, learning.features, data, known_before, options.seed)
    if options.strict:
        refuse_leaks(leaks)
    division = divide(data, edges)
    best = _choose(learning, division, options, progress)
    calibration = fit_calibration(data, edges, best.eta)
    tables = _fit_bags(learning, best, options, progress)
    calibrated = calibration.intercepts + calibration.slopes * best.eta
    return Artifact(
        edges=edges,
        grid=learning.grid,
        tables=tables,
        calibration=calibration,
        features=learning.features.to_json(),
        facts=_facts(learning, known_before, division, best, calibrated, options)
        | {
            "actions": action_table(
                learning.history,
                learning.features,
                data,
                learning.bins,
                edges,
                tables.calibrated(calibration),
                bag_members(len(data.deal_ids), BAGS, options.seed + 1),
                options.seed,
            ).to_json(),
            "leaks": [leak.to_json() for leak in leaks],
        },
    )


def candidates(rows: int) -> list[Settings]:
    """The settings that judging decides among, given how many rows an ensemble sees."""
    leaf = int(np.clip(rows / ROWS_PER_LEAF_SHARE, 10, 200))
    tried = [Settings(rows_a_leaf=leaf)]
    if rows <= FEW_ROWS:
        tried.append(Settings(interactions="no_interactions", rows_a_leaf=leaf))
        tried.append(
            Settings(
                interactions="no_interactions",
                leaves=3,
                rows_a_leaf=2 * leaf,
                shrinkage=0.03,
                ridge=50.0,
            )
        )
    return tried


def _choose(
    learning: Learning, division: Division, options: Options, progress: Progress
) -> Judgement:
    """The best setting: tried on some rounds, judged on all."""
    tried = candidates(learning.data.rows // 2)
    trial = division.trial()
    edges = len(learning.edges) - 1
    trials = len(tried) * len(trial.rounds) * trial.bags if len(tried) > 1 else 0
    step = progress("choosing", (trials + len(division.rounds) * division.bags) * edges)

    def judged(settings: Settings, rounds: Division) -> Judgement:
        return judge(
            learning.data,
            learning.grid,
            learning.bins,
            learning.edges,
            rounds,
            settings,
            seed=options.seed,
            jobs=options.jobs,
            step=step,
        )

    if len(tried) == 1:
        return judged(tried[0], division)
    best = min((judged(settings, trial) for settings in tried), key=lambda j: j.total)
    return judged(best.settings, division)


def _fit_bags(learning: Learning, best: Judgement, options: Options, progress: Progress) -> Tables:
    """The bags on all deals up to K, with the choices made."""
    data, edges = learning.data, learning.edges
    members = bag_members(len(data.deal_ids), BAGS, options.seed + 1)
    everything = np.ones((data.rows, len(edges) - 1), dtype=bool)
    questions = problems(data, edges, everything)
    calls = []
    for bag in range(BAGS):
        for b, question in enumerate(questions):
            seed = options.seed + 100 * bag + b
            drawn = np.flatnonzero(members[bag, data.deal[question.rows]])
            drawn = thin(drawn, np.random.default_rng(seed))
            rows = question.rows[drawn]
            calls.append(
                (
                    learning.grid,
                    learning.bins[rows],
                    question.won[drawn],
                    data.weight[rows],
                    best.settings,
                    int(best.trees[b]),
                    seed,
                )
            )
    step = progress("fitting", len(calls))
    models: list[Booster] = []
    for model in in_parallel(fit_booster, calls, options.jobs):
        models.append(model)
        step()
    width = len(questions)
    return compile_tables(
        [models[bag * width : (bag + 1) * width] for bag in range(BAGS)],
        learning.grid,
        bin_weights(learning.grid, learning.bins, data.weight),
    )


def _facts(
    learning: Learning,
    known_before: int,
    division: Division,
    best: Judgement,
    calibrated: Floats,
    options: Options,
) -> dict[str, Any]:
    history, data = learning.history, learning.data
    return {
        "known_before": from_microseconds(known_before).isoformat(),
        "rates": ClosingLog(history).table(known_before).to_json(),
        "feeds": feeds_to_json(feeds_of(history)),
        "training": {
            "deals": len(np.unique(data.deal)),
            "won": len(np.unique(data.deal[data.win != NEVER])),
            "snapshots": data.rows,
            "closing_lag_days": closing_lag(history, known_before) / 86_400_000_000,
            "division": division.method,
            "folds": FOLDS if division.split is None else 1,
            "split": None
            if division.split is None
            else from_microseconds(division.split).isoformat(),
            "settings": best.settings.to_json(),
            "trees": best.trees.tolist(),
            "seed": options.seed,
            "bags": BAGS,
        },
        "judged": quality_by_edge(data, learning.edges, calibrated),
    }


def _varies(column: Floats) -> bool:
    """Whether a feature takes two values, missing counting as one."""
    known = column[~np.isnan(column)]
    return bool(known.size) and (known.size < column.size or bool((known != known[0]).any()))


def _end_of_record(events: pa.Table) -> int:
    """When the last event became known, microseconds since 1970 UTC; 0 without events."""
    return int(pc.max(events["known_at"].cast(pa.int64())).as_py() or 0)


def _check_record_reaches(end: int, known_before: int) -> None:
    """Refuse a cut-off past the record: what was open at its end would count as never won."""
    if known_before - end > MOST_UNRECORDED_DAYS * DAY_US:
        day = from_microseconds(end).date()
        raise TrainingDataError(
            f"known before {from_microseconds(known_before).date()}, but the record ends on {day}",
            f"a date at most {MOST_UNRECORDED_DAYS} days after the record's end",
            f"choose {day + timedelta(days=1)}, or bring a later record",
        )


def _check_closings(history: History, known_before: int, end: int) -> None:
    won = int((win_times(history, known_before) != NEVER).sum())
    deal = deal_of_rows(history)
    lost = len(np.unique(deal[history.kind == LOST]))
    opened = len(np.unique(deal[history.kind == OPENED]))
    if won < FEWEST_WON or lost < FEWEST_LOST:
        raise TrainingDataError(
            f"{won} won and {lost} lost of {opened} opened deals known before "
            f"{from_microseconds(known_before).date()}",
            f"at least {FEWEST_WON} won and {FEWEST_LOST} lost",
            "bring a record of more closed deals"
            + (", or choose a later date" if end >= known_before else ""),
        )


def _check_drop(drop: Sequence[str], features: FeatureSet) -> None:
    for name in drop:
        if name not in features.names:
            raise TrainingDataError(
                f"--drop {name!r}", "one of " + ", ".join(features.names), "correct the name"
            )
