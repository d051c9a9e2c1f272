"""The forecast of a quarter from the deals that the service keeps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Connection, or_, select

from model.errors import RedflareError
from model.events import from_microseconds
from model.history import History
from model.outlook import Outlook
from model.period import Period, quarter_until
from model.scorer import Scorer
from service.access import Access
from service.company import Company
from service.deal_forms import ForecastQuery
from service.problems import HORIZON, refused, refused_by
from service.review.looks import Looks
from service.review.question import Question
from service.review.week import Week, joined, outlooks_of
from service.storage.schema import DEALS

AT_ONCE: Final = 200  # deals whose events are held at a time
KEPT_SECONDS: Final = 60.0  # for which a forecast is not made again
MOST_KEPT: Final = 100
_Key = tuple[object, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Made:
    """A forecast by currency, whatever target is asked about.

    Parameters
    ----------
    as_of
        Microseconds since 1970 UTC.
    period
        Of which it is.
    model_version
        By which model.
    outlooks
        One of each currency.
    """

    as_of: int
    period: Period
    model_version: str
    outlooks: Sequence[Outlook]

    def answer(self, target: float | None) -> dict[str, Any]:
        """A form that JSON can hold, with the probability to reach a target."""
        return {
            "as_of": from_microseconds(self.as_of).isoformat(),
            "first": self.period.first,
            "last": self.period.last,
            "model_version": self.model_version,
            "currencies": [_currency(each, target) for each in self.outlooks],
        }


class Forecasting:
    """Makes forecasts, one at a time, and keeps each for a minute.

    Parameters
    ----------
    company
        Whose deals they are of.
    """

    def __init__(self, company: Company) -> None:
        self._company = company
        self._kept: dict[_Key, tuple[float, _Made]] = {}
        self._one_at_a_time = CapacityLimiter(1)  # who waits takes no thread from other routes

    async def answer(self, access: Access, query: ForecastQuery) -> dict[str, Any]:
        """The forecast that a caller asks for, of the deals that it sees.

        Raises
        ------
        Refused
            If there is no database or no model, or the quarter is over, or ends past what the model
            answers.
        """
        return await to_thread.run_sync(self._answer, access, query, limiter=self._one_at_a_time)

    def _answer(self, access: Access, query: ForecastQuery) -> dict[str, Any]:
        today = self._company.clock().date()
        if query.close_by < today:
            raise refused(
                HORIZON,
                f"close_by {query.close_by}, which is past",
                f"a day from {today} on",
                "give the last day of this quarter or of a later one",
            )
        owners = _owners(access, query)
        scorer = self._company.in_force()
        version = scorer.artifact.model_version
        # Without the target, of which there are endless ones: it changes no draw.
        key = (version, query.close_by, query.fiscal_year_month, owners)
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1].answer(query.target)
        try:
            made = self._made(scorer, query, owners)
        except RedflareError as error:
            raise refused_by(error) from error
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[key] = time.monotonic() + KEPT_SECONDS, made
        return made.answer(query.target)

    def _made(self, scorer: Scorer, query: ForecastQuery, owners: tuple[str, ...] | None) -> _Made:
        company = self._company
        period = quarter_until(query.close_by, query.fiscal_year_month)
        now = company.clock()
        question = Question(
            as_of=now,
            since=now - timedelta(days=7),
            period=period,
            fiscal_year_month=query.fiscal_year_month,
        )
        as_of = company.now_us
        weeks: list[Week] = []
        with company.database.reading() as connection:
            feeds = scorer.feeds(company.heard(connection))
            for deal_ids in _parts(_wanted(connection, period, owners)):
                history = History.from_events(company.events_of(connection, deal_ids))
                weeks.append(Looks(history, question).week(scorer, as_of, period, feeds))
        if not weeks:  # a history is never empty
            weeks.append(Week(as_of=as_of, deals=[], opened=[], of_open=None, shown={}))
        return _Made(
            as_of=as_of,
            period=period,
            model_version=scorer.artifact.model_version,
            outlooks=outlooks_of(joined(weeks), scorer, question, unopened=owners is None),
        )


def _owners(access: Access, query: ForecastQuery) -> tuple[str, ...] | None:
    """Whose deals count; None: all."""
    if access.owners is None:
        return tuple(sorted(set(query.owner))) or None
    if not query.owner:
        return tuple(sorted(access.owners))
    return tuple(sorted(set(query.owner) & set(access.owners)))


def _wanted(
    connection: Connection, period: Period, owners: tuple[str, ...] | None
) -> Sequence[str]:
    """Deals that are open, or of which something was known since the quarter began."""
    query = select(DEALS.c.deal_id).where(
        DEALS.c.known_at.is_not(None), or_(DEALS.c.is_open, DEALS.c.known_at >= period.begin_us)
    )
    if owners is not None:
        query = query.where(DEALS.c.owner.in_(owners))
    return connection.execute(query.order_by(DEALS.c.deal_id)).scalars().all()


def _parts(deal_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(deal_ids), AT_ONCE):
        yield deal_ids[first : first + AT_ONCE]


def _currency(outlook: Outlook, target: float | None) -> dict[str, Any]:
    made = outlook.forecast
    return {
        "currency": outlook.currency or None,
        "won": outlook.won,
        "won_deals": outlook.won_deals,
        "open_deals": outlook.open_deals,
        "unscorable": outlook.unscorable,
        "without_amount": outlook.without_amount,
        "quarter": None if made is None else asdict(made.whole),
        "months": [
            {"first": month.first, "last": month.last, "part": asdict(part)}
            for month, part in outlook.months
        ],
        "reach": None if made is None or target is None else made.reach(target),
    }
