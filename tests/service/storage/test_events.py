"""Events are kept once, as they are, and told in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from model.errors import EventError
from model.events import Event
from model.feeds import feeds_of
from model.history import History
from service.doctor import examine
from service.storage import events, feeds
from service.storage.database import Database
from service.storage.schema import EVENTS
from tests.factories import date_of, day, deal_event

WHOLE = deal_event(
    "close_date_changed",
    1.25,
    known=1.5,
    name="Ångström 株式会社",
    text="quotes ' \" and a\nline",
    number=-0.1,
    date=date_of(90),
    person="p" * 32,
    thread="t",
    span=0.5,
)


def append(database: Database, *given: Event) -> events.Appended:
    with database.writing() as connection:
        return events.append(connection, given, at=0)


def kept(database: Database, deal_id: str = "D-1") -> list[Event]:
    with database.reading() as connection:
        return events.of_deal(connection, deal_id)


def test_an_event_comes_back_as_it_was_given(database: Database) -> None:
    bare = deal_event("deal_opened", 0)
    append(database, WHOLE, bare)

    assert kept(database) == [bare, WHOLE]


@pytest.mark.parametrize(
    ("kind", "values", "source_id", "is_earlier"),
    [
        ("amount_changed", {"number": 5.0}, "D-1/amount_changed/2026-01-06 09:00:00.000000", True),
        (
            "amount_changed",
            {"number": 5.0},
            "D-1/amount_changed/2026-01-06 09:00:00.000000/seen",
            True,
        ),
        (
            "field_changed",
            {"name": "region", "text": "a"},
            "D-1/field_changed/region/2026-01-06 09:00:00.000000~2",
            True,
        ),
        (
            "field_changed",
            {"name": "region"},
            "D-1/field_changed/region/2026-01-06 09:00:00.000000",
            False,
        ),
        (
            "amount_changed",
            {"number": 5.0},
            "D-1/amount_changed/2026-01-06 09:00:00.000000/5",
            False,
        ),
        ("deal_won", {}, "D-1/deal_won/2026-01-06 09:00:00.000000", False),
        ("amount_changed", {"number": 5.0}, "row-7/amount_changed", False),
    ],
)
def test_a_change_whose_id_does_not_say_its_value_is_of_an_earlier_release(
    kind: str, values: dict[str, Any], source_id: str, is_earlier: bool, database: Database
) -> None:
    append(database, deal_event(kind, 1, source_id=source_id, **values))

    with database.reading() as connection:
        assert events.of_earlier_ids(connection) == is_earlier
    [check] = [each for each in examine(database, {}, day(9)) if each.name == "events"]
    assert (check.verdict == "warning") == is_earlier
    assert ("import anew" in check.remedy) == is_earlier


def test_an_event_told_again_is_the_same_event(database: Database) -> None:
    first = append(database, WHOLE, WHOLE)
    again = append(database, WHOLE)

    assert (first.new, first.conflicting) == ((WHOLE,), ())
    assert (again.new, again.conflicting) == ((), ())
    assert kept(database) == [WHOLE]


@pytest.mark.parametrize("together", [True, False])
def test_another_content_of_one_identity_is_told_and_the_first_stands(
    together: bool, database: Database
) -> None:
    other = replace(WHOLE, number=0.2)
    if together:
        found = append(database, WHOLE, other)
    else:
        append(database, WHOLE)
        found = append(database, other)

    assert found.conflicting == (other,)
    assert kept(database) == [WHOLE]


@pytest.mark.parametrize("text", ["a\0b", "a\ud800"])
def test_a_text_that_no_database_holds_is_refused(text: str, database: Database) -> None:
    with pytest.raises(EventError, match="expected text that a database holds"):
        append(database, deal_event(text=text))


def test_events_stream_in_the_order_of_the_columnar_form(database: Database) -> None:
    """By code point, whatever the language of the database."""
    given = [
        deal_event("call_made", at, deal_id=deal_id)
        for deal_id in ("b", "B", "ä", "a", "a-1", "a1", "Z")
        for at in (2, 1)
    ]
    append(database, *given)
    with database.reading() as connection:
        streamed = [events.from_row(row) for part in events.stream(connection) for row in part]

    assert streamed == sorted(given, key=lambda each: (each.deal_id, each.occurred_at))


def test_many_events_are_kept_in_parts(database: Database) -> None:
    given = [deal_event("call_made", index / 100) for index in range(events.AT_ONCE * 2 + 1)]

    assert len(append(database, *given).new) == len(given)
    with database.reading() as connection:
        assert events.count(connection) == len(given)


def test_the_same_event_from_two_writers_is_new_once(
    database: Database, another: Callable[[], Database]
) -> None:
    other = another()
    found = [append(own, WHOLE).new for own in (database, other)]

    assert found == [(WHOLE,), ()]
    with other.reading() as connection:
        assert connection.execute(select(func.count()).select_from(EVENTS)).scalar() == 1


def test_the_feeds_add_up_to_those_of_the_whole_history(database: Database) -> None:
    given = [
        deal_event("deal_opened", 0),
        deal_event("customer_replied", 2, known=2.01, source="mail"),
        deal_event("customer_replied", 1, known=2.005, source="mail"),
        deal_event("call_made", 1, known=3),
        deal_event("stage_changed", 1.5, known=1.6, name="offer"),
    ]
    for event in given:  # the later before the earlier, too
        with database.writing() as connection:
            feeds.add(connection, [event])
    with database.reading() as connection:
        found = feeds.heard(connection)

    expected = feeds_of(History.from_events(given))
    assert found.keys() == expected.keys()
    for source, feed in expected.items():
        assert (found[source].kinds, found[source].since) == (feed.kinds, dict(feed.since))
        assert found[source].heard.tolist() == feed.heard.tolist()


def test_the_times_are_those_of_the_factory() -> None:
    assert events.known_at(WHOLE) > events.known_at(deal_event(at=1.25))
    assert WHOLE.occurred_at == day(1.25)
