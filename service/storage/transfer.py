"""Events between the database and the event logs that training reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection

from model.event_table import EVENT_SCHEMA, event_from_row, read_events
from model.events import COLUMNS
from model.places import check_writable, whole_file
from model.sources.standing import may_not_stand, standing_events
from service.storage import deals, events, feeds, tombstones
from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.rows import AnyRow

LOADED_AT_ONCE: Final = 5_000  # events of one transaction


@dataclass(kw_only=True)
class Loaded:
    """What became of a file of events.

    Parameters
    ----------
    told, new
        Events in the file, and those of them that were not there.
    conflicts
        Those whose identity another content has, in words.
    """

    told: int = 0
    new: int = 0
    conflicts: list[str] = field(default_factory=list)


def export(database: Database, out: Path) -> int:
    """Write what stands of all events to Parquet, whole or not at all, by parts; how many.

    Raises
    ------
    StorageError
        If the name does not end in .parquet.
    RedflareError
        If it cannot be written.
    """
    if out.suffix != ".parquet":
        raise StorageError(f"--out {out}", "a name ending in .parquet", "rename it")
    check_writable("--out", out)
    written = 0
    with (
        whole_file(out) as part,
        database.reading() as connection,
        closing(events.stream(connection)) as told,
        pq.ParquetWriter(part, EVENT_SCHEMA, compression="zstd") as writer,
    ):
        for rows in _standing(told):
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array(column, type=_stored(each.type)).cast(each.type)
                for each, column in zip(EVENT_SCHEMA, columns, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=EVENT_SCHEMA))
            written += len(rows)
    return written


def _standing(parts: Iterable[Sequence[AnyRow]]) -> Iterator[list[tuple[object, ...]]]:
    """What stands of each deal's events, of whole deals, about as many at a time as are given."""
    held: list[AnyRow] = []
    for part in parts:
        held += part
        whole = len(held)
        while whole and held[whole - 1].deal_id == held[-1].deal_id:
            whole -= 1  # the last deal may go on
        if whole:
            yield _standing_of(held[:whole])
            held = held[whole:]
    if held:
        yield _standing_of(held)


def _standing_of(rows: Sequence[AnyRow]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for _, group in groupby(rows, key=lambda row: str(row.deal_id)):
        deal = list(group)
        if may_not_stand((row.kind for row in deal), (row.source_id for row in deal)):
            standing = map(events.to_row, standing_events(map(events.from_row, deal)))
            found += [tuple(row[name] for name in COLUMNS) for row in standing]
        else:
            found += map(tuple, deal)
    return found


def _stored(kind: pa.DataType) -> pa.DataType:
    """The type that the table has for a type of the log."""
    if pa.types.is_timestamp(kind):
        return pa.int64()
    return pa.int32() if pa.types.is_date32(kind) else kind


def load(database: Database, file: Path) -> Loaded:
    """Keep the events of a file, in transactions of some thousands: it may be loaded again.

    Raises
    ------
    EventError
        If the file cannot be read.
    StorageError
        If two CRMs tell of a deal, in the file or beside what is there: nothing is loaded.
    StoreUnavailable
        If the database does not answer; what was loaded until then is kept.
    """
    from service.composition import now_us

    table = read_events(file)
    pairs = table.select(["source", "deal_id"]).group_by(["source", "deal_id"]).aggregate([])
    with database.reading() as connection:
        columns = (pairs[name].to_pylist() for name in ("source", "deal_id"))
        events.check_one_crm(connection, zip(*columns, strict=True))
    loaded = Loaded()
    for first in range(0, table.num_rows, LOADED_AT_ONCE):
        rows = table.slice(first, LOADED_AT_ONCE).select(COLUMNS).to_pylist()
        with database.writing() as connection:
            _load(connection, rows, now_us(), loaded)
    return loaded


def _load(connection: Connection, rows: list[dict[str, object]], at: int, loaded: Loaded) -> None:
    told = [event_from_row(row) for row in rows]
    appended = events.append(connection, tombstones.without_forgotten(connection, told), at=at)
    feeds.add(connection, appended.new)
    deals.open_for_now(connection, {event.deal_id for event in appended.new})
    loaded.told += len(told)
    loaded.new += len(appended.new)
    loaded.conflicts += [
        f"event {each.source_id!r} of {each.source!r} is there with other content, which stands"
        for each in appended.conflicting
    ]
