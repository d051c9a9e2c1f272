"""How often the promotion gate errs, over simulated retrainings in three arms.

What is simulated are the forecasts and outcomes that the gate is given, not trainings: a deal has a
hidden log-odds of being won, drawn from a normal law; each model sees it through noise, partly
shared by both (what no feature tells), partly the model's own, partly the moment's, and answers
with its posterior probability, so that both are calibrated. The challenger's own noise is chosen so
that its expected log-loss differs from the champion's by what the arm says. Every deal is forecast
at 6 moments with one outcome, and lies in one of two stages and of three ages.
"""

from __future__ import annotations

from math import pi

import numpy as np
import pytest

from model.history import Floats
from training.bootstrap import share_interval
from training.promotion import Comparison, judge_challenger
from training.thresholds import read_thresholds

LIMITS = read_thresholds().promotion
RETRAININGS = 200
MOMENTS = 6
MEAN, SPREAD = -1.0, 1.5  # of the hidden log-odds
SHARED, OWN, MOMENT = 0.6, 0.9, 0.3  # standard deviations of the noise; OWN is the champion's
ARMS = {
    "worse by the margin + 0.01": LIMITS.margin + 0.01,
    "unchanged": 0.0,
    "better by 0.02": -0.02,
}


def sigmoid(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def answered(seen: Floats, noise: float) -> Floats:
    """The posterior probability of what is seen with so much noise (MacKay 1992)."""
    shrunk = SPREAD**2 / (SPREAD**2 + noise**2)
    mean, variance = MEAN + shrunk * (seen - MEAN), SPREAD**2 * (1 - shrunk)
    return sigmoid(mean / np.sqrt(1 + pi * variance / 8))


def noise_of(own: float) -> float:
    return float(np.sqrt(SHARED**2 + own**2 + MOMENT**2))


def expected_loss(own: float) -> float:
    """Of a model with so much noise of its own, over many draws."""
    rng = np.random.default_rng(1)
    truth = rng.normal(MEAN, SPREAD, 200_000)
    p = answered(truth + rng.normal(0.0, noise_of(own), truth.size), noise_of(own))
    q = sigmoid(truth)
    return float(-(q * np.log(p) + (1 - q) * np.log1p(-p)).mean())


def own_noise(difference: float) -> float:
    """The challenger's noise with which it loses so much more than the champion."""
    wanted = expected_loss(OWN) + difference
    low, high = 0.0, 4.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_loss(middle) < wanted else (low, middle)
    return (low + high) / 2


def retrained(seed: int, own: float, deals: int) -> Comparison:
    rng = np.random.default_rng(seed)
    truth = rng.normal(MEAN, SPREAD, deals)
    deal = np.repeat(np.arange(deals), MOMENTS)
    shared = rng.normal(0.0, SHARED, deals)

    def forecast(noise: float) -> Floats:
        seen = truth + shared + rng.normal(0.0, noise, deals)
        return answered(seen[deal] + rng.normal(0.0, MOMENT, deal.size), noise_of(noise))

    stage, age = rng.integers(0, 2, deals)[deal], rng.integers(0, 3, deals)[deal]
    return Comparison(
        deal=deal,
        won=(rng.random(deals) < sigmoid(truth))[deal],
        challenger=forecast(own),
        champion=forecast(OWN),
        segments={f"stage {n}": stage == n for n in range(2)}
        | {f"age {n}": age == n for n in range(3)},
    )


@pytest.mark.parametrize("deals", [1000, 3000])
def test_the_gate_errs_seldom(deals: int) -> None:
    rates = {}
    for arm, difference in ARMS.items():
        own = own_noise(difference)
        verdicts = [
            judge_challenger(retrained(seed, own, deals), LIMITS, seed)
            for seed in range(RETRAININGS)
        ]
        passed = np.array([each.passed for each in verdicts])
        failed = [
            sum(any(c.name == name and not c.held for c in each.conditions) for each in verdicts)
            for name in ("loss", "slope", "intercept")
        ]
        share = share_interval(np.arange(RETRAININGS), passed)
        rates[arm] = share.value
        print(
            f"\n{deals} deals, {arm}: promoted {share.value:.1%} ({share.low:.1%} to "
            f"{share.high:.1%}); refused for loss, slope, intercept: {failed}"
        )
    assert rates["worse by the margin + 0.01"] < 0.05
    if deals >= 3000:
        assert rates["better by 0.02"] > 0.80
