from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.events import from_microseconds, microseconds
from model.sources.times import read_dates, read_times
from model.sources.values import Mark, Reading, read_numbers

BERLIN = Reading(zone="Europe/Berlin")


def read(text: str | None, reading: Reading, **options: object) -> datetime | Mark:
    us, marks = read_times(pa.array([text], pa.string()), reading, **options)  # type: ignore[arg-type]
    return from_microseconds(int(us[0])) if marks[0] == Mark.GOOD else Mark(int(marks[0]))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T09:30:00Z", utc(2026, 1, 5, 9, 30)),
        ("2026-01-05T09:30:00.000+0000", utc(2026, 1, 5, 9, 30)),
        ("2026-01-05 09:30:00.123456789+01:00", utc(2026, 1, 5, 8, 30, 0, 123456)),
        ("2026-01-05T09:30-05", utc(2026, 1, 5, 14, 30)),
        ("2026-01-05 9:30:00", utc(2026, 1, 5, 8, 30)),
        ("2026-07-05 09:30:00", utc(2026, 7, 5, 7, 30)),  # summer time
        ("2026-10-25 02:30:00", utc(2026, 10, 25, 1, 30)),  # an hour that occurs twice
        (" 2026-01-05T09:30:00 UTC ", utc(2026, 1, 5, 9, 30)),
        ("2026-01-05", utc(2026, 1, 5, 22, 59, 59, 999999)),
        ("2024-02-29T00:00:00Z", utc(2024, 2, 29)),
        ("2023-02-29T00:00:00Z", Mark.UNREADABLE),
        ("2026-13-01T00:00:00Z", Mark.UNREADABLE),
        ("2026-01-05T24:00:00Z", Mark.UNREADABLE),
        ("05.01.2026", Mark.UNREADABLE),
        ("1969-12-31T23:59:59Z", Mark.OUT_OF_RANGE),
        ("9999-12-31", Mark.OUT_OF_RANGE),
        ("9999-12-31T23:59:59", Mark.OUT_OF_RANGE),
        (None, Mark.MISSING),
    ],
)
def test_a_time_is_read_in_its_own_or_the_stated_zone(
    text: str | None, expected: datetime | Mark
) -> None:
    assert read(text, BERLIN) == expected


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("%d.%m.%Y %H:%M", "5.1.2026 09:30", utc(2026, 1, 5, 9, 30)),
        ("%m/%d/%Y %I:%M %p", "1/5/2026 12:30 AM", utc(2026, 1, 5, 0, 30)),
        ("%m/%d/%Y %I:%M %p", "1/5/2026 12:30 p.m.", utc(2026, 1, 5, 12, 30)),
        ("%m/%d/%Y %I:%M %p", "1/5/2026 13:30 PM", Mark.UNREADABLE),
        ("%d-%b-%y", "05-Jan-26", utc(2026, 1, 5, 23, 59, 59, 999999)),
        (
            "%d %B %Y %H:%M:%S.%f%z",
            "5 January 2026 09:30:01.5+0100",
            utc(2026, 1, 5, 8, 30, 1, 500000),
        ),
        ("epoch_ms", "1767605400000", utc(2026, 1, 5, 9, 30)),
        ("epoch_s", "1767605400", utc(2026, 1, 5, 9, 30)),
        ("epoch_ms", "soon", Mark.UNREADABLE),
    ],
)
def test_other_formats_are_read_as_the_mapping_says(
    form: str, text: str, expected: datetime | Mark
) -> None:
    assert read(text, Reading(zone="UTC", formats=(form,))) == expected


def test_a_time_without_a_zone_is_refused_where_none_is_stated() -> None:
    assert read("2026-01-05T09:30:00", Reading()) == Mark.ZONELESS
    assert read("2026-01-05", Reading()) == Mark.ZONELESS


def test_a_day_begins_or_ends_as_asked_whatever_time_is_written() -> None:
    assert read("2026-01-05", BERLIN, day="start") == utc(2026, 1, 4, 23)
    assert read("2026-01-05 00:00:00", BERLIN, whole_days=True) == utc(
        2026, 1, 5, 22, 59, 59, 999999
    )


def test_one_value_that_resists_hides_none_of_the_others() -> None:
    texts = ["2026-01-05T09:30:00Z", "soon", None, "2026-01-05 09:30:00"]
    us, marks = read_times(pa.array(texts), Reading())
    assert marks.tolist() == [Mark.GOOD, Mark.UNREADABLE, Mark.MISSING, Mark.ZONELESS]
    assert from_microseconds(int(us[0])) == utc(2026, 1, 5, 9, 30)


@given(
    st.integers(microseconds(utc(1971, 1, 1)), microseconds(utc(2199, 12, 1))),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["T", " "]),
)
def test_every_iso_time_is_read_as_python_reads_it(
    us: int, offset_minutes: int, between: str
) -> None:
    time = from_microseconds(us).astimezone(timezone(timedelta(minutes=offset_minutes)))
    text = time.isoformat(between)
    quick, quick_marks = read_times(pa.array([text]), Reading())
    slow, _ = read_times(pa.array([text, "no time"]), Reading())
    assert quick_marks[0] == Mark.GOOD
    assert quick[0] == slow[0] == us


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2026-01-31", "2026-01-31"), ("2026-01-31T23:30:00Z", "2026-01-31"), ("31 Jan", None)],
)
def test_a_date_is_the_one_that_is_written(text: str, expected: str | None) -> None:
    days, marks = read_dates(pa.array([text]), BERLIN)
    read_back = str(pa.array(days, pa.int32()).cast(pa.date32())[0])
    assert (read_back if marks[0] == Mark.GOOD else None) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1200.50", 1200.5),
        (" 7 ", 7.0),
        ("-.5e3", -500.0),
        ("NaN", Mark.NOT_FINITE),
        ("-inf", Mark.NOT_FINITE),
        ("1e999", Mark.NOT_FINITE),
        ("12 EUR", Mark.UNREADABLE),
        (None, Mark.MISSING),
    ],
)
def test_a_number_is_finite_or_told(text: str | None, expected: float | Mark) -> None:
    for texts in ([text], [text, "many"]):
        numbers, marks = read_numbers(pa.array(texts, pa.string()), Reading())
        assert (numbers[0] if marks[0] == Mark.GOOD else Mark(int(marks[0]))) == expected
