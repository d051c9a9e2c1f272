"""The inbox: every delivery that was acknowledged, as it came, and what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    update,
)

from model.errors import EventError
from model.events import from_microseconds
from service.storage.errors import StorageError
from service.storage.rows import AnyRow, check_text, json_of
from service.storage.schema import INBOX
from service.webhooks.delivery import Delivery

State = Literal["received", "done", "failed", "superseded"]
STATES: Final[tuple[State, ...]] = ("received", "done", "failed", "superseded")
UNUSED: Final[tuple[State, ...]] = ("failed", "superseded")  # those that told nothing
LONGEST_KEY: Final = 256  # characters; a longer key is kept by its hash
LISTED: Final = 100
API: Final = "/v1"  # the source of what the API is told; no configured source has such a name
MOST_BYTES_AT_ONCE: Final = 2**20  # of bodies that are read together, where more than one is
_UPDATE: Final = update(INBOX).where(INBOX.c.id == bindparam("updated"))
_WAITING: Final = INBOX.c.state == "received"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """One delivery in the inbox.

    Parameters
    ----------
    id
        Its number.
    delivery
        As it came.
    state
        ``received`` until it is worked on, then ``done`` or ``failed``; ``superseded`` where a
        corrected one came after it failed.
    reason
        Why it failed.
    notes
        What its payload could not tell.
    events
        How many of its events were new; None before.
    finished_at
        Microseconds since 1970 UTC; None before.
    """

    id: int
    delivery: Delivery
    state: State
    reason: str | None
    notes: tuple[str, ...]
    events: int | None
    finished_at: int | None

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold, without the headers and the body."""
        return {
            "id": self.id,
            "source": self.delivery.source,
            "kind": self.delivery.kind,
            "dedupe_key": self.delivery.dedupe_key,
            "received_at": self.delivery.received_at.isoformat(),
            "state": self.state,
            "reason": self.reason,
            "notes": list(self.notes),
            "events": self.events,
            "finished_at": None
            if self.finished_at is None
            else from_microseconds(self.finished_at).isoformat(),
        }


def stored_key(key: str) -> str:
    """A dedupe key as the table keeps it: one that is long or odd by its hash.

    Examples
    --------
    >>> stored_key("msg_1"), stored_key("x" * 300)[:20]
    ('msg_1', 'sha256:0d4e2ca9e9cbc')
    """
    try:
        check_text("dedupe_key", key)
    except EventError:
        pass
    else:
        if len(key) <= LONGEST_KEY:
            return key
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def take(connection: Connection, most: int) -> Sequence[int]:
    """The numbers of the next deliveries that nobody works on, locked until the transaction ends.

    Parameters
    ----------
    connection
        Writing: on SQLite it has the lock already, on PostgreSQL rows that others hold are skipped.
    most
        How many.
    """
    query = select(INBOX.c.id).where(_WAITING).order_by(INBOX.c.id).limit(most)
    return connection.execute(query.with_for_update(skip_locked=True)).scalars().all()


def peek(connection: Connection, most: int) -> list[Kept]:
    """The deliveries that wait longest, perhaps for somebody who works on them already.

    Parameters
    ----------
    connection
        Reading.
    most
        How many; fewer where their bodies are large.
    """
    lengths = select(INBOX.c.id, func.length(INBOX.c.body).label("bytes")).where(_WAITING)
    found: list[int] = []
    size = 0
    for row in connection.execute(lengths.order_by(INBOX.c.id).limit(most)):
        size += row.bytes
        if found and size > MOST_BYTES_AT_ONCE:
            break
        found.append(row.id)
    if not found:
        return []
    query = select(INBOX).where(INBOX.c.id.in_(found)).order_by(INBOX.c.id)
    return [_kept(row) for row in connection.execute(query)]


def finish(
    connection: Connection,
    inbox_id: int,
    *,
    at: int,
    events: int,
    notes: Sequence[str],
) -> None:
    """Say that a delivery is done.

    Parameters
    ----------
    connection
        Writing.
    at
        The present, microseconds since 1970 UTC.
    events
        How many of its events were new.
    notes
        What its payload could not tell.
    """
    _set(connection, inbox_id, state="done", finished_at=at, events=events, notes=json_of(notes))


def fail(connection: Connection, inbox_id: int, reason: str, *, at: int) -> None:
    """Say that a delivery cannot be used, and why; it stays until it is retried.

    Parameters
    ----------
    connection
        Writing.
    at
        The present, microseconds since 1970 UTC.
    """
    printable = reason.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
    _set(connection, inbox_id, state="failed", finished_at=at, reason=printable)


def empty(connection: Connection, inbox_id: int) -> None:
    """Keep no body of a delivery that told of what is forgotten."""
    emptied = update(INBOX).where(INBOX.c.id == inbox_id)
    connection.execute(emptied.values(**without_body()))


