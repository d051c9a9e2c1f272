"""Deals page by page: those that are looked for, in an order that a page can begin after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select

from service.storage.rows import AnyRow
from service.storage.schema import DEALS, FLARES

State = Literal["open", "closed", "all"]
Order = Literal["deal_id", "riskiest"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which deals are looked for; None leaves a condition out.

    Parameters
    ----------
    state
        Of the deals.
    seen
        Owners whose deals may be seen; None: all.
    owners
        Owners whose deals are wanted; none: all.
    stage, verdict
        Of the deal, and of its last score's data quality.
    below
        Deals whose probability, as shown, is below.
    flagged
        Deals with a red flare, or without.
    closes_from, closes_until
        Planned close dates, both inside, days since 1970.
    """

    state: State = "open"
    seen: Sequence[str] | None = None
    owners: Sequence[str] = ()
    stage: str | None = None
    verdict: str | None = None
    below: float | None = None
    flagged: bool | None = None
    closes_from: int | None = None
    closes_until: int | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """The last deal of a page.

    Parameters
    ----------
    deal_id
        Its id.
    probability
        As shown; None where it has none.
    """

    deal_id: str
    probability: float | None


def listed(
    connection: Connection, choice: Choice, order: Order, *, after: Place | None, most: int
) -> Sequence[AnyRow]:
    """A page of deals.

    Parameters
    ----------
    connection
        Reading.
    order
        By id, which stays; or the least probable first, which scores change.
    after
        Where the page begins; None for the first.
    most
        How many.
    """
    query = select(DEALS).where(*_conditions(choice)).limit(most)
    deal_id, shown = DEALS.c.deal_id, DEALS.c.shown_probability
    if order == "deal_id":
        if after is not None:
            query = query.where(deal_id > after.deal_id)
        return connection.execute(query.order_by(deal_id)).all()
    if after is not None:
        query = query.where(_riskier(after))
    return connection.execute(query.order_by(shown.is_(None), shown, deal_id)).all()


def _riskier(after: Place) -> ColumnElement[bool]:
    """What comes after a place, the least probable first and those without a number last."""
    deal_id, shown = DEALS.c.deal_id, DEALS.c.shown_probability
    if after.probability is None:
        return and_(shown.is_(None), deal_id > after.deal_id)
    return or_(
        shown > after.probability,
        and_(shown == after.probability, deal_id > after.deal_id),
        shown.is_(None),
    )


def _conditions(choice: Choice) -> list[ColumnElement[bool]]:
    table = DEALS.c
    flared = exists(
        select(FLARES.c.id).where(
            FLARES.c.deal_id == table.deal_id, FLARES.c.cleared_as_of.is_(None)
        )
    )
    known = table.known_at.is_not(None)  # of others nothing is known any more, or yet
    conditions: list[tuple[Any, Callable[[Any], ColumnElement[bool]]]] = [
        (None if choice.state == "all" else choice.state == "open", table.is_open.is_),
        (choice.seen, table.owner.in_),
        (choice.owners or None, table.owner.in_),
        (choice.stage, table.stage.__eq__),
        (choice.verdict, table.verdict.__eq__),
        (choice.below, table.shown_probability.__lt__),
        (choice.flagged, lambda flagged: flared if flagged else ~flared),
        (choice.closes_from, table.close_date.__ge__),
        (choice.closes_until, table.close_date.__le__),
    ]
    return [known, *(condition(given) for given, condition in conditions if given is not None)]
