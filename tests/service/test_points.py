"""`score --points`: each deal at its own moments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.event_table import read_events
from service import cli
from service.tables import bar, points_text
from tests.service.commands import AS_OF, CLOSE_BY, NOW, Run, done, forecast, refusal


def points_file(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("deal_id,as_of\n" + "".join(f"{d},{t}\n" for d, t in pairs))
    return path


def test_points_score_each_deal_at_its_own_moments(
    run: Run, events: Path, scores: list[dict[str, Any]], tmp_path: Path
) -> None:
    one, other = scores[0]["deal_id"], scores[1]["deal_id"]
    later = "2026-01-14T12:00:00+00:00"
    points = points_file(tmp_path / "p.csv", [(one, AS_OF), (other, AS_OF), (one, later)])

    rows = json.loads(
        done(run("score", events, "--points", points, "--close-by", CLOSE_BY, "--json"))
    )

    assert len(rows) == 3
    assert [row for row in rows if row["as_of"] == NOW.isoformat()] == scores[:2]
    [last] = [row for row in rows if row["as_of"] == later]
    assert (last["deal_id"], last["days"]) == (one, 76.5)


def test_points_at_several_moments_show_each_its_own(
    run: Run, events: Path, scores: list[dict[str, Any]], tmp_path: Path
) -> None:
    one, other = scores[0]["deal_id"], scores[1]["deal_id"]
    points = points_file(tmp_path / "p.csv", [(one, AS_OF), (other, "2026-01-14T12:00:00+00:00")])
    out = done(run("score", events, "--points", points, "--close-by", CLOSE_BY))
    assert out.startswith("The 2 least probable of 2 points, to be won by ")
    assert "as of 2026" not in out.splitlines()[0]
    assert f"{one}  {AS_OF} " in out
    assert f"{other}  2026-01-14 12:00 " in out


@pytest.mark.parametrize(
    ("name", "said"),
    [("none.csv", "none.csv, which is not there: expected a CSV"), (".", "., a directory: expec")],
)
def test_points_of_no_file_are_refused(run: Run, events: Path, name: str, said: str) -> None:
    err = refusal(run("score", events, "--points", name, "--close-by", CLOSE_BY))
    assert f"--points {said}" in err


def test_points_may_be_parquet_with_times(
    run: Run, events: Path, scores: list[dict[str, Any]], tmp_path: Path
) -> None:
    table = pa.table({"deal_id": [scores[0]["deal_id"]], "as_of": pa.array([NOW])})
    pq.write_table(table, tmp_path / "p.parquet")

    rows = json.loads(
        done(run("score", events, "--points", tmp_path / "p.parquet", "--within", 79, "--json"))
    )

    assert rows == [
        {
            "deal_id": scores[0]["deal_id"],
            "as_of": NOW.isoformat(),
            "days": 79.0,
            "probability": pytest.approx(scores[0]["probability"], abs=1e-12),
            "low": pytest.approx(scores[0]["interval"]["low"], abs=1e-12),
            "high": pytest.approx(scores[0]["interval"]["high"], abs=1e-12),
            "gated_probability": forecast(scores[0]),
            "data_quality": scores[0]["data_quality"]["verdict"],
            "basis": scores[0]["basis"],
        }
    ]


def test_points_that_were_not_open_are_counted_and_the_rest_is_scored(
    run: Run, events: Path, scores: list[dict[str, Any]], tmp_path: Path
) -> None:
    points = points_file(
        tmp_path / "p.csv",
        [
            (scores[0]["deal_id"], AS_OF),
            (scores[0]["deal_id"], "2026-01-04"),
            (scores[0]["deal_id"], "2199-01-01T12:00:00Z"),
            ("D-000000", AS_OF),
            *((f"no such deal {i}", AS_OF) for i in range(5)),
        ],
    )

    status, out, err = run("score", events, "--points", points, "--within", 30)

    assert status == cli.DONE_IN_PART
    assert len(out.splitlines()) == 2
    end = max(read_events(events)["known_at"].to_pylist()).date()
    assert err.splitlines() == [
        "8 of 9 points are not scored:",
        (
            "  1 before 2026-01-05, the cut-off of the artifact (--hindsight allows it): "
            f"{scores[0]['deal_id']} as of 2026-01-04"
        ),
        (
            f"  1 more than 90 days after the record ends on {end}: "
            f"{scores[0]['deal_id']} as of 2199-01-01T12:00:00+00:00"
        ),
        f"  1 of deals that were not open as known then: D-000000 as of {AS_OF}",
        "  5 of deals that are not in the events: "
        + ", ".join(f"no such deal {i} as of {AS_OF}" for i in range(3))
        + " and 2 more",
    ]


def test_points_past_the_date_to_be_won_by_are_counted(
    run: Run, events: Path, scores: list[dict[str, Any]], tmp_path: Path
) -> None:
    deal = scores[0]["deal_id"]
    points = points_file(tmp_path / "p.csv", [(deal, AS_OF), (deal, "2026-01-14")])

    status, _, err = run("score", events, "--points", points, "--close-by", "2026-01-12")

    assert status == cli.DONE_IN_PART
    assert "from which 2026-01-12 lies outside what the artifact answers: " in err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "an empty file"),
        ("deal,when\nD-1,2026-01-12\n", "with columns deal, when: expected columns deal_id"),
        (
            'deal_id,as_of\n\n"D-\n1",2026-01-12\nD-1,someday\n',
            "p.csv, line 5: as_of 'someday': expected an ISO 8601 time",
        ),
        ("deal_id,as_of\nD-1,2026-01-12\nD-1,\n", "p.csv, line 3: as_of ''"),
        ("deal_id,as_of\nD-1,2026-01-12T10:00:00\n", "expected a time with its UTC offset"),
        ("deal_id,as_of\nD-1,9999-01-12\n", "expected a time from 1970 to 2199"),
        ("deal_id,as_of\nD-1,2020-01-12\n", "the cut-off of the artifact"),
        ("deal_id,as_of\nD-1\n", "expected a readable CSV or Parquet file"),
        ("deal_id,as_of\n", "p.csv, without a row: expected at least one point"),
        ("deal_id;as_of\nD-1;2026-01-12\n", "Remedy: separate them by commas"),
        ("deal_id,as_of\nD-1,2026-02-30\n", "'2026-02-30': expected a day of the calendar (day"),
    ],
)
def test_points_that_cannot_be_read_are_refused(
    content: str, told: str, run: Run, events: Path, tmp_path: Path
) -> None:
    points = tmp_path / "p.csv"
    points.write_text(content)

    assert told in refusal(run("score", events, "--points", points, "--within", 30))


def test_points_of_damaged_parquet_or_without_a_time_are_refused(
    run: Run, events: Path, tmp_path: Path
) -> None:
    points = tmp_path / "p.parquet"
    points.write_bytes(b"PAR1 no more")
    assert "a readable CSV or Parquet file" in refusal(
        run("score", events, "--points", points, "--within", 30)
    )

    pq.write_table(pa.table({"deal_id": ["D-1"], "as_of": pa.array([None], pa.string())}), points)
    assert "column as_of: expected a value in every row" in refusal(
        run("score", events, "--points", points, "--within", 30)
    )


def test_bars_and_points_are_scaled() -> None:
    assert (bar(0.0), bar(0.5), bar(1.0)) == ("", "#" * 15, "#" * 30)
    assert (points_text(0.0), points_text(0.125), points_text(-1.0)) == ("+0.0", "+12.5", "-100.0")
