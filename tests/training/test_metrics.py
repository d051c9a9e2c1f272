"""Metrics agree with what they say of themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.metrics import log_loss as sklearn_log_loss

from training.metrics import (
    brier_parts,
    brier_score,
    calibration_line,
    log_loss,
    losses,
    riskiest_lift,
)


def test_brier_parts_add_up_where_each_bin_holds_one_probability() -> None:
    p = np.repeat(np.arange(1, 11) / 11, 20)
    won = np.random.default_rng(1).random(200) < p
    weight = np.ones(200)
    parts = brier_parts(won, p, weight)
    whole = parts.reliability - parts.resolution + parts.uncertainty
    assert whole == pytest.approx(brier_score(won, p, weight), abs=1e-12)


def test_deals_that_are_all_won_have_no_riskiest_lift() -> None:
    assert riskiest_lift(np.ones(5, dtype=bool), np.full(5, 0.9), np.ones(5)) is None


def test_the_log_loss_of_each_row_averages_to_the_log_loss() -> None:
    rng = np.random.default_rng(2)
    p, weight = rng.random(50), rng.random(50) + 0.1
    won = rng.random(50) < p

    assert np.average(losses(won, p), weights=weight) == pytest.approx(
        sklearn_log_loss(won, p, sample_weight=weight), abs=1e-12
    )
    assert log_loss(won, p, weight) == pytest.approx(
        sklearn_log_loss(won, p, sample_weight=weight), abs=1e-12
    )


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (-0.4, 0.7), (0.5, 1.6)])
def test_the_calibration_line_is_found_again(intercept: float, slope: float) -> None:
    rng = np.random.default_rng(3)
    logit = rng.normal(-1.0, 1.5, 200_000)
    won = rng.random(200_000) < 1 / (1 + np.exp(-(intercept + slope * logit)))

    line = calibration_line(won, 1 / (1 + np.exp(-logit)), np.ones(200_000))

    assert line is not None
    assert line.slope == pytest.approx(slope, abs=0.02)
    assert line.intercept == pytest.approx(intercept, abs=0.03)


def test_the_calibration_line_is_the_likeliest() -> None:
    rng = np.random.default_rng(4)
    p, weight = rng.random(300) * 0.8 + 0.1, rng.random(300) + 0.5
    won = rng.random(300) < p
    logit = np.log(p / (1 - p))

    def deviance(line: np.ndarray) -> float:
        return float(weight @ np.logaddexp(0, np.where(won, -1, 1) * (line[0] + line[1] * logit)))

    best = minimize(deviance, np.array([0.0, 1.0]), tol=1e-12).x
    found = calibration_line(won, p, weight)
    assert found is not None
    assert (found.intercept, found.slope) == pytest.approx(tuple(best), abs=1e-4)


@pytest.mark.parametrize(
    ("won", "p"), [([True] * 4, [0.1, 0.2, 0.3, 0.4]), ([True, False], [0.3, 0.3]), ([], [])]
)
def test_no_line_is_laid_where_nothing_tells_one(won: list[bool], p: list[float]) -> None:
    assert calibration_line(np.array(won, dtype=bool), np.array(p), np.ones(len(p))) is None
