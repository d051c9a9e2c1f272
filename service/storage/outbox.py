"""The outbox: what is to be told to other systems, until they have it or it is given up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Select, func, select, update

from model.events import from_microseconds, microseconds
from service.storage.errors import StorageError
from service.storage.rows import AnyRow, insert_into, json_of
from service.storage.schema import OUTBOX
from service.writeback.entry import SCORE_CHANGED, Entry
from service.writeback.schedule import next_attempt

State = Literal["pending", "sent", "parked", "superseded"]
STATES: Final[tuple[State, ...]] = ("pending", "sent", "parked", "superseded")
LEASE: Final = timedelta(minutes=2)  # for one attempt; whoever is killed in it is followed then


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """One entry as it stands.

    Parameters
    ----------
    number
        Of the entry in the outbox.
    entry
        What is told to whom.
    state
        ``pending`` until the destination has it (``sent``), it is given up (``parked``) or a later
        one says more (``superseded``).
    due_at
        Of the next attempt, microseconds since 1970 UTC.
    reason
        Why the last attempt failed.
    """

    number: int
    entry: Entry
    state: State
    due_at: int
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {
            "number": self.number,
            "id": self.entry.id,
            "kind": self.entry.kind,
            "destination": self.entry.destination,
            "deal_id": self.entry.deal_id,
            "payload": dict(self.entry.payload),
            "queued_at": self.entry.queued_at.isoformat(),
            "attempts": self.entry.attempt,
            "state": self.state,
            "due_at": from_microseconds(self.due_at).isoformat(),
            "reason": self.reason,
            "delivery_id": self.entry.delivery_id,
        }


def queue(
    connection: Connection,
    *,
    message_id: str,
    kind: str,
    destination: str,
    deal_id: str,
    payload: Mapping[str, Any],
    at: int,
    delivery_id: str | None = None,
) -> bool:
    """Queue one entry; whether it is new.

    A score that waits for the same destination and deal is superseded: the destination is never
    told an older score after a newer one. One that is being tried keeps its lease, and `take` gives
    no other of the deal until its outcome is known.

    Parameters
    ----------
    connection
        Writing.
    message_id
        Follows from what is told, so that what is told again is the same entry.
    at
        The present, microseconds since 1970 UTC: it is due at once.
    delivery_id
        Of the delivery that it follows from, for the log.
    """
    if kind == SCORE_CHANGED:
        older = (
            (OUTBOX.c.destination == destination)
            & (OUTBOX.c.deal_id == deal_id)
            & (OUTBOX.c.kind == kind)
            & (OUTBOX.c.state == "pending")
            & (OUTBOX.c.message_id != message_id)
        )
        connection.execute(update(OUTBOX).where(older).values(state="superseded", finished_at=at))
    statement = (
        insert_into(connection, OUTBOX)
        .values(
            message_id=message_id,
            kind=kind,
            destination=destination,
            deal_id=deal_id,
            payload=json_of(payload),
            state="pending",
            due_at=at,
            queued_at=at,
            delivery_id=delivery_id,
        )
        .on_conflict_do_nothing(index_elements=["message_id"])
        .returning(OUTBOX.c.id)
    )
    return connection.execute(statement).scalar() is not None


def take(connection: Connection, destinations: Sequence[str], *, at: int) -> Entry | None:
    """The entry that is due first, leased for one attempt.

    Parameters
    ----------
    connection
        Writing. The lease begins with the commit; the attempt is made after it.
    destinations
        Those that can be sent to.
    at
        The present, microseconds since 1970 UTC.
    """
    query = _due(destinations, at).with_for_update(skip_locked=True)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    until = at + LEASE // timedelta(microseconds=1)
    first = at if row.first_tried_at is None else row.first_tried_at
    _set(
        connection,
        row.message_id,
        attempts=row.attempts + 1,
        due_at=until,
        leased_until=until,
        first_tried_at=first,
    )
    return replace(_entry(row), first_tried_at=from_microseconds(first))


def is_due(connection: Connection, destinations: Sequence[str], *, at: int) -> bool:
    """Whether an entry is due; see `take`."""
    return connection.execute(_due(destinations, at)).first() is not None


def _due(destinations: Sequence[str], at: int) -> Select[*tuple[Any, ...]]:
    tried = OUTBOX.alias()
    is_tried = (  # of the same deal: a score told later must arrive later
        select(tried.c.id)
        .where(
            tried.c.deal_id == OUTBOX.c.deal_id,
            tried.c.destination == OUTBOX.c.destination,
            tried.c.kind == OUTBOX.c.kind,
            tried.c.leased_until > at,
        )
        .exists()
    )
    return (
        select(OUTBOX)
        .where(
            OUTBOX.c.state == "pending",
            OUTBOX.c.due_at <= at,
            OUTBOX.c.destination.in_(destinations),
            ~is_tried,
        )
        .order_by(OUTBOX.c.due_at, OUTBOX.c.id)
        .limit(1)
    )


def sent(connection: Connection, message_id: str, *, at: int) -> None:
    """Say that the destination has it."""
    _end(connection, message_id, state="sent", finished_at=at, reason=None)


def park(connection: Connection, message_id: str, reason: str, *, at: int) -> None:
    """Give an entry up, until somebody retries it."""
    _end(connection, message_id, state="parked", finished_at=at, reason=reason)


def put_off(
    connection: Connection, entry: Entry, reason: str, after: timedelta | None, *, at: int
) -> bool:
    """Try an entry again later, or park it when it has been tried for three days; whether again.

    Parameters
    ----------
    connection
        Writing.
    entry
        As `take` gave it.
    reason
        Why the attempt failed.
    after
        How long the destination asks to wait.
    at
        The present, microseconds since 1970 UTC.
    """
    first = entry.first_tried_at or entry.queued_at
    due = next_attempt(entry.id, entry.attempt + 1, first, from_microseconds(at), after)
    if due is None:
        park(connection, entry.id, reason, at=at)
        return False
    _end(connection, entry.id, due_at=microseconds(due), reason=reason)
    return True


def retry(connection: Connection, numbers: Sequence[int] | None, *, at: int) -> tuple[int, int]:
    """Give parked entries the whole schedule again, all of them where no numbers are given.

    A score of which a newer one was told since is superseded instead, lest the older come last.

    Parameters
    ----------
    connection
        Writing.
    at
        The present, microseconds since 1970 UTC.

    Returns
    -------
    tuple
        How many are due again, and how many are superseded.
    """
    parked = OUTBOX.c.state == "parked"
    if numbers is not None:
        parked &= OUTBOX.c.id.in_(numbers)
    newer = OUTBOX.alias()
    told_since = (
        select(newer.c.id)
        .where(
            newer.c.kind == SCORE_CHANGED,
            newer.c.deal_id == OUTBOX.c.deal_id,
            newer.c.destination == OUTBOX.c.destination,
            newer.c.id > OUTBOX.c.id,
        )
        .exists()
    )
    old = update(OUTBOX).where(parked, OUTBOX.c.kind == SCORE_CHANGED, told_since)
    superseded = connection.execute(old.values(state="superseded", finished_at=at)).rowcount
    again = update(OUTBOX).where(parked)
    due = connection.execute(
        again.values(
            state="pending",
            due_at=at,
            queued_at=at,
            attempts=0,
            finished_at=None,
            first_tried_at=None,
        )
    ).rowcount
    return due, superseded


def listed(
    connection: Connection,
    state: State | None = None,
    *,
    destination: str | None = None,
    before: int | None = None,
    most: int = 100,
) -> list[Kept]:
    """Entries, the latest first.

    Parameters
    ----------
    connection
        Reading.
    state, destination
        Only those.
    before
        Only those with a smaller number, for the next page.
    most
        How many.
    """
    query = select(OUTBOX).order_by(OUTBOX.c.id.desc()).limit(most)
    if state is not None:
        query = query.where(OUTBOX.c.state == state)
    if destination is not None:
        query = query.where(OUTBOX.c.destination == destination)
    if before is not None:
        query = query.where(OUTBOX.c.id < before)
    return [_kept(row) for row in connection.execute(query)]


def states(connection: Connection, numbers: Sequence[int]) -> dict[int, State]:
    """In which state each of a few entries is, by number; those that are there."""
    query = select(OUTBOX.c.id, OUTBOX.c.state).where(OUTBOX.c.id.in_(numbers))
    return {row.id: row.state for row in connection.execute(query)}


def find(connection: Connection, message_id: str) -> Kept:
    """One entry by its id.

    Raises
    ------
    StorageError
        If there is none.
    """
    return _found(connection, OUTBOX.c.message_id == message_id, f"entry {message_id!r}")


def numbered(connection: Connection, number: int) -> Kept:
    """One entry by its number.

    Raises
    ------
    StorageError
        If there is none.
    """
    return _found(connection, OUTBOX.c.id == number, f"entry {number}")


def _found(connection: Connection, which: ColumnElement[bool], given: str) -> Kept:
    row = connection.execute(select(OUTBOX).where(which)).one_or_none()
    if row is None:
        raise StorageError(given, "one of the outbox", "see them with redflare outbox list")
    return _kept(row)


def waiting(connection: Connection, *, at: int) -> tuple[int, int | None]:
    """How many entries wait, and since when the one waits that is overdue longest.

    Parameters
    ----------
    connection
        Reading.
    at
        The present, microseconds since 1970 UTC: what is put off until later is not overdue.
    """
    pending = OUTBOX.c.state == "pending"
    depth = connection.execute(select(func.count()).select_from(OUTBOX).where(pending)).scalar_one()
    query = select(func.min(OUTBOX.c.due_at)).where(pending, OUTBOX.c.due_at <= at)
    return int(depth), connection.execute(query).scalar()


def parked(connection: Connection) -> int:
    """How many entries were given up."""
    query = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.state == "parked")
    return connection.execute(query).scalar_one()


def retrying(connection: Connection) -> int:
    """How many entries wait after an attempt that failed."""
    query = select(func.count()).select_from(OUTBOX)
    return connection.execute(
        query.where(OUTBOX.c.state == "pending", OUTBOX.c.attempts > 0)
    ).scalar_one()


def counts(connection: Connection) -> Mapping[str, int]:
    """How many entries are in each state."""
    query = select(OUTBOX.c.state, func.count()).group_by(OUTBOX.c.state)
    found: dict[str, int] = dict.fromkeys(STATES, 0)
    found.update((row[0], row[1]) for row in connection.execute(query))
    return found


def _set(connection: Connection, message_id: str, **values: Any) -> None:
    pending = (OUTBOX.c.message_id == message_id) & (OUTBOX.c.state == "pending")
    connection.execute(update(OUTBOX).where(pending).values(**values))


def _end(connection: Connection, message_id: str, **values: Any) -> None:
    """Keep the outcome of an attempt, and its lease no longer, whatever superseded it meanwhile."""
    own = OUTBOX.c.message_id == message_id
    connection.execute(update(OUTBOX).where(own).values(leased_until=None))
    _set(connection, message_id, **values)


def _kept(row: AnyRow) -> Kept:
    return Kept(
        number=row.id, entry=_entry(row), state=row.state, due_at=row.due_at, reason=row.reason
    )


def _entry(row: AnyRow) -> Entry:
    return Entry(
        id=row.message_id,
        destination=row.destination,
        kind=row.kind,
        deal_id=row.deal_id,
        payload=json.loads(row.payload),
        queued_at=from_microseconds(row.queued_at),
        attempt=row.attempts,
        delivery_id=row.delivery_id,
        first_tried_at=None
        if row.first_tried_at is None
        else from_microseconds(row.first_tried_at),
    )
