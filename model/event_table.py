"""The one columnar form of events: Parquet, CSV and database rows share this schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from model.errors import EventError
from model.events import (
    COLUMNS,
    EARLIEST,
    EARLIEST_DATE,
    FIRST_IN_A_MOMENT,
    KINDS,
    LATEST,
    LATEST_DATE,
    NEEDS,
    Event,
    microseconds,
)
from model.places import whole_file

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
# Of one moment a reopening comes first: it does not "follow".
ORDER: Final = ("deal_id", "occurred_at", "known_at", "source", "source_id")
SORTED_BY: Final = (*ORDER[:3], "follows", *ORDER[3:])
REQUIRED: Final = ("deal_id", "kind", "occurred_at", "source", "source_id")
ROW_GROUP_EVENTS: Final = 500_000  # rows of one Parquet row group
CSV_EVENT_BYTES: Final = 60  # of a short one, so that a file is taken for more shards, not fewer
SHARD_EVENTS: Final = 50_000  # about those of a shard: many, so that all cores end together
BATCH_EVENTS: Final = 65_536  # rows read from Parquet at a time
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
    """The same events in the order of `ORDER`; of one moment a reopening comes first."""
    if table.num_rows < 2:
        return table
    table = table.combine_chunks()  # sorting and taking are slow over many chunks
    deals = table["deal_id"].combine_chunks().dictionary_encode()
    rank = np.empty(len(deals.dictionary), np.int64)
    rank[np.asarray(pc.sort_indices(deals.dictionary))] = np.arange(rank.size)
    # Numbers first: texts are then compared only where deal and times are the same.
    keys = table.select(ORDER).set_column(0, "deal_id", pa.array(rank[np.asarray(deals.indices)]))
    keys = keys.append_column("follows", pc.not_equal(table["kind"], FIRST_IN_A_MOMENT))
    order = pc.sort_indices(keys, [(column, "ascending") for column in SORTED_BY])
    if pc.all(pc.equal(order, np.arange(table.num_rows))).as_py():
        return table
    return table.take(order)


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
        If a column is unknown, missing or of another type, a kind is unknown or without what it
        must carry, a time is naive or outside 1970 to 2199, a number is not finite, or
        `known_at` lies before `occurred_at`.
    """
    try:
        names = table.column_names
    except UnicodeDecodeError as error:
        raise EventError(f"{given}, a column's name", "UTF-8", "save it as UTF-8") from error
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise EventError(f"{given} with column {min(twice)!r} twice", "each once", "rename one")
    unknown = sorted(set(names) - set(COLUMNS))
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
    if pc.any(pc.equal(table["deal_id"], "")).as_py():
        raise EventError(f"{given}, deal_id ''", "the deal's id", "name the deal of every event")
    _check_kinds(table, given)
    for name in ("occurred_at", "known_at"):
        _check_range(table, name, microseconds(EARLIEST), microseconds(LATEST), given)
    _check_range(table, "date", 0, (LATEST_DATE - EARLIEST_DATE).days, given)
    if pc.any(pc.less(table["known_at"], table["occurred_at"])).as_py():
        raise EventError(
            f"{given}, a known_at before its occurred_at",
            "facts known when they happened, at the earliest",
            "run redflare import, which raises and counts them",
        )
    for name in ("number", "span"):
        if pc.all(pc.is_finite(table[name])).as_py() is False:
            raise EventError(f"{given}, {name} NaN or infinite", "finite numbers", "leave it empty")


def _check_kinds(table: pa.Table, given: str) -> None:
    for kind in pc.unique(table["kind"]).to_pylist():
        if kind not in KINDS:
            raise EventError(f"{given}, kind {kind!r}", "one of " + ", ".join(KINDS), "map it")
    for name in sorted(set().union(*NEEDS.values())):
        if not table[name].null_count:
            continue
        kinds = [kind for kind, needs in NEEDS.items() if name in needs]
        bare = table["kind"].filter(pc.is_null(table[name]))
        wrong = pc.unique(bare.filter(pc.is_in(bare, pa.array(kinds)))).to_pylist()
        if wrong:
            raise EventError(
                f"{given}, {wrong[0]} without {name}",
                f"a {name}: {KINDS[wrong[0]][0]}",
                f"give the {name}, or drop the row",
            )


