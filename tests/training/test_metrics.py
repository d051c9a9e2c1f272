"""Metrics agree with what they say of themselves."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics import brier_parts, brier_score, riskiest_lift


def test_brier_parts_add_up_where_each_bin_holds_one_probability() -> None:
    p = np.repeat(np.arange(1, 11) / 11, 20)
    won = np.random.default_rng(1).random(200) < p
    weight = np.ones(200)
    parts = brier_parts(won, p, weight)
    whole = parts.reliability - parts.resolution + parts.uncertainty
    assert whole == pytest.approx(brier_score(won, p, weight), abs=1e-12)


def test_deals_that_are_all_won_have_no_riskiest_lift() -> None:
    assert riskiest_lift(np.ones(5, dtype=bool), np.full(5, 0.9), np.ones(5)) is None
