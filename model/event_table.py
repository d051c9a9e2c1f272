"""The one columnar form of events: Parquet, CSV and database rows share this schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from model.errors import EventError
from model.events import COLUMNS, EARLIEST, KINDS, LATEST, Event

TIME: Final = pa.timestamp("us", tz="UTC")
EVENT_SCHEMA: Final = pa.schema(
    [
        pa.field("deal_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("occurred_at", TIME, nullable=False),
        pa.field("known_at", TIME, nullable=False),
        pa.field("name", pa.string()),
        pa.field("text", pa.string()),
        pa.field("number", pa.float64()),
        pa.field("date", pa.date32()),
        pa.field("person", pa.string()),
        pa.field("thread", pa.string()),
        pa.field("span", pa.float64()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
    ]
)
ORDER: Final = ("deal_id", "occurred_at", "known_at", "source", "source_id")
REQUIRED: Final = ("deal_id", "kind", "occurred_at", "source", "source_id")
ROW_GROUP_EVENTS: Final = 500_000  # rows of one Parquet row group
SUFFIXES: Final = (".parquet", ".csv")


def table_of(events: Iterable[Event]) -> pa.Table:
    """Events as one table, in the order of `ORDER`.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> table_of([Event(deal_id="D-1", kind="deal_opened", source="crm", source_id="1",
    ...                 occurred_at=datetime(2026, 1, 5, tzinfo=UTC))]).num_rows
    1
    """
    rows = [{column: getattr(event, column) for column in COLUMNS} for event in events]
    return sort_events(pa.Table.from_pylist(rows, schema=EVENT_SCHEMA))


def sort_events(table: pa.Table) -> pa.Table:
    """The same events in the order of `ORDER`."""
    if table.num_rows < 2:
        return table
    deals = table["deal_id"].dictionary_encode().combine_chunks()
    rank = np.empty(len(deals.dictionary), np.int64)
    rank[np.asarray(pc.sort_indices(deals.dictionary))] = np.arange(rank.size)
    keys = [rank[np.asarray(deals.indices)]]
    keys += [np.asarray(table[name].cast(pa.int64())) for name in ("occurred_at", "known_at")]
    order = np.lexsort(keys[::-1])
    tied = np.ones(order.size - 1, np.bool_)
    for key in keys:
        tied &= key[order[1:]] == key[order[:-1]]
    if tied.any():  # texts are compared only where the numbers leave it open
        group = np.cumsum(np.concatenate([[True], ~tied]))
        spots = np.flatnonzero(np.append(tied, False) | np.concatenate([[False], tied]))
        open_rows = table.select(["source", "source_id"]).take(pa.array(order[spots]))
        open_rows = open_rows.append_column("group", pa.array(group[spots]))
        inner = pc.sort_indices(
            open_rows, [(name, "ascending") for name in ("group", "source", "source_id")]
        )
        order[spots] = order[spots][np.asarray(inner)]
    if (order[1:] > order[:-1]).all():
        return table
    return table.take(pa.array(order))


def check_events(table: pa.Table, given: str) -> pa.Table:
    """Give `table` the exact schema, or say what is wrong with it.

    Parameters
    ----------
    table
        Event rows; columns that may be missing are added as missing, `known_at` defaults to
        `occurred_at`, columns the schema does not know are refused.
    given
        What the table is, for the error: its file name.

    Returns
    -------
    pa.Table
        The rows with `EVENT_SCHEMA`, in their given order.

    Raises
    ------
    EventError
        If a column is unknown, missing or of another type, a kind is unknown, a time is naive,
        outside 1970 to 2199, or `known_at` lies before `occurred_at`.
    """
    unknown = sorted(set(table.column_names) - set(COLUMNS))
    if unknown:
        raise EventError(
            f"{given} with column {unknown[0]!r}",
            "the event columns " + ", ".join(COLUMNS),
            "run redflare import with a mapping that says what the columns mean",
        )
    for column in REQUIRED:
        if column not in table.column_names:
            raise EventError(
                f"{given} without column {column}",
                "the event columns " + ", ".join(REQUIRED),
                "run redflare import with a mapping that says what the columns mean",
            )
    columns = [_cast(table, field, given) for field in EVENT_SCHEMA]
    checked = pa.Table.from_arrays(columns, schema=EVENT_SCHEMA)
    _check_rows(checked, given)
    return checked


def _cast(table: pa.Table, field: pa.Field, given: str) -> pa.ChunkedArray:
    name = field.name
    if name not in table.column_names:
        if name == "known_at":
            return _cast(table, EVENT_SCHEMA.field("occurred_at"), given)
        return pa.chunked_array([pa.nulls(table.num_rows, field.type)])
    column = table[name]
    if pa.types.is_timestamp(field.type) and not (
        pa.types.is_timestamp(column.type) and column.type.tz is not None
    ):
        raise EventError(
            f"{given}, column {name} of type {column.type}",
            "times with their UTC offset",
            "write them as 2026-01-05T09:30:00Z",
        )
    try:
        cast = column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise EventError(
            f"{given}, column {name} of type {column.type}", str(field.type), str(error)
        ) from error
    if name == "known_at" and cast.null_count:
        cast = pc.coalesce(cast, table["occurred_at"].cast(field.type))
    return cast


def _check_rows(table: pa.Table, given: str) -> None:
    for name in REQUIRED:
        if table[name].null_count:
            raise EventError(f"{given}, column {name}", "a value in every row", "drop such rows")
    kinds = pc.unique(table["kind"]).to_pylist()
    for kind in kinds:
        if kind not in KINDS:
            raise EventError(f"{given}, kind {kind!r}", "one of " + ", ".join(KINDS), "map it")
    if table.num_rows == 0:
        return
    for name in ("occurred_at", "known_at"):
        bounds = pc.min_max(table[name]).as_py()
        for time in (bounds["min"], bounds["max"]):
            if not EARLIEST <= time < LATEST:
                raise EventError(
                    f"{given}, {name} {time.isoformat()}",
                    f"a time from {EARLIEST.year} to {LATEST.year - 1}",
                    "correct or drop the row",
                )
    if pc.any(pc.less(table["known_at"], table["occurred_at"])).as_py():
        raise EventError(
            f"{given}, a known_at before its occurred_at",
            "facts known when they happened, at the earliest",
            "run redflare import, which raises and counts them",
        )
    for name in ("number", "span"):
        if pc.all(pc.is_finite(table[name])).as_py() is False:
            raise EventError(f"{given}, {name} NaN or infinite", "finite numbers", "leave it empty")


def write_events(table: pa.Table, path: Path | str) -> None:
    """Write events sorted by `ORDER`, whole or not at all.

    Parameters
    ----------
    table
        Rows of `EVENT_SCHEMA`.
    path
        A file ending in .parquet or .csv.

    Raises
    ------
    EventError
        If the ending is another one, or the rows break the schema.
    """
    path = Path(path)
    _check_suffix(path)
    table = sort_events(check_events(table, str(path)))
    part = path.with_name(f".{path.name}.part")
    if path.suffix == ".parquet":
        pq.write_table(table, part, row_group_size=ROW_GROUP_EVENTS, compression="zstd")
    else:
        pa_csv.write_csv(table, part)
    part.replace(path)


def read_events(path: Path | str) -> pa.Table:
    """Read all events of a file, checked.

    Raises
    ------
    EventError
        If the file is empty, of another kind, or breaks the schema.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(path)
    _check_suffix(path)
    if path.stat().st_size == 0:
        raise EventError(f"{path}, an empty file", "events", "check what wrote it")
    try:
        table = pq.read_table(path) if path.suffix == ".parquet" else _read_csv(path)
    except pa.ArrowInvalid as error:
        raise EventError(
            f"{path}", f"a readable {path.suffix} file ({error})", "check what wrote it"
        ) from error
    return check_events(table, str(path))


