"""What was forgotten, by hash alone, so that nothing brings it back and an audit can see it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Final, Literal

from sqlalchemy import Connection, bindparam, delete, func, or_, select, union, update

from model.events import Event, from_microseconds
from service.storage import inbox
from service.storage.rows import AnyRow, insert_into, json_of
from service.storage.schema import (
    DEALS,
    EVENTS,
    FLARES,
    INBOX,
    OUTBOX,
    RETOLD,
    SCORES,
    TOMBSTONES,
)

Kind = Literal["deal", "person"]
AT_ONCE: Final = 500
NO_NOTES: Final = "[]"
LOCK: Final = 0x7265_6466_6C61_7265  # of PostgreSQL: what is forgotten meanwhile would come back

_FOUND: Final = select(TOMBSTONES.c.kind, TOMBSTONES.c.subject).where(
    TOMBSTONES.c.subject.in_(bindparam("subjects", expanding=True))
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tombstone:
    """One deal or person that was forgotten.

    Parameters
    ----------
    kind
        Which of the two.
    subject
        A hash of the deal's id, or of the person's keyed hash.
    forgotten_at
        Microseconds since 1970 UTC.
    forgotten_by
        Who asked.
    counts
        Rows erased, by table.
    """

    kind: Kind
    subject: str
    forgotten_at: int
    forgotten_by: str
    counts: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "forgotten_at": from_microseconds(self.forgotten_at).isoformat(),
            "forgotten_by": self.forgotten_by,
            "counts": dict(self.counts),
        }


def hold(connection: Connection) -> None:
    """Let nothing be forgotten until the transaction ends.

    Whoever writes of deals begins with it: what is forgotten meanwhile would come back with the
    commit. SQLite has one writer at a time anyway.

    Parameters
    ----------
    connection
        Writing.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock_shared(LOCK)))


