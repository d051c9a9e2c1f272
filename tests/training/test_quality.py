"""Figures of quality, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tests.training.companies import snapshots
from training.metrics import CLIP, brier_score, calibration_error, log_loss
from training.quality import quality, quality_by_edge

answers = st.lists(
    st.tuples(st.booleans(), st.floats(0.001, 0.999), st.floats(0.1, 5.0)), min_size=1, max_size=40
)


@settings(max_examples=40)
@given(answers=answers)
def test_log_loss_and_brier_score_are_scikit_learn_s(
    answers: list[tuple[bool, float, float]],
) -> None:
    won, p, weight = (np.array(column) for column in zip(*answers, strict=True))

    assert log_loss(won, p, weight) == pytest.approx(
        metrics.log_loss(won, p, sample_weight=weight, labels=[False, True])
    )
    assert brier_score(won, p, weight) == pytest.approx(
        metrics.brier_score_loss(won, p, sample_weight=weight, labels=[False, True])
    )


def test_a_certain_and_wrong_answer_is_dear_but_not_infinite() -> None:
    assert log_loss(np.array([True]), np.array([0.0]), np.ones(1)) == pytest.approx(-np.log(CLIP))


def test_calibration_error_by_hand() -> None:
    p = np.repeat(np.arange(10) / 10.0 + 0.05, 2)
    won = np.tile([True, False], 10)

    expected = np.mean(np.abs(np.arange(10) / 10.0 + 0.05 - 0.5))
    assert calibration_error(won, p, np.ones(20)) == pytest.approx(expected)
    shuffled = np.random.default_rng(1).permutation(20)
    assert calibration_error(won[shuffled], p[shuffled], np.ones(20)) == pytest.approx(expected)


def test_calibration_error_counts_weights() -> None:
    won, p = np.array([True, False]), np.array([0.75, 0.25])

    assert calibration_error(won, p, np.array([3.0, 1.0])) == pytest.approx(0.25)
    assert calibration_error(won, np.array([0.5, 0.25]), np.array([3.0, 1.0])) == pytest.approx(
        (3.0 * 0.5 + 0.25) / 4.0
    )


def test_answers_that_come_true_as_often_as_they_say_are_calibrated() -> None:
    p = np.repeat([0.2, 0.6], 50)
    won = np.concatenate([np.arange(50) % 5 == 0, np.arange(50) % 5 < 3])

    assert calibration_error(won, p, np.ones(100)) == pytest.approx(0.0, abs=1e-12)


def test_quality_tells_every_figure() -> None:
    won = np.array([True, False, True, False])
    p = np.array([0.9, 0.2, 0.4, 0.5])
    weight = np.array([1.0, 2.0, 1.0, 1.0])
    figures = quality(won, p, weight)

    assert figures["rows"] == 4
    assert figures["won_share"] == pytest.approx(0.4)
    assert figures["auc"] == pytest.approx(metrics.roc_auc_score(won, p, sample_weight=weight))
    assert figures["log_loss"] == log_loss(won, p, weight)
    assert figures["brier"] == brier_score(won, p, weight)
    assert figures["ece"] == calibration_error(won, p, weight)


@pytest.mark.parametrize("outcome", [True, False])
def test_one_outcome_alone_has_no_ranking(outcome: bool) -> None:
    assert quality(np.full(3, outcome), np.full(3, 0.5), np.ones(3))["auc"] is None


def test_quality_by_edge_is_of_the_probability_by_each_date() -> None:
    edges = np.array([0.0, 10.0, 40.0])
    data = snapshots(
        np.arange(5),
        np.array([0.0, 0.0, 0.0, 0.0, 80.0]),
        np.array([5.0, 30.0, np.inf, 5.0, 5.0]),
        known_days=100.0,
    )
    eta = np.array([[0.0, 0.0], [-1.0, 1.0], [-2.0, 0.5], [np.nan, np.nan], [1.0, 0.0]])
    first, second = quality_by_edge(data, edges, eta)

    hazards = 1.0 / (1.0 + np.exp(-eta))
    rows = [0, 1, 2, 4]  # one is not judged
    assert (first["days"], first["rows"]) == (10.0, 4)
    assert first["brier"] == pytest.approx(
        np.mean((hazards[rows, 0] - np.array([1.0, 0.0, 0.0, 1.0])) ** 2)
    )
    rows = [0, 1, 2]  # and one ends past the record
    by_date = 1.0 - (1.0 - hazards[rows]).prod(axis=1)
    assert (second["days"], second["rows"]) == (40.0, 3)
    assert second["brier"] == pytest.approx(np.mean((by_date - np.array([1.0, 1.0, 0.0])) ** 2))


def test_an_edge_that_no_judged_row_reaches_has_no_figures() -> None:
    data = snapshots(np.arange(2), np.zeros(2), np.array([5.0, np.inf]), known_days=20.0)

    figures = quality_by_edge(data, np.array([0.0, 10.0, 40.0]), np.zeros((2, 2)))

    assert [row["days"] for row in figures] == [10.0]
