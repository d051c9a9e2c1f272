from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.errors import TrainingDataError
from model.grid import MAX_THRESHOLDS
from training.grid_fit import bin_weights, make_grid


def grid_of(*columns, weights=None, **options):
    X = np.array(columns, dtype=np.float64).T
    count = X.shape[1]
    arguments = {
        "names": [f"f{n}" for n in range(count)],
        "categories": [None] * count,
        "directions": [0] * count,
        "row_weights": weights,
    } | options
    return make_grid(X, **arguments)


def test_few_values_are_all_kept_apart():
    grid = grid_of([3.0, 1.0, 2.0, 1.0, np.nan])
    assert grid.features[0].thresholds == (1.5, 2.5)


@pytest.mark.parametrize("column", [[np.nan] * 4, [7.0] * 4, [7.0, np.nan, np.nan, 7.0], []])
def test_a_column_without_two_values_has_one_bin(column):
    grid = grid_of(column)
    assert grid.features[0].thresholds == ()
    assert grid.bin(np.array([[7.0], [np.nan]])).ravel().tolist() == [0, 1]


def test_many_values_share_the_bins_evenly():
    grid = grid_of(np.random.default_rng(0).normal(size=5000))
    bins = grid.bin(np.random.default_rng(0).normal(size=(5000, 1)))
    counts = np.bincount(bins[:, 0])[:-1]
    assert len(grid.features[0].thresholds) == MAX_THRESHOLDS
    assert counts[:MAX_THRESHOLDS].min() > 70
    assert counts.max() < 90


def test_a_value_that_outweighs_a_bin_leaves_the_other_bins_to_the_rest():
    values = np.concatenate([np.zeros(9000), np.linspace(1.0, 2.0, 1000)])
    grid = grid_of(values)
    assert len(grid.features[0].thresholds) >= MAX_THRESHOLDS - 2
    assert grid.features[0].thresholds[0] == 0.5


def test_cuts_follow_the_weight_of_the_rows():
    values = np.arange(1000.0)
    weights = np.where(values < 500, 9.0, 1.0)
    grid = grid_of(values, weights=weights, max_bins=10)
    assert sum(cut < 500 for cut in grid.features[0].thresholds) == 9
    unweighted = grid_of(values, weights=np.where(values < 500, 1.0, 0.0), max_bins=10)
    assert max(unweighted.features[0].thresholds) < 500


def test_neighbouring_floats_are_still_told_apart():
    low, high = 1.0, np.nextafter(1.0, 2.0)
    grid = grid_of([low, high])
    assert grid.bin(np.array([[low], [high]])).ravel().tolist() == [0, 1]
    huge = grid_of([-1.7e308, 1.7e308])
    assert huge.features[0].thresholds == (0.0,)


@given(
    values=hnp.arrays(
        np.float64, st.integers(1, 200), elements=st.floats(-1e9, 1e9) | st.just(np.nan)
    ),
    max_bins=st.integers(1, 63),
)
@settings(max_examples=80, deadline=None)
def test_the_grid_of_any_column_is_within_its_bounds_and_leaves_no_bin_empty(values, max_bins):
    grid = grid_of(values, max_bins=max_bins)
    bins = grid.bin(values[:, None])[:, 0]
    assert grid.features[0].bins <= max_bins
    own = bins[bins < grid.features[0].bins]
    assert len(np.unique(own)) == (grid.features[0].bins if len(own) else 0)
    assert ((bins == grid.features[0].missing_bin) == np.isnan(values)).all()


def test_an_infinite_value_is_refused_by_name():
    with pytest.raises(TrainingDataError, match="feature 'f1' with an infinite value"):
        grid_of([1.0, 2.0], [1.0, np.inf])


def test_too_many_categories_are_refused_by_name():
    with pytest.raises(TrainingDataError, match="feature 'f0' of 65 categories: expected at most"):
        grid_of([0.0, 64.0], categories=[65])


def test_a_category_keeps_its_codes_and_weights_count_missing_and_unseen():
    X = np.array([[0.0, 5.0], [2.0, np.nan], [-1.0, 6.0], [np.nan, 6.0]])
    grid = grid_of(*X.T, categories=[3, None])
    weights = np.array([1.0, 2.0, 4.0, 8.0])
    totals = bin_weights(grid, grid.bin(X), weights)
    assert totals.tolist() == [[1.0, 0.0, 2.0, 8.0, 4.0], [1.0, 12.0, 2.0, 0.0, 0.0]]
