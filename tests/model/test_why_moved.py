"""Why a probability moved: the steps add up, and each tells of what it should."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.artifact import Artifact
from model.change import Change
from model.errors import ScoreError
from model.events import from_microseconds, microseconds
from model.feeds import HOUR_US, NEVER, Feed
from model.history import History
from model.scorer import Scorer
from model.tables import Calibration
from model.why_moved import AVERAGE, explain_change
from tests.factories import deal_event
from training.simulate import Simulation

CLOSE_BY = date(2026, 1, 31)
EXAMPLES = 25
MOMENTS = [datetime(2025, 9, 1, tzinfo=UTC) + timedelta(days=days) for days in range(0, 130, 10)]


class Company:
    """A company's history, a scorer, another one, and its deals open at each moment."""

    def __init__(self, artifact: Path, simulation: Simulation) -> None:
        loaded = Artifact.load(artifact)
        edges = len(loaded.edges) - 1
        calibration = Calibration(intercepts=np.full(edges, 0.3), slopes=np.full(edges, 0.8))
        self.scorer = Scorer(loaded)
        self.other = Scorer(replace(loaded, calibration=calibration))
        self.history = History.from_table(simulation.events)
        deals = np.arange(self.history.deals)
        times = [np.full(len(deals), microseconds(moment)) for moment in MOMENTS]
        is_open = [self.scorer.score_many(self.history, deals, t, None).is_open for t in times]
        self.spans = [
            (int(deal), MOMENTS[first], MOMENTS[last])
            for first in range(len(MOMENTS))
            for last in range(first + 1, len(MOMENTS))
            for deal in np.flatnonzero(is_open[first] & is_open[last])
        ]

    def change(self, place: int, earlier: Scorer | None = None) -> tuple[Change, int]:
        deal, since, as_of = self.spans[place % len(self.spans)]
        change = explain_change(
            self.scorer,
            self.history,
            since,
            as_of,
            close_by=CLOSE_BY,
            deal=deal,
            earlier=earlier,
            hindsight=True,
        )
        return change, deal


@pytest.fixture(scope="module")
def company(small_artifact: Path, small_company: Simulation) -> Company:
    return Company(small_artifact, small_company)


@settings(max_examples=EXAMPLES)
@given(place=st.integers(0, 2**31), retrained=st.booleans())
def test_the_steps_and_their_features_add_up_to_the_change(
    place: int, retrained: bool, company: Company
) -> None:
    change, deal = company.change(place, company.other if retrained else None)

    asked = {"close_by": CLOSE_BY, "deal": deal, "hindsight": True}
    since, as_of = (datetime.fromisoformat(text) for text in (change.since, change.as_of))
    old = company.other if retrained else company.scorer
    assert change.before == old.score(company.history, since, **asked).probability  # type: ignore[arg-type]
    assert change.after == pytest.approx(
        company.scorer.score(company.history, as_of, **asked).probability,  # type: ignore[arg-type]
        abs=1e-12,
    )
    told = change.before + sum(step.points for step in change.steps)
    assert told == pytest.approx(change.after, abs=1e-9)
    for step in change.steps[1:]:
        assert sum(shift.points for shift in step.shifts) == pytest.approx(step.points, abs=1e-9)
    reasons = [step.reason for step in change.steps]
    events = ["event"] * (len(reasons) - 2 - retrained)
    assert reasons == ["fewer days", "time", *events, *(["retraining"] * retrained)]


@settings(max_examples=EXAMPLES)
@given(place=st.integers(0, 2**31))
def test_every_event_known_between_is_told_once_in_the_order_it_became_known(
    place: int, company: Company
) -> None:
    change, deal = company.change(place)

    rows = slice(company.history.start[deal], company.history.start[deal + 1])
    known = np.sort(company.history.known[rows])
    since, as_of = (microseconds(datetime.fromisoformat(t)) for t in (change.since, change.as_of))
    between = known[(known > since) & (known <= as_of)]
    told = [step for step in change.steps if step.reason == "event"]
    if not any("reopened" in step.phrase for step in told):
        assert [step.known_at for step in told] == [
            from_microseconds(int(time)).isoformat() for time in between
        ]


