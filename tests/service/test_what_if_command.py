"""The command `whatif` on real files, as a user runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.actions import Evidence
from model.artifact import Artifact
from model.events import microseconds
from model.history import History
from model.hypothetical import parse_hypothetical
from model.score import Interval
from model.scorer import Scorer
from model.what_if import STATEMENT, OpenAction, WhatIf, what_if
from service import cli
from service.what_if_text import what_if_text
from training.simulate import Simulation

AS_OF, CLOSE_BY = "2026-01-12", "2026-03-31"
NOW = datetime(2026, 1, 12, tzinfo=UTC)

Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def deals(small_company: Simulation, small_artifact: Path) -> dict[str, list[str]]:
    """Ids of the deals that are open at the moment, and of those that are not."""
    history = History.from_table(small_company.events)
    now = np.full(history.deals, microseconds(NOW))
    scorer = Scorer(Artifact.load(small_artifact))
    is_open = scorer.score_many(history, np.arange(history.deals), now, None).is_open
    ids = np.array(history.deal_ids)
    return {"open": ids[is_open].tolist(), "closed": ids[~is_open].tolist()}


@pytest.fixture
def run(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    small_artifact: Path,
    events: Path,
) -> Run:
    """Run `whatif` on a deal in this process; its status, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "120")

    def command(deal: str, *arguments: str, as_of: str = AS_OF, close_by: str = CLOSE_BY) -> Ran:
        capfd.readouterr()
        given = ["whatif", str(events), deal, "--artifact", str(small_artifact), *arguments]
        status = cli.main([*given, "--as-of", as_of, "--close-by", close_by])
        out, err = capfd.readouterr()
        return status, out, err

    return command


def done(ran: Ran) -> str:
    status, out, err = ran
    assert (status, err) == (cli.DONE, "")
    return out


def test_it_shows_the_change_by_driver_and_both_curves(run: Run, deals: Any) -> None:
    deal = deals["open"][0]
    texts = ["customer_replied", "close_date_changed 2026-06-30"]
    out = done(run(deal, "--event", texts[0], "--event", texts[1]))
    told = json.loads(done(run(deal, "--event", texts[0], "--event", texts[1], "--json")))

    assert out.startswith(f"Deal {deal} as of 2026-01-12: {told['before']:.1%} to be won by ")
    assert f"  {told['before'] * 100:.1f}  as it is\n" in out
    supposed = "customer replied, then close date changed: 2026-06-30"
    last = f"  {told['after'] * 100:.1f}  if {supposed}: {told['interval_after']['low']:.0%} to "
    assert last in out
    assert told["drivers"][0]["phrase"] in out
    for pair in told["curve"]:
        row = rf"{pair['by'][:10]} +{pair['days']:g} +{pair['before']:.1%} +{pair['after']:.1%}"
        assert re.search(row, out)
    assert "association, not causation" in out
    assert "Still open" not in out


def test_the_json_is_the_model_s_own_answer(
    run: Run, deals: Any, small_company: Simulation, small_artifact: Path
) -> None:
    deal = deals["open"][3]
    told = json.loads(done(run(deal, "--event", "customer_replied", "--best", "--json")))
    history = History.from_table(small_company.events)
    own = what_if(
        Scorer(Artifact.load(small_artifact)),
        history,
        NOW,
        [parse_hypothetical("customer_replied")],
        close_by=date.fromisoformat(CLOSE_BY),
        deal=list(history.deal_ids).index(deal),
        best=None,
    )

    assert told == json.loads(json.dumps(own.to_json()))
    assert told["statement"] == STATEMENT
    points = sum(moved["points"] for moved in told["drivers"])
    points += told["other_points"]
    assert told["before"] + points == pytest.approx(told["after"], abs=1e-9)