def _check_range(table: pa.Table, name: str, first: int, end: int, given: str) -> None:
    """Refuse times and dates that are no facts; as integers, so that any year can be compared."""
    numbers = table[name].cast(pa.int32() if name == "date" else pa.int64())
    bounds = pc.min_max(numbers).as_py()
    for value in (bounds["min"], bounds["max"]):
        if value is not None and not first <= value < end:
            shown = pa.scalar(value, numbers.type).cast(table.schema.field(name).type)
            raise EventError(
                f"{given}, {name} {pc.strftime(shown, '%Y-%m-%d').as_py()}",
                f"a time from {EARLIEST.year} to {LATEST.year - 1}",
                "correct or drop the row",
            )


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
    check_suffix(path)
    table = sort_events(check_events(table, str(path)))
    with whole_file(path) as part:
        if path.suffix == ".parquet":
            pq.write_table(table, part, row_group_size=ROW_GROUP_EVENTS, compression="zstd")
        else:
            pa_csv.write_csv(table, part)


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
    _check_file(path)
    with _reading(path):
        table = pq.read_table(path) if path.suffix == ".parquet" else _read_csv(path)
    return check_events(table, str(path))


def _read_csv(path: Path) -> pa.Table:
    # What is empty without quotes is missing; "NA" and "null" may be names.
    options = pa_csv.ConvertOptions(
        column_types={field.name: field.type for field in EVENT_SCHEMA},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parsing = pa_csv.ParseOptions(newlines_in_values=True)
    try:
        return pa_csv.read_csv(path, parse_options=parsing, convert_options=options)
    except pa.ArrowInvalid:
        one = pa_csv.ReadOptions(use_threads=False)  # only a single thread tells the row
        return pa_csv.read_csv(path, one, parsing, options)


def check_suffix(path: Path) -> None:
    """Refuse a name that no events can be written to.

    Raises
    ------
    EventError
        If it ends otherwise than in one of `SUFFIXES`.
    """
    if path.suffix not in SUFFIXES:
        raise EventError(f"{path}", "a file ending in " + " or ".join(SUFFIXES), "rename it")


def _check_file(path: Path) -> None:
    if not path.is_file():
        given = f"{path}, a directory" if path.is_dir() else f"{path}, which is not there"
        raise EventError(given, "a file of events", "check the name")
    check_suffix(path)
    if path.stat().st_size == 0:
        raise EventError(f"{path}, an empty file", "events", "check what wrote it")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say of a file that Arrow cannot read which it is."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise EventError(
            f"{path}", f"a readable {path.suffix} file ({error})", "check what wrote it"
        ) from error


def read_deal(path: Path | str, deal_id: str) -> pa.Table:
    """The events of one deal; from Parquet without loading the others.

    Raises
    ------
    EventError
        If no event is of that deal, or as `read_events`.
    """
    path = Path(path)
    if path.suffix == ".parquet" and path.exists():
        _check_file(path)
        with _reading(path):
            if "deal_id" in pq.read_schema(path).names:
                filters = [("deal_id", "=", deal_id)]
                table = check_events(pq.read_table(path, filters=filters), str(path))
            else:
                table = read_events(path)
    else:
        table = read_events(path)
        table = table.filter(pc.equal(table["deal_id"], deal_id))
    if table.num_rows == 0:
        raise EventError(f"deal {deal_id!r}", f"a deal with events in {path}", "check the id")
    return table


