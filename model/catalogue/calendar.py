"""The calendar: where in the week, the quarter and the year a moment lies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np

from model.asof import AsOf
from model.events import DAY_US, EARLIEST, LATEST, microseconds
from model.feature import Computed, Feature
from model.history import Floats, Ints

WEEK_DAYS: Final = 7
MONDAY: Final = 4  # 1970-01-01 was a Thursday; day 4 was a Monday
# Quarters from 1970 to 2200: the day on which each ends, and on which its year began.
_QUARTERS: Final = [
    (datetime(year, month, 1, tzinfo=UTC), datetime(year, 1, 1, tzinfo=UTC))
    for year in range(EARLIEST.year, LATEST.year + 1)
    for month in (1, 4, 7, 10)
]
_QUARTER_ENDS: Final = np.array([microseconds(begins) / DAY_US for begins, _ in _QUARTERS[1:]])
_YEAR_BEGINS: Final = np.array([microseconds(year) / DAY_US for _, year in _QUARTERS[:-1]])


def week_day(asof: AsOf) -> Floats:
    """Days since Monday 00:00 UTC, with the hour as a fraction."""
    return (asof.as_of_days - MONDAY) % WEEK_DAYS


def quarter_days_left(asof: AsOf) -> Floats:
    """Days to the end of the calendar quarter."""
    return np.asarray(_QUARTER_ENDS.take(asof.once(quarter)) - asof.as_of_days)


def year_day(asof: AsOf) -> Floats:
    """Days since 1 January."""
    return np.asarray(asof.as_of_days - _YEAR_BEGINS.take(asof.once(quarter)))


def quarter(asof: AsOf) -> Ints:
    """How many quarters have passed since 1970. Shape (S,)."""
    return _QUARTER_ENDS.searchsorted(asof.as_of_days, side="right")


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
            term=Computed(compute=compute),
        ),
    )
    for record_days, name, question, phrase, compute in (
        (28.0, "week_day", "days into the week", "day {value} of the week", week_day),
        (
            365.0,
            "quarter_days_left",
            "days to the end of the quarter",
            "{value} days to the end of the quarter",
            quarter_days_left,
        ),
        (730.0, "year_day", "days into the year", "day {value} of the year", year_day),
    )
)
"""Calendar features, each with the days of record from which its season can be learned."""