def test_the_best_actions_are_listed_the_largest_rise_first(run: Run, deals: Any) -> None:
    out = done(run(deals["open"][3], "--best"))

    told = json.loads(done(run(deals["open"][3], "--best", "--json")))
    assert told["best"]
    rises = [float(rise) for rise in re.findall(r"^ *([+-][\d.]+) +[\d.]+%  \w", out, re.MULTILINE)]
    assert rises == [round(action["points"] * 100, 1) for action in told["best"]]
    assert rises == sorted(rises, reverse=True)
    for action in told["best"]:
        assert action["event"] in out
        evidence = action["evidence"]
        few = min(evidence["took_deals"], evidence["others_deals"]) < 20
        shown = "too few \\(" if few else r"\d+% of "
        assert re.search(rf"{action['event']} +{shown}{evidence['took_deals']}\b", out)
    assert "of those that saw it within 14 days and of those that did not" in " ".join(out.split())


def test_every_event_that_it_proposes_can_be_supposed(run: Run, deals: Any) -> None:
    told = json.loads(done(run(deals["open"][5], "--best", "--json")))

    for action in told["best"]:
        alone = json.loads(done(run(deals["open"][5], "--event", action["event"], "--json")))
        assert alone["after"] == action["after"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "neither --event nor --best: expected at least one of them. Remedy: say what to su"),
        (("--event", "customer_repled"), "kind 'customer_repled': expected one of pipeline_chan"),
        (("--event", "deal_won"), "kind 'deal_won': expected something that leaves an open deal"),
        (("--event", "milestone_reached"), "milestone_reached without name: expected milestone_r"),
        (
            ("--event", "milestone_reached no such"),
            "expected an open or a must-hit milestone of this deal: ",
        ),
        (("--event", "close_date_changed 2026-01-11"), "expected a date from 2026-01-12 on, the "),
        (("--event", "close_date_changed"), "date '' of close_date_changed: expected close_date_"),
        (("--event", "stage_changed Nowhere"), "expected one that the model has met: "),
    ],
)
def test_what_cannot_be_supposed_is_refused(
    run: Run, deals: Any, arguments: tuple[str, ...], said: str
) -> None:
    status, out, err = run(deals["open"][0], *arguments)

    assert (status, out) == (cli.UNUSABLE, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert said in err


def test_a_deal_that_is_unknown_or_closed_is_refused(run: Run, deals: Any) -> None:
    status, _, err = run("D-nobody", "--best")
    assert status == cli.UNUSABLE
    assert "deal 'D-nobody': expected a deal with events in" in err

    status, _, err = run(deals["closed"][0], "--best")
    assert status == cli.UNUSABLE
    assert "expected a deal open at 2026-01-12T00:00:00+00:00, as known then" in err


def test_a_moment_before_the_cut_off_is_refused_unless_asked_for(run: Run, deals: Any) -> None:
    old = next(
        deal
        for deal in deals["open"]
        if run(deal, "--best", "--hindsight", as_of="2026-01-02")[0] == cli.DONE
    )

    status, _, err = run(old, "--best", as_of="2026-01-02")
    assert status == cli.UNUSABLE
    assert "the cut-off of the artifact" in err
    assert "\nHindsight: " in done(run(old, "--best", "--hindsight", as_of="2026-01-02"))


def test_a_moment_past_the_record_s_end_is_warned_of_and_far_past_it_refused(
    run: Run, deals: Any, small_company: Simulation
) -> None:
    end = max(small_company.events["known_at"].to_pylist())
    soon, far = (str((end + timedelta(days=days)).date()) for days in (10, 100))
    by = str((end + timedelta(days=120)).date())
    tried = {deal: run(deal, "--best", as_of=soon, close_by=by) for deal in deals["open"][:25]}

    assert {err.partition(":")[0] for status, _, err in tried.values() if status == cli.DONE} == {
        "warning"
    }
    status, out, err = run(deals["open"][0], "--best", as_of=far, close_by=by)
    assert (status, out) == (cli.UNUSABLE, "")
    assert err.startswith("Error: ")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (0.2, 0.0, "A must-hit milestone would be missed"),
        (0.0, 0.3, "supposed, it is missed no more"),
        (0.0, 0.0, "is missed: the gated probability is 0%, as it is and as supposed"),
        (0.2, 0.3, None),
        (None, None, None),
    ],
)
def test_what_a_missed_gate_makes_of_it_is_said(
    before: float | None, after: float | None, said: str | None
) -> None:
    text = what_if_text(replace(NOTHING, gated_before=before, gated_after=after))

    assert ("must-hit" in text) is (said is not None)
    assert (said or "") in text