def read_columns(path: Path | str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Some columns of all events, piece by piece, without loading the others.

    Parameters
    ----------
    columns
        Names of columns that every row fills.

    Yields
    ------
    pa.Table
        Those columns as `EVENT_SCHEMA` has them; their values are for `read_shards` to check.

    Raises
    ------
    EventError
        If the file is empty, of another kind, or lacks a value.
    """
    path = Path(path)
    _check_file(path)
    if path.suffix != ".parquet" or not _holds(path, REQUIRED):
        yield read_events(path).select(columns)
        return
    with _reading(path), pq.ParquetFile(path) as file:
        wanted = [n for n in file.schema_arrow.names if n in {*columns, "occurred_at"}]
        for batch in file.iter_batches(ROW_GROUP_EVENTS, columns=wanted):
            table = pa.table(batch)
            piece = {n: _cast(table, EVENT_SCHEMA.field(n), str(path)) for n in columns}
            for name, column in piece.items():
                if column.null_count:
                    raise EventError(
                        f"{path}, column {name}", "a value in every row", "drop such rows"
                    )
            yield pa.table(piece)


def column_names(path: Path | str) -> list[str]:
    """The columns that a file of events has."""
    path = Path(path)
    _check_file(path)
    with _reading(path):
        if path.suffix == ".parquet":
            return list(pq.read_schema(path).names)
        with pa_csv.open_csv(path) as reader:
            return list(reader.schema.names)


def _holds(path: Path, columns: Sequence[str]) -> bool:
    with _reading(path):
        return set(columns) <= set(pq.read_schema(path).names)


def read_shards(path: Path | str) -> Iterator[pa.Table]:
    """Whole deals in pieces of about `SHARD_EVENTS`, so that no file need fit in memory.

    Yields
    ------
    pa.Table
        Checked events; every deal's events lie in one piece.

    Raises
    ------
    EventError
        As `read_events`; a CSV file, or a Parquet file not sorted by deal, is read and sorted
        whole.
    """
    path = Path(path)
    _check_file(path)
    if path.suffix == ".parquet" and _sorted_by_deal(path):
        batches = _read_batches(path)
    else:
        whole = sort_events(read_events(path)).combine_chunks()
        batches = (
            whole.slice(first, SHARD_EVENTS) for first in range(0, whole.num_rows, SHARD_EVENTS)
        )
    waiting: list[pa.Table] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        if rows < SHARD_EVENTS:
            continue
        table = pa.concat_tables(waiting)
        # The last deal may go on in the next batch.
        cut = pc.index(table["deal_id"], table["deal_id"][-1]).as_py()
        if cut:
            yield table.slice(0, cut)
        waiting = [table.slice(cut)]
        rows -= cut
    if rows:
        yield pa.concat_tables(waiting)


def fewest_shards(path: Path | str) -> int:
    """About how many pieces `read_shards` makes of a file; for a CSV file from its size."""
    path = Path(path)
    _check_file(path)
    if path.suffix != ".parquet":
        return 1 + path.stat().st_size // (SHARD_EVENTS * CSV_EVENT_BYTES)
    with _reading(path):
        return 1 + int(pq.read_metadata(path).num_rows) // SHARD_EVENTS


def _read_batches(path: Path) -> Iterator[pa.Table]:
    with _reading(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_EVENTS):
            yield check_events(pa.table(batch), str(path))


def _sorted_by_deal(path: Path) -> bool:
    """Whether the rows show deals in ascending order."""
    last = ""
    with _reading(path), pq.ParquetFile(path) as file:
        if "deal_id" not in file.schema_arrow.names:
            return False
        for batch in file.iter_batches(BATCH_EVENTS, columns=["deal_id"]):
            deals = pa.concat_arrays([pa.array([last]), batch.column(0).cast(pa.string())])
            if not pc.all(pc.less_equal(deals[:-1], deals[1:])).as_py():
                return False
            last = deals[-1].as_py() or last
    return True


def event_from_row(row: dict[str, Any]) -> Event:
    """One validated event from a row of the table, for instance ``table.to_pylist()[0]``."""
    values: dict[str, Any] = {column: row.get(column) for column in COLUMNS}
    return Event(**values)
