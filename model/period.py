"""A period of the calendar: a fiscal quarter, its months, and the week of a review."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from model.errors import ScoreError
from model.events import DAY_US, EARLIEST_DATE, EPOCH_DAY, LATEST_DATE, microseconds

MONTHS_A_QUARTER: Final = 3
_WEEK: Final = re.compile(r"(\d{4})-W(\d{2})")


@dataclass(frozen=True, kw_only=True, order=True)
class Period:
    """Some days of the calendar, in UTC.

    Parameters
    ----------
    first, last
        Its first and last day, both inside.

    Raises
    ------
    ScoreError
        If the last lies before the first.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ScoreError(
                f"a period from {self.first} to {self.last}",
                "a last day not before the first",
                "exchange them",
            )

    @property
    def begin_us(self) -> int:
        """The midnight that begins it, microseconds since 1970 UTC."""
        return (self.first - EPOCH_DAY).days * DAY_US

    @property
    def end_us(self) -> int:
        """The midnight that ends it, microseconds since 1970 UTC; no more inside."""
        return ((self.last - EPOCH_DAY).days + 1) * DAY_US

    def holds(self, moment_us: int) -> bool:
        """Whether a moment, microseconds since 1970 UTC, lies inside.

        Examples
        --------
        >>> january = Period(first=date(1970, 1, 1), last=date(1970, 1, 31))
        >>> january.holds(0), january.holds(31 * DAY_US)
        (True, False)
        """
        return self.begin_us <= moment_us < self.end_us

    def months(self) -> tuple[Period, ...]:
        """Its months, the first and the last cut to what lies inside.

        Examples
        --------
        >>> [str(month.last) for month in quarter_until(date(2026, 3, 31)).months()]
        ['2026-01-31', '2026-02-28', '2026-03-31']
        """
        found = []
        first = self.first
        while first <= self.last:
            last = min(_next_month(first, 1) - timedelta(days=1), self.last)
            found.append(Period(first=first, last=last))
            first = last + timedelta(days=1)
        return tuple(found)


def quarter_until(last: date, fiscal_year_month: int = 1) -> Period:
    """The fiscal quarter that a day lies in, up to that day.

    Parameters
    ----------
    last
        The last day that counts: of a whole quarter its last one.
    fiscal_year_month
        The month with which the fiscal year begins, 1 to 12.

    Raises
    ------
    ScoreError
        If there is no such month.

    Examples
    --------
    >>> str(quarter_until(date(2026, 3, 31)).first), str(quarter_until(date(2026, 3, 31), 2).first)
    ('2026-01-01', '2026-02-01')
    """
    if not 1 <= fiscal_year_month <= 12:
        raise ScoreError(
            f"a fiscal year that begins with month {fiscal_year_month}",
            "a month from 1 to 12",
            "give its number",
        )
    into = (last.month - fiscal_year_month) % MONTHS_A_QUARTER
    return Period(first=_next_month(last, -into), last=last)


def quarter_of(day: date, fiscal_year_month: int = 1) -> Period:
    """The whole fiscal quarter that a day lies in.

    Examples
    --------
    >>> str(quarter_of(date(2026, 2, 10)).last), str(quarter_of(date(2026, 2, 10), 2).last)
    ('2026-03-31', '2026-04-30')
    """
    first = quarter_until(day, fiscal_year_month).first
    last = _next_month(first, MONTHS_A_QUARTER) - timedelta(days=1)
    return Period(first=first, last=last)


def week_begin(week: str) -> datetime:
    """The Monday, midnight UTC, of an ISO 8601 week.

    Parameters
    ----------
    week
        Such as ``2026-W03``.

    Raises
    ------
    ScoreError
        If it is no week.

    Examples
    --------
    >>> week_begin("2026-W03").isoformat()
    '2026-01-12T00:00:00+00:00'
    """
    found = _WEEK.fullmatch(week)
    try:
        if found is None:
            raise ValueError
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
        if not EARLIEST_DATE <= monday < LATEST_DATE:
            raise ValueError
    except ValueError as error:
        raise ScoreError(
            f"week {week!r}", "a week of ISO 8601", "write it as 2026-W03, from W01 to W52 or W53"
        ) from error
    return datetime.combine(monday, time.min, tzinfo=UTC)


def week_name(moment: datetime) -> str:
    """The ISO 8601 week that a moment lies in, UTC.

    Examples
    --------
    >>> week_name(datetime(2026, 1, 12, tzinfo=UTC))
    '2026-W03'
    """
    year, week, _ = moment.astimezone(UTC).isocalendar()
    return f"{year}-W{week:02d}"


def days_left(as_of: datetime, period: Period) -> float:
    """Days from a moment to the end of a period; below zero once it is over.

    Examples
    --------
    >>> days_left(datetime(2026, 3, 31, 12, tzinfo=UTC), quarter_until(date(2026, 3, 31)))
    0.5
    """
    return (period.end_us - microseconds(as_of)) / DAY_US


def _next_month(day: date, months: int) -> date:
    """The first day of the month that lies so many months ahead."""
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)
