"""The calendar: where in the week, the quarter and the year a moment lies."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from typing import Final

from model.asof import Snapshot
from model.events import DAY_US, EARLIEST, LATEST, microseconds
from model.feature import Computed, Feature, days_in_words

WEEK_DAYS: Final = 7
WEEK_DAYS_NAMES: Final = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
A_YEAR: Final = date(2026, 1, 1)
MONDAY: Final = 4  # 1970-01-01 was a Thursday; day 4 was a Monday
_QUARTERS: Final = [
    microseconds(datetime(year, month, 1, tzinfo=UTC))
    for year in range(EARLIEST.year, LATEST.year + 1)
    for month in (1, 4, 7, 10)
]


def week_day(snapshot: Snapshot) -> float:
    """Days since Monday 00:00 UTC, with the hour as a fraction."""
    return (snapshot.as_of / DAY_US - MONDAY) % WEEK_DAYS


def quarter_days_left(snapshot: Snapshot) -> float:
    """Days to the end of the calendar quarter."""
    end = _QUARTERS[bisect_right(_QUARTERS, snapshot.as_of)]
    return (end - snapshot.as_of) / DAY_US


def year_day(snapshot: Snapshot) -> float:
    """Days since 1 January."""
    quarter = bisect_right(_QUARTERS, snapshot.as_of) - 1
    return (snapshot.as_of - _QUARTERS[quarter - quarter % 4]) / DAY_US


def _week_day_name(value: float) -> str:
    return WEEK_DAYS_NAMES[int(value) % WEEK_DAYS]


def _month_name(value: float) -> str:
    """Of a day counted from 1 January, as of a year without 29 February."""
    return MONTHS[(A_YEAR + timedelta(days=min(int(value), 364))).month - 1]


CALENDAR: Final[tuple[tuple[float, Feature], ...]] = tuple(
    (
        record_days,
        Feature(
            name=name,
            unit="days",
            question=question,
            direction=0,
            missing="never",
            phrase=phrase,
            unknown="the date is not known",
            in_words=in_words,
            term=Computed(compute=compute),
        ),
    )
    for record_days, name, question, phrase, in_words, compute in (
        (28.0, "week_day", "days into the week", "it is {value}", _week_day_name, week_day),
        (
            365.0,
            "quarter_days_left",
            "days to the end of the quarter",
            "the quarter ends in {value}",
            days_in_words,
            quarter_days_left,
        ),
        (730.0, "year_day", "days into the year", "it is {value}", _month_name, year_day),
    )
)
"""Calendar features, each with the days of record from which its season can be learned."""