NOTHING = WhatIf(
    schema_version=1,
    deal_id="D-1",
    as_of="2026-01-12T08:30:00+00:00",
    close_by=CLOSE_BY,
    days=79.0,
    events=(),
    phrases=(),
    before=0.2,
    after=0.2,
    interval_before=Interval(low=0.1, high=0.3),
    interval_after=Interval(low=0.1, high=0.3),
    gated_before=None,
    gated_after=None,
    average_probability=0.1,
    drivers=(),
    other_points=0.0,
    curve=(),
    best=(),
    statement=STATEMENT,
    basis="model",
    model_version="m-0",
    hindsight=False,
)


def test_a_base_rate_says_that_most_events_cannot_change_it() -> None:
    assert "which most events cannot change" in what_if_text(replace(NOTHING, basis="base rate"))
    assert "base rate" not in what_if_text(NOTHING)


def test_an_action_without_enough_past_deals_says_so() -> None:
    counts = {"took_deals": 3, "took_won": 1, "others_deals": 90, "others_won": 9}
    few = Evidence(
        band_low=0.1,
        band_high=0.2,
        band_days=30.0,
        window_days=14.0,
        won_within_days=90.0,
        **counts,
    )
    best = [
        OpenAction(
            action="call",
            event="call_made",
            phrase="we call",
            after=0.3,
            points=0.1,
            gated_after=None,
            evidence=each,
        )
        for each in (few, None)
    ]
    lines = what_if_text(replace(NOTHING, best=tuple(best))).splitlines()

    assert [line.split() for line in lines if "call_made" in line] == [
        ["+10.0", "30.0%", "call_made", "too", "few", "(3)", "(90)"],
        ["+10.0", "30.0%", "call_made", "none", "on", "record"],
    ]
    assert "as of 2026-01-12 08:30:" in lines[0]


def test_what_clears_a_missed_gate_is_said_to_lead() -> None:
    actions = [
        OpenAction(
            action=event, event=event, phrase=event, after=after, points=after - 0.2,
            gated_after=gated, evidence=None,
        )
        for event, after, gated in (
            ("milestone_reached pilot", 0.21, 0.21),
            ("call_made", 0.3, 0.0),
        )
    ]  # fmt: skip
    told = replace(NOTHING, gated_before=0.0, gated_after=0.0, best=tuple(actions))
    said = "it clears what is missed: milestone_reached pilot (0% to 21.0%). With any other alone"

    text = " ".join(what_if_text(told).split())
    assert said in text
    assert f"2026-01-12 08:30: 0.0% to be won by {CLOSE_BY} (79 days), for a must-hit" in text
    assert "By the model alone 20.0%, 10% to 30% in 8 of 10 such answers." in text
    assert re.search(
        "P.won. model alone event .* [+]1.0 21.0% 21.0% m.* [+]10.0 0.0% 30.0% c", text
    )
    ungated = replace(told, gated_before=0.2, gated_after=0.2)
    assert "model alone" not in what_if_text(ungated)
    assert "clears what is missed" not in what_if_text(ungated)


def test_the_help_has_the_notation(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["whatif", "--help"]) == cli.DONE
    shown = capsys.readouterr().out

    for line in (
        "milestone_reached security review",
        "close_date_changed 2026-06-30",
        "milestone_",
    ):
        assert line in shown
