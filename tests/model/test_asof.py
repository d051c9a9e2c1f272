"""Deals as they were known: what is visible when, and whether a deal is open."""

from __future__ import annotations

import numpy as np
import pytest

from model.asof import AsOf, Snapshot
from model.event_table import table_of
from model.events import KIND_CODES, Event
from model.history import History
from model.vocabulary import Vocabulary
from tests.factories import day_us, deal_event

OPENED = deal_event("deal_opened")


def known(events: list[Event], *at: float, deals: tuple[int, ...] = (0,)) -> list[Snapshot]:
    """Each of these deals at each of these days."""
    history, vocabulary = History.from_events(events), Vocabulary(activities=("demo",))
    return AsOf(
        history,
        vocabulary,
        vocabulary.codes(history),
        np.repeat(deals, len(at)),
        np.tile([day_us(day) for day in at], len(deals)),
    ).snapshots


def is_open(events: list[Event], at: float) -> bool:
    return known(events, at)[0].is_open


def test_an_event_is_visible_once_it_is_known() -> None:
    events = [OPENED, deal_event("meeting_held", 3, known=7), deal_event("call_made", 5)]

    seen = known(events, 2, 5, 6, 7)

    assert [snapshot.rows for snapshot in seen] == [[0], [0, 2], [0, 2], [0, 1, 2]]
    assert [snapshot.last("meeting_held") for snapshot in seen] == [-1, -1, -1, 1]
    assert seen[3].age_days[1] == 4


def test_the_last_of_a_kind_is_the_last_to_happen_not_to_be_known() -> None:
    events = [
        deal_event("stage_changed", 1, name="new", known=9),
        deal_event("stage_changed", 2, name="offer"),
    ]

    (seen,) = known(events, 10)

    assert seen.deal.names[seen.deal.name[seen.last("stage_changed")]] == "offer"


def test_deals_do_not_mix() -> None:
    events = [
        deal_event(kind, at, deal_id=deal)
        for deal, kind, at in (
            ("a", "deal_opened", 0),
            ("b", "deal_opened", 1),
            ("b", "call_made", 2),
            ("c", "call_made", 0),
        )
    ]

    seen = known(events, 0.5, 3, deals=(2, 0, 1))

    codes = [KIND_CODES["deal_opened"]], [KIND_CODES["call_made"]]
    since = [[snapshot.since_days(each) for snapshot in seen] for each in codes]
    missing = np.nan
    np.testing.assert_array_equal(
        since,
        [[missing, missing, 0.5, 3, missing, 2], [0.5, 3, missing, missing, missing, 1]],
    )


# Whether a deal is open.


def test_a_deal_is_open_from_its_opening_until_its_closing_is_known() -> None:
    events = [deal_event("deal_opened", at=1), deal_event("deal_lost", at=5, known=8)]

    assert [is_open(events, at) for at in (0.5, 1, 5, 7.9, 8)] == [False, True, True, True, False]


def test_a_deal_reopened_is_open_until_it_closes_again() -> None:
    events = [
        OPENED,
        deal_event("deal_lost", at=5),
        deal_event("deal_reopened", at=7),
        deal_event("deal_won", at=9),
    ]

    assert [is_open(events, at) for at in (4, 6, 8, 10)] == [True, False, True, False]


@pytest.mark.parametrize("ids", [("1", "2"), ("2", "1")])
def test_a_deal_reopened_and_closed_at_one_moment_is_closed(ids: tuple[str, str]) -> None:
    events = [
        OPENED,
        deal_event("deal_won", at=5, source_id="won"),
        deal_event("deal_reopened", at=7, source_id=ids[0]),
        deal_event("deal_lost", at=7, source_id=ids[1]),
    ]
    table = table_of(events)

    assert not is_open(events, 8)
    assert table["kind"].to_pylist()[-2:] == ["deal_reopened", "deal_lost"]
    for history in (History.from_table(table), History.from_table(table.take([3, 2, 1, 0]))):
        assert history.kind.tolist() == History.from_events(events).kind.tolist()


@pytest.mark.parametrize("ids", [("1", "2"), ("2", "1")])
def test_a_deal_opened_and_closed_at_one_moment_is_closed(ids: tuple[str, str]) -> None:
    events = [
        deal_event("deal_opened", at=1, source_id=ids[0]),
        deal_event("deal_won", at=1, source_id=ids[1]),
    ]

    assert not is_open(events, 2)
