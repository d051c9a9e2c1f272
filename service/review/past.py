"""What past quarters came to, and how often the rep's categories came true: the record alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from model.history import History
from model.outlook import converted
from model.period import Period, quarter_until
from model.pipeline import Deal, pipeline
from service.review.question import Question

QUARTERS: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class PastQuarter:
    """A quarter that is over, looked at as late in it as the review is in its own.

    Parameters
    ----------
    period
        The quarter.
    won_then, won
        Amount won by that moment, as known then, and in the end, as known now.
    open_then
        Amount of the deals open then.
    """

    period: Period
    won_then: float
    won: float
    open_then: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoryRecord:
    """How often one of the rep's forecast categories came true in past quarters.

    Parameters
    ----------
    category
        Empty where the rep said none.
    deals, won
        Deals open in it at the moments looked at, and those of them won by the quarter's end.
    """

    category: str
    deals: int
    won: int

    @property
    def share(self) -> float:
        """Share of them that was won."""
        return self.won / self.deals


def past_quarters(
    history: History, as_of: int, question: Question, now: list[Deal], currency: str
) -> tuple[list[PastQuarter], list[CategoryRecord]]:
    """The last quarters before the period that the record covers, the latest first.

    Parameters
    ----------
    as_of
        The moment of the review; quarters not over by then are left out.
    now
        The pipeline as known now.
    currency
        That of the amounts; deals of other currencies are left out.
    """
    begun = min((deal.opened_us for deal in now), default=as_of)
    left = question.period.end_us - as_of
    by_id = {deal.deal_id: deal for deal in now if deal.currency == currency}
    quarters: list[PastQuarter] = []
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    period = question.period
    for _ in range(QUARTERS + 2):
        period = quarter_until(period.first - timedelta(days=1), question.fiscal_year_month)
        then = period.end_us - left
        if period.begin_us < begun or len(quarters) == QUARTERS:
            break
        if period.end_us > as_of or left <= 0:
            continue
        deals = pipeline(history, then)
        if question.rates is not None:
            deals = converted(deals, question.rates.worth, question.rates.reporting)
        deals = [deal for deal in deals if deal.currency == currency]
        quarters.append(
            PastQuarter(
                period=period,
                won_then=_won(deals, period),
                won=_won(list(by_id.values()), period),
                open_then=sum(d.amount or 0.0 for d in deals if d.status == "open"),
            )
        )
        for deal in deals:
            if deal.status == "open":
                at_last = by_id.get(deal.deal_id)
                came = (
                    at_last is not None
                    and at_last.status == "won"
                    and (at_last.closed_us or 0) < period.end_us
                )
                count = counts[deal.category or ""]
                count[0] += 1
                count[1] += came
    records = [
        CategoryRecord(category=name, deals=deals, won=won) for name, (deals, won) in counts.items()
    ]
    return quarters, sorted(records, key=lambda each: -each.share)


def _won(deals: list[Deal], period: Period) -> float:
    return float(
        np.sum(
            [
                deal.amount or 0.0
                for deal in deals
                if deal.status == "won" and period.holds(deal.closed_us or 0)
            ]
        )
    )
