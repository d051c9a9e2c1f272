"""What deals did with and without an action: counted by hand, deal by deal, from the landmark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from model.actions import ActionTable
from model.event_table import EVENT_SCHEMA
from model.events import KINDS, Event
from model.features import FeatureSet
from model.feeds import Feed
from model.grid import Grid, GridFeature
from model.history import History
from model.tables import Tables
from model.vocabulary import Vocabulary
from tests.factories import deal_event
from tests.training.companies import KNOWN_BEFORE, deals_events, deals_table, snapshots
from training.actions import action_table, learn_actions, out_of_bag
from training.dataset import NEVER
from training.preparing import Options, prepare

EDGES = np.array([0.0, 20.0, 40.0])
LOW, HIGH = -2.0, 2.0  # log-odds predicted
LOW_BAND, HIGH_BAND = 2, 4
# Each deal was opened on day 0; all are looked at on day 10, so that the landmark is day 24.
# (predicted, day it called, day it became known, day it won, day it was lost)
DEALS: dict[str, tuple[float, float | None, float | None, float | None, float | None]] = {
    "called and won": (LOW, 15, None, 30, None),
    "called and not won": (LOW, 15, None, None, None),
    "had called lately": (LOW, 9, None, 30, None),
    "won without a call": (LOW, None, None, 40, None),
    "lost before the landmark": (LOW, None, None, None, 20),
    "called on the last day, won too late": (LOW, 24, None, 50, None),
    "called after the window": (HIGH, 30, None, None, None),
    "called, but nobody knew": (HIGH, 15, 26, None, None),
    "won without a call, looked at twice": (HIGH, None, None, 30, None),
    "won before the landmark": (HIGH, 15, None, 20, None),
}


def events() -> list[Event]:
    told = []
    for number, (_, called, known, won, lost) in enumerate(DEALS.values()):
        deal = f"D-{number:05d}"
        told.append(deal_event(deal_id=deal))
        if called is not None:
            told.append(deal_event("call_made", called, deal_id=deal, known=known))
        if won is not None:
            told.append(deal_event("deal_won", won, deal_id=deal))
        if lost is not None:
            told.append(deal_event("deal_lost", lost, deal_id=deal))
    return told


def learned(known_days: float = 60.0, seed: int = 0) -> ActionTable:
    deal = np.array([*range(len(DEALS)), 8])
    as_of = np.array([10.0] * len(DEALS) + [11.0])
    won = [np.inf if row[3] is None else row[3] - 10.0 for row in DEALS.values()]
    order = np.lexsort((as_of, deal))
    data = snapshots(
        deal[order],
        as_of[order],
        np.array([*won, won[8] - 1.0])[order],
        known_days=known_days,
    )
    eta = np.array([row[0] for row in DEALS.values()])[data.deal]
    return learn_actions(
        History.from_events(events()),
        FeatureSet(Vocabulary()),
        data,
        EDGES,
        np.stack([eta, eta], axis=1),
        {"crm": Feed(kinds=frozenset(KINDS))},
        seed,
    )


@pytest.mark.parametrize("seed", range(3))
def test_deals_are_counted_from_the_landmark_by_what_they_did(seed: int) -> None:
    calls = learned(seed=seed).counts["call"]

    assert calls[LOW_BAND, 0].tolist() == [[1, 1], [3, 1]]
    assert calls[HIGH_BAND, 0].tolist() == [[3, 1], [0, 0]]
    others = [band for band in range(5) if band not in (LOW_BAND, HIGH_BAND)]
    assert not calls[others].any()


def test_only_what_the_record_reaches_is_counted_whatever_the_outcome() -> None:
    assert not learned(known_days=60.0).counts["call"][:, 1].any()
    reached = learned(known_days=65.0).counts["call"]

    assert reached[LOW_BAND, 1].tolist() == [[1, 1], [3, 2]]
    assert learned(known_days=43.0).counts == {}


def test_bands_are_of_the_probability_within_the_middle_edge() -> None:
    table = learned()

    assert table.edge == 0
    assert table.cuts == tuple(sorted(table.cuts))
    assert table.cuts[0] == pytest.approx(1 / (1 + np.exp(-LOW)))
    assert table.cuts[-1] == pytest.approx(1 / (1 + np.exp(-HIGH)))


def tables_of(bags: list[float], grid: Grid) -> Tables:
    """Tables whose bags say the same of every deal, each its own."""
    width = int(grid.bins.max()) + 2
    none = np.empty((len(bags), 2, 0, width), dtype=np.uint8)
    return Tables(
        bins=grid.bins,
        intercepts=np.array([[each, each] for each in bags]),
        mains=np.zeros((len(bags), 2, len(grid.features), width)),
        pairs=np.empty((0, 2), dtype=np.intp),
        left_groups=none,
        right_groups=none,
        values=np.empty(0),
    )


def test_a_deal_is_predicted_by_the_bags_that_did_not_draw_it() -> None:
    grid = Grid((GridFeature(name="x", thresholds=(0.5,), direction=0),))
    members = np.array([[True, False, True], [False, False, True]])
    bins = grid.bin(np.zeros((4, 1)))
    eta = out_of_bag(tables_of([1.0, 3.0], grid), bins, members, np.array([0, 1, 2, 0]))

    assert eta[:, 0].tolist()[:2] == [3.0, 2.0]
    assert np.isnan(eta[2]).all()
    assert eta[3, 1] == 3.0


def test_what_became_known_at_or_after_the_cut_off_changes_no_count() -> None:
    options = Options(edges_days=(20.0, 40.0), spacing_days=7.0)
    cut_off = KNOWN_BEFORE - 100 * 86_400_000_000
    table = deals_table()
    moment = np.datetime64(cut_off, "us")
    before = table.filter(pc.less(table["known_at"].cast("timestamp[us]"), moment))

    def counted(record: object) -> dict[str, object]:
        learning = prepare(record, cut_off, options)  # type: ignore[arg-type] # an Arrow table
        members = np.zeros((2, len(learning.data.deal_ids)), dtype=bool)
        return action_table(
            learning.history,
            learning.features,
            learning.data,
            learning.bins,
            learning.edges,
            tables_of([-1.0, -0.5], learning.grid),
            members,
            0,
        ).to_json()

    assert table.schema.equals(EVENT_SCHEMA)
    assert before.num_rows < table.num_rows
    assert counted(table) == counted(before)
    assert counted(table)["counts"]


def test_the_snapshot_that_stands_for_a_deal_is_drawn_without_regard_to_what_followed() -> None:
    """Else those drawn would be the ones that acted, or won."""
    told = deals_events(60)
    history = History.from_events(told)
    deal = np.repeat(np.arange(60), 2)
    as_of = np.tile([3.0, 6.0], 60) + np.repeat(np.arange(60) * 3.0, 2)
    data = snapshots(deal, as_of, np.full(120, np.inf))
    arguments = (FeatureSet(Vocabulary()), EDGES, np.zeros((120, 2)))
    features, edges, eta = arguments
    feeds = {"crm": Feed(kinds=frozenset(KINDS))}
    never = learn_actions(history, features, data, edges, eta, feeds, 0)
    won = replace(data, win=np.where(data.deal % 2 == 0, data.as_of, NEVER))
    always = learn_actions(history, features, won, edges, eta, feeds, 0)

    for name, counts in never.counts.items():
        np.testing.assert_array_equal(counts[..., 0], always.counts[name][..., 0])


def test_an_action_that_changes_nothing_is_not_credited_with_the_time_it_took() -> None:
    """Deals are lost early at random, and half of those left are won on day 40, called or not."""
    rng = np.random.default_rng(7)
    number = 4_000
    lost, called = rng.exponential(20.0, number), rng.exponential(20.0, number)
    won = (lost > 40.0) & (rng.random(number) < 0.5)
    ends = np.minimum(lost, 40.0)
    told, acted = [], called < ends
    for i in range(number):
        deal = f"D-{i:05d}"
        told.append(deal_event(deal_id=deal))
        if acted[i]:
            told.append(deal_event("call_made", called[i], deal_id=deal))
        told.append(deal_event("deal_won" if won[i] else "deal_lost", ends[i], deal_id=deal))
    open_then = np.flatnonzero(ends > 10.0)
    data = snapshots(
        open_then, np.full(open_then.size, 10.0), np.where(won, 30.0, np.inf)[open_then]
    )
    table = learn_actions(
        History.from_events(told),
        FeatureSet(Vocabulary()),
        data,
        EDGES,
        np.zeros((open_then.size, 2)),
        {"crm": Feed(kinds=frozenset(KINDS))},
        0,
    )
    (others, others_won), (took, took_won) = table.counts["call"][:, 0].sum(axis=0).tolist()
    spread = np.sqrt(0.25 / others + 0.25 / took)

    not_yet = ends > 10.0
    not_yet &= ~(acted & (called <= 10.0))
    in_window = acted & (called <= 24.0)
    assert min(others, took) > 200
    assert abs(took_won / took - others_won / others) < 3.0 * spread
    assert won[not_yet & in_window].mean() > 1.2 * won[not_yet & ~in_window].mean()
