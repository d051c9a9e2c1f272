from __future__ import annotations

from itertools import combinations, product
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier

from model.errors import TrainingDataError
from model.grid import Grid
from training.compile import compile_tables, purifying_marginals
from training.grid_fit import bin_weights, learning_codes, learning_options, make_grid

NAMES = ["contacts", "silence_days", "stage", "amount", "country", "deal_age_days"]
CATEGORIES = [None, None, 5, None, 12, None]
DIRECTIONS = [1, -1, 0, 0, 0, 0]
ROWS = 700


def training_values(rng, rows=ROWS):
    X = np.stack(
        [
            rng.poisson(3.0, rows).astype(float),
            rng.exponential(10.0, rows),
            rng.integers(0, 5, rows).astype(float),
            rng.lognormal(10.0, 1.0, rows),
            rng.integers(0, 12, rows).astype(float),
            rng.uniform(0.0, 300.0, rows),
        ],
        axis=1,
    )
    X[rng.random(X.shape) < 0.12] = np.nan
    return X


def outcomes(rng, X):
    known = np.nan_to_num(X, nan=4.0)
    signal = (
        0.4 * known[:, 0]
        - 0.1 * known[:, 1]
        + np.where(known[:, 2] == 3.0, known[:, 0] - 3.0, 0.0)
        + np.where(known[:, 5] > 150.0, 1.0, -1.0) * np.where(known[:, 4] < 5, 1.0, -0.5)
        - 2.0 * np.isnan(X[:, 0])
        - 3.0 * np.isnan(X[:, 1])
    )
    return rng.random(len(X)) < 1.0 / (1.0 + np.exp(-signal + signal.mean()))


def booster(grid, **options):
    arguments = {
        "interaction_cst": "pairwise",
        "max_iter": 40,
        "max_leaf_nodes": 9,
        "min_samples_leaf": 5,
        "early_stopping": False,
        "random_state": 0,
    }
    return HistGradientBoostingClassifier(**(arguments | learning_options(grid) | options))


class Fitted:
    """Two bags of two edges on one grid; the second bag never saw some categories."""

    def __init__(self, **options):
        rng = np.random.default_rng(7)
        X = training_values(rng)
        self.grid = make_grid(X, names=NAMES, categories=CATEGORIES, directions=DIRECTIONS)
        bins = self.grid.bin(X)
        self.weights = bin_weights(self.grid, bins)
        codes = self.grid.codes(bins)
        wins = [outcomes(rng, X), outcomes(rng, X)]
        seen = [np.ones(ROWS, dtype=bool), ~(codes[:, 4] > 8.0)]
        self.models = [
            [booster(self.grid, **options).fit(codes[rows], won[rows]) for won in wins]
            for rows in seen
        ]
        self.tables = compile_tables(self.models, self.grid, self.weights)

    def decision(self, bins):
        codes = self.grid.codes(bins)
        return np.stack(
            [np.stack([m.decision_function(codes) for m in bag], axis=-1) for bag in self.models],
            axis=1,
        )

    def seen_bins(self, seed, rows=200):
        rng = np.random.default_rng(seed)
        bins = rng.integers(0, self.grid.bins + 1, size=(rows, len(self.grid)))
        return bins.astype(np.uint8)


@pytest.fixture(scope="module", params=["pairwise", "no_interactions", "list"])
def fitted(request):
    listed = [{0, 2}, {0, 1}, {4, 5}, {1, 3}, {2, 3}]
    return Fitted(interaction_cst=listed if request.param == "list" else request.param)


