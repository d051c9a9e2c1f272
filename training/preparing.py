"""From events known before a time to snapshots, edges and bins: what learning starts from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.asof import LOST, OPENED
from model.errors import TrainingDataError
from model.event_table import EVENT_SCHEMA
from model.events import DAY_US, from_microseconds
from model.features import FeatureSet
from model.feeds import feeds_of
from model.grid import MAX_THRESHOLDS, BinArray, Grid
from model.hazard import check_edges
from model.history import Floats, History
from model.own_features import OwnFeatures
from training.dataset import NEVER, Dataset, build_dataset, deal_of_rows, win_times
from training.grid_fit import make_grid
from training.horizons import (
    FEWEST_WINS,
    check_reach,
    check_wins,
    check_within,
    choose_edges,
    default_spacing_days,
)
from training.vocabulary import learn_vocabulary

FEWEST_WON: Final = 40  # closed deals of each outcome that anything can be learned from
FEWEST_LOST: Final = 40
FEWEST_FOR_BASE_RATE: Final = 5  # of each outcome
BASE_FEATURES: Final = ("stage", "deal_age_days")
BASE_AGE_BANDS: Final = 4
SHORTEST_SPACING_DAYS: Final = 0.05
LONGEST_SPACING_DAYS: Final = 365.0
MOST_UNRECORDED_DAYS: Final = 7  # between the last known event and the cut-off


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
    base_rate
        Whether to learn the base rate by stage and age alone, from as few as
        `FEWEST_FOR_BASE_RATE` deals of each outcome.
    half_life_days
        Rows known so long before the cut-off count half; None forgets nothing.
    own
        The company's own features, beside the catalogue; None where there are none.
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
    base_rate: bool = False
    half_life_days: float | None = None
    own: OwnFeatures | None = None
    seed: int = 0
    jobs: int = 2


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
    known_before
        The cut-off, microseconds since 1970 UTC.
    """

    history: History
    features: FeatureSet
    data: Dataset
    edges: Floats
    grid: Grid
    bins: BinArray
    known_before: int


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
    check_within(options.within_days)
    end = _end_of_record(events)
    cutoff = pa.scalar(known_before, pa.int64()).cast(EVENT_SCHEMA.field("known_at").type)
    events = events.filter(pc.less(events["known_at"], cutoff))
    when = from_microseconds(known_before).date()
    if events.num_rows == 0:
        remedy = "choose a later date" if end else "bring a record that has events"
        raise TrainingDataError(f"no event known before {when}", "a record of closed deals", remedy)
    history = History.from_table(events)
    _check_closings(history, known_before, end, options.base_rate)
    vocabulary = learn_vocabulary(history, known_before)
    everything = FeatureSet(vocabulary, own=options.own)
    _check_drop(options, everything)
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
        if (
            name in BASE_FEATURES
            if options.base_rate
            else name not in options.drop and _varies(data.x[:, column])
        )
    ]
    names = tuple(everything.names[column] for column in kept)
    features = FeatureSet(vocabulary, names, options.own)
    data = replace(data, x=data.x[:, kept])
    if options.half_life_days is not None:
        weight = data.weight * decay((known_before - data.as_of) / DAY_US, options.half_life_days)
        data = replace(data, weight=weight * (data.weight.sum() / weight.sum()))
    if options.edges_days is None:
        fewest = FEWEST_FOR_BASE_RATE if options.base_rate else FEWEST_WINS
        edges = choose_edges(data, options.within_days, fewest)
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
        max_bins=BASE_AGE_BANDS if options.base_rate else MAX_THRESHOLDS + 1,
    )
    return Learning(
        history=history,
        features=features,
        data=data,
        edges=edges,
        grid=grid,
        bins=grid.bin(data.x),
        known_before=known_before,
    )


def decay(ages_days: Floats, half_life_days: float) -> Floats:
    """What rows of these ages count for.

    Examples
    --------
    >>> decay(np.array([0.0, 90.0, 180.0]), 90.0)
    array([1.  , 0.5 , 0.25])
    """
    return np.asarray(np.exp2(-ages_days / half_life_days))


def _varies(column: Floats) -> bool:
    """Whether a feature takes two values, missing counting as one."""
    known = column[~np.isnan(column)]
    return bool(known.size) and (known.size < column.size or bool((known != known[0]).any()))


def reach(events: pa.Table, known_before: int) -> int:
    """Until when a record says what came: the cut-off, or its own end where that lies days before.

    Parameters
    ----------
    known_before
        The cut-off asked for, microseconds since 1970 UTC.
    """
    end = _end_of_record(events)
    return end + 1 if known_before - end > MOST_UNRECORDED_DAYS * DAY_US else known_before


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


def _check_closings(history: History, known_before: int, end: int, base_rate: bool) -> None:
    won = int((win_times(history, known_before) != NEVER).sum())
    deal = deal_of_rows(history)
    lost = len(np.unique(deal[history.standing == LOST]))
    opened = len(np.unique(deal[history.kind == OPENED]))
    fewest_won = FEWEST_FOR_BASE_RATE if base_rate else FEWEST_WON
    fewest_lost = FEWEST_FOR_BASE_RATE if base_rate else FEWEST_LOST
    if won < fewest_won or lost < fewest_lost:
        remedies = ["bring a record of more closed deals"]
        if end >= known_before:
            remedies.append("choose a later date")
        if not base_rate and min(won, lost) >= FEWEST_FOR_BASE_RATE:
            remedies.append("take the base rate by stage and age with train --base-rate")
        raise TrainingDataError(
            f"{won} won and {lost} lost of {opened} opened deals known before "
            f"{from_microseconds(known_before).date()}",
            f"at least {fewest_won} won and {fewest_lost} lost",
            ", or ".join(remedies),
        )


def _check_drop(options: Options, features: FeatureSet) -> None:
    if options.drop and options.base_rate:
        raise TrainingDataError(
            f"--drop {options.drop[0]!r} with --base-rate",
            "one of the two",
            "leave --drop out: the base rate looks at stage and age alone",
        )
    for name in options.drop:
        if name not in features.names:
            raise TrainingDataError(
                f"--drop {name!r}", "one of " + ", ".join(features.names), "correct the name"
            )
