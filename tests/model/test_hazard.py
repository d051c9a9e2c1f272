from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.errors import HorizonError
from model.events import microseconds
from model.hazard import (
    check_edges,
    edge_weights,
    hazard,
    probability,
    probability_gradient,
    softplus,
)

EDGES = np.array([0.0, 7.0, 14.0, 30.0, 90.0])
log_odds = hnp.arrays(np.float64, 4, elements=st.floats(-40.0, 40.0))


@pytest.mark.parametrize(
    ("days", "weights"),
    [
        (3.5, [0.5, 0.0, 0.0, 0.0]),
        (7.0, [1.0, 0.0, 0.0, 0.0]),
        (22.0, [1.0, 1.0, 0.5, 0.0]),
        (90.0, [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_an_edge_counts_by_the_share_of_it_that_has_passed(days, weights):
    assert edge_weights(EDGES, days).tolist() == weights


def test_weights_of_many_dates_keep_the_shape_of_the_dates():
    days = np.array([[1.0, 7.0, 8.0], [30.0, 60.0, 90.0]])
    assert edge_weights(EDGES, days).shape == (2, 3, 4)
    assert edge_weights(EDGES, days)[1, 1].tolist() == [1.0, 1.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("days", "message"),
    [
        (
            0.0,
            "days ahead 0: expected more than 0 and at most 90 days. Remedy: ask for days above 0",
        ),
        (-1.0, "days ahead -1: .*days above 0"),
        (np.nan, "days ahead nan: .*give a number of days"),
        (90.5, "days ahead 90.5: .*at most 90 days.*fewer days, or.*reach further"),
        (np.inf, "days ahead inf: .*reach further"),
        ([7.0, 2_900_000.0], "days ahead 2.9e"),
    ],
)
def test_a_date_outside_the_horizon_is_refused(days, message):
    with pytest.raises(HorizonError, match=message):
        edge_weights(EDGES, days)


def test_the_refusal_names_the_furthest_answerable_date():
    as_of_us = microseconds(datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(HorizonError, match="at most 90 days, until 2026-04-01"):
        edge_weights(EDGES, 91.0, as_of_us=as_of_us)
    with pytest.raises(HorizonError, match="ask for a later date"):
        edge_weights(EDGES, -1.0, as_of_us=as_of_us)
    later_us = microseconds(datetime(2026, 2, 1, tzinfo=UTC))
    with pytest.raises(HorizonError, match="until 2026-05-02"):
        edge_weights(EDGES, [7.0, 91.0], as_of_us=[as_of_us, later_us])


@pytest.mark.parametrize("edges", [[0.0], [1.0, 2.0], [0.0, 7.0, 7.0], [0.0, np.inf], [[0.0, 1.0]]])
def test_edges_that_do_not_rise_from_zero_are_refused(edges):
    with pytest.raises(HorizonError, match="days that rise from 0"):
        check_edges(edges)


@given(eta=log_odds, days=st.lists(st.floats(0.01, 90.0), min_size=2, max_size=6))
@settings(max_examples=60, deadline=None)
def test_probability_never_falls_with_a_later_date(eta, days):
    curve = probability(eta, edge_weights(EDGES, np.sort(days)))
    assert (np.diff(curve) >= 0.0).all()
    assert ((curve >= 0.0) & (curve <= 1.0)).all()


@given(eta=hnp.arrays(np.float64, 4, elements=st.floats(-20.0, 20.0)), days=st.floats(0.01, 90.0))
@settings(max_examples=60, deadline=None)
def test_probability_is_the_product_over_the_edges(eta, days):
    weights = edge_weights(EDGES, days)
    plain = 1.0 - np.prod((1.0 - hazard(eta)) ** weights)
    assert probability(eta, weights) == pytest.approx(plain, abs=1e-7)


def test_tiny_hazards_keep_their_digits():
    assert probability(np.full(4, -40.0), np.ones(4)) == pytest.approx(4 * np.exp(-40.0), rel=1e-12)


def test_log_survival_is_linear_inside_an_edge():
    eta = np.array([0.3, -0.2, 0.1, -1.0])
    survival = 1.0 - probability(eta, edge_weights(EDGES, [14.0, 22.0, 30.0]))
    assert np.log(survival[1]) == pytest.approx(np.log(survival[[0, 2]]).mean(), rel=1e-12)


@given(eta=hnp.arrays(np.float64, 4, elements=st.floats(-8.0, 8.0)), days=st.floats(0.5, 90.0))
@settings(max_examples=60, deadline=None)
def test_the_gradient_is_that_of_the_probability(eta, days):
    weights = edge_weights(EDGES, days)
    step = 1e-5
    shifts = step * np.eye(4)
    numeric = (probability(eta + shifts, weights) - probability(eta - shifts, weights)) / (2 * step)
    np.testing.assert_allclose(probability_gradient(eta, weights), numeric, atol=1e-8)


def test_extreme_log_odds_neither_overflow_nor_warn():
    eta = np.array([-1e308, -800.0, 800.0, 1e308])
    assert hazard(eta).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert softplus(eta)[:2].tolist() == [0.0, 0.0]
    assert probability(eta[:3], np.ones(3)) == 1.0
