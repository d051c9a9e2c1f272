"""The commands `score` and `explain` on real files, as a user runs them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from model.artifact import Artifact
from model.event_table import EVENT_SCHEMA, read_events, write_events
from model.events import microseconds
from model.feeds import feeds_of
from model.history import History
from model.score import score_from_json
from model.scorer import Scorer
from service import cli
from service.arguments import spread
from service.tables import bar, points_text, text_table
from training.simulate import Simulation

AS_OF = "2026-01-12"
NOW = datetime(2026, 1, 12, tzinfo=UTC)
CLOSE_BY = "2026-03-31"
HEADER = [
    *("deal_id", "as_of", "days", "probability", "low", "high"),
    *("gated_probability", "data_quality", "basis"),
]

Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def events(small_company: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_company.write(tmp_path_factory.mktemp("company"))[0]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], small_artifact: Path) -> Run:
    """Run a command in this process; its status, standard output and standard error."""

    def command(name: str, *arguments: object, artifact: Path = small_artifact) -> Ran:
        capfd.readouterr()
        given = [name, *map(str, arguments), "--artifact", str(artifact)]
        status = cli.main([*given, "--jobs", "1"] if name == "score" else given)
        out, err = capfd.readouterr()
        return status, out, err

    return command


def done(ran: Ran) -> str:
    status, out, err = ran
    assert (status, err) == (cli.DONE, "")
    return out


def refusal(ran: Ran) -> str:
    status, out, err = ran
    assert (status, out) == (cli.UNUSABLE, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture
def scores(run: Run, events: Path) -> list[dict[str, Any]]:
    out = done(run("score", events, "--as-of", AS_OF, "--close-by", CLOSE_BY, "--json"))
    loaded: list[dict[str, Any]] = json.loads(out)
    return loaded


def forecast(score: dict[str, Any]) -> float:
    """The probability that forecasts use: zero once a gate is missed."""
    gates, own = score["gates"], score["probability"]
    return float(own if gates is None else gates["gated_probability"])


def shown_range(score: dict[str, Any]) -> str:
    """The range of the model's own probability; a zero by declaration has none."""
    ends = score["interval"]
    own = forecast(score) == score["probability"]
    return f"{ends['low']:.0%} to {ends['high']:.0%}" if own else ""


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


def table_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


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

    assert status == (cli.UNUSABLE if is_refused else cli.DONE)
    assert bool(out) is not is_refused
    told = f"{days} days after the record of {asked[0]} ends on {last.date()}"
    assert (told in err) is (days > 7)
    assert ("bring a later export" in err) is (days > 7)
    assert err.startswith("Error: " if is_refused else "warning: " if days > 7 else "")


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
        ("deal_id,as_of\n", "0 points asked for, none of them scored"),
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


def test_explain_json_is_the_score_of_the_library_and_of_score(
    run: Run, events: Path, scores: list[dict[str, Any]], small_company: Simulation, scorer: Scorer
) -> None:
    history = History.from_table(small_company.events)
    feeds = feeds_of(history, known_before=microseconds(NOW) + 1)
    for expected in scores[::12]:
        deal = expected["deal_id"]
        out = done(run("explain", events, deal, "--as-of", AS_OF, "--close-by", CLOSE_BY, "--json"))
        told = json.loads(out)
        library = scorer.score(
            history,
            NOW,
            deal=list(history.deal_ids).index(deal),
            close_by=date.fromisoformat(CLOSE_BY),
            feeds=feeds,
            most=None,
        )
        assert score_from_json(told) == library
        assert comparable(told) == pytest.approx(comparable(expected), abs=1e-12)


def comparable(score: dict[str, Any]) -> dict[str, Any]:
    """A score by name, so that numbers of a batch are compared nearly and all else exactly."""
    numbers = {name: value for name, value in score.items() if isinstance(value, float)}
    texts = {name: value for name, value in score.items() if isinstance(value, str | bool)}
    points = {f"{d['feature']}: {d['phrase']}": d["points"] for d in score["drivers"]}
    curve = {point["by"]: point["probability"] for point in score["curve"]}
    return numbers | texts | points | curve


