"""What was forgotten, by hash alone, so that nothing brings it back and an audit can see it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from sqlalchemy import Connection, delete, select, update

from model.events import Event, from_microseconds
from service.storage import inbox
from service.storage.rows import insert_into, json_of
from service.storage.schema import DEALS, EVENTS, FLARES, INBOX, OUTBOX, SCORES, TOMBSTONES

Kind = Literal["deal", "person"]
AT_ONCE: Final = 500


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


def without_forgotten(connection: Connection, events: Iterable[Event]) -> list[Event]:
    """The events that may be kept: none of forgotten deals, none that tells of a forgotten person.

    Of such a person's event the fact that something happened stays, and who and what was said goes.
    """
    given = list(events)
    subjects = {("deal", subject_of(event.deal_id)) for event in given}
    subjects |= {("person", subject_of(each.person)) for each in given if each.person is not None}
    found: set[tuple[str, str]] = set()
    ordered = sorted(subject for _, subject in subjects)
    for first in range(0, len(ordered), AT_ONCE):
        query = select(TOMBSTONES.c.kind, TOMBSTONES.c.subject).where(
            TOMBSTONES.c.subject.in_(ordered[first : first + AT_ONCE])
        )
        found |= {(row.kind, row.subject) for row in connection.execute(query)}
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
    return _keep(connection, "deal", deal_id, erase_deal(connection, deal_id), by, at)


def erase_deal(connection: Connection, deal_id: str) -> dict[str, int]:
    """Erase a deal without a tombstone: it is there again when it is told of again.

    Parameters
    ----------
    connection
        Writing.

    Returns
    -------
    dict
        Rows erased, by table.
    """
    counts = {"inbox": _blank_bodies(connection, EVENTS.c.deal_id == deal_id)}
    for table in (EVENTS, SCORES, FLARES, OUTBOX, DEALS):
        counts[table.name] = connection.execute(
            delete(table).where(table.c.deal_id == deal_id)
        ).rowcount
    return counts


def forget_person(connection: Connection, person: str, *, by: str, at: int) -> Tombstone:
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
    """
    bodies = _blank_bodies(connection, EVENTS.c.person == person)
    erased = connection.execute(
        update(EVENTS)
        .where(EVENTS.c.person == person)
        .values(person=None, text=None, thread=None, erased=True)
    ).rowcount
    return _keep(connection, "person", person, {"inbox": bodies, "events": erased}, by, at)


def listed(connection: Connection) -> list[Tombstone]:
    """All of them, the first forgotten first."""
    return [
        Tombstone(
            kind=row.kind,
            subject=row.subject,
            forgotten_at=row.forgotten_at,
            forgotten_by=row.forgotten_by,
            counts=json.loads(row.counts),
        )
        for row in connection.execute(select(TOMBSTONES).order_by(TOMBSTONES.c.id))
    ]


def subject_of(name: str) -> str:
    """What a tombstone keeps of a name."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _blank_bodies(connection: Connection, which: Any) -> int:
    """Empty the deliveries that told of such events; the raw body may tell anything.

    One that was not worked on yet is left: what it tells of the forgotten is dropped then.
    """
    told = select(EVENTS.c.inbox_id).where(which, EVENTS.c.inbox_id.is_not(None))
    query = update(INBOX).where(INBOX.c.id.in_(told), INBOX.c.state != "received")
    return connection.execute(query.values(inbox.without_body())).rowcount


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
