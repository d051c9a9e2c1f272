"""Events and artifacts that `score` and `explain` cannot use, or can in spite of all."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.event_table import EVENT_SCHEMA, read_events, write_events
from service import cli
from tests.service.commands import AS_OF, CLOSE_BY, Run, done, refusal


@pytest.mark.parametrize("command", ["score", "explain"])
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.parquet", None, "none.parquet, which is not there"),
        ("none.csv", None, "none.csv, which is not there"),
        ("empty.parquet", b"", "an empty file: expected events"),
        ("empty.csv", b"", "an empty file: expected events"),
        ("torn.parquet", b"PAR1 no more", "expected a readable .parquet file"),
        ("torn.csv", b'deal_id,kind\n"D-1', "events.*|expected "),
        ("other.csv", b"deal,won\nD-1,yes\n", "run redflare import"),
        ("events.xlsx", b"PK", "expected a file ending in .parquet or .csv"),
    ],
)
def test_events_that_cannot_be_read_are_refused(
    command: str, name: str, content: bytes | None, told: str, run: Run, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    deal = ["D-1"] if command == "explain" else []

    err = refusal(run(command, tmp_path / name, *deal, "--as-of", AS_OF, "--close-by", CLOSE_BY))
    assert re.search(told, err), err


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ({"kind": ["deal_sold"]}, "e.parquet, kind 'deal_sold'"),
        ({"kind": pa.array([None], pa.string())}, "kind: expected a value in every row"),
        ({"known_at": pa.array([datetime(2026, 1, 1)])}, "times with their UTC offset"),  # noqa: DTZ001
        ({"color": ["red"]}, "column 'color'"),
    ],
)
def test_parquet_that_breaks_the_schema_is_refused(
    rows: dict[str, Any], told: str, run: Run, tmp_path: Path
) -> None:
    columns = {
        "deal_id": ["D-1"],
        "kind": ["deal_opened"],
        "occurred_at": pa.array([datetime(2026, 1, 6, tzinfo=UTC)]),
        "known_at": pa.array([datetime(2026, 1, 6, tzinfo=UTC)]),
        "source": ["crm:simulated"],
        "source_id": ["1"],
    }
    pq.write_table(pa.table({**columns, **rows}), tmp_path / "e.parquet")

    assert told in refusal(run("score", tmp_path / "e.parquet", "--as-of", AS_OF, "--within", 7))


def test_parquet_without_known_at_takes_the_time_of_the_event(run: Run, tmp_path: Path) -> None:
    at = datetime(2026, 1, 6, tzinfo=UTC)
    table = pa.table(
        {
            "deal_id": ["D-1"],
            "kind": ["deal_opened"],
            "occurred_at": pa.array([at], pa.timestamp("ms", tz="UTC")),
            "source": ["crm:simulated"],
            "source_id": ["1"],
        }
    )
    pq.write_table(table, tmp_path / "bare.parquet")
    known = pa.chunked_array([pa.array([None], pa.timestamp("us", tz="UTC"))])
    pq.write_table(table.append_column("known_at", known), tmp_path / "null.parquet")

    asked = ("--as-of", AS_OF, "--within", 7)
    status, out, err = run("score", tmp_path / "bare.parquet", *asked)
    assert (status, out) == (cli.DONE, done(run("score", tmp_path / "null.parquet", *asked)))
    assert err.endswith(
        "bare.parquet without the column known_at: every fact is taken as known when it occurred "
        "(occurred_at), also where it was logged later\n"
    )


def test_events_of_no_source_that_training_met_are_warned_of(
    run: Run, events: Path, tmp_path: Path
) -> None:
    table = read_events(events)
    place = table.column_names.index("source")
    other = pa.array(["elsewhere"] * table.num_rows)
    write_events(table.set_column(place, "source", other), tmp_path / "e.parquet")
    _, _, err = run("score", tmp_path / "e.parquet", "--as-of", AS_OF, "--within", 7)
    assert "(elsewhere) was met in training (" in err


def test_a_file_without_events_says_so(run: Run, tmp_path: Path) -> None:
    write_events(EVENT_SCHEMA.empty_table(), tmp_path / "none.parquet")
    err = refusal(run("score", tmp_path / "none.parquet", "--as-of", AS_OF, "--within", 7))
    assert "none.parquet, without an event: expected events" in err


def test_a_bad_time_of_a_csv_names_its_row(run: Run, events: Path, tmp_path: Path) -> None:
    write_events(read_events(events).slice(0, 3), tmp_path / "e.csv")
    lines = (tmp_path / "e.csv").read_text("utf-8").splitlines()
    lines[2] = lines[2].replace("20", "soon 20", 1)
    (tmp_path / "e.csv").write_text("\n".join(lines) + "\n", "utf-8")
    err = refusal(run("score", tmp_path / "e.csv", "--as-of", AS_OF, "--within", 7))
    assert "Row #3" in err


@pytest.mark.parametrize("name", ["model.json", "tables.npz", "manifest.json"])
def test_an_artifact_with_one_flipped_bit_is_refused(
    name: str, run: Run, events: Path, small_artifact: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(small_artifact, tmp_path / "artifact"))
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)

    err = refusal(run("score", events, "--as-of", AS_OF, "--within", 7, artifact=copy))
    assert name in err
    assert "copy the directory again" in err


def test_an_artifact_of_a_newer_schema_is_refused(
    run: Run, events: Path, small_artifact: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(small_artifact, tmp_path / "artifact"))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["schema_version"] += 1
    (copy / "manifest.json").write_text(json.dumps(manifest))

    assert "upgrade redflare" in refusal(
        run("explain", events, "D-1", "--as-of", AS_OF, "--close-by", CLOSE_BY, artifact=copy)
    )


def test_no_artifact_is_refused(run: Run, events: Path, tmp_path: Path) -> None:
    assert "expected a directory that redflare train wrote" in refusal(
        run("score", events, "--as-of", AS_OF, "--within", 7, artifact=tmp_path / "none")
    )
