"""Blending: alike candidates share, a clearly better one takes all, and leaves mix exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.companies import snapshots
from training.blending import SMALLEST, blend_leaves, blend_weights, deal_losses
from training.leaves import Leaves

EDGES = np.array([0.0, 10.0, 30.0])


@given(seed=st.integers(0, 1000), candidates=st.integers(1, 5), deals=st.integers(1, 60))
def test_weights_are_shares_and_none_is_tiny(seed: int, candidates: int, deals: int) -> None:
    losses = np.random.default_rng(seed).exponential(size=(candidates, deals))
    weights = blend_weights(losses, seed)

    assert weights.sum() == pytest.approx(1.0)
    assert ((weights == 0.0) | (weights >= SMALLEST)).all()
    assert np.array_equal(weights, blend_weights(losses, seed))


@pytest.mark.parametrize(
    ("deals", "share"), [(20, (0.5, 0.6)), (400, (0.6, 0.9)), (20_000, (1, 1))]
)
def test_the_better_counts_the_more_the_more_deals_say_so(
    deals: int, share: tuple[float, float]
) -> None:
    losses = np.random.default_rng(0).exponential(0.5, size=deals) + np.array([[0.0], [0.01]])

    assert share[0] <= blend_weights(losses, 0)[0] <= share[1]


def test_a_deal_counts_by_the_loss_of_its_rows_over_all_edges() -> None:
    data = snapshots(np.array([0, 0, 1]), np.array([0.0, 5.0, 0.0]), np.array([20.0, 15.0, np.inf]))
    eta = np.zeros((3, 2))
    losses = deal_losses(data, EDGES, [eta, np.full((3, 2), 30.0)])

    per_edge = np.log(2.0)
    assert losses[0] == pytest.approx(np.array([4 * per_edge, 2 * per_edge]) * 2 / 3)
    assert (losses[1] > losses[0]).all()


def test_rows_that_were_not_judged_do_not_count() -> None:
    data = snapshots(np.array([0, 1]), np.zeros(2), np.array([5.0, np.inf]))
    eta = np.array([[0.0, 0.0], [np.nan, np.nan]])

    assert deal_losses(data, EDGES, [eta]) == pytest.approx(np.array([[np.log(2.0)]]))


def test_leaves_are_mixed_by_weight() -> None:
    one = Leaves(
        intercept=1.0,
        values=np.array([2.0]),
        features=np.array([[0, -1]]),
        masks=np.ones((1, 2, 3), dtype=np.bool_),
    )
    nothing = Leaves(
        intercept=-1.0,
        values=np.empty(0),
        features=np.empty((0, 2), dtype=np.intp),
        masks=np.empty((0, 2, 3), dtype=np.bool_),
    )
    mixed = blend_leaves([0.75, 0.25], [one, nothing])

    assert mixed.intercept == 0.5
    assert mixed.values.tolist() == [1.5]
    assert mixed.features.tolist() == [[0, -1]]