@pytest.fixture(scope="module")
def pairwise():
    return Fitted()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_tables_equal_the_ensemble_on_every_seen_bin(fitted, seed):
    bins = fitted.seen_bins(seed)
    expected = fitted.decision(bins)
    np.testing.assert_allclose(fitted.tables.eta_bags(bins), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(fitted.tables.eta(bins), expected.mean(axis=1), rtol=0, atol=1e-9)


def test_tables_equal_the_ensemble_on_values_at_and_beside_every_threshold(pairwise):
    rng = np.random.default_rng(3)
    X = training_values(rng, 400)
    for column, feature in enumerate(pairwise.grid.features):
        if feature.thresholds:
            cuts = rng.choice(feature.thresholds, len(X))
            beside = np.nextafter(cuts, rng.choice([-np.inf, np.inf], len(X)))
            X[:, column] = np.where(rng.random(len(X)) < 0.5, cuts, beside)
    bins = pairwise.grid.bin(X)
    np.testing.assert_allclose(
        pairwise.tables.eta_bags(bins), pairwise.decision(bins), rtol=0, atol=1e-9
    )


def test_only_trees_with_interactions_make_pair_tables(fitted):
    mains_only = fitted.models[0][0].interaction_cst == "no_interactions"
    assert (len(fitted.tables.pairs) == 0) == mains_only


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_an_unseen_category_contributes_exactly_zero(fitted, seed):
    bins = fitted.seen_bins(seed, rows=20)
    for column in (2, 4):
        unseen = bins.copy()
        unseen[:, column] = fitted.grid.features[column].unseen_bin
        assert (fitted.tables.contributions(unseen)[:, column] == 0.0).all()
        assert (fitted.tables.contributions(unseen[:1])[:, column] == 0.0).all()
        assert (fitted.tables.mains[:, :, column, fitted.grid.bins[column] + 1 :] == 0.0).all()


def test_an_unseen_category_is_scored_as_the_average_over_the_categories(pairwise):
    bins = pairwise.seen_bins(5, rows=30)
    marginal = purifying_marginals(pairwise.grid, pairwise.weights)[2]
    average = np.zeros((30, 2, 2))
    for bin_ in range(pairwise.grid.features[2].missing_bin + 1):
        bins[:, 2] = bin_
        average += marginal[bin_] * pairwise.tables.eta_bags(bins)
    bins[:, 2] = pairwise.grid.features[2].unseen_bin
    np.testing.assert_allclose(pairwise.tables.eta_bags(bins), average, rtol=0, atol=1e-9)


def test_every_table_has_zero_mean_over_either_feature(pairwise):
    tables, grid = pairwise.tables, pairwise.grid
    marginals = purifying_marginals(grid, pairwise.weights)
    assert np.abs((tables.mains * marginals).sum(axis=-1)).max() < 1e-12
    place = 0
    for bag, edge, pair in np.ndindex(tables.left_groups.shape[:3]):
        one, other = tables.pairs[pair]
        rows = tables.left_groups[bag, edge, pair].astype(int)
        columns = tables.right_groups[bag, edge, pair].astype(int)
        shape = (rows[-1] + 1, columns[-1] + 1)
        block = tables.values[place : place + shape[0] * shape[1]].reshape(shape)
        full = block[rows][:, columns]
        assert np.abs(marginals[one] @ full).max() < 1e-12
        assert np.abs(full @ marginals[other]).max() < 1e-12
        place += block.size


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_push_in_the_bad_direction_raises_neither_contribution_nor_log_odds(fitted, seed):
    others = fitted.seen_bins(seed, rows=1)
    for column in (0, 1):
        feature = fitted.grid.features[column]
        bins = np.repeat(others, feature.bins, axis=0)
        best_last = np.arange(feature.bins)[:: feature.direction]
        bins[:, column] = best_last
        assert (np.diff(fitted.tables.contributions(bins)[:, column], axis=0) >= -1e-12).all()
        assert (np.diff(fitted.tables.eta_bags(bins), axis=0) >= -1e-12).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_constrained_feature_at_its_worst_value_never_has_a_positive_contribution(fitted, seed):
    bins = fitted.seen_bins(seed)
    for column in (0, 1):
        feature = fitted.grid.features[column]
        bins[:, column] = 0 if feature.direction > 0 else feature.bins - 1
        assert fitted.tables.contributions(bins)[:, column].max() <= 1e-12


def test_the_missing_value_itself_is_exempt_from_the_direction(pairwise):
    bins = pairwise.seen_bins(1)
    bins[:, 1] = pairwise.grid.features[1].bins - 1
    worst = pairwise.tables.contributions(bins)[:, 1].mean()
    bins[:, 1] = pairwise.grid.features[1].missing_bin
    assert pairwise.tables.contributions(bins)[:, 1].mean() != pytest.approx(worst)


def shapley_by_brute_force(score, marginals, row):
    """Interventional Shapley values: features outside a coalition are drawn independently."""
    count = len(row)

    def value(coalition):
        choices = [
            [(row[j], 1.0)] if j in coalition else list(enumerate(marginals[j]))
            for j in range(count)
        ]
        drawn = list(product(*choices))
        bins = np.array([[bin_ for bin_, _ in one] for one in drawn], dtype=np.uint8)
        shares = np.array([np.prod([share for _, share in one]) for one in drawn])
        return shares @ score(bins)

    shares = np.zeros(count)
    values = {s: value(s) for n in range(count + 1) for s in combinations(range(count), n)}
    for j in range(count):
        for coalition, before in values.items():
            if j not in coalition:
                n = len(coalition)
                weight = factorial(n) * factorial(count - n - 1) / factorial(count)
                shares[j] += weight * (values[tuple(sorted((*coalition, j)))] - before)
    return shares


def test_contributions_are_the_interventional_shapley_values():
    rng = np.random.default_rng(11)
    X = rng.integers(0, 4, size=(500, 4)).astype(float)
    X[rng.random(X.shape) < 0.1] = np.nan
    known = np.nan_to_num(X, nan=-1.0)
    won = rng.random(500) < 1.0 / (1.0 + np.exp(-(known[:, 0] * known[:, 1] - known[:, 2])))
    grid = make_grid(X, names=NAMES[:4], categories=[None, 4, None, None], directions=[1, 0, -1, 0])
    bins = grid.bin(X)
    weights = bin_weights(grid, bins)
    model = booster(grid).fit(grid.codes(bins), won)
    tables = compile_tables([[model]], grid, weights)
    marginals = purifying_marginals(grid, weights)[:, :5]

    def score(rows):
        return model.decision_function(grid.codes(rows))

    for row in bins[:4]:
        np.testing.assert_allclose(
            tables.contributions(row[None])[0, :, 0],
            shapley_by_brute_force(score, marginals, row),
            atol=1e-9,
        )


def test_the_first_trees_alone_can_be_compiled(pairwise):
    model = pairwise.models[0][0]
    bins = pairwise.seen_bins(2)
    codes = pairwise.grid.codes(bins)
    for count, expected in enumerate(model.staged_decision_function(codes), start=1):
        if count in {1, 7, 40}:
            tables = compile_tables([[model]], pairwise.grid, pairwise.weights, iterations=count)
            np.testing.assert_allclose(tables.eta(bins)[:, 0], expected, rtol=0, atol=1e-9)
    none = compile_tables([[model]], pairwise.grid, pairwise.weights, iterations=0)
    assert (none.eta(bins) == float(model._baseline_prediction.item())).all()


def test_an_edge_without_a_classifier_is_a_number_for_everyone(pairwise):
    bins = pairwise.seen_bins(2, rows=5)
    tables = compile_tables([[-2.5, pairwise.models[0][1]]], pairwise.grid, pairwise.weights)
    assert (tables.eta(bins)[:, 0] == -2.5).all()
    np.testing.assert_allclose(tables.eta(bins)[:, 1], pairwise.decision(bins)[:, 0, 1], atol=1e-9)


def test_a_path_over_three_features_is_refused_by_name(pairwise):
    rng = np.random.default_rng(0)
    X = training_values(rng)
    codes = pairwise.grid.codes(pairwise.grid.bin(X))
    model = booster(pairwise.grid, interaction_cst=None).fit(codes, outcomes(rng, X))
    with pytest.raises(TrainingDataError, match=r"a path over \w+, \w+, \w+: expected at most two"):
        compile_tables([[model]], pairwise.grid, pairwise.weights)


def test_a_classifier_of_another_grid_is_refused(pairwise):
    narrow = Grid(pairwise.grid.features[:2])
    with pytest.raises(TrainingDataError, match="6 features and 2 classes: expected one of the"):
        compile_tables([[pairwise.models[0][0]]], narrow, pairwise.weights[:2])


@pytest.mark.parametrize(
    ("weights", "direction", "expected"),
    [
        ([1.0, 3.0, 4.0, 0.0], 0, [0.125, 0.375, 0.5, 0.0]),
        ([1.0, 3.0, 4.0, 0.0], -1, [0.25, 0.75, 0.0, 0.0]),
        ([0.0, 0.0, 4.0, 0.0], 1, [0.0, 0.0, 1.0, 0.0]),
        ([1.0, 1.0, 0.0, 9.0], 0, [0.5, 0.5, 0.0, 0.0]),
        ([0.0, 0.0, 0.0, 0.0], 0, [0.0, 0.0, 1.0, 0.0]),
    ],
)
def test_missing_counts_in_a_marginal_only_without_a_direction(weights, direction, expected):
    grid = make_grid(
        np.array([[1.0], [2.0]]), names=["contacts"], categories=[None], directions=[direction]
    )
    assert purifying_marginals(grid, np.array([weights])).tolist() == [expected]


def test_columns_that_are_constant_or_all_missing_compile():
    rng = np.random.default_rng(0)
    nothing = np.full(200, np.nan)
    X = np.stack([nothing, np.full(200, 3.0), rng.normal(size=200), nothing], axis=1)
    grid = make_grid(X, names=NAMES[:4], categories=[None, None, None, 3], directions=[1, -1, 0, 0])
    bins = grid.bin(X)
    won = rng.random(200) < 1.0 / (1.0 + np.exp(-2.0 * X[:, 2]))
    codes = learning_codes(grid, bins)
    model = booster(grid).fit(codes, won)
    tables = compile_tables([[model]], grid, bin_weights(grid, bins))
    np.testing.assert_allclose(
        tables.eta(bins)[:, 0], model.decision_function(codes), rtol=0, atol=1e-9
    )
    assert (tables.contributions(bins)[:, [0, 1, 3]] == 0.0).all()