def test_explain_prints_a_sum_that_adds_up(
    run: Run, events: Path, scores: list[dict[str, Any]]
) -> None:
    score = next(score for score in scores if forecast(score))
    out = done(run("explain", events, score["deal_id"], "--as-of", AS_OF, "--close-by", CLOSE_BY))

    low, high = score["interval"]["low"], score["interval"]["high"]
    assert out.startswith(
        f"Deal {score['deal_id']} as of {AS_OF}: {score['probability']:.1%} to be won by "
        f"{CLOSE_BY} (79 days), {low:.0%} to {high:.0%} in 8 of 10 such answers."
    )
    lines = out[out.index("points  driver") :].splitlines()[1:]
    rows = [
        (float(m[1]), m[2]) for m in (re.match(r" *([+-]?[\d.]+)  (.*)", x) for x in lines) if m
    ]
    average, *drivers, rest, total = rows
    assert average[1] == "the average deal, by this date"
    assert len(drivers) == 12
    assert rest[1] == "everything else"
    assert total[0] == pytest.approx(100 * score["probability"], abs=0.051)
    assert total[1] == "this deal"
    summed = average[0] + sum(points for points, _ in drivers) + rest[0]
    assert summed == pytest.approx(total[0], abs=0.05 * len(rows))
    for point in score["curve"]:
        assert f"{point['probability']:.1%}" in out


def test_explain_since_adds_why_it_moved(
    run: Run, events: Path, scores: list[dict[str, Any]]
) -> None:
    deal = scores[0]["deal_id"]
    since = (date.fromisoformat(AS_OF) - timedelta(days=1)).isoformat()
    asked = ("explain", events, deal, "--as-of", AS_OF, "--close-by", CLOSE_BY)

    told = json.loads(done(run(*asked, "--since", since, "--json")))
    out = done(run(*asked, "--since", since))

    assert {**told, "change": None} == json.loads(done(run(*asked, "--json")))
    moved = told["change"]
    assert moved["after"] == pytest.approx(told["probability"], abs=1e-12)
    points = sum(step["points"] for step in moved["steps"])
    assert moved["before"] + points == pytest.approx(moved["after"], abs=1e-9)
    assert f"Why it moved since {since} (P(won) by {CLOSE_BY}):" in out
    assert f"1 day fewer left to {CLOSE_BY}" in out
    assert "say since when" in refusal(run(*asked, "--artifact-then", "a"))


def test_explain_since_begins_at_what_the_artifact_then_says(
    run: Run, small_artifact: Path, small_company: Simulation, tmp_path: Path
) -> None:
    since, as_of = "2026-01-12", "2026-01-20"
    now = Artifact.load(small_artifact)
    carried = now.facts["feeds"]
    fewer = {name: dict.fromkeys(["deal_opened", "amount_changed"]) for name in carried}
    fewer["calendar"] = dict.fromkeys(["meeting_held"])  # heard first between the two moments
    replace(now, facts={**now.facts, "feeds": fewer}).save(tmp_path / "then")
    table = small_company.events
    held = {
        **table.slice(0, 1).to_pylist()[0],
        "kind": "meeting_held",
        "source": "calendar",
        "source_id": "first",
        "occurred_at": datetime(2026, 1, 15, tzinfo=UTC),
        "known_at": datetime(2026, 1, 15, tzinfo=UTC),
    }
    added = pa.Table.from_pylist([held], schema=table.schema)
    events = tmp_path / "events.parquet"
    write_events(pa.concat_tables([added, table]).sort_by("deal_id"), events)
    history = History.from_table(read_events(events))
    deals, scorer = np.arange(history.deals), Scorer(now)
    is_open = [
        scorer.score_many(history, deals, np.full(len(deals), microseconds(moment)), None).is_open
        for moment in (datetime(2026, 1, 12, tzinfo=UTC), datetime(2026, 1, 20, tzinfo=UTC))
    ]

    moved = 0
    for deal in np.flatnonzero(is_open[0] & is_open[1])[:8].tolist():
        asked = ("explain", events, history.deal_ids[deal], "--close-by", CLOSE_BY, "--json")
        change = ("--as-of", as_of, "--since", since, "--artifact-then", tmp_path / "then")
        told = json.loads(done(run(*asked, *change)))
        then = json.loads(done(run(*asked, "--as-of", since, artifact=tmp_path / "then")))
        other = json.loads(done(run(*asked, "--as-of", since)))
        assert told["change"]["before"] == then["probability"]
        assert told["change"]["after"] == told["probability"]
        moved += then["probability"] != other["probability"]
    assert moved


def test_explain_names_as_many_drivers_as_asked(
    run: Run, events: Path, scores: list[dict[str, Any]]
) -> None:
    asked = ("explain", events, scores[5]["deal_id"], "--as-of", AS_OF, "--close-by", CLOSE_BY)
    out = done(run(*asked, "--drivers", 2))

    assert [d["phrase"] in out for d in scores[5]["drivers"][:3]] == [True, True, False]


