"""The score: what holds of every answer, on deals of a simulated company."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.artifact import Artifact
from model.drivers import drivers
from model.errors import HorizonError, ScoreError
from model.event_table import event_from_row, table_of
from model.events import DAY_US, Event, from_microseconds, microseconds
from model.feeds import Feed
from model.hazard import edge_weights, probability
from model.history import History
from model.score import SCORE_SCHEMA, Score, score_from_json
from model.scorer import MAIN_DRIVERS, Scorer, days_until
from training.simulate import Simulation

FIRST = datetime(2024, 6, 1, tzinfo=UTC)
LAST = datetime(2026, 1, 12, tzinfo=UTC)  # a week after the artifact's cut-off
EVERY_DAYS = 14
EDGES_DAYS = (7.0, 30.0, 90.0, 180.0)
EXAMPLES = 25

places = st.integers(0, 2**31)  # any of the open deals at any of the moments, by remainder
ahead = st.floats(0.01, EDGES_DAYS[-1])


class Company:
    """An artifact, the history of its company, and all (deal, as_of) where a deal was open."""

    def __init__(self, artifact: Path, simulation: Simulation) -> None:
        self.artifact_path = artifact
        self.scorer = Scorer(Artifact.load(artifact))
        self.history = History.from_table(simulation.events)
        moments = np.arange(microseconds(FIRST), microseconds(LAST) + 1, EVERY_DAYS * DAY_US)
        deal = np.repeat(np.arange(self.history.deals), len(moments))
        as_of = np.tile(moments, self.history.deals)
        is_open = self.scorer.score_many(self.history, deal, as_of, None).is_open
        self.deal, self.as_of = deal[is_open], as_of[is_open]
        self.closed = (int(deal[~is_open][-1]), int(as_of[~is_open][-1]))
        self.scored = self.scorer.score_many(self.history, self.deal, self.as_of, None)
        self.rows: dict[str, list[Event]] = {}
        for row in simulation.events.to_pylist():
            self.rows.setdefault(row["deal_id"], []).append(event_from_row(row))

    def at(self, place: int) -> tuple[int, datetime]:
        row = place % len(self.deal)
        return int(self.deal[row]), from_microseconds(int(self.as_of[row]))

    def events(self, deal: int) -> list[Event]:
        return self.rows[self.history.deal_ids[deal]]

    def score(self, place: int, **asked: Any) -> Score:
        deal, as_of = self.at(place)
        return self.scorer.score(self.history, as_of, deal=deal, hindsight=True, **asked)


@pytest.fixture(scope="module")
def company(small_artifact: Path, small_company: Simulation) -> Company:
    return Company(small_artifact, small_company)


@settings(max_examples=EXAMPLES)
@given(place=places, days=st.lists(ahead, min_size=2, max_size=6))
def test_the_probability_never_falls_with_a_later_date(
    place: int, days: list[float], company: Company
) -> None:
    by_date = [company.score(place, days=day).probability for day in sorted(days)]

    assert all(later >= earlier for earlier, later in pairwise(by_date))


def test_the_probability_never_falls_with_a_later_date_for_any_open_deal(company: Company) -> None:
    by_date = company.scorer.probabilities(company.scored, np.linspace(0.5, 180.0, 120).tolist())

    assert len(by_date) > 500
    assert (np.diff(by_date, axis=1) >= 0.0).all()
    assert (by_date > 0.0).all()
    assert (by_date < 1.0).all()


@settings(max_examples=EXAMPLES)
@given(place=places, days=ahead, most=st.sampled_from([1, 3, MAIN_DRIVERS, None]))
def test_drivers_lead_from_the_average_deal_to_the_probability(
    place: int, days: float, most: int | None, company: Company
) -> None:
    score = company.score(place, days=days, most=most)

    told = score.average_probability + sum(d.points for d in score.drivers) + score.other_points
    assert told == pytest.approx(score.probability, abs=1e-9)
    assert len(score.drivers) <= (most or len(company.scorer.features.names))
    if most is None:
        assert score.other_points == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=EXAMPLES)
@given(place=places, days=ahead)
def test_the_strongest_drivers_come_first_and_none_adds_nothing(
    place: int, days: float, company: Company
) -> None:
    strengths = [abs(d.points) for d in company.score(place, days=days, most=None).drivers]

    assert strengths == sorted(strengths, reverse=True)
    assert all(strength > 0.0 for strength in strengths)


@settings(max_examples=EXAMPLES)
@given(place=places, day=st.integers(0, 150), dated=st.booleans())
def test_a_score_survives_json_whole(place: int, day: int, dated: bool, company: Company) -> None:
    close_by = company.at(place)[1].date() + timedelta(days=day)
    asked: dict[str, Any] = {"close_by": close_by} if dated else {"days": day + 1.0}
    score = company.score(place, **asked)

    assert score_from_json(json.loads(json.dumps(score.to_json(), allow_nan=False))) == score


def test_a_score_of_a_newer_schema_is_refused(company: Company) -> None:
    newer = replace(company.score(0, days=30.0), schema_version=SCORE_SCHEMA + 1).to_json()

    with pytest.raises(ScoreError, match=r"a score of schema 3: expected one of schema 2.*upgrade"):
        score_from_json(newer)


def test_a_saved_and_loaded_artifact_gives_identical_scores(
    company: Company, tmp_path: Path
) -> None:
    company.scorer.artifact.save(tmp_path / "again")
    again = Scorer(Artifact.load(tmp_path / "again"))

    for place in range(0, 10_000, 997):
        deal, as_of = company.at(place)
        assert again.score(
            company.history, as_of, deal=deal, days=45.0, hindsight=True
        ) == company.score(place, days=45.0)


@settings(max_examples=EXAMPLES)
@given(place=places, days=ahead)
def test_a_deal_alone_scores_as_among_all_others(place: int, days: float, company: Company) -> None:
    deal, as_of = company.at(place)
    alone = History.from_events(company.events(deal))

    one = company.scorer.score(alone, as_of, days=days, hindsight=True)

    assert one == company.score(place, days=days)
    batch = company.scorer.probabilities(company.scored, [days])[place % len(company.deal), 0]
    assert one.probability == pytest.approx(batch, abs=1e-12)


def test_deals_scored_together_are_the_scores_of_each(company: Company) -> None:
    chosen = np.arange(0, len(company.deal), 101)
    deal, as_of = company.deal[chosen], company.as_of[chosen]
    days = np.linspace(1.0, 180.0, len(chosen))
    scored = company.scorer.score_many(company.history, deal, as_of, days, checked=True)
    low, high = company.scorer.intervals(scored, days)

    together = company.scorer.scores(company.history, deal, as_of, days, scored, None)
    ends = []

    for score, place, day in zip(together, chosen.tolist(), days.tolist(), strict=True):
        single = company.score(place, days=day)
        assert score.probability == pytest.approx(single.probability, abs=1e-12)
        assert (score.gates is None) == (single.gates is None)
        assert score.data_quality == single.data_quality
        assert score.interval is not None
        ends.append((score.interval.low, score.interval.high))
        assert score.unusual == single.unusual
        points = {d.feature: d.points for d in single.drivers}
        for driver in score.drivers:
            assert driver.points == pytest.approx(points.get(driver.feature, 0.0), abs=1e-12)
    np.testing.assert_allclose(ends, np.stack([low, high], axis=1), atol=1e-12)


later_events = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "customer_replied",
                "message_sent",
                "deal_lost",
                "deal_won",
                "internal_update_posted",
                "technical_validation_failed",
                "auto_reply_received",
                "escalation_raised",
            ]
        ),
        st.integers(1, 20 * DAY_US),  # known so long after the score
        st.integers(0, 60 * DAY_US),  # and happened so long before it was known
        st.sampled_from(["crm", "mailbox", "a source never heard of"]),
    ),
    max_size=6,
)


@settings(max_examples=EXAMPLES)
@given(place=places, later=later_events, random=st.randoms(use_true_random=False), days=ahead)
def test_later_reordered_and_repeated_events_change_nothing(
    place: int, later: list[Any], random: Any, days: float, company: Company
) -> None:
    deal, as_of = company.at(place)
    events = company.events(deal)
    known = [event for event in events if event.known_at is not None and event.known_at <= as_of]
    expected = company.scorer.score(
        History.from_events(known), as_of, days=days, hindsight=True, most=None
    )

    more = [
        Event(
            deal_id=events[0].deal_id,
            kind=kind,
            occurred_at=as_of + timedelta(microseconds=after - before),
            known_at=as_of + timedelta(microseconds=after),
            source=source,
            source_id=f"later-{number}",
        )
        for number, (kind, after, before, source) in enumerate(later)
    ]
    shuffled = [*events, *more, *random.sample(events, len(events) // 3)]
    random.shuffle(shuffled)

    told = company.scorer.score(
        History.from_events(shuffled), as_of, days=days, hindsight=True, most=None
    )
    assert told == expected


@settings(max_examples=EXAMPLES)
@given(place=places, days=ahead)
def test_a_table_of_events_and_events_give_one_score(
    place: int, days: float, company: Company
) -> None:
    deal, as_of = company.at(place)
    events = company.events(deal)

    assert company.scorer.score(
        History.from_table(table_of(events)), as_of, days=days, hindsight=True
    ) == company.scorer.score(History.from_events(events), as_of, days=days, hindsight=True)


def directed(scorer: Scorer) -> list[int]:
    return [j for j, f in enumerate(scorer.artifact.grid.features) if f.direction]


def test_a_push_in_the_bad_direction_never_raises_the_probability(company: Company) -> None:
    scorer = company.scorer
    grid, x = scorer.artifact.grid, company.scored.x
    weights = edge_weights(scorer.edges, np.array([1.0, 7.0, 20.0, 45.0, 120.0, 180.0]))
    pushes = np.random.default_rng(5).exponential(30.0, len(x))

    def by_date(values: np.ndarray) -> np.ndarray:
        eta = scorer.tables.eta(grid.bin(values))
        return np.stack([probability(eta, w) for w in weights], axis=1)

    before = by_date(x)
    columns = directed(scorer)
    assert len(columns) > 10
    for column in columns:
        pushed = x.copy()
        pushed[:, column] -= grid.features[column].direction * pushes  # missing stays missing
        assert (by_date(pushed) <= before + 1e-12).all(), grid.names[column]


def test_a_directed_feature_at_its_worst_never_has_a_positive_driver(company: Company) -> None:
    scorer = company.scorer
    grid, x = scorer.artifact.grid, company.scored.x[::7]
    weights = edge_weights(scorer.edges, np.full(len(x), 60.0))
    for column in directed(scorer):
        worst = x.copy()
        worst[:, column] = -1e12 if grid.features[column].direction > 0 else 1e12
        split = drivers(
            scorer.tables.intercept, scorer.tables.contributions(grid.bin(worst)), weights
        )
        assert split.points[:, column].max() <= 1e-12, grid.names[column]


@settings(max_examples=EXAMPLES)
@given(place=places, days=ahead)
def test_a_category_never_seen_is_the_average_and_says_so(
    place: int, days: float, company: Company
) -> None:
    scorer, x = company.scorer, company.scored.x[[place % len(company.deal)]].copy()
    columns = np.flatnonzero(scorer.artifact.grid.categorical)
    assert len(columns)
    x[:, columns] = -1.0

    bins = scorer.artifact.grid.bin(x)
    contributions = scorer.tables.contributions(bins)
    split = drivers(scorer.tables.intercept, contributions, edge_weights(scorer.edges, [days]))

    assert (contributions[:, columns] == 0.0).all()
    assert (split.points[:, columns] == 0.0).all()
    for column in columns.tolist():
        driver = scorer.driver(column, -1.0, 0.0)
        assert driver.value == "(never seen)"
        assert any(words in driver.phrase for words in ("never seen", "no earlier deal"))


def with_field(event: Event, **values: Any) -> Event:
    return replace(event, **values)


def test_a_stage_that_training_never_saw_is_scored_and_has_no_driver(company: Company) -> None:
    deal, as_of = company.at(0)
    events = [
        with_field(event, name="a stage of tomorrow") if event.kind == "stage_changed" else event
        for event in company.events(deal)
    ]

    score = company.scorer.score(
        History.from_events(events), as_of, days=30.0, hindsight=True, most=None
    )

    assert "stage" in company.scorer.features.names
    assert "stage" not in [driver.feature for driver in score.drivers]


def test_hindsight_is_refused_unless_asked_for_and_then_marked(company: Company) -> None:
    deal, early = company.at(0)
    assert early < datetime(2026, 1, 5, tzinfo=UTC)

    with pytest.raises(
        ScoreError,
        match=r"expected a time from 2026-01-05T00:00:00\+00:00 on, the cut-off.*ask for hindsight",
    ):
        company.scorer.score(company.history, early, deal=deal, days=30.0)
    assert company.score(0, days=30.0).hindsight

    late = int(np.flatnonzero(company.as_of >= microseconds(datetime(2026, 1, 5, tzinfo=UTC)))[0])
    deal, as_of = company.at(late)
    assert not company.scorer.score(company.history, as_of, deal=deal, days=30.0).hindsight


def test_at_the_cut_off_itself_a_score_is_no_hindsight(company: Company) -> None:
    assert company.scorer.check_as_of(company.scorer.known_before, hindsight=False) is False


def test_a_source_that_training_never_met_is_not_described_by_its_feed(company: Company) -> None:
    known = min(company.scorer.trained_feeds)
    heard = Feed(kinds=frozenset({"call_made"}), heard=np.array([7]))

    feeds = company.scorer.feeds({known: heard, "unheard of": heard})

    assert feeds.keys() == company.scorer.trained_feeds.keys()
    assert feeds[known].heard.tolist() == [7]
    assert feeds[known].kinds == company.scorer.trained_feeds[known].kinds


def test_a_deal_that_is_not_open_is_refused_by_name_with_why(company: Company) -> None:
    deal, as_of = company.closed
    name = company.history.deal_ids[deal]

    with pytest.raises(
        ScoreError,
        match=f"deal '{name}', not opened yet: expected a deal open at 20",
    ):
        company.scorer.score(
            company.history, from_microseconds(as_of), deal=deal, days=30.0, hindsight=True
        )


def test_a_deal_never_opened_is_refused(company: Company) -> None:
    deal, as_of = company.at(0)
    unopened = [event for event in company.events(deal) if event.kind != "deal_opened"]

    with pytest.raises(ScoreError, match=r"never opened: .*they must tell of its opening"):
        company.scorer.score(History.from_events(unopened), as_of, days=30.0, hindsight=True)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"days": 180.5}, "more than 0 and at most 180 days, until "),
        ({"days": 0.0}, "days ahead 0: .*ask for a later date"),
        ({"days": -3.0}, "days ahead -3: "),
        ({"days": float("nan")}, "days ahead nan: .*give a number of days"),
        ({"close_by": date(9999, 12, 31)}, "at most 180 days, until .*an earlier date"),
        ({"close_by": date(2020, 1, 1)}, "days ahead -.*ask for a later date"),
    ],
)
def test_a_date_out_of_reach_is_refused(asked: dict[str, Any], told: str, company: Company) -> None:
    with pytest.raises(HorizonError, match=told):
        company.score(0, **asked)


def test_a_date_past_the_horizon_names_the_furthest_one(company: Company) -> None:
    as_of = company.at(0)[1]
    furthest = (as_of + timedelta(days=EDGES_DAYS[-1])).date()

    with pytest.raises(HorizonError, match=f"until {furthest}"):
        company.score(0, close_by=furthest + timedelta(days=1))
    by_the_day_before = company.score(0, close_by=furthest - timedelta(days=1))
    assert by_the_day_before.close_by == (furthest - timedelta(days=1)).isoformat()


@pytest.mark.parametrize("asked", [{}, {"days": 30.0, "close_by": date(2025, 1, 31)}])
def test_exactly_one_of_date_and_days_is_asked(asked: dict[str, Any], company: Company) -> None:
    with pytest.raises(ScoreError, match="expected one of the two"):
        company.score(0, **asked)


@settings(max_examples=EXAMPLES)
@given(place=places, day=st.integers(0, 170))
def test_a_close_date_is_inclusive(place: int, day: int, company: Company) -> None:
    as_of = company.at(place)[1]
    close_by = as_of.date() + timedelta(days=day)
    end = datetime(close_by.year, close_by.month, close_by.day, tzinfo=UTC) + timedelta(days=1)

    dated = company.score(place, close_by=close_by)

    assert dated.days == days_until(microseconds(as_of), close_by)
    assert dated.days == pytest.approx((end - as_of) / timedelta(days=1))
    counted = company.score(place, days=dated.days)
    assert replace(dated, close_by=None) == counted


def test_the_curve_is_the_probability_at_each_edge(company: Company) -> None:
    deal, as_of = company.at(3)
    curve = company.score(3, days=30.0).curve

    assert [point.days for point in curve] == list(EDGES_DAYS)
    for point in curve:
        assert point.probability == pytest.approx(
            company.score(3, days=point.days).probability, abs=1e-12
        )
        assert datetime.fromisoformat(point.by) == as_of + timedelta(days=point.days)
    assert deal == company.at(3)[0]


def test_a_driver_tells_the_fact_behind_it(company: Company) -> None:
    deal, as_of = company.at(5)
    score = company.score(5, days=60.0, most=None)
    row = company.scorer.features.matrix(
        company.history,
        np.array([deal]),
        np.array([microseconds(as_of)]),
        company.scorer.trained_feeds,
        company.scorer.rates,
    )[0]
    names = company.scorer.features.names

    assert score.drivers
    for driver in score.drivers:
        column = names.index(driver.feature)
        assert driver.value == company.scorer.features.value(column, row[column])
        assert driver.phrase


def test_no_deals_are_no_scores(company: Company) -> None:
    none = np.zeros(0, dtype=np.int64)
    scored = company.scorer.score_many(company.history, none, none, np.zeros(0), checked=True)

    assert scored.is_open.shape == (0,)
    assert scored.checks == []
    assert scored.split is not None
    assert scored.split.points.shape == (0, len(company.scorer.features.names))


def test_scores_without_drivers_cannot_be_asked_for_as_scores(company: Company) -> None:
    one = company.deal[:1], company.as_of[:1]
    bare = company.scorer.score_many(company.history, *one, None)

    with pytest.raises(ScoreError, match="deals scored without drivers or checks: expected both"):
        company.scorer.scores(company.history, *one, np.array([30.0]), bare, None)


def test_scoring_loads_numpy_alone(loaded_by: Callable[[str], set[str]]) -> None:
    loaded = loaded_by("import model.scorer")

    assert "numpy" in loaded
    assert not loaded & {"sklearn", "pandas", "scipy", "pyarrow", "mlflow", "fastapi"}
