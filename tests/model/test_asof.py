"""Deals as they were known: what is visible when, and whether a deal is open."""

from __future__ import annotations

import numpy as np
import pytest

from model.asof import AsOf
from model.events import KIND_CODES, Event
from model.history import History
from model.vocabulary import FOLLOWED, Vocabulary
from tests.factories import day_us, deal_event

OPENED = deal_event("deal_opened")


def known(events: list[Event], *at: float, deals: tuple[int, ...] = (0,)) -> AsOf:
    """Each of these deals at each of these days."""
    history, vocabulary = History.from_events(events), Vocabulary(activities=("demo",))
    return AsOf(
        history,
        vocabulary,
        vocabulary.codes(history),
        np.repeat(deals, len(at)),
        np.tile([day_us(day) for day in at], len(deals)),
    )


def is_open(events: list[Event], at: float) -> bool:
    return bool(known(events, at).is_open[0])


def test_an_event_is_visible_once_it_is_known() -> None:
    events = [OPENED, deal_event("meeting_held", 3, known=7), deal_event("call_made", 5)]

    seen = known(events, 2, 5, 6, 7)

    assert seen.snap.tolist() == [0, 1, 1, 2, 2, 3, 3, 3]
    assert seen.row.tolist() == [0, 0, 2, 0, 2, 0, 1, 2]
    meeting = seen.since_days[KIND_CODES["meeting_held"]]
    np.testing.assert_array_equal(meeting, [np.nan, np.nan, np.nan, 4.0])


def test_the_last_of_a_kind_is_the_last_to_happen_not_to_be_known() -> None:
    events = [
        deal_event("stage_changed", 1, name="new", known=9),
        deal_event("stage_changed", 2, name="offer"),
    ]

    seen = known(events, 10)

    assert seen.history.names[seen.name[seen.last_of("stage_changed")[0]]] == "offer"


def test_a_position_of_nothing_reads_the_missing_value() -> None:
    seen = known([OPENED], 1)
    nothing = seen.last_of("amount_changed")

    assert nothing.tolist() == [-1]
    assert np.isnan(seen.number[nothing]).all()
    assert np.isnan(seen.age_us[nothing]).all()
    assert seen.name[nothing].tolist() == [-1]


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

    since = seen.since_days[[KIND_CODES["deal_opened"], KIND_CODES["call_made"]]]
    missing = np.nan
    np.testing.assert_array_equal(
        since,
        [[missing, missing, 0.5, 3, missing, 2], [0.5, 3, missing, missing, missing, 1]],
    )


def test_what_is_followed_stands_in_order() -> None:
    events = [
        deal_event("message_sent", 2),
        deal_event("stage_changed", 1, name="new", number=1.0),
        deal_event("activity_logged", 3, name="demo"),
        deal_event("stage_changed", 4, name="offer"),
    ]

    followed = known(events, 5).followed

    assert followed.by_kind.keys() == set(FOLLOWED)
    assert followed.by_kind["stage_changed"] == [0, 2]
    assert followed.by_kind["message_sent"] == [1]
    assert [age / 86_400_000_000 for age in followed.age_us] == [4, 3, 1]
    assert followed.number[0] == 1.0


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
def test_a_deal_opened_and_closed_at_one_moment_is_closed(ids: tuple[str, str]) -> None:
    events = [
        deal_event("deal_opened", at=1, source_id=ids[0]),
        deal_event("deal_won", at=1, source_id=ids[1]),
    ]

    assert not is_open(events, 2)
