"""The simulated calendar: working days, holidays and quarters, known to everybody in advance.

Days are counted from `FIRST_DAY`: day 0 is the first on which a deal can open, `LAST_DAY` the
one on whose midnight the record ends. The simulation itself runs on for `AFTER_DAYS`, so that
the outcome of every question asked of the record is known to the truth.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FIRST_DAY: Final = date(2023, 10, 2)
LAST_DAY: Final = 840  # 2026-01-19
AFTER_DAYS: Final = 95  # beyond the longest horizon of the truth
ALL_DAYS: Final = LAST_DAY + AFTER_DAYS
EPOCH_DAYS: Final = (FIRST_DAY - date(1970, 1, 1)).days

# First and last day, month and day of the month.
HOLIDAYS: Final = (
    ((1, 1), (1, 3)),
    ((4, 14), (4, 21)),
    ((5, 1), (5, 1)),
    ((8, 1), (8, 24)),
    ((11, 1), (11, 1)),
    ((12, 22), (12, 31)),
)


class Seasons(NamedTuple):
    """What each day of the simulation is; every field [ALL_DAYS]."""

    weekday: Ints  # 0 is Monday
    holiday: Bools
    month: Ints  # 1 to 12
    quarter_day: Ints  # days since the quarter began
    quarter_left: Ints  # days until its last day
    month_left: Ints  # days until the month's last day


@cache
def seasons() -> Seasons:
    """The calendar of the simulation.

    Examples
    --------
    >>> calendar = seasons()
    >>> int(calendar.weekday[0]), int(calendar.quarter_day[0]), int(calendar.quarter_left[90])
    (0, 1, 0)
    """
    first = np.datetime64(FIRST_DAY, "D")
    days = first + np.arange(ALL_DAYS)
    months = days.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    month_day = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    quarter = months.astype(np.int64) // 3
    starts = (quarter * 3).astype("datetime64[M]").astype("datetime64[D]")
    ends = (quarter * 3 + 3).astype("datetime64[M]").astype("datetime64[D]")
    holiday = np.zeros(ALL_DAYS, dtype=np.bool_)
    code = month * 100 + month_day
    for (m0, d0), (m1, d1) in HOLIDAYS:
        holiday |= (code >= m0 * 100 + d0) & (code <= m1 * 100 + d1)
    weekday = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    return Seasons(
        weekday,
        holiday,
        month,
        (days - starts).astype(np.int64),
        (ends - days).astype(np.int64) - 1,
        ((months + 1).astype("datetime64[D]") - days).astype(np.int64) - 1,
    )


@cache
def clocks() -> dict[str, Floats]:
    """How fast each kind of work goes on each day, as multipliers near 1 on average.

    Returns
    -------
    dict[str, Floats]
        By the clock's name, [ALL_DAYS]: ``always`` (1), ``office`` (working days, slower in
        holidays), ``push`` (office, rising toward the quarter's end), ``workday`` and ``away``
        (working days outside and inside holidays).

    Examples
    --------
    >>> bool(clocks()["office"][5] < clocks()["office"][4])  # Saturday, Friday
    True
    """
    calendar = seasons()
    working = np.where(calendar.weekday >= 5, 0.05, 1.38)
    office = working * np.where(calendar.holiday, 0.35, 1.0)
    return {
        "always": np.ones(ALL_DAYS),
        "office": office,
        "push": office * (0.8 + 1.2 * np.exp(-calendar.quarter_left / 6.0)),
        "workday": np.where(calendar.holiday, 0.0, working),
        "away": np.where(calendar.holiday, 0.6 * working, 0.0),
    }


def closing_log_chance() -> Floats:
    """P(a closing that happened, and is not yet in the CRM, is entered on that day), [ALL_DAYS]."""
    calendar = seasons()
    chance = np.where(calendar.weekday >= 5, 0.03, 0.55)
    chance = np.where(calendar.holiday, 0.5 * chance, chance)
    return np.where(calendar.quarter_left <= 2, np.minimum(0.9, 1.6 * chance), chance)
