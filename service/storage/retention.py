"""What is old let go, by age: raw deliveries, what was told, past scores; events only if asked.

A delivery's row stays without its body, so that it is known when it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Delete,
    Select,
    Update,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from service.storage import inbox, tombstones
from service.storage.audit import Deed, add
from service.storage.database import Database
from service.storage.schema import DEALS, EVENTS, INBOX, OUTBOX, RETOLD, SCORES

LEAST_DAYS: Final = 14  # a red flare looks a week back, and a review at last week's scores
AT_ONCE: Final = 1_000  # rows of one transaction, which keeps other writers waiting
DEALS_AT_ONCE: Final = 100  # with all of their events
RETAIN: Final = "retain"


def retain(
    database: Database, older_than: int, *, at: int, by: str, failed: bool, closed_deals: bool
) -> Deed:
    """Let go of what is older, some thousand rows at a time.

    Parameters
    ----------
    database
        In use or not.
    older_than
        Microseconds since 1970 UTC.
    at
        The present, likewise.
    by
        Who asks.
    failed
        Whether the bodies of deliveries go too that could not be used.
    closed_deals
        Whether deals that are closed since then go with all of their events. They leave no
        tombstone, lest a deal that is opened again be swallowed.

    Returns
    -------
    Deed
        As the audit keeps it: how many rows by table.
    """
    states = ["done", *inbox.UNUSED] if failed else ["done"]
    old_body = and_(
        INBOX.c.received_at < older_than, INBOX.c.state.in_(states), func.length(INBOX.c.body) > 0
    )
    bodies = _in_parts(
        database,
        select(INBOX.c.id).where(old_body),
        lambda ids: update(INBOX).where(INBOX.c.id.in_(ids)).values(inbox.without_body()),
    )
    told = and_(OUTBOX.c.finished_at < older_than, OUTBOX.c.state.in_(["sent", "superseded"]))
    entries = _in_parts(
        database,
        select(OUTBOX.c.id).where(told),
        lambda ids: delete(OUTBOX).where(OUTBOX.c.id.in_(ids)),
    )
    past = and_(
        SCORES.c.made_at < older_than,
        or_(DEALS.c.deal_id.is_(None), DEALS.c.score_id != SCORES.c.id),
    )
    scores = _in_parts(
        database,
        select(SCORES.c.id).outerjoin(DEALS, DEALS.c.deal_id == SCORES.c.deal_id).where(past),
        lambda ids: delete(SCORES).where(SCORES.c.id.in_(ids)),
    )
    deals = _erase_closed(database, older_than) if closed_deals else 0
    counts = {"inbox": bodies, "outbox": entries, "scores": scores, "deals": deals}
    deed = Deed(done_at=at, done_by=by, what=RETAIN, detail={"older_than": older_than, **counts})
    has_no_body = (
        select(INBOX.c.id)
        .where(INBOX.c.id == RETOLD.c.inbox_id, func.length(INBOX.c.body) == 0)
        .exists()
    )
    with database.writing() as connection:
        connection.execute(delete(RETOLD).where(has_no_body))
        add(connection, deed)
    return deed


def _in_parts(
    database: Database,
    which: Select[Any],
    statement: Callable[[Sequence[int]], Delete | Update],
) -> int:
    whole = 0
    while True:
        with database.writing() as connection:
            ids = [int(each) for each in connection.execute(which.limit(AT_ONCE)).scalars()]
            if ids:
                connection.execute(statement(ids))
        whole += len(ids)
        if len(ids) < AT_ONCE:
            return whole


def _erase_closed(database: Database, older_than: int) -> int:
    erased = 0
    while True:
        with database.writing() as connection:
            tombstones.hold_alone(connection)
            deal_ids = _closed(connection, older_than)
            for deal_id in deal_ids:
                tombstones.erase_deal(connection, deal_id)
        erased += len(deal_ids)
        if not deal_ids:
            return erased


def _closed(connection: Connection, older_than: int) -> list[str]:
    """Deals that are closed and of which nothing became known since.

    One whose opening was never told counts as not open, and is not closed for that.
    """
    closed, reopened = EVENTS.alias(), EVENTS.alias()
    was_reopened = exists().where(
        reopened.c.deal_id == closed.c.deal_id,
        reopened.c.kind == "deal_reopened",
        reopened.c.occurred_at > closed.c.occurred_at,
    )
    is_closed = exists().where(
        closed.c.deal_id == DEALS.c.deal_id,
        closed.c.kind.in_(["deal_won", "deal_lost"]),
        ~was_reopened,
    )
    query = (
        select(DEALS.c.deal_id)
        .where(DEALS.c.is_open.is_(False), DEALS.c.known_at < older_than, is_closed)
        .order_by(DEALS.c.deal_id)
        .limit(DEALS_AT_ONCE)
    )
    return list(connection.execute(query).scalars())
