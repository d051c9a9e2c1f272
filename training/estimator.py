"""The trees that Redflare grows, as an estimator of scikit-learn's kind."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from model.catalogue import CATALOGUE
from training.boosting import Settings, bag_members, fit_booster
from training.grid_fit import make_grid

DIRECTIONS: Final = {feature.name: feature.direction for feature in CATALOGUE}
NUMBERS: Final = frozenset(feature.name for feature in CATALOGUE if not feature.is_category)
EXPECTED_TO_FAIL: Final = {
    "check_sample_weight_equivalence_on_dense_data": (
        "each bag draws half of the rows, so that a row of weight 2 is not drawn as two rows are"
    ),
}


class DealClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """Whether a deal is won in time: boosted trees of at most two features a path, in bags.

    For trying features and settings in a notebook, beside other estimators; training itself chooses
    among several learners, for all horizons, and calibrates. Columns named like features of the
    catalogue may push in its directions only; text and category columns are categories.

    Parameters
    ----------
    trees
        Of each bag.
    leaves, rows_a_leaf, shrinkage, ridge
        As in `training.boosting.Settings`.
    interactions
        ``pairwise``, or ``no_interactions``.
    bags
        How many, each of half the rows; their log-odds are averaged.
    directions
        By column name: 1, -1 or 0; None takes the catalogue's.
    random_state
        Of the bags and the trees.

    Attributes
    ----------
    classes_
        The two outcomes. Shape (2,).

    Examples
    --------
    >>> X = pd.DataFrame({"silence_days": np.arange(200.0) % 40})
    >>> model = DealClassifier(trees=20, bags=2).fit(X, X["silence_days"] < 15)
    >>> model.predict(pd.DataFrame({"silence_days": [2.0, 30.0]})).tolist()
    [True, False]
    """

    def __init__(
        self,
        trees: int = 150,
        leaves: int = 4,
        rows_a_leaf: int = 20,
        shrinkage: float = 0.08,
        ridge: float = 5.0,
        interactions: str = "pairwise",
        bags: int = 4,
        directions: dict[str, int] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.trees = trees
        self.leaves = leaves
        self.rows_a_leaf = rows_a_leaf
        self.shrinkage = shrinkage
        self.ridge = ridge
        self.interactions = interactions
        self.bags = bags
        self.directions = directions
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> DealClassifier:
        """Learn.

        Parameters
        ----------
        X
            Numbers, NaN where missing; in a frame categories too. Shape (n, F).
        y
            Two outcomes, the greater one a win. Shape (n,).
        sample_weight
            Of the rows. Shape (n,).
        """
        for name in ("trees", "leaves", "rows_a_leaf", "bags"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)!r}: expected 1 or more")
        self.words_ = _words(X)
        if numbers := [name for name in self.words_ if name in NUMBERS]:
            raise ValueError(
                f"column {numbers[0]!r} of text: expected numbers, as the catalogue has it, NaN "
                "where missing; make it numbers, or rename the column"
            )
        values, y = validate_data(
            self, self._numbers(X), y, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            given = f"The type of the target is {kind}."
            raise ValueError(f"Only binary classification is supported. {given}")
        self.classes_, won = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("one class alone is no question: expected two classes in y")
        weight = _check_sample_weight(sample_weight, values, dtype=np.float64)
        names = getattr(self, "feature_names_in_", None)
        names = [f"x{number}" for number in range(values.shape[1])] if names is None else names
        known = DIRECTIONS if self.directions is None else self.directions
        self.grid_ = make_grid(
            values,
            names=list(names),
            categories=[len(self.words_[n]) if n in self.words_ else None for n in names],
            directions=[0 if n in self.words_ else known.get(n, 0) for n in names],
            row_weights=weight,
        )
        settings = Settings(
            interactions=self.interactions,
            leaves=self.leaves,
            rows_a_leaf=self.rows_a_leaf,
            shrinkage=self.shrinkage,
            ridge=self.ridge,
        )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        bins = self.grid_.bin(values)
        self.models_ = [
            fit_booster(
                self.grid_, bins[bag], won[bag] == 1, weight[bag], settings, self.trees, seed + n
            )
            for n, bag in enumerate(bag_members(len(values), self.bags, seed))
        ]
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Log-odds of a win. Shape (n,)."""
        check_is_fitted(self)
        values = validate_data(
            self, self._numbers(X), dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )
        codes = self.grid_.codes(self.grid_.bin(values))
        told = [
            np.full(len(codes), model)
            if isinstance(model, float)
            else model.decision_function(codes)
            for model in self.models_
        ]
        return np.asarray(np.mean(told, axis=0))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of both outcomes. Shape (n, 2)."""
        won = 1.0 / (1.0 + np.exp(-self.decision_function(X)))
        return np.stack([1.0 - won, won], axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """The likelier outcome. Shape (n,)."""
        likelier = (self.decision_function(X) > 0.0).astype(int)
        return np.asarray(self.classes_[likelier])

    def _numbers(self, X: Any) -> Any:
        """A frame's categories as codes: -1 where learning saw none such, NaN where missing."""
        if not self.words_:
            return X
        if not isinstance(X, pd.DataFrame):
            raise ValueError(
                f"a {type(X).__name__}: expected a data frame with the columns learned from, since "
                f"{', '.join(self.words_)} are categories by name"
            )
        columns: dict[Any, Any] = {}
        for name in X.columns:
            if name in self.words_:
                code = {word: float(place) for place, word in enumerate(self.words_[name])}
                columns[name] = [
                    np.nan if pd.isna(value) else code.get(str(value), -1.0)
                    for value in X[name].tolist()
                ]
            else:
                columns[name] = X[name].to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.DataFrame(columns, index=X.index)


def _words(X: Any) -> dict[str, list[str]]:
    """The categories of each column of a frame that holds no numbers."""
    if not isinstance(X, pd.DataFrame):
        return {}
    return {
        str(name): sorted({str(value) for value in X[name].dropna().tolist()})
        for name in X.columns
        if isinstance(X[name].dtype, pd.CategoricalDtype | pd.StringDtype)
    }
