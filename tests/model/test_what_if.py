"""What if: the change adds up, nothing supposed changes nothing, the answer is the scorer's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.artifact import Artifact
from model.errors import HorizonError, ScoreError, WhatIfError
from model.event_table import event_from_row
from model.events import KIND_CODES, Event, from_microseconds, microseconds
from model.features import FeatureSet
from model.feeds import Feed
from model.grid import Grid, GridFeature
from model.history import History
from model.hypothetical import parse_hypothetical
from model.scorer import Scorer
from model.tables import Calibration, Tables
from model.vocabulary import Vocabulary
from model.what_if import STATEMENT, WhatIf, what_if
from tests.factories import date_of, day, deal_event
from training.simulate import Simulation

CLOSE_BY = date(2026, 3, 31)
NOW = datetime(2026, 1, 12, 8, tzinfo=UTC)
EXAMPLES = 25
# None of these is counted from another of them, so that their order tells nothing.
APART = (
    "customer_replied",
    "meeting_held onsite",
    "commercial_talks_started",
    "internal_update_posted",
    "next_step_changed",
    "close_date_changed 2026-05-20",
    "amount_changed 61000",
    "technical_validation_passed",
)


class Company:
    """A scorer and the deals open at the moment, by place."""

    def __init__(self, artifact: Path, simulation: Simulation) -> None:
        self.scorer = Scorer(Artifact.load(artifact))
        self.table = simulation.events
        self.history = History.from_table(simulation.events)
        deals = np.arange(self.history.deals)
        now = np.full(len(deals), microseconds(NOW))
        self.open = np.flatnonzero(self.scorer.score_many(self.history, deals, now, None).is_open)

    def deal(self, place: int) -> int:
        return int(self.open[place % len(self.open)])

    def what_if(self, place: int, *texts: str, best: int | None = 0) -> WhatIf:
        events = [parse_hypothetical(text) for text in texts]
        return what_if(
            self.scorer,
            self.history,
            NOW,
            events,
            close_by=CLOSE_BY,
            deal=self.deal(place),
            best=best,
        )


@pytest.fixture(scope="module")
def company(small_artifact: Path, small_company: Simulation) -> Company:
    return Company(small_artifact, small_company)


places = st.integers(0, 2**31)
some = st.lists(st.sampled_from(APART), max_size=4, unique=True)


@settings(max_examples=EXAMPLES)
@given(place=places, texts=some)
def test_the_change_by_driver_adds_up(place: int, texts: list[str], company: Company) -> None:
    told = company.what_if(place, *texts)

    points = sum(moved.points for moved in told.drivers)
    assert told.before + points + told.other_points == pytest.approx(told.after, abs=1e-9)
    assert all(moved.before != moved.after for moved in told.drivers)
    assert [abs(moved.points) for moved in told.drivers] == sorted(
        (abs(moved.points) for moved in told.drivers), reverse=True
    )


@settings(max_examples=EXAMPLES)
@given(place=places)
def test_no_event_is_no_change(place: int, company: Company) -> None:
    told = company.what_if(place)
    score = company.scorer.score(company.history, NOW, close_by=CLOSE_BY, deal=company.deal(place))

    assert told.before == told.after == score.probability
    assert told.interval_before == told.interval_after
    assert score.interval is not None
    assert told.interval_after.low == pytest.approx(score.interval.low, abs=1e-12)
    assert told.interval_after.high == pytest.approx(score.interval.high, abs=1e-12)
    assert told.average_probability == score.average_probability
    assert told.drivers == ()
    assert [(pair.days, pair.by) for pair in told.curve] == [
        (point.days, point.by) for point in score.curve
    ]
    assert all(pair.before == pair.after for pair in told.curve)


@settings(max_examples=10)
@given(place=places, texts=st.lists(st.sampled_from(APART), min_size=2, max_size=3, unique=True))
def test_the_order_of_events_apart_is_irrelevant(
    place: int, texts: list[str], company: Company
) -> None:
    told = [company.what_if(place, *each, "call_made") for each in permutations(texts)]

    assert {one.after for one in told} == {told[0].after}
    assert {one.drivers for one in told} == {told[0].drivers}


@settings(max_examples=EXAMPLES)
@given(place=places, text=st.sampled_from(["customer_replied", "next_step_changed"]))
def test_supposing_an_event_is_scoring_the_deal_to_which_it_happened(
    place: int, text: str, company: Company
) -> None:
    told = company.what_if(place, text)

    deal_id = told.deal_id
    rows = company.table.filter(np.array(company.table["deal_id"]) == deal_id).to_pylist()
    source = next(row["source"] for row in reversed(rows) if row["known_at"] <= NOW)
    happened = Event(
        deal_id=deal_id, kind=text, occurred_at=NOW, source=source, source_id="~happened"
    )
    history = History.from_events([*map(event_from_row, rows), happened])
    score = company.scorer.score(history, NOW, close_by=CLOSE_BY)

    assert told.after == pytest.approx(score.probability, abs=1e-12)
    assert score.interval is not None
    assert told.interval_after.low == pytest.approx(score.interval.low, abs=1e-9)
    assert [pair.after for pair in told.curve] == pytest.approx(
        [point.probability for point in score.curve], abs=1e-12
    )


@settings(max_examples=EXAMPLES)
@given(place=places)
def test_what_became_known_later_tells_nothing(place: int, company: Company) -> None:
    hidden = replace(company.history, number=company.history.number.copy())
    later = hidden.known > microseconds(NOW)
    hidden.number[later] = 1e9
    told = company.what_if(place, "customer_replied", best=None)

    again = what_if(
        company.scorer,
        hidden,
        NOW,
        [parse_hypothetical("customer_replied")],
        close_by=CLOSE_BY,
        deal=company.deal(place),
        best=None,
    )
    assert again == told


def test_the_best_actions_are_each_supposed_alone_the_largest_rise_first(company: Company) -> None:
    seen = set()
    for place in range(20):
        told = company.what_if(place, best=None)
        missed = told.gated_before == 0.0
        order = [((missed and action.gated_after) or 0.0, action.points) for action in told.best]
        assert order == sorted(order, reverse=True)
        for action in told.best:
            alone = company.what_if(place, action.event)
            assert alone.after == action.after
            assert action.points == alone.after - alone.before
            assert action.gated_after == alone.gated_after
            seen.add(action.action)
        assert company.what_if(place, best=2).best == told.best[:2]
    assert {"customer reply", "commercial talks", "milestone"} <= seen


def test_evidence_counts_past_deals_and_says_when_they_are_few(company: Company) -> None:
    told = [company.what_if(place, best=None) for place in range(20)]
    evidence = [each.evidence for one in told for each in one.best if each.evidence]

    assert evidence
    for each in evidence:
        assert 0 <= each.took_won <= each.took_deals
        assert 0 <= each.others_won <= each.others_deals
        few = min(each.took_deals, each.others_deals) < 20
        assert each.phrase.startswith("too few to say: " if few else f"of {each.took_deals} such")
        assert str(each.others_deals) in each.phrase


def test_it_says_that_it_is_association_and_not_causation(company: Company) -> None:
    told = company.what_if(0, "customer_replied")

    assert told.statement == STATEMENT
    assert "association, not causation" in STATEMENT
    assert told.to_json()["statement"] == STATEMENT


def test_fewer_drivers_leave_the_rest_in_other_points(company: Company) -> None:
    every = company.what_if(3, "customer_replied", "meeting_held onsite")
    two = what_if(
        company.scorer,
        company.history,
        NOW,
        [parse_hypothetical("customer_replied"), parse_hypothetical("meeting_held onsite")],
        close_by=CLOSE_BY,
        deal=company.deal(3),
        most=2,
    )

    assert two.drivers == every.drivers[:2]
    points = sum(moved.points for moved in two.drivers)
    assert two.before + points + two.other_points == pytest.approx(two.after, abs=1e-9)


def test_days_may_be_asked_instead_of_a_date(company: Company) -> None:
    told = what_if(company.scorer, company.history, NOW, days=30.0, deal=company.deal(0))

    assert (told.close_by, told.days) == (None, 30.0)


def test_a_deal_not_open_then_is_refused(company: Company) -> None:
    closed = int(np.setdiff1d(np.arange(company.history.deals), company.open)[0])

    with pytest.raises(ScoreError, match=r"(won|lost) on .*a deal open at 2026-01-12T08:00:00"):
        what_if(company.scorer, company.history, NOW, close_by=CLOSE_BY, deal=closed)


def test_a_deal_not_opened_yet_is_refused_with_when_it_was(company: Company) -> None:
    opened = deal_event(deal_id="D-new", occurred_at=NOW + timedelta(days=3))

    with pytest.raises(ScoreError, match=r"not opened yet: .* from 2026-01-15T08:00:00\+00:00 on"):
        what_if(company.scorer, History.from_events([opened]), NOW, close_by=CLOSE_BY)


def test_an_amount_set_to_what_it_is_does_not_count_as_moved(company: Company) -> None:
    deal = company.deal(3)
    rows = slice(company.history.start[deal], company.history.start[deal + 1])
    amounts = company.history.number[rows][
        company.history.kind[rows] == KIND_CODES["amount_changed"]
    ]
    told = company.what_if(3, f"amount_changed {amounts[-1]:g}", "close_date_changed 2026-05-30")

    moved = {each.feature for each in told.drivers}
    assert "close_date_days" in moved
    assert not {"amount", "amount_change"} & moved


def test_a_deal_of_which_nothing_is_known_is_refused(company: Company) -> None:
    opened = deal_event(deal_id="D-new", occurred_at=NOW - timedelta(days=3), source="unheard of")

    with pytest.raises(ScoreError, match="known well enough for a probability"):
        what_if(company.scorer, History.from_events([opened]), NOW, close_by=CLOSE_BY)


def test_hindsight_and_dates_past_the_horizon_are_refused(company: Company) -> None:
    early = from_microseconds(company.scorer.known_before) - timedelta(days=1)
    with pytest.raises(ScoreError, match="the cut-off of the artifact"):
        what_if(company.scorer, company.history, early, close_by=CLOSE_BY)
    with pytest.raises(HorizonError, match="days ahead"):
        what_if(company.scorer, company.history, NOW, close_by=date(2028, 1, 1))
    with pytest.raises(ScoreError, match="expected one of the two"):
        what_if(company.scorer, company.history, NOW)


def test_a_close_date_gone_by_is_refused(company: Company) -> None:
    with pytest.raises(WhatIfError, match="expected a date from 2026-01-12 on, the day of the sco"):
        company.what_if(0, "close_date_changed 2026-01-11")


def pushes_only(effects: list[float]) -> Scorer:
    """A scorer of how often and by how much the close date was pushed; worse as either rises."""
    names = ("close_date_pushes", "close_date_pushed_days")
    grid = Grid(
        tuple(GridFeature(name=name, thresholds=(0.5, 20.0), direction=-1) for name in names)
    )
    mains = np.zeros((2, 1, 2, int(grid.bins.max()) + 2))  # two bags that agree
    mains[:, 0, :, : len(effects)] = sorted(effects, reverse=True)
    tables = Tables(
        bins=grid.bins,
        intercepts=np.array([[-1.0], [-1.0]]),
        mains=mains,
        pairs=np.empty((0, 2), dtype=np.intp),
        left_groups=np.empty((2, 1, 0, mains.shape[-1]), dtype=np.uint8),
        right_groups=np.empty((2, 1, 0, mains.shape[-1]), dtype=np.uint8),
        values=np.empty(0),
    )
    facts = {
        "known_before": "2026-01-05T00:00:00+00:00",
        "feeds": {"crm": ["close_date_changed", "deal_opened", "must_hit_declared"]},
        "rates": {"known_before": 0, "table": {"owner": {"": [0, 0]}, "account": {"": [0, 0]}}},
    }
    return Scorer(
        Artifact(
            edges=np.array([0.0, 400.0]),
            grid=grid,
            tables=tables,
            calibration=Calibration.none(1),
            features=FeatureSet(Vocabulary(), names).to_json(),
            facts=facts,
        )
    )


@given(
    effects=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    planned=st.lists(st.integers(41, 120), min_size=1, max_size=4),
    days_later=st.integers(0, 90),
)
def test_where_only_pushes_count_a_push_never_raises_the_probability(
    effects: list[float], planned: list[int], days_later: int
) -> None:
    """The catalogue holds for pushes alone: how far away the date is may push either way."""
    events = [deal_event()]
    events += [
        deal_event("close_date_changed", place + 1.0, date=date_of(at))
        for place, at in enumerate(planned)
    ]
    push = parse_hypothetical(f"close_date_changed {date_of(planned[-1] + days_later)}")
    told = what_if(pushes_only(effects), History.from_events(events), day(40), [push], days=100.0)

    assert told.after <= told.before


def test_a_must_hit_milestone_missed_leaves_nothing() -> None:
    events = [
        deal_event(),
        deal_event("milestone_set", 1, name="pilot", date=date_of(60)),
        deal_event("must_hit_declared", 1, name="pilot"),
    ]
    history = History.from_events(events)
    scorer = pushes_only([0.0, 0.0, 0.0])

    told = what_if(
        scorer, history, day(40), [parse_hypothetical("milestone_missed pilot")], days=100.0
    )
    assert (told.gated_before, told.gated_after) == (told.before, 0.0)
    assert told.after > 0.0
    ungated = what_if(scorer, History.from_events(events[:1]), day(40), days=100.0)
    assert (ungated.gated_before, ungated.gated_after) == (None, None)


def test_what_clears_a_missed_gate_is_the_best_however_little_it_adds() -> None:
    scorer = pushes_only([0.0, 0.0, 0.0])
    feeds = {
        "crm": Feed(
            kinds=frozenset(
                {
                    "deal_opened",
                    "milestone_set",
                    "must_hit_declared",
                    "milestone_reached",
                    "call_made",
                }
            )
        )
    }
    deal = [deal_event(), deal_event("milestone_set", 1, name="pilot", date=date_of(20))]
    declared = deal_event("must_hit_declared", 1, name="pilot")
    scorer.trained_feeds = feeds

    def best(*events: Event) -> list[tuple[str, float | None]]:
        history = History.from_events([*deal, *events])
        told = what_if(scorer, history, day(40), days=100.0, best=None)
        assert all(action.points == 0.0 for action in told.best)
        return [(action.event, action.gated_after) for action in told.best]

    own = what_if(scorer, History.from_events(deal), day(40), days=100.0).before
    assert best() == [("call_made", None), ("milestone_reached pilot", None)]
    assert best(declared) == [("milestone_reached pilot", own), ("call_made", 0.0)]

    crm = feeds["crm"]
    scorer.trained_feeds = {"crm": replace(crm, kinds=crm.kinds - {"milestone_reached"})}
    assert best() == [("call_made", None)]
    never_told = best(declared)
    dropped = best(declared, deal_event("milestone_dropped", 30, name="pilot"))
    assert never_told == dropped == [("milestone_reached pilot", own), ("call_made", 0.0)]
