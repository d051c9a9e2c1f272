"""The command `score` on real files, as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from model.event_table import EVENT_SCHEMA, SHARD_EVENTS, read_events, write_events
from model.score import score_from_json
from service import cli
from service.batch import useful_jobs
from tests.service.commands import AS_OF, CLOSE_BY, NOW, Run, done, forecast, refusal

HEADER = [
    *("deal_id", "as_of", "days", "probability", "low", "high"),
    *("gated_probability", "data_quality", "basis"),
]


def shown_range(score: dict[str, Any]) -> str:
    """The range of the model's own probability; a zero by declaration has none."""
    ends = score["interval"]
    own = forecast(score) == score["probability"]
    return f"{ends['low']:.0%} to {ends['high']:.0%}" if own else ""


def table_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def event_row(deal_id: str, kind: str, at: datetime, **values: Any) -> dict[str, Any]:
    return {
        "deal_id": deal_id,
        "kind": kind,
        "occurred_at": at,
        "known_at": at,
        "source": "another crm",
        "source_id": f"{deal_id}-{kind}-{at.isoformat()}",
        **values,
    }


def test_no_more_processes_are_started_than_there_are_shards_and_cores(events: Path) -> None:
    rows = pq.read_metadata(events).num_rows
    shards = 1 + rows // SHARD_EVENTS
    assert useful_jobs(events, 99_999) == min(shards, os.cpu_count() or 1)
    assert useful_jobs(events, 1) == 1


def test_score_prints_the_riskiest_deals_with_their_drivers(
    run: Run, events: Path, scores: list[dict[str, Any]]
) -> None:
    out = done(run("score", events, "--as-of", AS_OF, "--close-by", CLOSE_BY, "--riskiest", 3))

    assert out.startswith(
        f"The 3 least probable of {len(scores)} open deals as of {AS_OF}, to be won by {CLOSE_BY}."
    )
    shown = re.findall(r"^(D-\d+) +([\d.]+%)  +(\d+% to \d+%)? +(\S.+)", out, re.MULTILINE)
    assert [row[:3] for row in shown] == [
        (score["deal_id"], f"{forecast(score):.1%}", shown_range(score)) for score in scores[:3]
    ]
    missed = scores[0]["gates"]["missed"][0]  # the simulated company has some
    assert shown[0][3].startswith(f"MUST-HIT {missed['name']!r} MISSED on {missed['due']}")


def test_score_json_is_a_list_of_scores_least_probable_first(
    scores: list[dict[str, Any]],
) -> None:
    probabilities = [forecast(score) for score in scores]

    assert len(scores) > 20
    assert probabilities == sorted(probabilities)
    for score in scores:
        assert score["interval"]["low"] <= score["probability"] <= score["interval"]["high"]
        told = score["average_probability"] + sum(d["points"] for d in score["drivers"])
        assert told + score["other_points"] == pytest.approx(score["probability"], abs=1e-9)
        assert score_from_json(score).close_by == CLOSE_BY


def test_score_within_days_gives_a_row_for_each_deal_and_day(
    run: Run, events: Path, scores: list[dict[str, Any]]
) -> None:
    out = done(run("score", events, "--as-of", AS_OF, "--within", 7, 14, 30))
    header, *rows = csv.reader(out.splitlines())

    assert header == HEADER
    assert len(rows) == 3 * len(scores)
    assert {row[0] for row in rows} == {score["deal_id"] for score in scores}
    by_deal = np.array([float(row[3]) for row in rows]).reshape(-1, 3)
    assert [float(row[2]) for row in rows[:3]] == [7.0, 14.0, 30.0]
    assert (np.diff(by_deal, axis=1) > 0.0).all()
    assert {row[1] for row in rows} == {NOW.isoformat()}


