"""The truth is what it says: calibrated, bounded, and better the more is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model.event_table import TIME
from training.simulate import WORLDS, simulate
from training.simulation.rules import Rule
from training.simulation.truth import HORIZON_DAYS, P_OBSERVABLE_ERROR, TRUTH_SCHEMA


@pytest.fixture(scope="module", params=sorted(WORLDS))
def company(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, pd.DataFrame]:
    simulated = simulate(4000, seed=11, world=request.param)
    assert simulated.truth is not None
    return simulated.events.to_pandas(), simulated.truth.to_pandas()


@pytest.fixture
def truth(company: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    return company[1]


def clustered_z(excess: pd.Series, deal: pd.Series) -> float:
    """Standard score of a sum whose terms of one deal depend on each other."""
    by_deal = excess.groupby(deal).sum()
    return float(by_deal.sum() / np.sqrt((by_deal**2).sum()))


def log_loss(won: pd.Series, chance: pd.Series | float) -> float:
    return float(-np.log(np.maximum(np.where(won, chance, 1.0 - chance), 1e-12)).mean())


def test_p_observable_is_calibrated_against_what_came(truth: pd.DataFrame) -> None:
    for days, rows in truth.groupby("days"):
        excess = rows.won - rows.p_observable
        assert abs(clustered_z(excess, rows.deal_id)) < 3.5, days
        scores = []
        for _, part in rows.groupby(pd.qcut(rows.p_observable, 10)):
            if part.p_observable.sum() > 5:
                scores.append(clustered_z(part.won - part.p_observable, part.deal_id))
        assert len(scores) >= 3
        assert np.abs(scores).max() < 4.0, days


def test_p_observable_is_calibrated_within_what_the_events_show(
    company: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    events, truth = company
    rows = truth[truth.days == 30].sort_values("as_of")
    excess = rows.won - rows.p_observable
    for kind in ("stage_changed", "forecast_category_changed"):
        known = events[events.kind == kind].sort_values("known_at")
        known = known[["deal_id", "known_at", "name"]]
        at = pd.merge_asof(rows, known, left_on="as_of", right_on="known_at", by="deal_id")
        for name, part in at.groupby("name"):
            z = clustered_z(part.won - part.p_observable, part.deal_id)
            assert abs(z) < 4.0, (kind, name)
    for kind in ("customer_replied", "call_made", "close_date_changed", "meeting_held"):
        known = events[events.kind == kind].sort_values("known_at")[["deal_id", "known_at"]]
        known["seen"] = known.known_at
        at = pd.merge_asof(rows, known, left_on="as_of", right_on="known_at", by="deal_id")
        fresh = ((at.as_of - at.seen).dt.days < 10).to_numpy()
        for group in (fresh, ~fresh):
            assert abs(clustered_z(excess[group], rows.deal_id[group])) < 4.0, kind


def test_the_more_is_known_the_smaller_the_loss(truth: pd.DataFrame) -> None:
    for _, rows in truth.groupby("days"):
        base = log_loss(rows.won, float(rows.won.mean()))
        observable = log_loss(rows.won, rows.p_observable)
        assert log_loss(rows.won, rows.p_state) < observable < 0.95 * base


def test_p_state_averages_to_p_observable(truth: pd.DataFrame) -> None:
    for _, rows in truth.groupby("days"):
        excess = rows.p_state - rows.p_observable
        assert abs(clustered_z(excess, rows.deal_id)) < 3.5


def test_probabilities_lie_between_0_and_1_and_rise_with_the_days(truth: pd.DataFrame) -> None:
    for column in ("p_observable", "p_state"):
        by_days = truth[column].to_numpy().reshape(-1, len(HORIZON_DAYS))
        assert by_days.min() >= 0.0
        assert by_days.max() <= 1.0
        assert (np.diff(by_days, axis=1) >= -P_OBSERVABLE_ERROR).all()


def test_the_truth_is_asked_at_midnights_at_which_the_deal_is_open_as_known(
    company: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    events, truth = company
    asked = truth[["deal_id", "as_of"]].drop_duplicates()
    assert (asked.as_of == asked.as_of.dt.normalize()).all()
    turns = {"deal_opened": 1, "deal_won": -1, "deal_lost": -1, "deal_reopened": 1}
    rows = events[events.kind.isin(turns)].merge(asked, on="deal_id")
    rows = rows[rows.known_at < rows.as_of]
    is_open = rows.kind.map(turns).groupby([rows.deal_id, rows.as_of]).sum()
    assert len(is_open) == len(asked)
    assert (is_open == 1).all()


def test_the_outcome_is_the_one_in_the_events_where_these_reach_far_enough(
    company: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    events, truth = company
    won = events[events.kind == "deal_won"].set_index("deal_id").occurred_at
    until = truth.as_of + pd.to_timedelta(truth.days, unit="D")
    told = truth.deal_id.map(won) < until
    assert (truth.won | ~told).all()
    settled = until < events.known_at.max() - pd.Timedelta(days=40)
    assert (truth.won[settled] == told[settled]).all()
    assert truth.won[~settled].sum() > told[~settled].sum()  # the truth sees on


def test_the_truth_says_its_own_error() -> None:
    truth = simulate(30, seed=12).truth
    assert truth is not None
    assert truth.schema.field("as_of").type == TIME
    assert truth.schema.equals(TRUTH_SCHEMA, check_metadata=True)
    assert float(truth.schema.metadata[b"p_observable_error"]) == P_OBSERVABLE_ERROR


@pytest.mark.parametrize("number", sorted(WORLDS))
def test_a_world_keeps_what_the_filter_relies_on(number: int) -> None:
    world = WORLDS[number]()
    assert world.base.shape == (len(world.channels), world.chain.open_states)
    assert (world.base >= 0.0).all()
    for channel in world.channels:
        assert channel.count or not channel.late
        if channel.late:  # a record of what is logged late would not be known in time
            assert type(channel.rule).apply is Rule.apply
            assert type(channel.rule).factor is Rule.factor
    again = [edge for edge in world.chain.edges if edge.origin == "lost" and edge.target != "gone"]
    assert len({edge.group for edge in again}) == 1
    known = world.lag_known
    np.testing.assert_allclose(known[:, -1], 1.0)
    assert (np.diff(known, axis=1) > 0).all()


@pytest.mark.parametrize("number", sorted(WORLDS))
def test_no_event_names_a_hidden_state(number: int) -> None:
    events = simulate(300, seed=13, world=number, truth=False).events
    shown = set(events["name"].unique().to_pylist()) | set(events["text"].unique().to_pylist())
    assert not shown & set(WORLDS[number]().chain.live)
