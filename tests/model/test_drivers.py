from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.drivers import ROWS_AT_ONCE, drivers
from model.errors import ScoreError
from model.hazard import edge_weights, probability, probability_gradient

EDGES = np.array([0.0, 7.0, 14.0, 30.0, 60.0, 90.0])


def evidence(seed, *, rows=None, features=6, distance=3.0):
    """An intercept and contributions whose log-odds move by up to `distance`."""
    rng = np.random.default_rng(seed)
    shape = (features, 5) if rows is None else (rows, features, 5)
    contributions = rng.normal(size=shape)
    furthest = np.abs(contributions.sum(axis=-2)).max()
    return rng.normal(size=5) - 2.0, contributions * distance / furthest


def weights_of(days):
    return edge_weights(EDGES, days)


@given(
    seed=st.integers(0, 10_000),
    distance=st.sampled_from([0.0, 0.5, 9.9, 10.1, 19.9, 20.1, 40.0, 60.0, 300.0]),
    days=st.floats(0.1, 90.0),
    start=st.floats(-60.0, 60.0),
    alike=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_drivers_sum_to_the_difference_from_the_average_evidence(
    seed, distance, days, start, alike
):
    intercept, contributions = evidence(seed, distance=distance)
    if alike:  # every edge turns at the same place of the path: the sharpest integrand
        contributions[:] = contributions[:, :1]
        intercept[:] = start
    split = drivers(intercept + start, contributions, weights_of(days))
    eta = intercept + start + contributions.sum(axis=0)
    assert split.probability == pytest.approx(probability(eta, weights_of(days)), abs=1e-12)
    assert split.average == probability(intercept + start, weights_of(days))
    assert split.points.sum() == pytest.approx(split.probability - split.average, abs=1e-9)


@given(seed=st.integers(0, 10_000), distance=st.sampled_from([2.0, 15.0, 50.0]))
@settings(max_examples=25, deadline=None)
def test_many_deals_are_split_as_each_alone(seed, distance):
    intercept, contributions = evidence(seed, rows=7, distance=distance)
    weights = weights_of(np.random.default_rng(seed).uniform(0.5, 90.0, 7))
    many = drivers(intercept, contributions, weights)
    for row in range(7):
        alone = drivers(intercept, contributions[row], weights[row])
        np.testing.assert_allclose(many.points[row], alone.points, atol=1e-12)
        assert many.probability[row] == pytest.approx(alone.probability, abs=1e-12)
        assert many.average[row] == pytest.approx(alone.average, abs=1e-12)


def test_deals_beyond_one_chunk_are_split_for_a_date_in_common():
    intercept, contributions = evidence(0, rows=2 * ROWS_AT_ONCE + 1, distance=12.0)
    many = drivers(intercept, contributions, weights_of(20.0))
    last = drivers(intercept, contributions[-1], weights_of(20.0))
    np.testing.assert_allclose(many.points[-1], last.points, atol=1e-12)


def test_the_points_are_the_integral_of_the_gradient_along_the_path():
    intercept, contributions = evidence(4, distance=6.0)
    weights = weights_of(37.0)
    along = (np.arange(20_000) + 0.5) / 20_000
    path = intercept + along[:, None] * contributions.sum(axis=0)
    gradient = probability_gradient(path, weights).mean(axis=0)
    split = drivers(intercept, contributions, weights)
    np.testing.assert_allclose(split.points, contributions @ gradient, atol=1e-8)


def test_a_feature_that_says_nothing_gets_no_points_and_equals_get_equal_ones():
    intercept, contributions = evidence(1)
    contributions[2] = 0.0
    contributions[4] = contributions[3]
    points = drivers(intercept, contributions, weights_of(30.0)).points
    assert points[2] == 0.0
    assert points[3] == pytest.approx(points[4], abs=1e-15)


def test_a_feature_that_only_lowers_the_log_odds_never_gets_positive_points():
    intercept, contributions = evidence(2, rows=50)
    contributions[:, 1] = -np.abs(contributions[:, 1])
    assert (drivers(intercept, contributions, weights_of(30.0)).points[:, 1] <= 0.0).all()


def test_edges_beyond_the_date_do_not_count():
    intercept, contributions = evidence(3)
    changed = contributions.copy()
    changed[:, 2:] += 25.0
    before = drivers(intercept, contributions, weights_of(14.0))
    after = drivers(intercept, changed, weights_of(14.0))
    np.testing.assert_allclose(before.points, after.points, atol=1e-12)


def test_no_deals_have_no_drivers():
    intercept, contributions = evidence(0, rows=1)
    empty = drivers(intercept, contributions[:0], weights_of(14.0))
    assert empty.points.shape == (0, 6)
    assert empty.probability.shape == (0,)


@pytest.mark.parametrize("rows", [None, 3])
def test_values_that_are_not_numbers_are_refused(rows):
    intercept, contributions = evidence(0, rows=rows)
    contributions[..., 1, 0] = np.nan
    with pytest.raises(ScoreError, match=r"log-odds of nan|miss the probability by nan"):
        drivers(intercept, contributions, weights_of(14.0))


@pytest.mark.parametrize("rows", [None, 3])
def test_log_odds_past_all_belief_are_refused(rows):
    intercept, contributions = evidence(0, rows=rows, distance=700.0)
    with pytest.raises(ScoreError, match="expected at most 600"):
        drivers(intercept, contributions, weights_of(90.0))
