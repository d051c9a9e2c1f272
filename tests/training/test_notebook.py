from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import training
from model.artifact import Artifact
from model.errors import HorizonError, TrainingDataError
from model.event_table import write_events
from model.feature_rows import FeatureRowError, decode
from model.features import FeatureSet
from tests.conftest import SMALL_KNOWN_BEFORE
from training import curve_table, deal_data, feature_table
from training.curves import learned_curves
from training.dataset import NEVER
from training.preparing import Options, prepare
from training.simulate import Simulation

DAYS = 90.0
OPTIONS = Options(spacing_days=28.0)


@pytest.fixture(scope="module")
def data(small_company: Simulation) -> training.DealData:
    return deal_data(small_company.events, SMALL_KNOWN_BEFORE, DAYS, OPTIONS)


def test_the_learning_data_is_a_frame_with_all_that_is_known_of_its_columns(
    data: training.DealData, small_company: Simulation, tmp_path: Path
) -> None:
    assert list(data.features.index) == list(data.X.columns)
    assert (data.features[["unit", "description", "group"]] != "").all(axis=None)
    assert {"contact", "course", "company", "calendar", "field"} <= set(data.features["group"])
    assert isinstance(data.X["stage"].dtype, pd.CategoricalDtype)
    assert list(data.frame.columns[:4]) == ["deal_id", "as_of", "weight", "won"]
    assert 0.05 < data.y.mean() < 0.95
    write_events(small_company.events, tmp_path / "events.parquet")
    again = deal_data(str(tmp_path / "events.parquet"), "2026-01-05", DAYS, OPTIONS)
    pd.testing.assert_frame_equal(again.frame, data.frame)


def test_only_moments_count_whose_end_is_known(
    data: training.DealData, small_company: Simulation
) -> None:
    learning = prepare(
        small_company.events,
        int(SMALL_KNOWN_BEFORE.timestamp() * 1e6),
        Options(spacing_days=28.0, edges_days=(DAYS,)),
    )
    ends = data.as_of.max().timestamp() + DAYS * 86400
    assert ends * 1e6 <= learning.data.countable_until
    rows = learning.data.countable(learning.edges)[:, 0]
    ahead = learning.data.win[rows] - learning.data.as_of[rows]
    won = (learning.data.win[rows] != NEVER) & (ahead <= DAYS * 86400e6)
    assert data.y.tolist() == won.tolist()


def test_curves_are_those_that_reports_draw(small_artifact: Path) -> None:
    artifact = Artifact.load(small_artifact)
    features = FeatureSet.from_json(artifact.features)
    rng = np.random.default_rng(0)
    x = rng.random((50, len(features.names))) * 30.0
    for column, feature in enumerate(features.features):
        if feature.is_category:
            x[:, column] = rng.integers(0, len(features.categories(feature)), 50)

    table = curve_table(artifact, pd.DataFrame(decode(features, x)), DAYS)

    curves = learned_curves(artifact, x, DAYS)
    assert list(dict.fromkeys(table["feature"])) == [curve.feature for curve in curves]
    assert table["points"].tolist() == [step.points for curve in curves for step in curve.steps]
    assert feature_table(artifact).loc["silence_days", "direction"] == -1


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="no attribute 'dataset_frame'"):
        training.dataset_frame  # noqa: B018 - looked up, as a reader would


def test_days_that_are_none_ahead_and_an_array_in_place_of_a_frame_are_told(
    small_company: Simulation, small_artifact: Path
) -> None:
    for days in (-1.0, 0.0, float("nan")):
        with pytest.raises(HorizonError, match=f"days {days}: expected a number of days above 0"):
            deal_data(small_company.events, SMALL_KNOWN_BEFORE, days)
    artifact = Artifact.load(small_artifact)
    array: Any = np.zeros((3, 4))
    with pytest.raises(TrainingDataError, match=r"ndarray: expected a data frame .* of deal_data"):
        curve_table(artifact, array)
    with pytest.raises(FeatureRowError, match="silence_days"):
        curve_table(artifact, pd.DataFrame({"stage": ["Offer"]}))
