"""The interval holds its probability, is as wide as the bags disagree, and stays inside (0, 1)."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.interval import interval

_P = st.floats(0.001, 0.999)


@given(_P, st.lists(_P, min_size=8, max_size=8))
def test_an_interval_holds_its_probability_and_stays_inside_zero_and_one(
    shown: float, bags: list[float]
) -> None:
    low, high = interval(np.array([shown]), np.array([bags]))
    assert 0 < low[0] <= shown <= high[0] < 1


@given(_P, _P)
def test_bags_that_agree_leave_no_width(shown: float, bag: float) -> None:
    low, high = interval(np.array([shown]), np.full((1, 8), bag))
    np.testing.assert_allclose([low[0], high[0]], shown, rtol=1e-9)


@given(_P, st.floats(0.05, 2), st.floats(0.05, 2))
def test_bags_that_disagree_more_give_a_wider_interval(
    shown: float, one: float, more: float
) -> None:
    logits = np.linspace(-1, 1, 8)
    near, far = (1 / (1 + np.exp(-scale * logits)) for scale in (one, one + more))
    low, high = interval(np.array([shown, shown]), np.stack([near, far]))
    assert low[1] < low[0] < high[0] < high[1]
