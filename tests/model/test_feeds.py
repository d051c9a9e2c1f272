"""Feeds: what each source carries, when it spoke, and when it stopped for everyone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import HistoryError
from model.event_table import table_of
from model.events import DAY_US, Event
from model.feeds import (
    FEWEST_HEARD,
    HOUR_US,
    MISSED,
    NEVER,
    STOPPED_AFTER_DAYS,
    Feed,
    feeds_from_json,
    feeds_of,
    feeds_of_columns,
    feeds_to_json,
    merge_feeds,
)
from model.history import History
from tests.factories import day_us, deal_event, features_of
from tests.model.histories import histories

KINDS = frozenset({"customer_replied"})


def hourly(hours: int = 200, apart: int = 1, first: int = 0) -> Feed:
    return Feed(kinds=KINDS, heard=(first + np.arange(hours) * apart) * HOUR_US)


def pause_hours(feed: Feed, *at_hours: float) -> list[float]:
    return [feed.pause(int(hour * HOUR_US)) / HOUR_US for hour in at_hours]


def test_a_feed_that_was_quiet_over_a_weekend_has_not_stopped() -> None:
    last, limit = 199, STOPPED_AFTER_DAYS * 24

    assert pause_hours(hourly(), last, last + limit, last + limit + 1) == [0, 0, limit + 1]


def test_a_feed_that_seldom_speaks_is_given_more_time() -> None:
    feed = hourly(FEWEST_HEARD, apart=12)
    last, patience = (FEWEST_HEARD - 1) * 12, MISSED * 12

    assert pause_hours(feed, last + patience, last + patience + 1) == [0, patience + 1]


def test_a_feed_heard_a_few_times_only_is_not_said_to_have_stopped() -> None:
    assert pause_hours(hourly(FEWEST_HEARD - 1), 10_000) == [0]
    assert pause_hours(hourly(FEWEST_HEARD), 10_000) == [10_000 - FEWEST_HEARD + 1]


def test_a_feed_that_came_back_runs_again() -> None:
    heard = np.concatenate([hourly().heard, hourly(first=1000).heard])
    feed = Feed(kinds=KINDS, heard=heard)

    assert pause_hours(feed, 150, 999, 1000, 1199, 1199 + 73) == [0, 800, 0, 0, 73]


def test_a_feed_that_says_not_when_it_was_heard_runs() -> None:
    assert pause_hours(Feed(kinds=KINDS), 0, 10_000) == [0, 0]


heard_hours = st.lists(st.integers(0, 3000), max_size=250, unique=True).map(sorted)


@given(heard=heard_hours, later=heard_hours, times=st.lists(st.integers(0, 6000), min_size=1))
def test_what_is_heard_later_stops_no_feed_earlier(
    heard: list[int], later: list[int], times: list[int]
) -> None:
    now = max(times)
    feed = Feed(kinds=KINDS, heard=np.array(heard, dtype=np.int64) * HOUR_US)
    grown = sorted({*heard, *(now + 1 + hour for hour in later)})
    longer = Feed(kinds=KINDS, heard=np.array(grown, dtype=np.int64) * HOUR_US)

    assert pause_hours(longer, *times) == pause_hours(feed, *times)


def test_a_history_shows_what_its_sources_carry() -> None:
    events = [
        deal_event(at=0.01),
        deal_event("deal_won", at=5, known=7, deal_id="D-2"),
        deal_event("customer_replied", at=1, source="mail"),
        deal_event("customer_replied", at=1.001, source="mail"),
        deal_event("customer_replied", at=1.5, source="mail"),
    ]

    feeds = feeds_of(History.from_events(events))

    assert feeds.keys() == {"crm", "mail"}
    assert feeds["crm"].kinds == {"deal_opened", "deal_won"}
    assert feeds["crm"].heard.tolist() == [day_us(0.01), day_us(7)]
    assert feeds["mail"].heard.tolist() == [day_us(1), day_us(1.5)]
    assert not feeds["crm"].speaks_for_all(NEVER)
    assert feeds["mail"].speaks_for_all(NEVER)


def test_what_is_known_later_belongs_to_no_feed_yet() -> None:
    history = History.from_events(
        [
            deal_event(),
            deal_event("deal_won", at=5),
            deal_event("call_made", at=1, known=6, source="phone"),
        ]
    )

    feeds = feeds_of(history, known_before=day_us(5))

    assert feeds.keys() == {"crm"}
    assert feeds["crm"].kinds == {"deal_opened"}


@given(histories())
def test_feeds_of_parts_are_the_feeds_of_the_whole(events: list[Event]) -> None:
    whole = feeds_of(History.from_events(events))
    parts = [events[: len(events) // 2], events[len(events) // 2 :]]

    merged = merge_feeds([feeds_of(History.from_table(table_of(p))) for p in parts if p])

    assert merged.keys() == whole.keys()
    for source, feed in whole.items():
        assert merged[source].kinds == feed.kinds
        assert merged[source].heard.tolist() == feed.heard.tolist()
        assert merged[source].since == feed.since


def test_columns_of_small_integers_do_not_overflow() -> None:
    sources = [f"mailbox {i}" for i in range(2000)]
    code = np.arange(2000, dtype=np.int16)

    feeds = feeds_of_columns(code, sources, np.full(2000, 14), np.arange(2000) * DAY_US)

    assert feeds["mailbox 1999"].kinds == {"customer_replied"}
    assert feeds["mailbox 1999"].heard.tolist() == [1999 * DAY_US]


def test_kinds_and_their_first_times_are_kept_with_a_model_and_when_it_spoke_is_not() -> None:
    kinds = frozenset({"message_sent", "customer_replied"})
    feeds = {"mail": Feed(kinds=kinds, heard=np.ones(1), since={"message_sent": day_us(3) + 1})}

    kept = feeds_from_json(feeds_to_json(feeds))

    assert kept["mail"].kinds == feeds["mail"].kinds
    assert kept["mail"].since == feeds["mail"].since
    assert kept["mail"].heard.size == 0


def test_feeds_without_first_times_carried_their_kinds_all_along() -> None:
    kept = feeds_from_json({"mail": ["customer_replied"]})

    assert kept["mail"].carries("customer_replied", 0)


def test_a_kind_first_carried_late_is_missing_before_and_absent_after() -> None:
    late = deal_event("escalation_raised", at=20, known=21, deal_id="D-2")
    events = [deal_event(at=0), deal_event(at=1, deal_id="D-2"), late]
    feeds = feeds_of(History.from_events(events))

    told = [features_of(events, at, feeds=feeds)["escalations_30_days"] for at in (5, 20.9, 21, 60)]

    assert told == [None, None, 0.0, 0.0]


def test_a_mailbox_first_heard_later_does_not_speak_for_all_deals_yet() -> None:
    mailbox = Feed(kinds=frozenset({"escalation_raised"}), heard=np.array([day_us(30)]))
    feeds = {"crm": Feed(kinds=frozenset({"deal_opened"})), "mailbox": mailbox}

    told = [
        features_of([deal_event()], at, feeds=feeds)["escalations_30_days"] for at in (10, 29.9, 31)
    ]

    assert told == [None, None, 0.0]


def test_a_feed_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(HistoryError, match=r"a feed of kind 'mail_read': expected one of deal_op"):
        Feed(kinds=frozenset({"mail_read", "customer_replied"}))


def test_a_feed_is_the_same_however_finely_its_times_are_told() -> None:
    every_ten_minutes = np.arange(150) * (HOUR_US // 6)
    finely = Feed(kinds=frozenset({"customer_replied"}), heard=every_ten_minutes[::-1])
    hourly = Feed(kinds=finely.kinds, heard=every_ten_minutes[::6])

    assert finely.heard.tolist() == hourly.heard.tolist()
    later = int(every_ten_minutes[-1]) + 10 * DAY_US
    assert finely.pause(later) == hourly.pause(later) == 0  # heard in too few hours to say
