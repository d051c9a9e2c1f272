"""The weeks and quarters that a review can be asked for, and what is asked of one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from sqlalchemy import func, select

from model.errors import ScoreError
from model.events import DAY_US, EARLIEST_DATE, LATEST_DATE, from_microseconds, microseconds
from model.period import Period, quarter_of, week_begin, week_name
from service.record import MOST_UNRECORDED_DAYS, UNRECORDED_DAYS
from service.review.links import Asked
from service.review.question import Question
from service.review.review_settings import ReviewSettings
from service.storage.database import Database
from service.storage.schema import FEED_HOURS

WEEKS_OFFERED: Final = 12
QUARTERS_OFFERED: Final = 5


class Calendar:
    """The weeks and quarters of one database.

    Parameters
    ----------
    database
        Holds events.
    settings
        How the company is read.
    clock
        Tells the present, UTC.
    """

    def __init__(
        self, database: Database, settings: ReviewSettings, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    def latest(self) -> int | None:
        """When something was last heard, microseconds since 1970 UTC, up to an hour early.

        What is dated after the present was not heard yet.
        """
        past = FEED_HOURS.c.heard <= microseconds(self._clock())
        with self._database.reading() as connection:
            found = connection.execute(select(func.max(FEED_HOURS.c.heard)).where(past)).scalar()
        return None if found is None else int(found)

    def question(self, asked: Asked, latest: int) -> tuple[Question, str]:
        """What is asked of which week, and what is doubtful about it."""
        settings = self._settings
        as_of = week_begin(asked.week) if asked.week else self._present(latest)
        period = _quarter(asked.close_by, as_of, settings.fiscal_year_month)
        days = (microseconds(as_of) - latest) / DAY_US
        last = from_microseconds(latest).date()
        if days > MOST_UNRECORDED_DAYS:
            raise ScoreError(
                f"week {week_name(as_of)}, {days:.0f} days after the last event known, of {last}",
                f"one at most {MOST_UNRECORDED_DAYS} days after it",
                "ask for an earlier week, or bring later events",
            )
        warning = ""
        if days > UNRECORDED_DAYS:
            warning = (
                f"Nothing is known after {last}: silence and other ages are counted only up to "
                "where each feed stopped. See redflare doctor."
            )
        question = Question(
            as_of=as_of,
            since=as_of - timedelta(days=7),
            period=period,
            segment=settings.segment,
            target=settings.target,
            rates=settings.rates,
            fiscal_year_month=settings.fiscal_year_month,
        )
        return question, warning

    def _present(self, latest: int) -> datetime:
        """The Monday of the present week, or of the last one of which anything is known."""
        moment = min(self._clock(), from_microseconds(latest))
        monday = moment.astimezone(UTC).date() - timedelta(days=moment.weekday())
        return datetime.combine(monday, time.min, tzinfo=UTC)

    def offered(self, latest: int, question: Question) -> dict[str, list[str] | list[date]]:
        """Weeks and last days of quarters to choose from, the latest first; those asked too."""
        present = self._present(latest)
        weeks = {week_name(present - timedelta(weeks=back)) for back in range(WEEKS_OFFERED)}
        quarters = _quarters(present.date(), question.fiscal_year_month)
        return {
            "weeks": sorted(weeks | {week_name(question.as_of)}, reverse=True),
            "quarters": sorted(quarters | {question.period.last}, reverse=True),
        }


def read_date(name: str, text: str) -> date:
    """A date from a URL; `name` is of the parameter."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ScoreError(f"{name} {text!r}", "a date", "write it as 2026-03-31") from None
    if not EARLIEST_DATE <= found < LATEST_DATE:
        raise ScoreError(
            f"{name} {text!r}", f"a date from {EARLIEST_DATE} to {LATEST_DATE}", "correct the year"
        )
    return found


def _quarter(close_by: str, as_of: datetime, fiscal_year_month: int) -> Period:
    if not close_by:
        return quarter_of(as_of.date(), fiscal_year_month)
    period = quarter_of(read_date("close_by", close_by), fiscal_year_month)
    if close_by != period.last.isoformat():  # each would be a review of its own, to be made
        raise ScoreError(
            f"close_by {close_by}", f"a quarter's last day, as {period.last}", "choose a quarter"
        )
    return period


def _quarters(present: date, fiscal_year_month: int) -> set[date]:
    """Last days of quarters to choose from: the next one, the present one and some before."""
    period = quarter_of(present, fiscal_year_month)
    period = quarter_of(period.last + timedelta(days=1), fiscal_year_month)
    found = set()
    for _ in range(QUARTERS_OFFERED):
        found.add(period.last)
        period = quarter_of(period.first - timedelta(days=1), fiscal_year_month)
    return found
