"""The command `flares` on a real file, as a sales leader runs it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.artifact import Artifact
from model.asof import AsOf, Snapshot
from model.event_table import table_of, write_events
from model.events import microseconds
from model.feeds import feeds_of
from model.gates import find_gates
from model.history import History
from model.red_flare import RedFlare, flare_horizon_days, red_flares, usual_probability
from model.scorer import Scorer
from service import cli
from tests.factories import deal_event
from training.simulate import Simulation

AS_OF, SINCE = "2026-01-13", "2026-01-06"
WEEK = timedelta(days=7)

Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture
def run(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    small_artifact: Path,
    events: Path,
) -> Run:
    """Run `flares` in this process; its status, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: object, file: Path = events, as_of: str = AS_OF) -> Ran:
        capfd.readouterr()
        given = [str(file), "--artifact", str(small_artifact), "--as-of", as_of, "--jobs", "1"]
        status = cli.main(["flares", *given, *map(str, arguments)])
        out, err = capfd.readouterr()
        return status, out, err

    return command


def listed(ran: Ran) -> list[dict[str, Any]]:
    status, out, _ = ran
    assert status == cli.DONE
    deals: list[dict[str, Any]] = json.loads(out)
    return deals


def one_by_one(
    scorer: Scorer, history: History, time: datetime, standing: dict[str, tuple[RedFlare, ...]]
) -> dict[str, tuple[RedFlare, ...]]:
    """The flares of each open deal, asked of the model deal by deal."""
    until = microseconds(datetime.fromisoformat(AS_OF).replace(tzinfo=UTC)) + 1
    feeds = scorer.feeds(feeds_of(history, until))
    days = flare_horizon_days(scorer.edges)
    usual = usual_probability(scorer.artifact.facts["judged"], days)
    vocabulary = scorer.features.vocabulary
    every = np.arange(history.deals)

    def at(moment: datetime) -> list[Snapshot]:
        times = np.full(every.size, microseconds(moment))
        return AsOf(history, vocabulary, vocabulary.codes(history), every, times, feeds).snapshots

    def own(deal: int, moment: datetime) -> float | None:
        return scorer.score(
            history, moment, deal=deal, days=days, feeds=feeds, hindsight=True
        ).probability

    before = at(time - WEEK)
    return {
        history.deal_ids[deal]: red_flares(
            snapshot,
            find_gates(snapshot),
            now=own(deal, time),
            week_before=own(deal, time - WEEK) if before[deal].is_open else None,
            horizon_days=days,
            usual=None if isnan(usual) else usual,
            standing=standing.get(history.deal_ids[deal], ()),
        )
        for deal, snapshot in enumerate(at(time))
        if snapshot.is_open
    }


def test_the_flares_are_those_of_the_model_and_the_new_ones_did_not_stand_before(
    run: Run, small_artifact: Path, small_company: Simulation
) -> None:
    deals = listed(run("--json", "--since", SINCE, "--hindsight"))
    scorer = Scorer(Artifact.load(small_artifact))
    history = History.from_table(small_company.events)
    then = one_by_one(scorer, history, datetime.fromisoformat(SINCE).replace(tzinfo=UTC), {})
    now = one_by_one(scorer, history, datetime.fromisoformat(AS_OF).replace(tzinfo=UTC), then)

    assert {deal["deal_id"]: [each["phrase"] for each in deal["flares"]] for deal in deals} == {
        deal: [flare.phrase for flare in flares] for deal, flares in now.items() if flares
    }
    for deal in deals:
        stood = {(flare.rule, flare.subject) for flare in then.get(deal["deal_id"], ())}
        for flare in deal["flares"]:
            assert flare["new"] is ((flare["rule"], flare["subject"]) not in stood)
    rules = {flare["rule"] for deal in deals for flare in deal["flares"]}
    assert {"silence", "low probability"} <= rules
    assert {flare["new"] for deal in deals for flare in deal["flares"]} == {True, False}