def test_a_since_before_the_cut_off_is_refused_by_its_name(
    run: Run, events: Path, scores: list[dict[str, Any]]
) -> None:
    asked = ("--as-of", AS_OF, "--close-by", CLOSE_BY, "--since", "2026-01-02")
    assert "since 2026-01-02T00:00:00+00:00: expected a time from 2026-01-05" in refusal(
        run("explain", events, scores[0]["deal_id"], *asked)
    )


def test_hindsight_must_be_asked_for_and_is_said(
    run: Run, events: Path, scores: list[dict[str, Any]]
) -> None:
    early = ("--as-of", "2026-01-04", "--close-by", CLOSE_BY)
    deal = scores[0]["deal_id"]

    assert "or ask for hindsight" in refusal(run("score", events, *early))
    assert "or ask for hindsight" in refusal(run("explain", events, deal, *early))
    told = json.loads(done(run("score", events, *early, "--json", "--hindsight")))
    assert all(score["hindsight"] for score in told)
    assert "Hindsight: the model knows of closings after this moment." in done(
        run("explain", events, told[0]["deal_id"], *early, "--hindsight")
    )


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
        (["--as-of", AS_OF, "--close-by", "2026-01-11"], "expected more than 0"),
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
        ({"kind": ["deal_sold"]}, "'deal_sold'"),
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
        "source": ["crm"],
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
            "source": ["crm"],
            "source_id": ["1"],
        }
    )
    pq.write_table(table, tmp_path / "bare.parquet")
    known = pa.chunked_array([pa.array([None], pa.timestamp("us", tz="UTC"))])
    pq.write_table(table.append_column("known_at", known), tmp_path / "null.parquet")

    outs = {
        done(run("score", tmp_path / f"{name}.parquet", "--as-of", AS_OF, "--within", 7))
        for name in ("bare", "null")
    }
    assert len(outs) == 1


def test_an_unknown_deal_is_named(run: Run, events: Path) -> None:
    assert "deal 'D-x': expected a deal with events in " in refusal(
        run("explain", events, "D-x", "--as-of", AS_OF, "--close-by", CLOSE_BY)
    )


def test_a_closed_deal_cannot_be_explained(run: Run, events: Path) -> None:
    assert "deal 'D-000000', lost on 2023-10-09: expected a deal open at 2026-01-12" in refusal(
        run("explain", events, "D-000000", "--as-of", AS_OF, "--close-by", CLOSE_BY)
    )


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


def test_a_failed_command_leaves_an_earlier_output_alone(
    run: Run, events: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.csv"
    out.write_text("earlier")

    refusal(run("score", events, "--as-of", AS_OF, "--within", 999, "--out", out))

    assert out.read_text() == "earlier"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["--within", "7"], ["--within", "7"]),
        (
            ["--within", "7", "14", "30", "--json"],
            ["--within", "7", "--within", "14", "--within", "30", "--json"],
        ),
        (["--edges", "7", "1e2", "x"], ["--edges", "7", "--edges", "1e2", "x"]),
        (["--riskiest", "3", "4"], ["--riskiest", "3", "4"]),
        (["--within", "7", "--edges", "8", "9"], ["--within", "7", "--edges", "8", "--edges", "9"]),
        (["--within", "7", "-1"], ["--within", "7", "--within", "-1"]),
        (["--within"], ["--within"]),
        ([], []),
    ],
)
def test_an_option_of_several_numbers_is_repeated_for_each(
    given: list[str], read: list[str]
) -> None:
    assert spread(given) == read


def test_a_table_aligns_numbers_right_and_wraps_its_last_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    shown = text_table(
        ("deal", "P(won)", "drivers"),
        [("D-1", "9%", "no real customer contact for 23 days; stage Offer"), ("D-22", "31%", "")],
        right=(1,),
    )

    assert shown.splitlines() == [
        "deal  P(won)  drivers",
        "D-1       9%  no real customer contact for 23",
        "              days; stage Offer",
        "D-22     31%",
    ]


def test_a_table_without_rows_is_its_header() -> None:
    assert text_table(("points", "driver"), [], right=(0,)) == "points  driver"


def test_bars_and_points_are_scaled() -> None:
    assert (bar(0.0), bar(0.5), bar(1.0)) == ("", "#" * 15, "#" * 30)
    assert (points_text(0.0), points_text(0.125), points_text(-1.0)) == ("+0.0", "+12.5", "-100.0")