def _read_csv(path: Path) -> pa.Table:
    types = {field.name: field.type for field in EVENT_SCHEMA}
    options = pa_csv.ConvertOptions(column_types=types, strings_can_be_null=True)
    return pa_csv.read_csv(path, convert_options=options)


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise EventError(f"{path}", "a file ending in " + " or ".join(SUFFIXES), "rename it")


def read_deal(path: Path | str, deal_id: str) -> pa.Table:
    """The events of one deal; from Parquet without loading the others.

    Raises
    ------
    EventError
        If no event is of that deal.
    """
    path = Path(path)
    _check_suffix(path)
    if path.suffix == ".parquet":
        table = check_events(pq.read_table(path, filters=[("deal_id", "=", deal_id)]), str(path))
    else:
        table = read_events(path)
        table = table.filter(pc.equal(table["deal_id"], deal_id))
    if table.num_rows == 0:
        raise EventError(f"deal {deal_id!r}", f"a deal with events in {path}", "check the id")
    return table


def read_shards(path: Path | str) -> Iterator[pa.Table]:
    """Whole deals in pieces of about a row group each, so that no file need fit in memory.

    Yields
    ------
    pa.Table
        Checked events; every deal's events lie in one piece.

    Raises
    ------
    EventError
        As `read_events`; a Parquet file not sorted by deal is read and sorted whole.
    """
    path = Path(path)
    _check_suffix(path)
    if path.suffix != ".parquet" or not _sorted_by_deal(path):
        yield sort_events(read_events(path))
        return
    rest: pa.Table | None = None
    with pq.ParquetFile(path) as file:
        for index in range(file.num_row_groups):
            table = check_events(file.read_row_group(index), str(path))
            if rest is not None and rest.num_rows:
                table = pa.concat_tables([rest, table])
            last = table["deal_id"][-1].as_py()
            cut = pc.index(table["deal_id"], last).as_py()
            if cut:
                yield table.slice(0, cut)
            rest = table.slice(cut)
    if rest is not None and rest.num_rows:
        yield rest


def _sorted_by_deal(path: Path) -> bool:
    """Whether the row groups' own statistics and rows show deals in ascending order."""
    with pq.ParquetFile(path) as file:
        if file.schema_arrow.get_field_index("deal_id") < 0:
            return False
        last = ""
        for index in range(file.num_row_groups):
            deals = file.read_row_group(index, columns=["deal_id"])["deal_id"].cast(pa.string())
            if len(deals) == 0:
                continue
            merged = pa.chunked_array([pa.array([last]), *deals.chunks]).combine_chunks()
            if not pc.all(pc.less_equal(merged[:-1], merged[1:])).as_py():
                return False
            last = deals[-1].as_py()
    return True


def event_from_row(row: dict[str, Any]) -> Event:
    """One validated event from a row of the table, for instance ``table.to_pylist()[0]``."""
    values: dict[str, Any] = {column: row.get(column) for column in COLUMNS}
    return Event(**values)