def test_the_most_expected_value_at_risk_comes_first_one_sentence_a_deal(run: Run) -> None:
    deals = listed(run("--json", "--since", SINCE))
    status, out, err = run("--since", SINCE)

    values = [deal["value_at_risk"] for deal in deals]
    assert values == sorted(values, reverse=True)
    assert values[0] == deals[0]["amount"] * deals[0]["probability"]
    assert status == cli.DONE
    new = sum(any(flare["new"] for flare in deal["flares"]) for deal in deals)
    assert f" red flares as of {AS_OF}, {new} of them new since {SINCE}." in out
    assert "note: a week before, the artifact's cut-off had not come (2026-01-05)" in err
    lines = out.splitlines()
    for deal in deals[:20]:
        (line,) = (line for line in lines if line.startswith(deal["deal_id"]))
        assert f"{deal['value_at_risk']:,.0f}" in line
        assert deal["flares"][0]["phrase"] in deal["sentence"]
        assert deal["sentence"][:60] in line


def test_since_marks_and_changes_nothing_of_what_is_listed(run: Run) -> None:
    def seen(*since: str) -> list[tuple[str, str]]:
        return [(d["deal_id"], d["sentence"]) for d in listed(run("--json", "--hindsight", *since))]

    known = seen()
    assert known
    for since in (SINCE, "2026-01-12", "2025-12-20", "2025-11-20"):
        assert seen("--since", since) == known


def test_a_missed_gate_is_no_percent_with_the_model_s_own_beside_it(
    run: Run, small_company: Simulation, tmp_path: Path
) -> None:
    deal = listed(run("--json"))[0]
    due = {"deal_id": deal["deal_id"], "source": "gates", "name": "pilot"}
    at = datetime(2026, 1, 6, tzinfo=UTC)
    gates = [
        deal_event("milestone_set", occurred_at=at, date=at.date(), **due),
        deal_event("must_hit_declared", occurred_at=at, **due),
    ]
    file = tmp_path / "gated.parquet"
    write_events(pa.concat_tables([small_company.events, table_of(gates)]), file)
    gated = {each["deal_id"]: each for each in listed(run("--json", file=file))}[deal["deal_id"]]

    assert (gated["gated_probability"], gated["expected_value"]) == (0.0, 0.0)
    assert gated["value_at_risk"] == gated["amount"] * gated["probability"] > 0.0
    own = f"{gated['probability']:.1%}"
    said = f" 0.0% to be won within {gated['days']:g} days with a milestone missed, {own} by the"
    assert said in gated["sentence"]
    assert deal["gated_probability"] == deal["probability"]


def test_all_go_to_a_file(run: Run, tmp_path: Path) -> None:
    deals = listed(run("--json"))
    assert {flare["new"] for deal in deals for flare in deal["flares"]} == {None}
    status, out, _ = run("--out", tmp_path / "flares.csv")

    assert status == cli.DONE
    assert out.startswith(f"{len(deals)} of ")
    with (tmp_path / "flares.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["deal_id"], row["sentence"], row["new_rules"]) for row in rows] == [
        (deal["deal_id"], deal["sentence"], "") for deal in deals
    ]


def test_a_file_without_flares_says_so(run: Run, tmp_path: Path) -> None:
    opened = deal_event(occurred_at=datetime(2026, 1, 12, tzinfo=UTC), source="unheard of")
    write_events(table_of([opened]), tmp_path / "new.parquet")
    status, out, _ = run(file=tmp_path / "new.parquet")

    assert (status, out) == (cli.DONE, f"0 of 1 open deal with red flares as of {AS_OF}.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", AS_OF), f"--since {AS_OF}: expected a time before --as-of {AS_OF}"),
        (("--since", "2026-01-02"), "since 2026-01-02T00:00:00+00:00: expected a time from 2026-"),
        (("--out", "flares.txt"), "--out flares.txt: expected a name ending in .csv or .parquet"),
        (("--out", "flares.csv", "--json"), "--out and --json: expected at most one of them"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (cli.UNUSABLE, "")
    assert said in err


def test_a_moment_before_the_cut_off_or_without_open_deals_is_refused(run: Run) -> None:
    status, _, err = run(as_of="2026-01-02")
    assert status == cli.UNUSABLE
    assert "as_of 2026-01-02T00:00:00+00:00: expected a time from 2026-01-05" in err
    status, _, err = run("--hindsight", as_of="2019-01-02")
    assert status == cli.UNUSABLE
    assert "events of which no deal was open as known then" in err
