"""Calibration: a correction that holds across time is believed, one that flips is not."""

from __future__ import annotations

import numpy as np
import pytest

from model.history import Floats, Ints
from model.tables import Calibration
from tests.training.companies import snapshots
from training.calibrating import (
    BLOCKS,
    FEW_WINS,
    SMALLEST_SLOPE,
    calibrated_crosswise,
    fit_calibration,
    fit_calibrations,
)

DAYS = 400.0
ROWS = 6000
EDGE = np.array([0.0, 30.0])


def judged(
    told: Floats, true: Floats, at: Floats, seed: int = 1, edges: Floats = EDGE
) -> Calibration:
    """Rows of a deal each, given log-odds `told` for edge one, won with log-odds `true`."""
    rng = np.random.default_rng(seed)
    won = rng.random(len(told)) < 1.0 / (1.0 + np.exp(-true))
    data = snapshots(np.arange(len(told)), at, np.where(won, 10.0, np.inf))
    return fit_calibration(data, edges, np.repeat(told[:, None], len(edges) - 1, axis=1))


def log_odds(rows: int = ROWS) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(8)
    return rng.normal(-1.0, 1.2, rows), rng.uniform(0.0, DAYS, rows)


@pytest.mark.parametrize(("shift", "slope"), [(0.8, 1.0), (0.0, 0.6), (-0.7, 1.5)])
def test_a_shift_and_a_slope_that_hold_across_time_are_recovered(
    shift: float, slope: float
) -> None:
    told, at = log_odds()
    found = judged(told, shift + slope * told, at)

    assert found.slopes[0] == pytest.approx(slope, abs=0.12)
    for eta in (-2.5, -1.0, 0.5):
        corrected = found.intercepts[0] + found.slopes[0] * eta
        assert corrected == pytest.approx(shift + slope * eta, abs=0.25)


def test_a_shift_that_flips_over_time_is_not_believed() -> None:
    told, at = log_odds()
    block = np.minimum(at / DAYS * BLOCKS, BLOCKS - 1).astype(int)
    found = judged(told, told + np.where(block % 2, 0.6, -0.6), at)

    corrected = found.intercepts[0] + found.slopes[0] * told.mean()
    assert corrected == pytest.approx(told.mean(), abs=0.05)
    assert found.slopes[0] == pytest.approx(1.0, abs=0.12)


def test_what_is_already_right_is_left_nearly_alone() -> None:
    told, at = log_odds()
    found = judged(told, told, at)

    assert found.slopes[0] == pytest.approx(1.0, abs=0.08)
    assert found.intercepts[0] == pytest.approx(0.0, abs=0.1)


def test_noise_of_few_long_deals_is_hardly_believed() -> None:
    corrections, errors = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        deals, rows = 400, 25  # weeks of each
        told = rng.normal(-1.0, 1.2, deals)
        won = rng.random(deals) < 1.0 / (1.0 + np.exp(-told))
        at = rng.uniform(0.0, 30.0, deals)[:, None] + 7.0 * np.arange(rows)
        data = snapshots(
            np.repeat(np.arange(deals), rows),
            at.ravel(),
            np.repeat(np.where(won, 10.0, np.inf), rows),
        )
        found = fit_calibration(data, EDGE, np.repeat(told, rows)[:, None])
        corrections.append(found.intercepts[0] + found.slopes[0] * -1.0 + 1.0)
        errors.append(np.log(won.mean() / (1 - won.mean())))
    # Those 400 outcomes alone would move each company's mean by this much, by chance.
    assert np.std(corrections) < 0.6 * np.std(errors)


def test_a_slope_is_above_zero_even_where_the_order_is_wrong() -> None:
    told, at = log_odds(1500)
    found = judged(told, -told, at)

    assert found.slopes[0] == SMALLEST_SLOPE
    assert np.isfinite(found.intercepts[0])


def test_an_edge_of_few_wins_takes_the_pair_of_all() -> None:
    told, at = log_odds()
    rng = np.random.default_rng(1)
    won = rng.random(ROWS) < 1.0 / (1.0 + np.exp(-(0.5 + 0.7 * told)))
    days = np.where(won, 10.0, np.inf)
    late = np.flatnonzero(~won)[: FEW_WINS - 1]
    days[late] = 50.0  # so few fall into the second edge
    data = snapshots(np.arange(ROWS), at, days)
    eta = np.stack([told, np.full(ROWS, -4.0) + 0.1 * told], axis=1)

    found = fit_calibration(data, np.array([0.0, 30.0, 60.0]), eta)
    alone = fit_calibration(data, EDGE, eta[:, :1])

    assert found.slopes[0] == pytest.approx(alone.slopes[0], abs=0.1)
    assert (found.slopes > 0.0).all()
    # With so many wins more the second edge is believed on its own, and its slope is another.
    more = np.flatnonzero(~won)[:600]
    days[more] = np.where(told[more] > np.median(told[more]), 50.0, np.inf)
    own = fit_calibration(snapshots(np.arange(ROWS), at, days), np.array([0.0, 30.0, 60.0]), eta)
    assert own.slopes[1] > 2.0 * found.slopes[1]


