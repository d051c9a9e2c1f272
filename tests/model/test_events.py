"""What counts as an event, and what is refused with which words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import EventError
from model.events import (
    COLUMNS,
    KINDS,
    NEEDS,
    check_time,
    from_microseconds,
    microseconds,
    parse_time,
)
from tests.factories import day, deal_event


def test_a_fact_is_known_when_it_happens_unless_said_otherwise() -> None:
    assert deal_event(at=3).known_at == day(3)
    assert deal_event(at=3, known=5).known_at == day(5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"deal_id": ""}, r"deal_id '': expected the deal's id\. Remedy: name the deal"),
        ({"kind": "deal_closed"}, r"kind 'deal_closed': expected one of deal_opened, .*map it"),
        (
            {"occurred_at": datetime(2026, 1, 5)},  # noqa: DTZ001 - the point of the test
            r"occurred_at 2026-01-05T00:00:00: expected a time with its UTC offset",
        ),
        (
            {"known_at": datetime(2026, 1, 6)},  # noqa: DTZ001 - the point of the test
            r"known_at 2026-01-06T00:00:00: expected a time with its UTC offset",
        ),
        (
            {"occurred_at": datetime(9999, 12, 31, tzinfo=UTC)},
            r"occurred_at 9999-12-31.*: expected a time from 1970 to 2199",
        ),
        ({"known_at": datetime(2200, 1, 1, tzinfo=UTC)}, r"known_at 2200.*: expected a time from"),
        (
            {"known_at": day(-1)},
            r"known_at 2026-01-04.*: expected a time not before occurred_at 2026-01-05",
        ),
        ({"number": float("nan")}, r"number nan: expected a finite number or nothing"),
        ({"span": float("inf")}, r"span inf: expected a finite number or nothing"),
        ({"date": date(1969, 12, 31)}, r"date 1969-12-31: expected a date from 1970-01-01"),
        ({"date": date(2200, 1, 1)}, r"date 2200-01-01: expected .* to 2199-12-31.*correct"),
    ],
)
def test_what_breaks_the_schema_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(EventError, match=message):
        deal_event(**wrong)


@pytest.mark.parametrize(
    ("kind", "column"), [(kind, column) for kind, needs in NEEDS.items() for column in needs]
)
def test_a_kind_carries_what_it_says(kind: str, column: str) -> None:
    carried = {"name": "x", "number": 1.0, "date": date(2026, 1, 5)}

    deal_event(kind, **carried)

    with pytest.raises(EventError, match=f"{kind} without {column}: expected a {column}"):
        deal_event(kind, **{**carried, column: None})


def test_every_kind_is_in_the_past_tense_and_says_what_it_is() -> None:
    for kind, (meaning, needs) in KINDS.items():
        assert meaning
        assert needs <= set(COLUMNS)
        assert kind.rpartition("_")[2] not in {"open", "win", "change", "send"}


@given(
    st.datetimes(
        datetime(1971, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
        datetime(2199, 1, 1),  # noqa: DTZ001
        timezones=st.builds(timezone, st.timedeltas(-timedelta(hours=14), timedelta(hours=14))),
    )
)
def test_microseconds_are_exact_in_every_zone(time: datetime) -> None:
    assert from_microseconds(microseconds(time)) == time
    assert microseconds(time.astimezone(UTC)) == microseconds(time)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-05", "2026-01-05T00:00:00+00:00"),
        ("2026-01-05T09:30:00Z", "2026-01-05T09:30:00+00:00"),
        ("2026-01-05 09:30:00.000001+01:30", "2026-01-05T08:00:00.000001+00:00"),
    ],
)
def test_times_are_read_with_their_offset(text: str, utc: str) -> None:
    assert parse_time("as_of", text).isoformat() == utc


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5.1.2026", r"as_of '5\.1\.2026': expected an ISO 8601 time\. .*or as 2026-01-05"),
        ("2026-01-05T09:30", r"as_of 2026-01-05T09:30:00: expected a time with its UTC offset"),
        ("9999-01-01", r"as_of 9999-01-01.*: expected a time from 1970 to 2199"),
    ],
)
def test_times_that_say_too_little_are_refused(text: str, message: str) -> None:
    with pytest.raises(EventError, match=message):
        parse_time("as_of", text)


def test_the_first_and_the_last_moment_of_the_years_of_facts() -> None:
    check_time("as_of", datetime(1970, 1, 1, tzinfo=UTC))
    check_time("as_of", datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
