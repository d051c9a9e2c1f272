"""The events: appended, never changed but where a person is forgotten."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import combinations, groupby
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, bindparam, func, insert, or_, select, tuple_

from model.events import (
    COLUMNS,
    EPOCH_DAY,
    Event,
    from_microseconds,
    microseconds,
)
from model.sources.carriers import CARRIERS
from model.sources.crms import CRMS
from model.sources.standing import SEEN
from service.storage.errors import StorageError
from service.storage.rows import AnyRow, check_length, check_text, insertion
from service.storage.schema import EVENTS, RETOLD

TEXTS: Final = ("deal_id", "kind", "name", "text", "person", "thread", "source", "source_id")
# Bytes of what is put in order, which PostgreSQL does of 2,700 together and no more.
LONGEST: Final = {"deal_id": 500, "source": 500, "source_id": 1_200, "person": 500}
LONGEST_NAME: Final = 500  # bytes, of whom or what deals are put in order by
NAMES_IN_ORDER: Final = ("owner_changed", "must_hit_declared", "must_hit_withdrawn")
MILESTONES: Final = "milestone_"  # begins the other kinds whose names are
AT_ONCE: Final = 500  # rows of one statement
MOMENT: Final = "____-__-__ __:__:__.______"  # a time in an id, as LIKE takes it
STREAMED: Final = 10_000  # rows fetched at a time
IN_ORDER: Final = (
    EVENTS.c.deal_id,
    EVENTS.c.occurred_at,
    EVENTS.c.known_at,
    EVENTS.c.source,
    EVENTS.c.source_id,
)
_FIELDS: Final = tuple(EVENTS.c[name] for name in COLUMNS)
_OF_DEAL: Final = (
    select(*_FIELDS).where(EVENTS.c.deal_id == bindparam("deal_id")).order_by(*IN_ORDER)
)

Identity = tuple[str, str]
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Appended:
    """What became of events given to be kept.

    Parameters
    ----------
    new
        Those that were not there.
    conflicting
        Those whose identity another content has: the first stands.
    misnamed
        Of these, those whose identity an event of another deal has.
    """

    new: tuple[Event, ...]
    conflicting: tuple[Event, ...]
    misnamed: tuple[Event, ...] = ()


def append(
    connection: Connection, events: Iterable[Event], *, at: int, inbox_id: int | None = None
) -> Appended:
    """Keep events; one that is there already stays as it is.

    Parameters
    ----------
    connection
        Writing.
    events
        In any order. Nothing of forgotten deals and persons: see `service.storage.tombstones`.
    at
        The present, microseconds since 1970 UTC.
    inbox_id
        The delivery that told of them.

    Raises
    ------
    EventError
        If one holds a text that a database cannot.
    """
    # In one order everywhere, lest two writers wait for each other.
    ordered = sorted(events, key=identity)
    first: dict[Identity, Event] = {}
    conflicting = [event for event in ordered if first.setdefault(identity(event), event) != event]
    misnamed = [event for event in conflicting if first[identity(event)].deal_id != event.deal_id]
    new: list[Event] = []
    for part in _batched(list(first.values()), AT_ONCE):
        rows = [{**to_row(event), "stored_at": at, "inbox_id": inbox_id} for event in part]
        statement = insertion(EVENTS, ("source", "source_id"), connection.dialect.name)
        added = {(row.source, row.source_id) for row in connection.execute(statement, rows)}
        new += [event for event in part if identity(event) in added]
        for event, kept in _contradicted(
            connection, [event for event in part if identity(event) not in added]
        ):
            conflicting.append(event)
            if event.deal_id != kept.deal_id:
                misnamed.append(event)
    if inbox_id is not None:
        _keep_retold(connection, ordered, new, inbox_id)
    return Appended(new=tuple(new), conflicting=tuple(conflicting), misnamed=tuple(misnamed))


def _keep_retold(
    connection: Connection, told: Iterable[Event], new: Iterable[Event], inbox_id: int
) -> None:
    """Keep of whom a delivery tells what was told before: its body is erased with them too."""
    again = {(each.deal_id, each.person) for each in told}
    again -= {(each.deal_id, each.person) for each in new}
    if again:
        rows = [
            {"inbox_id": inbox_id, "deal_id": deal_id, "person": person}
            for deal_id, person in sorted(again, key=lambda each: (each[0], each[1] or ""))
        ]
        connection.execute(insert(RETOLD), rows)


def _contradicted(connection: Connection, repeated: Sequence[Event]) -> list[tuple[Event, Event]]:
    """Events whose identity another content has, each with what is kept of it."""
    if not repeated:
        return []
    wanted = tuple_(EVENTS.c.source, EVENTS.c.source_id).in_([identity(each) for each in repeated])
    kept = {
        (row.source, row.source_id): None if row.erased else from_row(row)
        for row in connection.execute(select(*_FIELDS, EVENTS.c.erased).where(wanted))
    }
    # What was erased cannot be compared, and says nothing new.
    found = [(event, kept[identity(event)]) for event in repeated]
    return [
        (event, other)
        for event, other in found
        if other is not None and other != _as_known(event, other)
    ]


def _as_known(event: Event, kept: Event) -> Event:
    """A deal's opening as it is kept, where it is told again without when it was known.

    A CRM tells the time of a deal's creation with any change, and not when it was entered.
    """
    is_unsaid = event.kind == "deal_opened" and event.known_at == event.occurred_at
    if is_unsaid and event.occurred_at == kept.occurred_at:
        return replace(event, known_at=kept.known_at)
    return event


def check_one_crm(connection: Connection, told: Iterable[tuple[str, str]]) -> None:
    """Refuse what a CRM tells of a deal that another CRM told of: two deals have one number.

    Parameters
    ----------
    connection
        Of the transaction that would keep the events.
    told
        Source and deal of each event, from one source or several.

    Raises
    ------
    StorageError
        Naming the deal and both.
    """
    whose: dict[str, set[str]] = {}
    for source, deal_id in told:
        if source in CRMS:
            whose.setdefault(source, set()).add(deal_id)
    for one, other in combinations(sorted(whose), 2):
        for deal_id in sorted(whose[one] & whose[other])[:1]:
            raise _two_deals(deal_id, other, one)
    for source, deal_ids in whose.items():
        for part in _batched(sorted(deal_ids), AT_ONCE):
            query = select(EVENTS.c.deal_id, EVENTS.c.source).where(
                EVENTS.c.deal_id.in_(part), EVENTS.c.source.in_(sorted(CRMS - {source}))
            )
            found = connection.execute(query.limit(1)).one_or_none()
            if found is not None:
                raise _two_deals(found.deal_id, source, found.source)


def _two_deals(deal_id: str, source: str, before: str) -> StorageError:
    return StorageError(
        f"deal {deal_id!r} of {source}",
        f"another number, for {before} told of a deal {deal_id!r} before",
        "keep CRMs whose numbers may be the same in databases of their own",
    )


def of_deal(connection: Connection, deal_id: str) -> list[Event]:
    """The events of a deal as they were told, in the order of time.

    What of them stands `model.sources.standing.standing_events` says.
    """
    return [from_row(row) for row in connection.execute(_OF_DEAL, {"deal_id": deal_id})]


def of_deals(connection: Connection, deal_ids: Sequence[str]) -> Iterator[tuple[str, list[Event]]]:
    """The events of each of a few deals, by deal, in the order of time."""
    query = select(*_FIELDS).where(EVENTS.c.deal_id.in_(deal_ids)).order_by(*IN_ORDER)
    for deal_id, rows in groupby(connection.execute(query), key=lambda row: str(row.deal_id)):
        yield deal_id, [from_row(row) for row in rows]


def deals_of_person(connection: Connection, person: str) -> Sequence[str]:
    """The deals whose events tell of a person, by their keyed hash."""
    query = select(EVENTS.c.deal_id).where(EVENTS.c.person == person).distinct()
    return connection.execute(query.order_by(EVENTS.c.deal_id)).scalars().all()


def of_earlier_ids(connection: Connection) -> int:
    """How many changes have ids of an earlier release, which did not say what was changed to.

    What is told of them again has other ids, and counts once more.
    """
    ends = [f"%/{MOMENT}", f"%/{MOMENT}{SEEN}", f"%/{MOMENT}~_"]
    query = (
        select(func.count())
        .select_from(EVENTS)
        .where(
            EVENTS.c.kind.in_(sorted(CARRIERS)),
            or_(*(EVENTS.c.source_id.like(end) for end in ends)),
            # A field that was emptied is told without a value in this release too.
            or_(
                EVENTS.c.kind.not_in([kind for kind, of in CARRIERS.items() if of == "text"]),
                EVENTS.c.text.is_not(None),
                EVENTS.c.number.is_not(None),
            ),
        )
    )
    return connection.execute(query).scalar_one()


def count(connection: Connection) -> int:
    """How many there are."""
    return connection.execute(select(func.count()).select_from(EVENTS)).scalar_one()


def stream(connection: Connection) -> Generator[Sequence[AnyRow]]:
    """All of them, some thousands at a time, in the order of `model.event_table.ORDER`.

    Parameters
    ----------
    connection
        Reading; rows are not gathered in memory.
    """
    query = select(*_FIELDS).order_by(*IN_ORDER).execution_options(yield_per=STREAMED)
    with closing(connection.execute(query)) as rows:  # whoever stops early leaves none open
        yield from rows.partitions()


def identity(event: Event) -> Identity:
    """What makes two events the same."""
    return event.source, event.source_id


def to_row(event: Event) -> dict[str, Any]:
    """An event as a row of the table.

    Raises
    ------
    EventError
        If it holds a text that a database cannot.
    """
    for name in TEXTS:
        value = getattr(event, name)
        if value is not None:
            check_text(name, value)
            check_length(name, value, LONGEST.get(name))
    if event.kind in NAMES_IN_ORDER or event.kind.startswith(MILESTONES):
        check_length("name", event.name or "", LONGEST_NAME)
    row = {name: getattr(event, name) for name in COLUMNS}
    row["occurred_at"] = microseconds(event.occurred_at)
    row["known_at"] = known_at(event)
    row["date"] = None if event.date is None else (event.date - EPOCH_DAY).days
    return row


def known_at(event: Event) -> int:
    """When it was known, microseconds since 1970 UTC."""
    return microseconds(event.known_at or event.occurred_at)


def from_row(row: AnyRow) -> Event:
    """The inverse of `to_row`."""
    return Event(
        deal_id=row.deal_id,
        kind=row.kind,
        occurred_at=from_microseconds(row.occurred_at),
        known_at=from_microseconds(row.known_at),
        name=row.name,
        text=row.text,
        number=row.number,
        date=None if row.date is None else EPOCH_DAY + timedelta(days=row.date),
        person=row.person,
        thread=row.thread,
        span=row.span,
        source=row.source,
        source_id=row.source_id,
    )


def _batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
