"""Events as a table: written, read back, read in pieces, and refused in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import event_table
from model.errors import EventError
from model.event_table import (
    EVENT_SCHEMA,
    ORDER,
    check_events,
    event_from_row,
    read_deal,
    read_events,
    read_shards,
    sort_events,
    table_of,
    write_events,
)
from model.events import Event
from tests.factories import deal_event
from tests.model.histories import histories

FORMATS = pytest.mark.parametrize("suffix", [".parquet", ".csv"])
# Texts that a careless reader of CSV takes for missing, for two rows, or for two columns.
TRICKY = ["NA", "null", "", "nan", "a,b", 'say "hi"', "two\nlines", " x ", "é", "0", "true"]


def rich_event(name: str = "seats") -> Event:
    return deal_event(
        "field_changed",
        at=1.25,
        known=2.000001,
        name=name,
        text=name,
        number=0.1 + 0.2,
        date=date(2026, 2, 28),
        person="p1",
        thread="t1",
        span=0.5,
    )


@FORMATS
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    events = [deal_event(), rich_event(), *(rich_event(name) for name in TRICKY)]
    path = tmp_path / f"events{suffix}"

    write_events(table_of(events), path)

    read = read_events(path)
    assert read.schema == EVENT_SCHEMA
    assert read.equals(table_of(events))
    assert [event_from_row(row) for row in read.to_pylist()] == sorted(
        events, key=lambda e: (e.deal_id, e.occurred_at, e.known_at, e.source, e.source_id)
    )


@settings(max_examples=10)
@given(events=histories(), suffix=st.sampled_from([".parquet", ".csv"]))
def test_any_history_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], suffix: str
) -> None:
    path = tmp_path_factory.mktemp("history") / f"events{suffix}"

    write_events(table_of(events), path)

    assert read_events(path).equals(table_of(events))


def test_rows_stand_by_deal_and_time(tmp_path: Path) -> None:
    events = [
        deal_event(at=2, deal_id="b"),
        deal_event(at=1, deal_id="b", known=3),
        deal_event(at=1, deal_id="b", known=2),
        deal_event(at=9, deal_id="a"),
    ]
    path = tmp_path / "events.parquet"

    write_events(pa.concat_tables([table_of([event]) for event in events]), path)

    rows = read_events(path).select(list(ORDER)).to_pylist()
    assert [(row["deal_id"], row["known_at"]) for row in rows] == [
        (event.deal_id, event.known_at) for event in (events[3], events[2], events[1], events[0])
    ]


def test_writing_leaves_no_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    write_events(table_of([deal_event()]), path)

    with pytest.raises(EventError):
        write_events(table_of([deal_event()]).drop_columns(["kind"]), path)

    assert read_events(path).num_rows == 1
    assert [each.name for each in tmp_path.iterdir()] == ["events.parquet"]


def test_columns_that_may_be_missing_are_filled_in() -> None:
    table = table_of([deal_event(at=1)])

    needed = table.select(["deal_id", "kind", "occurred_at", "source", "source_id"])

    assert check_events(needed, "events.parquet").equals(table)


def test_a_missing_known_at_is_its_occurred_at() -> None:
    table = table_of([deal_event(at=1, known=2), deal_event(at=3, known=4)])
    known = pa.chunked_array([pa.array([table["known_at"][0], None], table["known_at"].type)])

    checked = check_events(replaced(table, "known_at", known), "events.parquet")

    assert checked["known_at"].to_pylist() == [
        table["known_at"][0].as_py(),
        table["occurred_at"][1].as_py(),
    ]


def test_other_units_and_dictionaries_are_cast() -> None:
    table = table_of([deal_event(at=1)])
    table = replaced(table, "kind", table["kind"].dictionary_encode())
    table = replaced(table, "occurred_at", table["occurred_at"].cast(pa.timestamp("ns", tz="UTC")))

    assert check_events(table, "events.parquet").schema == EVENT_SCHEMA


def replaced(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), column, values)


def constant(column: str, value: Any, kind: pa.DataType | None = None) -> Callable[..., pa.Table]:
    """A change of every row: this column holds this value."""

    def change(table: pa.Table) -> pa.Table:
        as_type = kind or EVENT_SCHEMA.field(column).type
        return replaced(table, column, pa.array([value] * table.num_rows, as_type))

    return change


NAIVE = pa.timestamp("us")
BAD_TABLES: list[tuple[Callable[[pa.Table], pa.Table], str]] = [
    (
        lambda table: table.append_column("stage", table["name"]),
        r"shop\.parquet with column 'stage': expected the event columns .*redflare import",
    ),
    (
        lambda table: table.drop_columns(["occurred_at"]),
        r"shop\.parquet without column occurred_at: expected the event columns",
    ),
    (constant("kind", None), r"shop\.parquet, column kind: expected a value in every row"),
    (constant("source_id", None), r"column source_id: expected a value in every row"),
    (constant("deal_id", ""), r"shop\.parquet, deal_id '': expected the deal's id"),
    (constant("kind", "deal_closed"), r"kind 'deal_closed': expected one of deal_opened"),
    (constant("kind", "amount_changed"), r"amount_changed without number: expected a number"),
    (constant("kind", "milestone_set"), r"milestone_set without date: expected a date"),
    (constant("kind", "stage_changed"), r"stage_changed without name: expected a name"),
    (
        constant("occurred_at", 0, NAIVE),
        r"column occurred_at of type timestamp\[us\]: expected times with their UTC offset",
    ),
    (
        constant("occurred_at", "2026-01-05T09:30:00Z", pa.string()),
        r"column occurred_at of type string: expected times with their UTC offset",
    ),
    (constant("known_at", -1), r"known_at 1969-12-31: expected a time from 1970 to 2199"),
    (constant("known_at", 2**53), r"known_at 2255-06-05: expected a time from 1970 to 2199"),
    (constant("known_at", 2**62), r"known_at .*: expected a time from 1970 to 2199"),
    (constant("known_at", 0), r"a known_at before its occurred_at: expected facts known when"),
    (constant("date", -1), r"date 1969-12-31: expected a time from 1970 to 2199"),
    (constant("date", 2**30), r"date .*: expected a time from 1970 to 2199"),
    (constant("number", float("nan")), r"number NaN or infinite: expected finite numbers"),
    (constant("span", float("inf")), r"span NaN or infinite: expected finite numbers"),
    (constant("number", "many", pa.string()), r"column number of type string: expected double"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_TABLES, ids=[told for _, told in BAD_TABLES])
def test_tables_that_break_the_schema_are_refused(
    spoil: Callable[[pa.Table], pa.Table], message: str
) -> None:
    table = spoil(table_of([deal_event(at=1), deal_event(at=2)]))

    with pytest.raises(EventError, match=message):
        check_events(table, "shop.parquet")


@FORMATS
def test_an_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}"
    path.touch()

    for read in (read_events, lambda file: list(read_shards(file)), lambda f: read_deal(f, "D-1")):
        with pytest.raises(EventError, match="an empty file: expected events"):
            read(path)


@FORMATS
def test_a_file_of_something_else_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}"
    path.write_bytes(b"\x00\xff\xfe garbage, not\na,table\n")

    for read in (read_events, lambda file: list(read_shards(file)), lambda f: read_deal(f, "D-1")):
        with pytest.raises(EventError, match=r"events\.(csv|parquet)"):
            read(path)


@pytest.mark.parametrize("read", [read_events, lambda f: list(read_shards(f))])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    (tmp_path / "events.xlsx").write_bytes(b"PK")
    with pytest.raises(EventError, match=r"expected a file ending in \.parquet or \.csv"):
        read(tmp_path / "events.xlsx")
    with pytest.raises(EventError, match=r"none\.parquet, which is not there"):
        read(tmp_path / "none.parquet")
    with pytest.raises(EventError, match=r", a directory: expected a file of events"):
        read(tmp_path)
    with pytest.raises(EventError, match=r"events\.json: expected a file ending in"):
        write_events(table_of([deal_event()]), tmp_path / "events.json")


def test_a_naive_time_in_a_csv_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "deal_id,kind,occurred_at,source,source_id\nD-1,deal_opened,2026-01-05 09:30:00,crm,1\n"
    )

    with pytest.raises(EventError, match=r"events\.csv: expected a readable \.csv file .*zone"):
        read_events(path)


def test_a_csv_file_written_by_hand_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "deal_id,kind,occurred_at,name,number,date,source,source_id\n"
        "007,stage_changed,2026-01-05T10:30:00+01:00,NA,,,crm,1\n"
        "007,amount_changed,2026-01-05T09:30:00Z,,1000,,crm,2\n"
        "007,close_date_changed,2026-01-05T09:30:00Z,,,2026-03-31,crm,3\n"
    )

    stage, amount, close = read_events(path).to_pylist()

    assert (stage["deal_id"], stage["name"], stage["number"]) == ("007", "NA", None)
    assert stage["occurred_at"] == amount["occurred_at"] == stage["known_at"]
    assert (amount["name"], amount["number"]) == (None, 1000.0)
    assert close["date"] == date(2026, 3, 31)


@FORMATS
def test_one_deal_is_read_alone(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events{suffix}"
    events = [deal_event(deal_id=deal, at=at) for deal in ("a", "b", "c") for at in (1, 2)]
    write_events(table_of(events), path)

    assert read_deal(path, "b").equals(table_of(events[2:4]))
    with pytest.raises(EventError, match=r"deal 'd': expected a deal with events in .*events"):
        read_deal(path, "d")


def shards(path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> list[pa.Table]:
    monkeypatch.setattr(event_table, "SHARD_EVENTS", size)
    monkeypatch.setattr(event_table, "BATCH_EVENTS", max(size // 2, 1))
    return list(read_shards(path))


DEALS = {"a": 3, "b": 1, "c": 9, "d": 1, "e": 2}
SOME_EVENTS = [deal_event(deal_id=d, at=at) for d, n in DEALS.items() for at in range(n)]


@pytest.mark.parametrize("size", [1, 2, 4, 7, 100])
@pytest.mark.parametrize("row_group", [1, 3, 100])
@pytest.mark.parametrize("order", ["by deal", "by time", "csv"])
def test_a_shard_holds_whole_deals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, row_group: int, order: str
) -> None:
    path = tmp_path / ("events.csv" if order == "csv" else "events.parquet")
    table = table_of(SOME_EVENTS)
    if order == "csv":
        write_events(table, path)
    else:
        table = table if order == "by deal" else table.sort_by("occurred_at")
        pq.write_table(table, path, row_group_size=row_group)

    pieces = shards(path, monkeypatch, size)

    deals = [set(piece["deal_id"].to_pylist()) for piece in pieces]
    assert sum(map(len, deals)) == len(DEALS)
    assert sort_events(pa.concat_tables(pieces)).equals(table_of(SOME_EVENTS))
    longest = max(DEALS.values())
    assert all(piece.num_rows <= size + longest for piece in pieces)
    assert size < 100 or len(pieces) == 1


def test_shards_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.parquet"
    bad = constant("kind", "deal_closed")(table_of(SOME_EVENTS))
    pq.write_table(bad, path)

    with pytest.raises(EventError, match="kind 'deal_closed'"):
        shards(path, monkeypatch, 4)


def test_a_file_without_rows_has_no_shard(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    write_events(table_of([]), path)

    assert list(read_shards(path)) == []
    assert read_events(path).num_rows == 0