def retry(connection: Connection, inbox_ids: Sequence[int] | None) -> int:
    """Put failed deliveries back, all of them where no ids are given; how many there were.

    Of those given one that is done or superseded goes back too, for a mapping may have been mended
    since; what it told stays, and is told once. Without its body it has nothing to tell.
    """
    query = update(INBOX)
    if inbox_ids is None:
        query = query.where(INBOX.c.state == "failed")
    else:
        query = query.where(INBOX.c.id.in_(inbox_ids), is_workable())
    return connection.execute(
        query.values(state="received", reason=None, finished_at=None)
    ).rowcount


def is_workable() -> ColumnElement[bool]:
    """Whether a delivery can be worked on again."""
    is_done = and_(INBOX.c.state == "done", func.length(INBOX.c.body) > 0)
    return or_(INBOX.c.state.in_(UNUSED), is_done)


def states(connection: Connection, inbox_ids: Sequence[int]) -> dict[int, str]:
    """In which state each of a few deliveries is, by number; those that are there.

    Of one that is done and whose body was let go that is said.
    """
    is_let_go = and_(INBOX.c.state == "done", func.length(INBOX.c.body) == 0)
    state = case((is_let_go, "done and without its body"), else_=INBOX.c.state).label("state")
    query = select(INBOX.c.id, state).where(INBOX.c.id.in_(inbox_ids))
    return {row.id: row.state for row in connection.execute(query)}


def find(connection: Connection, inbox_id: int) -> Kept:
    """One delivery by its number.

    Raises
    ------
    StorageError
        If there is none.
    """
    row = connection.execute(select(INBOX).where(INBOX.c.id == inbox_id)).one_or_none()
    if row is None:
        raise StorageError(
            f"delivery {inbox_id}", "one of the inbox", "see them with redflare inbox list"
        )
    return _kept(row)


def find_by_key(connection: Connection, source: str, dedupe_key: str) -> Kept | None:
    """One delivery by what tells it from the others of its source."""
    query = select(INBOX).where(
        INBOX.c.source == source, INBOX.c.dedupe_key == stored_key(dedupe_key)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _kept(row)


def listed(
    connection: Connection,
    state: State | None = None,
    *,
    source: str | None = None,
    before: int | None = None,
    most: int = LISTED,
) -> list[Kept]:
    """Deliveries without their headers and bodies, the latest first.

    Parameters
    ----------
    connection
        Reading.
    state, source
        Only those.
    before
        Only those with a smaller number, for the next page.
    most
        How many.
    """
    columns = [each for each in INBOX.c if each.name not in ("headers", "body")]
    nothing = literal("{}").label("headers"), literal(b"").label("body")
    query = select(*columns, *nothing).order_by(INBOX.c.id.desc()).limit(most)
    if state is not None:
        query = query.where(INBOX.c.state == state)
    if source is not None:
        query = query.where(INBOX.c.source == source)
    if before is not None:
        query = query.where(INBOX.c.id < before)
    return [_kept(row) for row in connection.execute(query)]


def oldest_waiting(connection: Connection) -> int | None:
    """When the delivery came that waits longest, microseconds since 1970 UTC; None if none does."""
    query = select(INBOX.c.received_at).where(INBOX.c.state == "received").order_by(INBOX.c.id)
    return connection.execute(query.limit(1)).scalar()


def waiting(connection: Connection) -> tuple[int, int | None]:
    """How many deliveries wait to be worked on, and since when the one that waits longest."""
    query = select(func.count(), func.min(INBOX.c.received_at)).where(INBOX.c.state == "received")
    depth, oldest = connection.execute(query).one()
    return int(depth), oldest


def failed(connection: Connection) -> int:
    """How many deliveries failed and are not retried."""
    query = select(func.count()).select_from(INBOX).where(INBOX.c.state == "failed")
    return connection.execute(query).scalar_one()


def counts(connection: Connection) -> Mapping[str, int]:
    """How many deliveries are in each state."""
    query = select(INBOX.c.state, func.count()).group_by(INBOX.c.state)
    found: dict[str, int] = dict.fromkeys(STATES, 0)
    found.update((row[0], row[1]) for row in connection.execute(query))
    return found


def without_body() -> dict[str, Any]:
    """The values of a delivery whose body is let go.

    What the API was told keeps its headers, by which a request sent again is known.
    """
    return {"body": b"", "headers": case((INBOX.c.source == API, INBOX.c.headers), else_="{}")}


def _set(connection: Connection, inbox_id: int, **values: Any) -> None:
    connection.execute(_UPDATE, {"updated": inbox_id, **values})


def _kept(row: AnyRow) -> Kept:
    received_at: datetime = from_microseconds(row.received_at)
    delivery = Delivery(
        source=row.source,
        kind=row.kind,
        dedupe_key=row.dedupe_key,
        received_at=received_at,
        headers=json.loads(row.headers),
        body=bytes(row.body),
    )
    return Kept(
        id=row.id,
        delivery=delivery,
        state=row.state,
        reason=row.reason,
        notes=tuple(json.loads(row.notes)),
        events=row.events,
        finished_at=row.finished_at,
    )
