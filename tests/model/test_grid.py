from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ArtifactError, ScoreError
from model.grid import FEW_ROWS, ROWS_AT_ONCE, Grid, GridFeature


def numeric(name="silence_days", thresholds=(3.5, 9.5), direction=0):
    return GridFeature(name=name, thresholds=thresholds, direction=direction)


def category(name="stage", categories=3):
    return GridFeature(name=name, categories=categories)


@st.composite
def grids_with_values(draw):
    features = []
    columns = []
    rows = draw(st.integers(FEW_ROWS + 1, FEW_ROWS + 12))
    for number in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            count = draw(st.integers(1, 64))
            features.append(category(f"c{number}", count))
            values = st.one_of(st.integers(-1, count + 1).map(float), st.just(float("nan")))
        else:
            cuts = sorted(draw(st.sets(st.floats(-1e6, 1e6, width=32), max_size=62)))
            features.append(numeric(f"n{number}", tuple(cuts)))
            values = st.one_of(
                st.sampled_from([*cuts, 0.0, float("nan")]), st.floats(-2e6, 2e6, width=32)
            )
        columns.append(draw(st.lists(values, min_size=rows, max_size=rows)))
    return Grid(tuple(features)), np.array(columns, dtype=np.float64).T


def bin_of(feature, value):
    if np.isnan(value):
        return feature.missing_bin
    if feature.categories is not None:
        return int(value) if 0 <= value < feature.categories else feature.unseen_bin
    return sum(cut < value for cut in feature.thresholds)


@given(grids_with_values())
@settings(max_examples=80, deadline=None)
def test_one_row_and_many_rows_fall_into_the_bins_of_the_definition(case):
    grid, X = case
    many = grid.bin(X)
    single = np.concatenate([grid.bin(X[row : row + 1]) for row in range(len(X))])
    assert (many == single).all()
    for row, values in enumerate(X):
        expected = [bin_of(f, v) for f, v in zip(grid.features, values, strict=True)]
        assert many[row].tolist() == expected


def test_a_value_at_a_threshold_is_below_it():
    grid = Grid((numeric(thresholds=(1.0, 2.0)),))
    values = np.array([[0.9], [1.0], [np.nextafter(1.0, 2.0)], [2.0], [2.1]])
    assert grid.bin(values)[:, 0].tolist() == [0, 0, 1, 1, 2]
    assert grid.bin(np.tile(values, (4, 1)))[:5, 0].tolist() == [0, 0, 1, 1, 2]


def test_missing_and_unseen_have_bins_of_their_own():
    grid = Grid((numeric(), category(), numeric("amount", ())))
    bins = grid.bin(np.array([[np.nan, -1.0, np.nan], [0.0, np.nan, 0.0], [0.0, 3.0, 0.0]]))
    assert bins.tolist() == [[3, 4, 1], [0, 3, 0], [0, 4, 0]]


def test_rows_beyond_one_chunk_are_binned_alike():
    grid = Grid((numeric(), category()))
    X = np.tile(np.array([[3.5, 0.0], [np.nan, -1.0], [11.0, 2.0]]), (ROWS_AT_ONCE // 2, 1))
    assert (grid.bin(X) == np.tile(grid.bin(X[:3]), (ROWS_AT_ONCE // 2, 1))).all()


def test_no_rows_give_no_bins():
    assert Grid((numeric(),)).bin(np.empty((0, 1))).shape == (0, 1)


def test_bins_to_learn_from_are_missing_where_the_value_is_missing_or_unseen():
    grid = Grid((numeric(), category()))
    codes = grid.codes(grid.bin(np.array([[5.0, 2.0], [np.nan, -1.0], [1.0, np.nan]])))
    np.testing.assert_array_equal(codes, [[1.0, 2.0], [np.nan, np.nan], [0.0, np.nan]])


def test_an_infinite_value_is_refused_by_name():
    grid = Grid((numeric(), numeric("amount")))
    with pytest.raises(ScoreError, match="an infinite value of 'amount'"):
        grid.bin(np.array([[1.0, -np.inf]]))


@pytest.mark.parametrize("shape", [(2, 3), (2,)])
def test_a_matrix_of_another_width_is_refused(shape):
    with pytest.raises(ScoreError, match=r"of shape .*expected rows of 2 features"):
        Grid((numeric(), category())).bin(np.zeros(shape))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"thresholds": (2.0, 1.0)}, "that do not rise"),
        ({"thresholds": (1.0, 1.0)}, "that do not rise"),
        ({"thresholds": (1.0, np.inf)}, "are not finite"),
        ({"thresholds": (np.nan,)}, "are not finite"),
        ({"thresholds": tuple(range(63))}, "63 thresholds"),
        ({"categories": 0}, "0 categories"),
        ({"categories": 65}, "65 categories"),
        ({"categories": 3, "direction": 1}, "categories with thresholds or a direction"),
        ({"categories": 3, "thresholds": (1.0,)}, "categories with thresholds or a direction"),
        ({"direction": 2}, "direction 2"),
    ],
)
def test_bins_that_cannot_be_are_refused(values, message):
    with pytest.raises(ArtifactError, match=message):
        GridFeature(name="silence_days", **values)


def test_two_features_of_one_name_are_refused():
    with pytest.raises(ArtifactError, match="names a feature twice"):
        Grid((numeric(), numeric()))