def test_fewer_days_alone_never_raise_the_probability(company: Company) -> None:
    steps = [company.change(place * 97)[0].steps[0] for place in range(40)]

    assert all(step.points <= 0.0 for step in steps)
    assert any(step.points < 0.0 for step in steps)
    assert steps[0].phrase.endswith("days fewer left to 2026-01-31")


def test_retraining_tells_how_the_average_deal_moved(company: Company) -> None:
    change, _ = company.change(0, company.other)

    assert change.steps[-1].reason == "retraining"
    assert AVERAGE in {shift.feature for shift in change.steps[-1].shifts}
    assert company.scorer.artifact.model_version in change.steps[-1].phrase


def test_a_deal_not_open_at_both_moments_is_refused(company: Company) -> None:
    deal = company.spans[0][0]
    opened = from_microseconds(int(company.history.known[company.history.start[deal]]))

    with pytest.raises(ScoreError, match="not opened yet: expected a deal open at"):
        explain_change(
            company.scorer,
            company.history,
            opened - timedelta(days=1),
            opened + timedelta(days=1),
            close_by=(opened + timedelta(days=60)).date(),
            deal=deal,
            hindsight=True,
        )


def test_moments_in_the_wrong_order_are_refused(company: Company) -> None:
    with pytest.raises(ScoreError, match="the moment explained"):
        explain_change(company.scorer, company.history, MOMENTS[1], MOMENTS[1], close_by=CLOSE_BY)


@settings(max_examples=EXAMPLES)
@given(place=st.integers(0, 2**31))
def test_before_is_the_score_of_the_artifact_in_force_then(place: int, company: Company) -> None:
    facts = company.scorer.artifact.facts
    fewer = {name: dict.fromkeys(["deal_opened", "amount_changed"]) for name in facts["feeds"]}
    old = Scorer(replace(company.other.artifact, facts={**facts, "feeds": fewer}))
    heard = company.scorer.trained_feeds
    deal, since, as_of = company.spans[place % len(company.spans)]

    change = explain_change(
        company.scorer,
        company.history,
        since,
        as_of,
        close_by=CLOSE_BY,
        deal=deal,
        feeds=lambda scorer, _: scorer.feeds(heard),
        earlier=old,
        hindsight=True,
    )

    def score(scorer: Scorer, moment: datetime) -> float | None:
        return scorer.score(
            company.history, moment, close_by=CLOSE_BY, deal=deal, feeds=heard, hindsight=True
        ).probability

    assert change.before == score(old, since)
    assert change.after == score(company.scorer, as_of)


def refused(company: Company, history: History, heard: dict[str, Feed]) -> str:
    """What is said of a deal of which too little is known at one of two moments."""
    with pytest.raises(ScoreError) as refusal:
        explain_change(
            company.scorer,
            history,
            MOMENTS[4],
            MOMENTS[9],
            close_by=CLOSE_BY,
            feeds=lambda scorer, _: scorer.feeds(heard),
            hindsight=True,
        )
    return str(refusal.value)


def test_a_deal_without_a_number_then_is_given_none(company: Company) -> None:
    opened = deal_event(deal_id="D-new", occurred_at=MOMENTS[3], source="unheard of")
    amount = deal_event("amount_changed", deal_id="D-new", number=9.0, occurred_at=MOMENTS[5])

    said = refused(company, History.from_events([opened, amount]), {})
    assert said.startswith(f"deal 'D-new' at {MOMENTS[4].isoformat()}: nothing is known of it but")
    assert "(nothing_known): expected a deal of which enough was known for a prob" in said


def test_a_deal_without_a_number_now_is_given_none(company: Company) -> None:
    last = microseconds(MOMENTS[4])
    hours = last + np.arange(-300, 0) * HOUR_US
    trained = company.scorer.trained_feeds
    heard = {name: replace(feed, heard=hours) for name, feed in trained.items()}
    source = next(name for name, feed in trained.items() if not feed.speaks_for_all(NEVER))
    known = [
        deal_event(occurred_at=MOMENTS[3], source=source),
        deal_event("amount_changed", number=9.0, occurred_at=MOMENTS[3], source=source),
    ]

    said = refused(company, History.from_events(known), heard)
    assert said.startswith(f"deal 'D-1' at {MOMENTS[9].isoformat()}: nothing was heard of any deal")
    assert "(record_stopped)" in said
