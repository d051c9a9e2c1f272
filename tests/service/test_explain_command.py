"""The command `explain` on real files, as a user runs it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.artifact import Artifact
from model.event_table import read_events, write_events
from model.events import microseconds
from model.feeds import feeds_of
from model.history import History
from model.score import score_from_json
from model.scorer import Scorer
from tests.service.commands import AS_OF, CLOSE_BY, NOW, Run, done, forecast, refusal
from training.simulate import Simulation


def comparable(score: dict[str, Any]) -> dict[str, Any]:
    """A score by name, so that numbers of a batch are compared nearly and all else exactly."""
    numbers = {name: value for name, value in score.items() if isinstance(value, float)}
    texts = {name: value for name, value in score.items() if isinstance(value, str | bool)}
    points = {f"{d['feature']}: {d['phrase']}": d["points"] for d in score["drivers"]}
    curve = {point["by"]: point["probability"] for point in score["curve"]}
    return numbers | texts | points | curve


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

    assert "or add --hindsight" in refusal(run("score", events, *early))
    assert "or add --hindsight" in refusal(run("explain", events, deal, *early))
    told = json.loads(done(run("score", events, *early, "--json", "--hindsight")))
    assert all(score["hindsight"] for score in told)
    assert "Hindsight: the model knows of closings after this moment." in done(
        run("explain", events, told[0]["deal_id"], *early, "--hindsight")
    )


def test_an_unknown_deal_is_named(run: Run, events: Path) -> None:
    assert "deal 'D-x': expected a deal with events in " in refusal(
        run("explain", events, "D-x", "--as-of", AS_OF, "--close-by", CLOSE_BY)
    )


def test_a_closed_deal_cannot_be_explained(run: Run, events: Path) -> None:
    assert "deal 'D-000000', lost on 2023-10-09: expected a deal open at 2026-01-12" in refusal(
        run("explain", events, "D-000000", "--as-of", AS_OF, "--close-by", CLOSE_BY)
    )
