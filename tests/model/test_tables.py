from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ArtifactError
from model.grid import Grid, GridFeature
from model.lookup import ROWS_AT_ONCE
from model.tables import Calibration, Tables


def random_tables(seed=0, *, bins=(4, 1, 6, 3), bags=2, edges=3, pairs=((0, 2), (1, 3), (2, 3))):
    rng = np.random.default_rng(seed)
    width = max(bins) + 2
    groups = rng.random((2, bags, edges, len(pairs), width - 1)) < 0.4
    groups = np.concatenate([np.zeros((*groups.shape[:-1], 1)), groups.cumsum(-1)], axis=-1)
    left, right = groups.astype(np.uint8)
    size = ((left[..., -1].astype(int) + 1) * (right[..., -1].astype(int) + 1)).sum()
    return Tables(
        bins=np.array(bins),
        intercepts=rng.normal(size=(bags, edges)),
        mains=rng.normal(size=(bags, edges, len(bins), width)),
        pairs=np.array(pairs, dtype=np.intp).reshape(-1, 2),
        left_groups=left,
        right_groups=right,
        values=rng.normal(size=int(size)),
    )


def random_bins(tables, rows, seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, tables.bins + 2, size=(rows, len(tables.bins))).astype(np.uint8)


def by_definition(tables, row):
    """Contributions [bags, edges, F] of one row, straight from the formula."""
    contributions = np.zeros((tables.bags, tables.edges, len(tables.bins)))
    place = 0
    for bag in range(tables.bags):
        for edge in range(tables.edges):
            for feature, bin_ in enumerate(row):
                contributions[bag, edge, feature] += tables.mains[bag, edge, feature, bin_]
            for pair, (one, other) in enumerate(tables.pairs):
                rows = tables.left_groups[bag, edge, pair].astype(int)
                columns = tables.right_groups[bag, edge, pair].astype(int)
                count = columns[-1] + 1
                value = tables.values[place + rows[row[one]] * count + columns[row[other]]]
                contributions[bag, edge, [one, other]] += value / 2
                place += (rows[-1] + 1) * count
    return contributions


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_one_row_and_many_rows_equal_the_formula(seed):
    tables = random_tables(seed)
    bins = random_bins(tables, 5, seed)
    expected = np.array([by_definition(tables, row) for row in bins])
    eta = tables.intercepts + expected.sum(axis=-1)
    for rows in (slice(None), *(slice(row, row + 1) for row in range(5))):
        np.testing.assert_allclose(tables.eta_bags(bins[rows]), eta[rows], atol=1e-12)
        np.testing.assert_allclose(tables.eta(bins[rows]), eta[rows].mean(1), atol=1e-12)
        np.testing.assert_allclose(
            tables.contributions(bins[rows]),
            expected[rows].mean(1).transpose(0, 2, 1),
            atol=1e-12,
        )


def test_contributions_and_the_intercept_sum_to_the_log_odds():
    tables = random_tables()
    bins = random_bins(tables, 40)
    total = tables.intercept + tables.contributions(bins).sum(axis=1)
    np.testing.assert_allclose(total, tables.eta(bins), atol=1e-12)


def test_rows_beyond_one_chunk_score_as_they_do_alone():
    tables = random_tables()
    bins = random_bins(tables, 2 * ROWS_AT_ONCE + 3)
    for row in (0, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 2):
        alone = bins[row : row + 1]
        np.testing.assert_allclose(tables.eta(bins)[row], tables.eta(alone)[0], atol=1e-12)
        np.testing.assert_allclose(
            tables.contributions(bins)[row], tables.contributions(alone)[0], atol=1e-12
        )


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_tables_without_pairs_are_sums_of_main_effects(rows):
    tables = random_tables(pairs=())
    bins = random_bins(tables, rows)
    assert tables.eta_bags(bins).shape == (rows, 2, 3)
    expected = tables.intercept + tables.contributions(bins).sum(axis=1)
    np.testing.assert_allclose(tables.eta(bins), expected, atol=1e-12)


def test_calibrated_tables_are_the_calibration_of_the_log_odds():
    tables = random_tables()
    bins = random_bins(tables, 30)
    calibration = Calibration(
        intercepts=np.array([0.2, -0.1, 0.0]), slopes=np.array([0.5, 1.0, 1.5])
    )
    calibrated = tables.calibrated(calibration)
    expected = calibration.intercepts + calibration.slopes * tables.eta_bags(bins)
    np.testing.assert_allclose(calibrated.eta_bags(bins), expected, atol=1e-12)
    np.testing.assert_allclose(calibrated.eta(bins), expected.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(
        calibrated.contributions(bins), calibration.slopes * tables.contributions(bins), atol=1e-12
    )


def test_no_calibration_changes_nothing():
    tables = random_tables()
    bins = random_bins(tables, 3)
    assert (tables.calibrated(Calibration.none(3)).eta(bins) == tables.eta(bins)).all()


@pytest.mark.parametrize(
    ("intercepts", "slopes"),
    [
        ([0.0], [0.0]),
        ([0.0], [-1.0]),
        ([np.nan], [1.0]),
        ([0.0], [np.inf]),
        ([0.0, 0.0], [1.0]),
        ([[0.0]], [[1.0]]),
    ],
)
def test_a_calibration_that_would_turn_the_order_around_is_refused(intercepts, slopes):
    with pytest.raises(ArtifactError, match="a slope above 0 for each edge"):
        Calibration(intercepts=np.array(intercepts), slopes=np.array(slopes))


def test_a_calibration_of_other_edges_is_refused():
    with pytest.raises(ArtifactError, match="a calibration of 2 edges: expected one of 3"):
        random_tables().calibrated(Calibration.none(2))


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("intercepts", lambda a: a[:, 0], "no bag, no edge"),
        ("bins", lambda a: a * 0, "a feature without bins"),
        ("mains", lambda a: a[..., :-1], "main effects of shape"),
        ("mains", lambda a: a * np.nan, "not finite"),
        ("pairs", lambda a: a[::-1], "pairs that are not of two features"),
        ("pairs", lambda a: a + 1, "pairs that are not of two features"),
        ("pairs", lambda a: a[:, ::-1], "pairs that are not of two features"),
        ("pairs", lambda a: a[:2], "groups of shapes"),
        ("left_groups", lambda a: a[:, :, :, :-1], "groups of shapes"),
        ("right_groups", lambda a: a + 1, "groups that do not rise from 0"),
        ("left_groups", lambda a: a * 2, "groups that do not rise from 0"),
        ("values", lambda a: a[:-1], "pair values where"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(part, change, message):
    tables = random_tables()
    with pytest.raises(ArtifactError, match=message):
        replace(tables, **{part: change(getattr(tables, part))})


def test_tables_know_the_grid_that_they_are_over():
    tables = random_tables(bins=(2, 3), pairs=((0, 1),))
    features = (GridFeature(name="a", thresholds=(1.0,)), GridFeature(name="b", categories=3))
    assert tables.fits(Grid(features))
    assert not tables.fits(Grid(features[::-1]))
    assert not tables.fits(Grid(features[:1]))