def hold_alone(connection: Connection) -> None:
    """Wait for all that `hold`, and let nobody until the transaction ends: it is to forget.

    Parameters
    ----------
    connection
        Writing.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


def without_forgotten(connection: Connection, events: Iterable[Event]) -> list[Event]:
    """The events that may be kept: none of forgotten deals, none that tells of a forgotten person.

    Of such a person's event the fact that something happened stays, and who and what was said goes.
    """
    hold(connection)
    given = list(events)
    subjects = {("deal", subject_of(event.deal_id)) for event in given}
    subjects |= {("person", subject_of(each.person)) for each in given if each.person is not None}
    found: set[tuple[str, str]] = set()
    ordered = sorted(subject for _, subject in subjects)
    for first in range(0, len(ordered), AT_ONCE):
        part = {"subjects": ordered[first : first + AT_ONCE]}
        found |= {(row.kind, row.subject) for row in connection.execute(_FOUND, part)}
    if not found:
        return given
    kept = []
    for event in given:
        if ("deal", subject_of(event.deal_id)) in found:
            continue
        if event.person is not None and ("person", subject_of(event.person)) in found:
            kept.append(replace(event, person=None, text=None, thread=None))
        else:
            kept.append(event)
    return kept


def forget_deal(connection: Connection, deal_id: str, *, by: str, at: int) -> Tombstone:
    """Erase a deal: events, scores, flares, what waits to be told of it, its deliveries' bodies.

    Parameters
    ----------
    connection
        Writing.
    by
        Who asks.
    at
        The present, microseconds since 1970 UTC.
    """
    hold_alone(connection)
    counts = erase_deal(connection, deal_id, _naming(connection, deal_id))
    return _keep(connection, "deal", deal_id, counts, by, at)


def erase_deal(connection: Connection, deal_id: str, naming: Sequence[int] = ()) -> dict[str, int]:
    """Erase a deal without a tombstone: it is there again when it is told of again.

    Parameters
    ----------
    connection
        Writing; see `hold_alone`.
    naming
        Deliveries whose bodies are erased too.

    Returns
    -------
    dict
        Rows erased, by table.
    """
    counts = {"inbox": _blank_bodies(connection, "deal_id", deal_id, naming)}
    for table in (EVENTS, SCORES, FLARES, OUTBOX, DEALS):
        counts[table.name] = connection.execute(
            delete(table).where(table.c.deal_id == deal_id)
        ).rowcount
    return counts


def forget_person(
    connection: Connection, person: str, *, by: str, at: int, said: str | None = None
) -> Tombstone:
    """Erase a person from the events, with what they wrote and the bodies of their deliveries.

    Parameters
    ----------
    connection
        Writing.
    person
        The keyed hash, as events carry it.
    by
        Who asks.
    at
        The present, microseconds since 1970 UTC.
    said
        The address or contact's id itself: deliveries that name it go too, of which no event is.
    """
    hold_alone(connection)
    naming = [] if said is None else _naming(connection, said.strip())
    bodies = _blank_bodies(connection, "person", person, naming)
    erased = connection.execute(
        update(EVENTS)
        .where(EVENTS.c.person == person)
        .values(person=None, text=None, thread=None, erased=True)
    ).rowcount
    return _keep(connection, "person", person, {"inbox": bodies, "events": erased}, by, at)


def find(connection: Connection, kind: Kind, name: str) -> Tombstone | None:
    """That of a deal's id or a person's keyed hash; None where it was never forgotten."""
    query = select(TOMBSTONES).where(
        TOMBSTONES.c.kind == kind, TOMBSTONES.c.subject == subject_of(name)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _stone(row)


def listed(connection: Connection) -> list[Tombstone]:
    """All of them, the first forgotten first."""
    rows = connection.execute(select(TOMBSTONES).order_by(TOMBSTONES.c.id))
    return [_stone(row) for row in rows]


def _stone(row: AnyRow) -> Tombstone:
    return Tombstone(
        kind=row.kind,
        subject=row.subject,
        forgotten_at=row.forgotten_at,
        forgotten_by=row.forgotten_by,
        counts=json.loads(row.counts),
    )


def subject_of(name: str) -> str:
    """What a tombstone keeps of a name."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _blank_bodies(
    connection: Connection, column: str, subject: str, naming: Sequence[int] = ()
) -> int:
    """Empty the deliveries that told of a deal or person; the raw body may tell anything.

    One that was not worked on yet is left: what it tells of the forgotten is dropped then, and its
    body with it.
    """
    told = select(EVENTS.c.inbox_id).where(
        EVENTS.c[column] == subject, EVENTS.c.inbox_id.is_not(None)
    )
    again = select(RETOLD.c.inbox_id).where(RETOLD.c[column] == subject)
    which = sorted({*naming, *connection.execute(union(told, again)).scalars()})
    blank = {**inbox.without_body(), "notes": NO_NOTES, "reason": None}
    count = 0
    for first in range(0, len(which), AT_ONCE):
        one_of = INBOX.c.id.in_(which[first : first + AT_ONCE])
        query = update(INBOX).where(one_of, INBOX.c.state != "received")
        count += connection.execute(query.values(blank)).rowcount
    connection.execute(delete(RETOLD).where(RETOLD.c[column] == subject))
    return count


def _naming(connection: Connection, name: str) -> list[int]:
    """Deliveries whose body, notes or reason hold a name as a word of its own, in any case.

    Of one that could not be used no event says of whom it is, nor of what a mapping dropped.
    """
    escaped = {json.dumps(name, ensure_ascii=plain)[1:-1] for plain in (True, False)}
    words = "|".join(re.escape(each) for each in sorted({name, *escaped, escape(name)}))
    word = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)
    query = select(INBOX.c.id, INBOX.c.body, INBOX.c.notes, INBOX.c.reason).where(
        or_(
            func.length(INBOX.c.body) > 0,
            INBOX.c.notes != NO_NOTES,
            INBOX.c.reason.is_not(None),
        )
    )
    return [
        row.id
        for row in connection.execute(query.execution_options(yield_per=AT_ONCE))
        if any(
            word.search(text)
            for text in (bytes(row.body).decode("utf-8", "replace"), row.notes, row.reason or "")
        )
    ]


def _keep(
    connection: Connection, kind: Kind, name: str, counts: Mapping[str, int], by: str, at: int
) -> Tombstone:
    stone = Tombstone(
        kind=kind, subject=subject_of(name), forgotten_at=at, forgotten_by=by, counts=counts
    )
    row = {
        "kind": kind,
        "subject": stone.subject,
        "forgotten_at": at,
        "forgotten_by": by,
        "counts": json_of(dict(counts)),
    }
    statement = insert_into(connection, TOMBSTONES).values(row)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["kind", "subject"]))
    return stone
