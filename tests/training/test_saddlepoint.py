from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.bootstrap import DealBootstrap
from training.saddlepoint import tail_of_zero


@pytest.mark.parametrize(("deals", "shift"), [(200, 0.1), (200, 0.02), (300, -0.05), (1000, 0.06)])
def test_the_tail_is_that_of_deals_drawn_anew(deals: int, shift: float) -> None:
    """Skew totals, as those of losses are: a tenth of the deals is far worse."""
    rng = np.random.default_rng(deals)
    total = np.where(
        rng.random(deals) < 0.1, rng.exponential(1.5, deals), rng.normal(-0.1, 0.5, deals)
    )
    total -= total.mean() + shift
    rounds = DealBootstrap(3, 40_000).sums(np.arange(deals), [total])[:, 0]
    share = (rounds >= 0.0).mean()

    assert tail_of_zero(np.arange(deals), total) == pytest.approx(
        share, abs=0.001 + 4 * np.sqrt(share / 40_000)
    )


def test_the_tail_has_no_floor_of_one_in_so_many_rounds() -> None:
    """P(Poisson(200) <= Poisson(100)), from the sum over both laws, is 2.8e-9."""
    total = np.repeat([1.0, -1.0], [100, 200])
    spread = total + np.random.default_rng(0).normal(0.0, 0.1, 300)

    assert 5e-10 < tail_of_zero(np.arange(300), spread - spread.mean() - 1 / 3) < 1e-8


@given(
    st.lists(
        st.floats(-5.0, 5.0).filter(lambda u: u == 0.0 or abs(u) > 1e-6), min_size=1, max_size=60
    )
)
def test_the_tail_is_a_probability_of_totals_by_deal_in_any_unit(totals: list[float]) -> None:
    deal, total = np.arange(len(totals)), np.array(totals)
    tail = tail_of_zero(deal, total)

    assert 0.0 <= tail <= 1.0
    assert tail_of_zero(np.repeat(deal, 2), np.repeat(total / 2, 2)) == pytest.approx(tail)
    assert tail_of_zero(deal, total * 3.0) == pytest.approx(tail, abs=1e-9)


@pytest.mark.parametrize("weight", [1e2, 1e4, 1e9])
def test_a_loss_that_one_deal_makes_up_alone_is_not_excluded(weight: float) -> None:
    """It is drawn at least once in 1 - exp(-1) of the rounds, and then outweighs all others."""
    total = np.append(np.full(200, -1.0), 200 * weight)

    assert tail_of_zero(np.arange(201), total) == pytest.approx(1 - np.exp(-1), abs=0.1)
    assert tail_of_zero(np.arange(201), -total) == pytest.approx(np.exp(-1), abs=0.1)
