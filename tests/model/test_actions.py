"""Actions: when they are open, what takes them, and what is said of past deals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model.actions import ACTIONS, ActionTable, open_actions
from model.events import KINDS, Event
from model.features import FeatureSet
from model.feeds import Feed
from model.history import History
from model.hypothetical import TAKES
from model.supposition import carried_kinds, snapshot_of, suppose
from model.vocabulary import Vocabulary
from tests.factories import date_of, day_us, deal_event

NOW = 100.0
FEATURES = FeatureSet(Vocabulary())
FEEDS = {"crm": Feed(kinds=frozenset(KINDS))}


def still_open(*events: Event) -> set[str]:
    history = History.from_events([deal_event(), *events])
    snapshot = snapshot_of(history, day_us(NOW), FEATURES, FEEDS)
    return {action.name for action in open_actions(snapshot, carried_kinds(snapshot))}


@pytest.mark.parametrize(
    ("action", "kind", "at", "values", "is_open"),
    [
        ("customer reply", "customer_replied", 85.0, {}, True),
        ("customer reply", "customer_replied", 90.0, {}, False),
        ("customer reply", "auto_reply_received", 99.0, {}, True),
        ("on-site meeting", "meeting_held", 50.0, {"name": "onsite"}, False),
        ("on-site meeting", "meeting_held", 99.0, {"name": "remote"}, True),
        ("remote meeting", "meeting_held", 99.0, {"name": "onsite"}, False),
        ("remote meeting", "meeting_held", 80.0, {"name": "remote"}, True),
        ("call", "call_made", 99.0, {}, False),
        ("commercial talks", "commercial_talks_started", 1.0, {}, False),
        ("commercial talks", "commercial_talks_absent", 1.0, {}, True),
        ("technical validation", "technical_validation_failed", 1.0, {}, False),
        ("validation passed", "technical_validation_failed", 1.0, {}, True),
        ("validation passed", "technical_validation_passed", 1.0, {}, False),
        ("validation passed", "call_made", 1.0, {}, False),
        ("milestone", "milestone_set", 1.0, {"name": "pilot", "date": date_of(9)}, True),
        ("milestone", "milestone_reached", 1.0, {"name": "pilot"}, False),
        ("next step", "next_step_changed", 80.0, {}, True),
        ("next step", "next_step_changed", 90.0, {}, False),
        ("internal update", "internal_update_posted", 90.0, {}, False),
    ],
)
def test_an_action_is_open_until_it_was_taken_lately_or_for_good(
    action: str, kind: str, at: float, values: dict[str, Any], is_open: bool
) -> None:
    assert (action in still_open(deal_event(kind, at, **values))) is is_open


def test_an_action_of_a_kind_that_no_source_carries_is_not_open() -> None:
    snapshot = snapshot_of(History.from_events([deal_event()]), day_us(NOW), FEATURES, FEEDS)

    assert [each.name for each in open_actions(snapshot, frozenset({"call_made"}))] == ["call"]


def test_every_action_is_taken_by_the_event_that_it_supposes() -> None:
    history = History.from_events(
        [
            deal_event(),
            deal_event("technical_validation_started", 1),
            deal_event("milestone_set", 1, name="pilot", date=date_of(120)),
            deal_event("milestone_set", 1, name="audit", date=date_of(110)),
        ]
    )
    now = day_us(NOW)
    snapshot = snapshot_of(history, now, FEATURES, FEEDS)
    for action, event in ((each, event) for each in ACTIONS for event in each.supposed(snapshot)):
        then = snapshot_of(suppose(history, 0, now, [event], FEATURES, FEEDS), now, FEATURES, FEEDS)

        assert event.kind == action.kind in TAKES
        assert not action.taken(snapshot, now - 1)
        assert action.taken(then, now - 1)
        assert not action.taken(then, now), "an event of the moment itself was known already"


def test_the_next_due_milestones_are_supposed_one_by_one_what_is_missed_first() -> None:
    names = "abcdefg"
    history = History.from_events(
        [
            deal_event(),
            *(deal_event("milestone_set", 1, name=n, date=date_of(99 - i), source_id=f"s{n}")
              for i, n in enumerate(names)),
            deal_event("milestone_set", 1, name="late", date=date_of(3), source_id="late"),
            deal_event("milestone_set", 1, name="gate", date=date_of(4), source_id="gate"),
            deal_event("must_hit_declared", 2, name="gate"),
        ]
    )  # fmt: skip
    snapshot = snapshot_of(history, day_us(NOW), FEATURES, FEEDS)
    (milestone,) = (each for each in ACTIONS if each.name == "milestone")

    reached = [event.name for event in milestone.supposed(snapshot)]
    assert reached == ["gate", "late", "g", "f", "e"]


TABLE = ActionTable(
    edge=1,
    cuts=(0.1, 0.2, 0.3, 0.4),
    counts={"call": np.arange(5 * 3 * 2 * 2).reshape(5, 3, 2, 2) + 20},
)


@pytest.mark.parametrize(
    ("predicted", "days", "band", "edge"),
    [
        (0.05, 1.0, 0, 0),
        (0.1, 44.0, 1, 0),  # a cut belongs to the band above it
        (0.25, 45.0, 2, 1),
        (0.39, 90.0, 3, 2),
        (0.99, 180.0, 4, 2),
    ],
)
def test_evidence_is_of_the_band_and_the_first_edge_that_reaches_the_date_from_the_landmark(
    predicted: float, days: float, band: int, edge: int
) -> None:
    edges = [30.0, 60.0, 120.0]
    told = TABLE.evidence("call", predicted, edges, days)

    assert told is not None
    first = 20 + (band * 3 + edge) * 4
    counted = (told.others_deals, told.others_won, told.took_deals, told.took_won)
    assert counted == (first, first + 1, first + 2, first + 3)
    assert (told.band_low, told.band_high) == ((0.0, *TABLE.cuts, 1.0)[band : band + 2])
    assert (told.won_within_days, told.band_days) == (edges[edge], 60.0)


def test_evidence_of_few_deals_says_so_and_of_none_is_none() -> None:
    counts = np.zeros((5, 1, 2, 2), dtype=np.int64)
    counts[4, 0] = [[300, 30], [19, 19]]
    table = ActionTable(edge=0, cuts=(0.1, 0.2, 0.3, 0.4), counts={"call": counts})
    few = table.evidence("call", 0.9, [30.0], 30.0)

    assert few is not None
    assert few.phrase == "too few to say: 19 such deals saw it within 14 days, 300 did not"
    assert table.evidence("milestone", 0.9, [30.0], 30.0) is None


def test_the_table_is_the_same_after_json() -> None:
    again = ActionTable.from_json(TABLE.to_json())

    assert again.to_json() == TABLE.to_json()
    np.testing.assert_array_equal(again.counts["call"], TABLE.counts["call"])