def test_nothing_judged_corrects_nothing() -> None:
    _, at = log_odds(50)
    data = snapshots(np.arange(50), at, np.full(50, np.inf))
    found = fit_calibration(data, np.array([0.0, 7.0, 30.0]), np.full((50, 2), np.nan))

    assert (found.intercepts.tolist(), found.slopes.tolist()) == ([0.0, 0.0], [1.0, 1.0])


@pytest.mark.parametrize("days", [np.inf, 3.0], ids=["never won", "always won"])
def test_one_outcome_alone_corrects_nothing(days: float) -> None:
    told, at = log_odds(200)
    data = snapshots(np.arange(200), at, np.full(200, days))
    found = fit_calibration(data, EDGE, told[:, None])

    assert found.slopes.tolist() == [1.0]
    assert found.intercepts == pytest.approx([0.0], abs=1e-12)


def test_log_odds_that_are_all_alike_get_a_shift_alone() -> None:
    _, at = log_odds(3000)
    found = judged(np.full(3000, -2.0), np.full(3000, -0.5), at)

    assert found.slopes[0] == pytest.approx(1.0)
    assert found.intercepts[0] - 2.0 == pytest.approx(-0.5, abs=0.15)


def test_what_edges_share_is_applied_around_each_edges_own_mean() -> None:
    """An edge too rare to be fitted alone takes the slope, and keeps its own level."""
    rng = np.random.default_rng(3)
    means, slope = np.array([-0.5, -5.5]), 1.6
    told = rng.normal(0.0, 0.8, ROWS)[:, None] + means
    hazard = 1.0 / (1.0 + np.exp(-(means + slope * (told - means))))
    drawn = rng.random(told.shape) < hazard
    won_in = np.where(drawn[:, 0], 10.0, np.where(drawn[:, 1], 40.0, np.inf))
    data = snapshots(np.arange(ROWS), rng.uniform(0.0, DAYS, ROWS), won_in)
    found = fit_calibration(data, np.array([0.0, 30.0, 60.0]), told)

    assert 0 < (drawn[:, 1] & ~drawn[:, 0]).sum() < FEW_WINS
    assert found.slopes[1] == pytest.approx(slope, abs=0.15)
    level = found.intercepts[1] + found.slopes[1] * means[1]
    assert level == pytest.approx(means[1], abs=0.3)


def test_calibrated_crosswise_a_loss_is_at_least_that_of_deals_kept_apart() -> None:
    gained = []  # over deals kept apart, by the line of all judged deals and crosswise
    for seed in range(40):
        rng = np.random.default_rng(seed)
        told = np.repeat(rng.normal(-1.0, 1.2, 480), 12)
        wins = rng.random(480) < 1.0 / (1.0 + np.exp(-(0.7 + 0.6 * told[::12])))
        won, deal = np.repeat(wins, 12), np.repeat(np.arange(480), 12)
        at = rng.uniform(0.0, DAYS, 480).repeat(12) + 7.0 * np.tile(np.arange(12), 480)
        judged_too = deal < 120
        data = snapshots(deal, at, np.where(won, 10.0, np.inf))
        eta = np.where(judged_too, told, np.nan)[:, None]
        line, bags = fit_calibrations(data, EDGE, eta, bags=8, seed=seed)
        across = calibrated_crosswise(data, eta, bags, seed=seed)[:, 0]
        whole = line.intercepts[0] + line.slopes[0] * told
        assert np.isnan(across[~judged_too]).all()

        def over_the_law(eta: Floats, rows: Ints, won: Floats = won, told: Floats = told) -> float:
            law = 0.7 + 0.6 * told[rows]
            loss = np.logaddexp(0.0, eta[rows]) - np.logaddexp(0.0, law)
            return float(np.mean(loss - won[rows] * (eta[rows] - law)))

        crosswise = np.flatnonzero(np.isfinite(across))
        gained.append(
            (
                over_the_law(whole, np.flatnonzero(judged_too)),
                over_the_law(across, crosswise),
                over_the_law(whole, np.flatnonzero(~judged_too)),
            )
        )

    fitted, across_all, apart = np.mean(gained, axis=0)
    assert fitted < 0.0 < apart < across_all < 3.0 * apart
