from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.utils.estimator_checks import _get_check_estimator_ids, estimator_checks_generator

from training import DealClassifier
from training.estimator import EXPECTED_TO_FAIL


def checks() -> list[Any]:
    """Of scikit-learn those that apply: arrays of other libraries than NumPy are not taken."""
    asked = estimator_checks_generator(
        DealClassifier(trees=30, bags=2), expected_failed_checks=EXPECTED_TO_FAIL, mark="xfail"
    )
    return [each for each in asked if "check_array_api_input" not in repr(each)]


@pytest.mark.parametrize(("estimator", "check"), checks(), ids=_get_check_estimator_ids)
def test_it_is_an_estimator_of_scikit_learn_s_kind(estimator: Any, check: Any) -> None:
    check(estimator)


def deals(rows: int = 400) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(rows // 4), 4)
    silence = rng.exponential(20.0, rows // 4)[group] + rng.random(rows)
    stage = np.where(rng.random(rows // 4) < 0.5, "offer", "terms")[group]
    odds = 1.0 - silence / 15.0 + 1.5 * (stage == "terms")
    won = rng.random(rows // 4)[group] < 1.0 / (1.0 + np.exp(-odds))
    X = pd.DataFrame({"silence_days": silence, "stage": pd.Categorical(stage)})
    X.loc[::7, "silence_days"] = np.nan
    X.loc[::11, "stage"] = None
    return X, pd.Series(won), pd.Series(group)


def test_it_is_cross_validated_by_deal() -> None:
    X, won, group = deals()

    p = cross_val_predict(
        DealClassifier(trees=40), X, won, groups=group, cv=GroupKFold(4), method="predict_proba"
    )[:, 1]

    loss = -np.where(won, np.log(p), np.log1p(-p)).mean()
    share = won.mean()
    nothing = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert loss < nothing - 0.05


def test_the_catalogue_s_directions_hold() -> None:
    X, won, _ = deals()
    model = DealClassifier(trees=40, interactions="no_interactions").fit(X, won)
    line = pd.DataFrame(
        {"silence_days": np.linspace(0, 60, 200), "stage": pd.Categorical(["offer"] * 200)}
    )

    assert (np.diff(model.decision_function(line)) <= 1e-12).all()
    free = DealClassifier(trees=40, directions={}).fit(X, won)
    assert (np.diff(free.decision_function(line)) > 0.0).any()
    new = line.assign(stage="never seen before")
    assert np.isfinite(model.predict_proba(new)).all()
    with pytest.raises(ValueError, match="two classes"):
        DealClassifier().fit(X, np.ones(len(X)))


@pytest.mark.parametrize(
    ("settings", "columns", "said"),
    [
        ({"trees": 0}, {}, "trees 0: expected 1 or more"),
        ({"bags": -1}, {}, "bags -1: expected 1 or more"),
        ({}, {"silence_days": "a"}, "'silence_days' of text: expected numbers"),
    ],
)
def test_what_nothing_can_be_learned_from_is_told(
    settings: dict[str, Any], columns: dict[str, str], said: str
) -> None:
    X, won, _ = deals()
    with pytest.raises(ValueError, match=said):
        DealClassifier(**settings).fit(X.assign(**columns), won)


def test_an_array_in_place_of_a_frame_of_categories_is_told() -> None:
    X, won, _ = deals()
    model = DealClassifier(trees=5, bags=1).fit(X, won)
    with pytest.raises(ValueError, match=r"a ndarray: expected a data frame .* stage are categ"):
        model.predict(X.to_numpy())