def test_the_riskiest_within_days_are_whole_deals_least_probable_first(
    run: Run, events: Path
) -> None:
    every = ("score", events, "--as-of", AS_OF, "--within", 7, 30, "--json")
    rows = json.loads(done(run(*every)))
    last = {
        row["deal_id"]: (row["gated_probability"], row["probability"])
        for row in rows
        if row["days"] == 30.0
    }

    riskiest = json.loads(done(run(*every, "--riskiest", 4)))

    expected = sorted(last, key=lambda deal: last[deal])[:4]
    assert [row["deal_id"] for row in riskiest] == [deal for deal in expected for _ in range(2)]
    assert [row["days"] for row in riskiest] == [7.0, 30.0] * 4
    assert all(row in rows for row in riskiest)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_out_holds_every_open_deal_with_its_main_drivers(
    suffix: str, run: Run, events: Path, scores: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "new" / f"scores{suffix}"

    printed = done(run("score", events, "--as-of", AS_OF, "--close-by", CLOSE_BY, "--out", out))

    rows = table_rows(out)
    assert printed == f"{len(scores)} rows of {len(scores)} open deals in {out}\n"
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    by_deal = {score["deal_id"]: score for score in scores}
    assert {row["deal_id"] for row in rows} == set(by_deal)
    for row in rows:
        score = by_deal[row["deal_id"]]
        assert float(row["probability"]) == pytest.approx(score["probability"], abs=1e-12)
        for place, driver in enumerate(score["drivers"][:3], start=1):
            assert float(row[f"points_{place}"]) == pytest.approx(driver["points"], abs=1e-12)
        assert row["driver_1"] == score["drivers"][0]["phrase"]
        assert row["model_version"] == score["model_version"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_out_within_days_holds_what_is_printed(
    suffix: str, run: Run, events: Path, tmp_path: Path
) -> None:
    asked = ("score", events, "--as-of", AS_OF, "--within", 7, 14)
    printed = json.loads(done(run(*asked, "--json")))

    done(run(*asked, "--out", tmp_path / f"within{suffix}"))

    rows = table_rows(tmp_path / f"within{suffix}")
    assert [(r["deal_id"], float(r["days"]), float(r["probability"])) for r in rows] == [
        (r["deal_id"], r["days"], r["probability"]) for r in printed
    ]


def test_events_as_csv_and_several_processes_give_the_same_scores(
    run: Run,
    events: Path,
    scores: list[dict[str, Any]],
    tmp_path: Path,
    small_artifact: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    copy = tmp_path / "events.csv"
    write_events(read_events(events), copy)
    asked = ["--as-of", AS_OF, "--close-by", CLOSE_BY, "--json"]

    assert json.loads(done(run("score", copy, *asked))) == scores
    status = cli.main(
        ["score", str(events), "--artifact", str(small_artifact), *asked, "--jobs", "2"]
    )
    assert status == cli.DONE
    assert json.loads(capfd.readouterr().out) == scores


def test_what_became_known_later_changes_no_line(
    run: Run, events: Path, scores: list[dict[str, Any]], tmp_path: Path
) -> None:
    table = read_events(events)
    known = table.filter(pc.less_equal(table["known_at"], pa.scalar(NOW, EVENT_SCHEMA.types[3])))
    assert known.num_rows < table.num_rows
    write_events(known, tmp_path / "known.parquet")

    out = done(
        run("score", tmp_path / "known.parquet", "--as-of", AS_OF, "--close-by", CLOSE_BY, "--json")
    )

    assert json.loads(out) == scores


def test_what_a_new_source_carries_later_changes_nothing_before(
    run: Run, events: Path, tmp_path: Path
) -> None:
    early = [event_row("N-1", "deal_opened", NOW - timedelta(days=20))]
    later = [event_row("N-1", "customer_replied", NOW + timedelta(days=1))]
    outs = []
    for name, rows in (("early", early), ("all", early + later)):
        path = tmp_path / f"{name}.parquet"
        more = pa.Table.from_pylist(rows, schema=EVENT_SCHEMA)
        write_events(pa.concat_tables([read_events(events), more]), path)
        outs.append(done(run("explain", path, "N-1", "--as-of", AS_OF, "--close-by", CLOSE_BY)))
        scored = done(run("score", path, "--as-of", AS_OF, "--within", 30))
        outs[-1] += scored

    assert '"N-1"' in outs[0]
    assert outs[0] == outs[1]


@pytest.mark.parametrize("command", ["score", "explain"])
@pytest.mark.parametrize(("days", "is_refused"), [(7, False), (8, False), (90, False), (91, True)])
def test_a_moment_past_the_record_is_warned_of_and_far_past_it_refused(
    command: str,
    days: int,
    is_refused: bool,
    run: Run,
    events: Path,
    scores: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    table = read_events(events)
    known = table.filter(pc.less_equal(table["known_at"], pa.scalar(NOW, EVENT_SCHEMA.types[3])))
    write_events(known, tmp_path / "ends.parquet")
    last = max(known["known_at"].to_pylist())
    asked = [tmp_path / "ends.parquet", *([scores[0]["deal_id"]] if command == "explain" else [])]
    close_by = (last + timedelta(days=days + 30)).date()

    status, out, err = run(
        command,
        *asked,
        "--as-of",
        (last + timedelta(days=days)).isoformat(),
        "--close-by",
        close_by,
    )

    none_told = command == "score" and days == 90  # so late that nobody knows enough of any deal
    done_in_part = cli.DONE_IN_PART if none_told else cli.DONE
    assert status == (cli.UNUSABLE if is_refused else done_in_part)
    assert ("open deals gets a number" in err) is none_told
    assert "average deal: 0.0%" not in out
    assert bool(out) is not is_refused
    told = f"{days} days after the record of {asked[0]} ends on {last.date()}"
    assert (told in err) is (days > 7)
    assert ("bring a later export" in err) is (days > 7)
    assert err.startswith("Error: " if is_refused else "warning: " if days > 7 else "")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--as-of", "NaN", "--within", "7"], "--as-of 'NaN': expected an ISO 8601 time"),
        (["--as-of", "9999-01-01", "--within", "7"], "expected a time from 1970 to 2199"),
        (["--as-of", "2026-01-12T10:00", "--within", "7"], "expected a time with its UTC offset"),
        (["--as-of", AS_OF, "--close-by", "NaN"], "--close-by 'NaN': expected a date"),
        (["--as-of", AS_OF, "--close-by", "20260331"], "write it as 2026-03-31"),
        (["--as-of", AS_OF, "--close-by", "2026-W14-2"], "write it as 2026-03-31"),
        (["--as-of", AS_OF, "--close-by", "9999-12-31"], "at most 180 days, until 2026-07-11"),
        (
            ["--as-of", AS_OF, "--close-by", "2026-01-11"],
            "--close-by 2026-01-11, which ends before",
        ),
        (["--as-of", AS_OF, "--within", "nan"], "Remedy: give a number of days"),
        (["--as-of", AS_OF, "--within", "inf"], "Remedy: ask for fewer days"),
        (["--as-of", AS_OF, "--within", "-1"], "Remedy: ask for days above 0"),
        (["--as-of", AS_OF, "--within", "7", "181"], "days ahead 181: "),
        (["--as-of", AS_OF, "--within", "0"], "days ahead 0: "),
        (["--as-of", AS_OF], "--close-by and --within: expected exactly one of them"),
        (
            ["--as-of", AS_OF, "--close-by", CLOSE_BY, "--within", "7"],
            "--close-by and --within: expected exactly one of them",
        ),
        (["--within", "7"], "--as-of and --points: expected exactly one of them"),
        (
            ["--as-of", AS_OF, "--points", "p.csv", "--within", "7"],
            "--as-of and --points: expected exactly one of them",
        ),
        (
            ["--as-of", AS_OF, "--within", "7", "--json", "--out", "x.csv"],
            "--out and --json: expected at most one of them",
        ),
        (
            ["--as-of", AS_OF, "--within", "7", "--out", "x.xlsx"],
            "--out x.xlsx: expected a name ending in .csv or .parquet",
        ),
        (["--as-of", AS_OF, "--within", "7", "--points", "none.csv"], "exactly one of them"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(
    asked: list[str], told: str, run: Run, events: Path
) -> None:
    assert told in refusal(run("score", events, *asked))


def test_no_event_known_yet_is_no_open_deal(run: Run, events: Path) -> None:
    asked = ("--as-of", "2020-01-12", "--within", 7, "--hindsight")

    assert "600 deals asked for, none of them open" in refusal(run("score", events, *asked))


def test_no_open_deal_is_refused_with_the_count(run: Run, events: Path, tmp_path: Path) -> None:
    table = read_events(events)
    closed = pc.unique(table.filter(pc.equal(table["kind"], "deal_lost"))["deal_id"])
    closed = closed.slice(len(closed) - 40)
    write_events(table.filter(pc.is_in(table["deal_id"], closed)), tmp_path / "closed.parquet")

    assert "40 deals asked for, none of them open as known then" in refusal(
        run("score", tmp_path / "closed.parquet", "--as-of", "2026-01-20", "--within", 7)
    )


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_scored(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "scores.csv"

    err = refusal(
        run("score", tmp_path / "none.csv", "--as-of", AS_OF, "--within", 7, "--out", out)
    )

    assert "scores.csv, where nothing can be written" in err


def test_a_date_too_far_is_refused_before_any_worker_starts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "unread.csv").write_text("no events at all")

    err = refusal(
        run("score", tmp_path / "unread.csv", "--as-of", AS_OF, "--close-by", "9999-12-31")
    )

    assert "ask for an earlier date, or train with edges that reach further" in err


def test_a_failed_command_leaves_an_earlier_output_alone(
    run: Run, events: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.csv"
    out.write_text("earlier")

    refusal(run("score", events, "--as-of", AS_OF, "--within", 999, "--out", out))

    assert out.read_text() == "earlier"
