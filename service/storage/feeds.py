"""What each source carries and when it was heard, added up as events are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from sqlalchemy import Connection, bindparam, select

from model.events import Event
from model.feeds import HOUR_US, Feed
from service.storage.events import known_at
from service.storage.rows import insert_into
from service.storage.schema import FEED_HOURS, FEED_KINDS

_SINCE: Final = select(FEED_KINDS.c.since).where(
    FEED_KINDS.c.source == bindparam("source"), FEED_KINDS.c.kind == bindparam("kind")
)
_LATEST: Final = (
    select(FEED_HOURS.c.heard)
    .where(FEED_HOURS.c.source == bindparam("source"))
    .order_by(FEED_HOURS.c.hour.desc())
    .limit(1)
)
_HEARD: Final = select(FEED_HOURS.c.heard).where(
    FEED_HOURS.c.source == bindparam("source"), FEED_HOURS.c.hour == bindparam("hour")
)

Hour = tuple[str, int]  # a source, and the first time in an hour that it was heard


def add(connection: Connection, events: Iterable[Event]) -> list[Hour]:
    """Count events that were new; the hours in which their sources were not heard before.

    Parameters
    ----------
    connection
        Writing.
    """
    kinds: dict[tuple[str, str], int] = {}
    hours: dict[tuple[str, int], int] = {}
    for event in events:
        known = known_at(event)
        kind, hour = (event.source, event.kind), (event.source, known // HOUR_US)
        kinds[kind] = min(known, kinds.get(kind, known))
        hours[hour] = min(known, hours.get(hour, known))
    # In one order everywhere, lest two writers wait for each other; an earlier time is rare, and
    # only that one waits for whoever has the row.
    for (source, name), known in sorted(kinds.items()):
        _least(connection, known, source=source, kind=name)
    return [
        (source, known)
        for (source, number), known in sorted(hours.items())
        if _least(connection, known, source=source, hour=number)
    ]


def _least(connection: Connection, known: int, **key: str | int) -> bool:
    table = FEED_KINDS if "kind" in key else FEED_HOURS
    column = table.c.since if "kind" in key else table.c.heard
    kept = connection.execute(_SINCE if "kind" in key else _HEARD, key).scalar()
    if kept is not None and kept <= known:
        return False
    statement = insert_into(connection, table).values(**key, **{column.name: known})
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(key),
            set_={column.name: known},
            where=column > known,
        )
    )
    return True


def sources(connection: Connection) -> Sequence[str]:
    """The sources of which any event is known, sorted."""
    query = select(FEED_KINDS.c.source).distinct().order_by(FEED_KINDS.c.source)
    return connection.execute(query).scalars().all()


def latest(connection: Connection, source: str) -> int:
    """When a source first spoke in the last hour in which it did, microseconds; 0 where never."""
    return connection.execute(_LATEST, {"source": source}).scalar() or 0


def heard(connection: Connection) -> dict[str, Feed]:
    """The feeds that all events show, as `model.feeds.feeds_of` would tell them."""
    since: dict[str, dict[str, int]] = {}
    for row in connection.execute(select(FEED_KINDS).order_by(FEED_KINDS.c.source)):
        since.setdefault(row.source, {})[row.kind] = row.since
    hours: dict[str, list[int]] = {source: [] for source in since}
    for source, time in connection.execute(
        select(FEED_HOURS.c.source, FEED_HOURS.c.heard).order_by(
            FEED_HOURS.c.source, FEED_HOURS.c.hour
        )
    ):
        hours[source].append(time)
    return {
        source: Feed(
            kinds=frozenset(kinds), heard=np.array(hours[source], dtype=np.int64), since=kinds
        )
        for source, kinds in since.items()
    }
