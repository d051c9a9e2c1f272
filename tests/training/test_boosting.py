"""Boosted trees: the questions they answer, who draws which deals, what they say."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.companies import snapshots
from training.boosting import (
    STAGE,
    Settings,
    bag_members,
    fit_booster,
    in_parallel,
    log_odds_of_share,
    problems,
    staged_log_odds,
)
from training.grid_fit import make_grid

SETTINGS = Settings(rows_a_leaf=5, features_a_split=1.0)


def told(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(rows, 2))
    return x, rng.random(rows) < 1.0 / (1.0 + np.exp(-2.0 * x[:, 0]))


def test_a_question_is_of_rows_still_at_risk_and_wholly_on_record() -> None:
    data = snapshots(
        np.arange(5),
        np.array([0.0, 0.0, 0.0, 0.0, 80.0]),
        np.array([3.0, 20.0, np.inf, -1.0, 3.0]),
        known_days=100.0,
    )
    edges = np.array([0.0, 7.0, 30.0])
    first, second = problems(data, edges, np.ones((5, 2), dtype=bool))

    assert first.rows.tolist() == [0, 1, 2, 3, 4]
    assert first.won.tolist() == [True, False, False, True, True]  # one won and not yet known
    assert second.rows.tolist() == [1, 2]  # won ones are out, a lost one stays, one is too recent
    assert second.won.tolist() == [True, False]


def test_rows_not_allowed_are_in_no_question() -> None:
    data = snapshots(np.arange(3), np.zeros(3), np.array([3.0, np.inf, 40.0]))
    allowed = np.array([[True, False], [False, True], [True, True]])
    first, second = problems(data, np.array([0.0, 7.0, 60.0]), allowed)

    assert first.rows.tolist() == [0, 2]
    assert second.rows.tolist() == [1, 2]


def test_each_bag_draws_half_of_the_deals() -> None:
    members = bag_members(101, 8, seed=3)

    assert members.sum(axis=1).tolist() == [50] * 8
    assert len({tuple(bag) for bag in members.tolist()}) == 8
    assert np.array_equal(members, bag_members(101, 8, seed=3))
    assert not np.array_equal(members, bag_members(101, 8, seed=4))
    assert bag_members(1, 2, seed=0).all()


def test_the_share_won_is_kept_off_certainty() -> None:
    assert log_odds_of_share(np.array([True, False]), np.ones(2)) == pytest.approx(0.0)
    assert log_odds_of_share(np.array([True, True]), np.ones(2)) == pytest.approx(np.log(2.5 / 0.5))
    assert log_odds_of_share(np.array([True, False]), np.array([3.0, 1.0])) == pytest.approx(
        np.log(3.5 / 1.5)
    )


@pytest.mark.parametrize("won", [np.zeros(4, dtype=bool), np.ones(4, dtype=bool)])
def test_one_outcome_alone_grows_no_tree(won: np.ndarray) -> None:
    grid = make_grid(np.arange(4.0)[:, None], names=["a"], categories=[None], directions=[0])
    bins = grid.bin(np.arange(4.0)[:, None])

    assert fit_booster(grid, bins, won, np.ones(4), SETTINGS, 20, 0) == log_odds_of_share(
        won, np.ones(4)
    )


def test_no_tree_asked_for_gives_the_share() -> None:
    x, won = told()
    grid = make_grid(x, names=["a", "b"], categories=[None, None], directions=[0, 0])

    assert fit_booster(grid, grid.bin(x), won, np.ones(400), SETTINGS, 0, 0) == log_odds_of_share(
        won, np.ones(400)
    )


def test_stages_start_at_the_share_and_end_at_the_whole_ensemble() -> None:
    x, won = told()
    grid = make_grid(x, names=["a", "b"], categories=[None, None], directions=[1, 0])
    bins = grid.bin(x)
    model = fit_booster(grid, bins, won, np.ones(400), SETTINGS, 3 * STAGE, 0)
    assert not isinstance(model, float)

    staged = staged_log_odds(model, grid.codes(bins), 3 * STAGE, start=0.25)

    assert staged.shape == (4, 400)
    assert (staged[0] == 0.25).all()
    assert staged[-1] == pytest.approx(model.decision_function(grid.codes(bins)))
    fewer = fit_booster(grid, bins, won, np.ones(400), SETTINGS, STAGE, 0)
    assert not isinstance(fewer, float)
    assert staged[1] == pytest.approx(fewer.decision_function(grid.codes(bins)))


def test_stages_of_no_tree_are_the_share_throughout() -> None:
    assert (
        staged_log_odds(-1.0, np.zeros((3, 1)), 2 * STAGE, start=-1.0).tolist() == [[-1.0] * 3] * 3
    )


def test_a_feature_missing_throughout_a_bag_is_no_fault() -> None:
    x, won = told()
    x = np.column_stack([x, np.full(400, np.nan)])
    x[:5, 2] = [1.0, 2.0, 3.0, 4.0, 5.0]
    grid = make_grid(x, names=["a", "b", "rare"], categories=[None] * 3, directions=[0, 0, 1])
    bag = slice(5, None)

    calls = [(grid, grid.bin(x)[bag], won[bag], np.ones(395), SETTINGS, STAGE, 0)]
    [model] = in_parallel(fit_booster, calls, jobs=1)

    assert not isinstance(model, float)


def test_results_come_in_the_order_of_the_calls() -> None:
    assert list(in_parallel(divmod, [(7, 2), (9, 4), (1, 3)], jobs=1)) == [(3, 1), (2, 1), (0, 1)]


def test_settings_are_told_by_name() -> None:
    assert Settings(leaves=3).to_json()["leaves"] == 3
