"""Files as they are written: quotes, lines, delimiters, columns, Parquet and JSON Lines."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.imports import LOG, Folder

OPENED = "deal,at,what\nD-1,2026-01-05T09:00:00Z,opened\n"


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    ("end", "taken"),
    [
        ("", ""),
        ("\n", ""),
        (
            "\nD-1,2026-01-09T09:00:00Z,call\n",
            ": 1 line after it, up to the end of the file, was taken into it",
        ),
        ("\na\nb\n", ": 2 lines after it, up to the end of the file, were taken into it"),
    ],
)
def test_a_quote_that_is_never_closed_rejects_the_last_row_and_says_what_it_took(
    tmp_path: Path, end: str, taken: str, encoding: str
) -> None:
    folder = Folder(tmp_path, f'encoding = "{encoding}"\n' + LOG)
    rows = OPENED + 'D-1,2026-01-07T09:00:00Z,"call' + end
    summary, rejects = folder.run(log__csv=rows.encode(encoding))
    reason = "a quote that is opened in this row and never closed"
    assert [(r.line, r.reason) for r in rejects] == [(3, reason + taken)]
    assert (rejects[0].value or "").startswith("D-1,2026-01-07T09:00:00Z,call")
    assert (summary.rows_read, summary.rows_rejected) == (2, 1)
    assert folder.events("kind") == ["deal_opened"]


@pytest.mark.parametrize("what", ['5" pipe', '"a ""quoted"" call"', '"a\nlong call"', '"call"'])
def test_quotes_that_are_closed_or_are_none_reject_nothing(tmp_path: Path, what: str) -> None:
    mapping = LOG.replace('activity = "what"', 'activity = "what"\nother = "activity_logged"')
    folder = Folder(tmp_path, mapping)
    summary, _ = folder.run(log__csv=OPENED + f"D-1,2026-01-07T09:00:00Z,{what}\n")
    assert (summary.rows_read, summary.rows_rejected) == (2, 0)


def test_lines_are_counted_through_quoted_line_breaks_and_blank_lines(tmp_path: Path) -> None:
    folder = Folder(tmp_path, LOG + 'unmapped = "activity_logged"\n')
    text = (
        'deal,at,what,note\nD-1,2026-01-05T09:00:00Z,opened,"two\nlines"\n\n'
        'D-1,soon,call,"three\n\nlines"\nD-1,later,call,\n'
    )
    _, rejects = folder.run(log__csv=text)
    assert [(r.line, r.value) for r in rejects] == [(5, "soon"), (8, "later")]


def test_parquet_is_read_with_its_own_types(tmp_path: Path) -> None:
    mapping = LOG.replace('activity = "what"', 'activity = "what"\nnumber = "n"')
    folder = Folder(tmp_path, mapping)
    table = pa.table(
        {
            "deal": pa.array(["D-1", "D-1", "D-1"]),
            "at": pa.array([at(5), at(6), None], pa.timestamp("ns", "Europe/Berlin")),
            "what": pa.array(["opened", "call", "call"]).dictionary_encode(),
            "n": pa.array([1, None, 3], pa.int32()),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    _, rejects = folder.add(tmp_path / "log.parquet")
    assert [(r.line, r.reason) for r in rejects] == [(3, "missing time")]
    assert folder.events("occurred_at", "number") == [(at(5), 1.0), (at(6), None)]


def test_json_lines_are_read_and_what_is_no_json_is_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    summary, rejects = folder.run(
        log__jsonl='{"deal": "D-1", "at": "2026-01-05T09:00:00Z", "what": "opened"}\n'
        '\n{"deal": "D-1", "at": \n["D-1"]\n'
        '{"deal": "D-1", "what": "call", "at": "2026-01-06T09:00:00Z", "more": {"a": [1]}}\n'
    )
    assert [(r.line, r.reason) for r in rejects] == [
        (3, "no JSON: Expecting value"),
        (4, "no JSON object"),
    ]
    assert summary.rows_read == 4
    assert folder.events("kind") == ["deal_opened", "call_made"]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        pytest.param("[" * 100_000 + "]" * 100_000, "nested too deeply", id="deep"),
        pytest.param('"\\ud800"', "half a surrogate pair, which is no character", id="surrogate"),
        pytest.param(
            '"call", "\\ud800": 1', "half a surrogate pair, which is no character", id="key"
        ),
    ],
)
def test_a_json_line_that_no_text_can_hold_is_rejected_and_the_rest_imported(
    tmp_path: Path, what: str, reason: str
) -> None:
    folder = Folder(tmp_path)
    _, rejects = folder.run(
        log__jsonl='{"deal": "D-1", "at": "2026-01-05T09:00:00Z", "what": "opened"}\n'
        f'{{"deal": "D-1", "at": "2026-01-06T09:00:00Z", "what": {what}}}\n'
        '{"deal": "D-1", "at": "2026-01-06T09:00:00Z", "what": "call"}\n'
    )
    assert [(r.line, r.reason) for r in rejects] == [(2, reason)]
    assert folder.events("kind") == ["deal_opened", "call_made"]


def test_a_reject_after_a_very_long_field_is_still_given_its_line(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    _, rejects = folder.run(
        log__csv="deal,at,what,note\nD-1,2026-01-05T09:00:00Z,opened,"
        + "x" * 200_000
        + "\nD-1,soon,call,\n"
    )
    assert [(r.line, r.column) for r in rejects] == [(3, "at")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found_out(tmp_path: Path, delimiter: str) -> None:
    folder = Folder(tmp_path)
    folder.run(log__csv=OPENED.replace(",", delimiter))
    assert folder.events("kind") == ["deal_opened"]


def test_columns_are_found_whatever_their_capitals_and_underscores(tmp_path: Path) -> None:
    mapping = LOG.replace('"deal"', '"DealId"').replace('"at"', '"happened_at"')
    folder = Folder(tmp_path, mapping)
    folder.run(log__csv=OPENED.replace("deal,at,what", "deal_id,HappenedAt,WHAT"))
    assert folder.events("kind") == ["deal_opened"]


def test_parquet_columns_of_any_type_make_an_id(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    columns = {
        "deal": pa.array([7, 8]),
        "at": pa.array([at(5), at(6)], pa.timestamp("us", "UTC")),
        "what": pa.array(["opened", "opened"], pa.large_string()),
        "tags": pa.array([["a", "b"], None]),
        "raw": pa.array([b"\xff", b"x"]),
        "price": pa.array([Decimal("1.50"), None]),
        "hour": pa.array([None, 3_600], pa.time32("s")),
        "sure": pa.array([True, None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    summary, rejects = folder.add(tmp_path / "log.parquet")
    assert not rejects
    assert summary.events_written == 2
    assert folder.events("deal_id") == ["7", "8"]
