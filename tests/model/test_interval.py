"""The interval holds its probability, widens as the bags disagree, and stays inside (0, 1)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.interval import MISSED, NORMAL, SPREAD, interval, missed_by_all

_LOG_ODDS = st.floats(-8, 8)


@given(_LOG_ODDS, st.lists(_LOG_ODDS, min_size=8, max_size=8))
def test_an_interval_holds_its_probability_and_stays_inside_zero_and_one(
    shown: float, bags: list[float]
) -> None:
    low, high = interval(np.array([shown]), np.array(bags)[:, None], MISSED)
    assert 0 < low[0] < 1 / (1 + np.exp(-shown)) < high[0] < 1


@given(st.floats(-2000, 2000))
def test_bags_that_agree_leave_what_all_of_them_miss(shown: float) -> None:
    low, high = interval(np.array([shown]), np.full((8, 1), shown), MISSED)
    assert 0 <= low[0] <= high[0] <= 1
    if abs(shown) < 1e-3:
        assert np.log(high / (1 - high)) == pytest.approx(NORMAL * MISSED, abs=0.01)


def test_bags_that_disagree_add_their_spread_at_a_right_angle() -> None:
    bags = np.linspace(-1.0, 1.0, 8)
    low, high = interval(np.array([0.0]), bags[:, None], MISSED)

    half = np.hypot(SPREAD * bags.std(ddof=1), NORMAL * MISSED)
    np.testing.assert_allclose([low[0], high[0]], 1 / (1 + np.exp([half, -half])))


@given(_LOG_ODDS, st.floats(0.05, 2), st.floats(0.05, 2))
def test_bags_that_disagree_more_give_a_wider_interval(
    shown: float, one: float, more: float
) -> None:
    away = np.linspace(-1, 1, 8)
    low, high = interval(
        np.full(2, shown), np.stack([one * away, (one + more) * away], axis=1), MISSED
    )
    assert low[1] < low[0] < high[0] < high[1]


def test_what_has_no_probability_has_no_interval() -> None:
    assert np.isnan(interval(np.array([np.nan]), np.full((8, 1), 0.5), MISSED)).all()


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_fewer_deals_won_give_a_wider_interval(won: int, more: int) -> None:
    ends = [
        interval(np.zeros(1), np.zeros((8, 1)), missed_by_all(each))[1][0]
        for each in (won, won + more)
    ]
    assert ends[0] >= ends[1] > 0.5
    assert missed_by_all(None) == MISSED < missed_by_all(won + more)
