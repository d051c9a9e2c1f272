"""Smooth effects: they keep their directions, shrink with the penalty, and are tables exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.grid import BinArray, Grid
from model.history import Floats
from training.boosting import log_odds_of_share
from training.compile import compile_leaves
from training.grid_fit import bin_weights, make_grid
from training.smooth import SmoothModel, SmoothSettings, _Steps, fit_smooth

SETTINGS = SmoothSettings(penalties=(30.0, 1.0))


def deals(seed: int = 0, rows: int = 300, *, tells: float = 2.0) -> tuple[Grid, BinArray, Floats]:
    """Contacts that help, silence that tells nothing and is sometimes missing, and a category."""
    rng = np.random.default_rng(seed)
    x = np.stack([rng.random(rows), rng.random(rows), rng.integers(0, 3, rows)], axis=1)
    x[rng.random(rows) < 0.2, 1] = np.nan
    won = rng.random(rows) < 1.0 / (1.0 + np.exp(-tells * (2 * x[:, 0] - 1) - (x[:, 2] == 1)))
    grid = make_grid(
        x,
        names=["contacts", "silence", "region"],
        categories=[None, None, 3],
        directions=[1, -1, 0],
        max_bins=12,
    )
    return grid, grid.bin(x), won


def fitted(
    seed: int = 0, settings: SmoothSettings = SETTINGS, **options: float
) -> list[SmoothModel]:
    grid, bins, won = deals(seed, **options)
    return list(fit_smooth(grid, bins, won, np.ones(len(won)), len(won), settings))


def test_the_first_is_the_share_won_and_then_one_for_each_penalty() -> None:
    _, _, won = deals()
    nothing, *others = fitted()

    assert nothing.intercept == log_odds_of_share(won, np.ones(len(won)))
    assert not nothing.effects.any()
    assert len(others) == len(SETTINGS.penalties)


@given(seed=st.integers(0, 10_000))
def test_a_declared_direction_is_kept_over_all_bins(seed: int) -> None:
    grid, *_ = deals(seed)
    effects = fitted(seed, tells=-1.0)[-1].effects

    assert (np.diff(effects[0, : grid.bins[0]]) >= -1e-12).all()
    assert (np.diff(effects[1, : grid.bins[1]]) <= 1e-12).all()


def test_what_tells_is_learned_and_a_stronger_penalty_learns_less() -> None:
    _, strong, weak = fitted()

    assert 0.0 < np.ptp(strong.effects[0]) < np.ptp(weak.effects[0])
    assert weak.effects[2, 1] > max(weak.effects[2, 0], weak.effects[2, 2])
    assert np.ptp(weak.effects[1, :12]) < 0.5 * np.ptp(weak.effects[0, :12])


def test_copies_of_the_rows_change_nothing_where_the_deals_are_as_many() -> None:
    grid, bins, won = deals()
    once = list(fit_smooth(grid, bins, won, np.ones(300), 300, SETTINGS))[-1]
    twice = list(
        fit_smooth(grid, np.tile(bins, (2, 1)), np.tile(won, 2), np.ones(600), 300, SETTINGS)
    )

    assert twice[-1].effects == pytest.approx(once.effects, abs=5e-3)


@pytest.mark.parametrize("outcome", [True, False])
def test_one_outcome_alone_teaches_the_share_alone(outcome: bool) -> None:
    grid, bins, _ = deals(rows=50)
    models = list(fit_smooth(grid, bins, np.full(50, outcome), np.ones(50), 50, SETTINGS))

    assert len(models) == 3
    assert all(not model.effects.any() for model in models)


def test_its_tables_answer_as_it_does() -> None:
    grid, bins, _ = deals()
    model = fitted()[-1]
    tables = compile_leaves([[model.leaves()], [model.leaves()]], grid, bin_weights(grid, bins))

    assert tables.eta(bins)[:, 0] == pytest.approx(model.log_odds(bins), abs=1e-12)
    assert len(tables.pairs) == 0


def test_the_gradient_is_that_of_the_effects() -> None:
    grid, *_ = deals()
    steps, rng = _Steps(grid), np.random.default_rng(1)
    z, slope = rng.normal(size=len(steps.low)), rng.normal(size=steps.shape)

    assert (steps.effects(z) * slope).sum() == pytest.approx(steps.gradient(slope) @ z)
