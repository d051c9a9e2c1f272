"""The learned curves are the tables' own, with the bags' spread about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.artifact import Artifact
from model.features import FeatureSet
from model.hazard import edge_weights, probability
from model.history import Floats, History
from training.curves import Curve, learned_curves
from training.simulate import Simulation


@pytest.fixture(scope="module")
def artifact(small_artifact: Path) -> Artifact:
    return Artifact.load(small_artifact)


@pytest.fixture(scope="module")
def shown(artifact: Artifact, small_company: Simulation) -> Floats:
    history = History.from_table(small_company.events)
    features = FeatureSet.from_json(artifact.features)
    deal = np.arange(200)
    return features.matrix(history, deal, np.full(200, int(history.known.max())))


@pytest.fixture(scope="module")
def curves(artifact: Artifact, shown: Floats) -> list[Curve]:
    return learned_curves(artifact, shown, 30.0)


def test_a_value_adds_what_its_table_makes_of_the_average_deal(
    artifact: Artifact, curves: list[Curve]
) -> None:
    tables, weights = artifact.calibrated, edge_weights(artifact.edges, np.array(30.0))
    average = probability(tables.intercept, weights)
    for curve in curves[:10]:
        column = artifact.grid.names.index(curve.feature)
        for place, step in enumerate(curve.steps[:5]):
            effect = tables.mains[:, :, column, place].mean(axis=0)
            expected = probability(tables.intercept + effect, weights) - average
            assert step.points == pytest.approx(float(expected), abs=1e-12)
            assert step.points_low <= step.points <= step.points_high


def test_a_band_is_the_spread_of_the_bags_alone(artifact: Artifact, shown: Floats) -> None:
    """What no feature tells widens the interval of a deal, not that of an effect."""
    mains, bags = artifact.tables.mains, artifact.tables.bags
    alike = replace(
        artifact,
        tables=replace(artifact.tables, mains=np.repeat(mains[:1], bags, axis=0)),
        bag_calibrations=(artifact.calibration,) * bags,
    )
    for curve in learned_curves(alike, shown, 30.0):
        for step in curve.steps:
            assert step.points_low == pytest.approx(step.points, abs=1e-12)
            assert step.points_high == pytest.approx(step.points, abs=1e-12)


def test_the_strongest_come_first_by_what_they_add_to_the_forecasts(curves: list[Curve]) -> None:
    strengths = [curve.strength for curve in curves]

    assert strengths == sorted(strengths, reverse=True)
    assert all(strength > 0 for strength in strengths)
    for curve in curves:
        mean = sum(step.share * abs(step.points) for step in curve.steps)
        assert mean == pytest.approx(curve.strength, abs=1e-9)


def test_a_held_direction_shows_in_the_curve(curves: list[Curve]) -> None:
    held = [curve for curve in curves if curve.direction.startswith("held")]
    assert held
    for curve in held:
        known = [step.points for step in curve.steps if step.value != "not known"]
        changes = np.diff(known)
        down = "never raises" in curve.direction
        assert ((changes <= 1e-12) if down else (changes >= -1e-12)).all(), curve.feature


def test_steps_of_a_number_join_and_those_of_a_category_have_names(curves: list[Curve]) -> None:
    for curve in curves:
        known = [step for step in curve.steps if step.value != "not known"]
        if curve.is_category:
            assert all(step.low is None and step.high is None for step in known)
            assert len({step.value for step in known}) == len(known)
        else:
            assert [step.high for step in known[:-1]] == [step.low for step in known[1:]]
            assert (known[0].low, known[-1].high) == (None, None)
