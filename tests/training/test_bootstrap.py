"""Intervals by deal: as wide as the number of deals makes them, not of rows."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.bootstrap import DealBootstrap, Estimate, share_interval
from training.metrics import calibration_error, calibration_line

RNG_SEED = 7


def width(estimate: Estimate) -> float:
    return estimate.high - estimate.low


def test_repeated_rows_of_the_same_deals_narrow_no_interval() -> None:
    rng = np.random.default_rng(RNG_SEED)
    value = rng.normal(0.0, 1.0, 200)
    deal = np.arange(200)
    draws = DealBootstrap()

    once = draws.mean(deal, value)
    often = draws.mean(np.repeat(deal, 10), np.repeat(value, 10))

    assert (once.low, once.high) == pytest.approx((often.low, often.high))
    assert width(once) == pytest.approx(2 * 1.96 * value.std() / np.sqrt(200), rel=0.15)


def test_a_paired_difference_is_our_loss_minus_theirs() -> None:
    won = np.array([True, True, False, False])
    ours, theirs = np.array([0.9, 0.8, 0.2, 0.1]), np.full(4, 0.5)
    found = DealBootstrap().log_loss_difference(np.arange(4), won, ours, theirs)

    expected = np.mean(np.log([0.5, 0.5, 0.5, 0.5]) - np.log([0.9, 0.8, 0.8, 0.9]))
    assert found.value == pytest.approx(expected)
    assert found.low <= found.value <= found.high < 0


def test_the_interval_of_a_difference_covers_the_truth_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        of_deal = rng.normal(0.3, 1.0, 60)
        deal = np.repeat(np.arange(60), rng.integers(1, 9, 60))
        found = DealBootstrap(seed, rounds=200).mean(deal, of_deal[deal])
        covered += found.low <= 0.3 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_perfect_calibration_s_error_is_that_of_chance_and_reaches_near_nothing() -> None:
    rng = np.random.default_rng(RNG_SEED)
    p = rng.random(3000)
    won = rng.random(3000) < p
    draws = DealBootstrap()
    found = draws.calibration_error(np.arange(3000), won, p)

    assert found.value == pytest.approx(calibration_error(won, p, np.ones(3000)))
    assert found.value == pytest.approx(draws.error_by_chance(np.arange(3000), p), rel=0.3)
    assert found.low < found.value / 4
    assert found.value <= found.high < 2 * found.value


def test_a_wrong_calibration_s_interval_holds_its_error() -> None:
    rng = np.random.default_rng(RNG_SEED)
    p = np.full(4000, 0.5)
    won = rng.random(4000) < 0.3
    draws = DealBootstrap()
    found = draws.calibration_error(np.arange(4000), won, p)

    assert found.low <= 0.2 <= found.high
    assert draws.error_by_chance(np.arange(4000), p) < 0.03
    assert width(found) < 0.06


def test_parts_of_a_record_are_drawn_with_the_same_deals() -> None:
    draws = DealBootstrap()
    part = draws.mean(np.array([3, 3, 99]), np.array([0.0, 0.0, 1.0]))

    assert part.value == pytest.approx(1 / 3)
    assert (part.low, part.high) == (0.0, 1.0)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40))
def test_the_interval_of_a_share_holds_it_and_stays_within_bounds(
    rows: list[tuple[int, bool]],
) -> None:
    found = share_interval(np.array([d for d, _ in rows]), np.array([w for _, w in rows]))

    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
    assert width(found) > 0.2  # ten deals tell no share closely


def test_the_slope_s_interval_is_that_of_fits_to_deals_drawn_anew() -> None:
    rng = np.random.default_rng(RNG_SEED)
    deal = np.repeat(np.arange(300), 5)
    p = rng.random(1500) * 0.8 + 0.1
    won = rng.random(300)[deal] < p
    draws = DealBootstrap(rounds=300)

    found = draws.calibration_slope(deal, won, p)

    rounds = np.concatenate(list(draws.times(300))).T
    fits = [calibration_line(won, p, times[deal] + 1e-9) for times in rounds]
    slopes = [fit.slope for fit in fits if fit is not None]
    assert found is not None
    low, high = np.quantile(slopes, (0.025, 0.975))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05)


def test_without_a_line_there_is_no_interval_of_its_slope() -> None:
    won = np.ones(4, dtype=bool)

    assert DealBootstrap().calibration_slope(np.arange(4), won, np.full(4, 0.5)) is None


@pytest.mark.parametrize(
    "won",
    [
        [False, False, True, True],  # those in the middle are of one probability: none is crossed
        [True, True, False, False],
        [False, True, True, True],
    ],
)
def test_outcomes_perfectly_apart_have_no_slope_and_no_interval_of_it(won: list[bool]) -> None:
    p, came = np.repeat([0.1, 0.4, 0.4, 0.8], 25), np.repeat(won, 25)

    assert calibration_line(came, p, np.ones(100)) is None
    assert DealBootstrap().calibration_slope(np.arange(100), came, p) is None


def test_each_deal_is_drawn_once_on_average_with_the_variance_of_chance() -> None:
    times = np.concatenate(list(DealBootstrap(RNG_SEED).times(3000)))

    assert times.shape == (3000, 1000)
    assert times.mean() == pytest.approx(1.0, abs=0.003)
    assert times.var() == pytest.approx(1.0, abs=0.006)
    assert (times == 0).mean() == pytest.approx(np.exp(-1), abs=0.002)
    assert np.corrcoef(times[0], times[-1])[0, 1] == pytest.approx(0.0, abs=0.15)


def test_draws_are_those_of_the_seed_and_names_of_deals_are_of_no_account() -> None:
    deal, value = np.repeat(np.arange(50), 2), np.arange(100) ** 0.5

    once = DealBootstrap(1).mean(deal, value)
    assert DealBootstrap(1).mean(1_000_000 + deal * 7, value) == once
    assert DealBootstrap(2).mean(deal, value) != once


def test_the_sums_of_a_round_are_of_rows_as_often_as_their_deals_are_drawn() -> None:
    rng = np.random.default_rng(RNG_SEED)
    deal = rng.integers(0, 2500, 4000)  # more deals than are drawn at once
    columns = rng.normal(size=(3, 4000))
    draws = DealBootstrap(rounds=20)

    times = np.concatenate(list(draws.times(len(np.unique(deal)))))
    place = np.unique(deal, return_inverse=True)[1]
    assert draws.sums(deal, columns) == pytest.approx(times[place].T @ columns.T)


def test_many_deals_take_little_memory() -> None:
    deals = 100_000
    rng = np.random.default_rng(RNG_SEED)
    p = rng.random(deals)
    won = rng.random(deals) < p
    tracemalloc.start()
    try:
        DealBootstrap().calibration_error(np.arange(deals), won, p)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 60e6  # where the draws of all deals and rounds would take 100e6 at a byte each
