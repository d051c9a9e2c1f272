"""The figures add up, and agree with what they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from model.events import KIND_CODES
from tests.factories import day_us
from tests.training.companies import deals_table
from training import fit
from training.backtest import Backtest, Plan, backtest
from training.backtest_report import OTHER, Report, age_bands, amount_bands, build_report, slices
from training.boosting import Settings
from training.bootstrap import DealBootstrap
from training.fit import Options
from training.metrics import log_loss

PARTS = ("stage", "age", "amount", "owner", "origin")


@pytest.fixture(autouse=True, scope="module")
def few_trees() -> Iterator[None]:
    """Let there be little to choose, so that a test trains in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=10, trees=20)])
        yield


@pytest.fixture(scope="module")
def tested() -> Backtest:
    plan = Plan(
        origins_us=(day_us(330),),
        within_days=(14.0, 40.0),
        spacing_days=3.5,
        options=Options(spacing_days=10.0, jobs=1),
    )
    return backtest(deals_table(), plan)


@pytest.fixture(scope="module")
def report(tested: Backtest) -> Report:
    return build_report(tested, smallest=5)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("days", [14.0, 40.0])
def test_the_values_of_each_part_add_up_to_all(report: Report, part: str, days: float) -> None:
    here = [row for row in report.figures if row["horizon_days"] == days]
    (whole,) = [row for row in here if row["part"] == "all"]
    parts = [row for row in here if row["part"] == part]

    assert sum(row["rows"] for row in parts) == whole["rows"]
    for figure in ("won_share", "mean_probability", "log_loss", "brier"):
        sums = sum(row["rows"] * row[figure] for row in parts)
        assert sums / whole["rows"] == pytest.approx(whole[figure])


def test_bands_hold_every_forecast_once(report: Report) -> None:
    for row in report.figures:
        if row["part"] == "all":
            bands = [
                band for band in report.reliability if band["horizon_days"] == row["horizon_days"]
            ]
            assert sum(band["rows"] for band in bands) == row["rows"]
            won = sum(band["rows"] * band["won_share"] for band in bands)
            assert won / row["rows"] == pytest.approx(row["won_share"])
            assert all(b["low"] <= b["mean_probability"] <= b["high"] for b in bands)


def test_new_deals_are_counted_alone(tested: Backtest, report: Report) -> None:
    forecasts = tested.forecasts
    (row,) = [
        row
        for row in report.figures
        if row["part"] == "opened after the origin" and row["horizon_days"] == 14.0
    ]
    chosen = forecasts.new & forecasts.counted[:, 0]

    assert row["rows"] == chosen.sum()
    assert row["deals"] == len(np.unique(forecasts.deal[chosen]))
    assert row["log_loss"] == pytest.approx(
        log_loss(forecasts.won[chosen, 0], forecasts.probability[chosen, 0], np.ones(chosen.sum()))
    )


def test_stages_are_listed_in_their_order(tested: Backtest) -> None:
    history = tested.record.history
    places = np.full(history.number.size, np.nan)
    for number, stage in enumerate(("terms", "offer")):
        of_stage = (history.kind == KIND_CODES["stage_changed"]) & (
            history.name == list(history.names).index(stage)
        )
        places[of_stage] = number
    record = replace(tested.record, history=replace(history, number=places))
    told = [
        each.value for each in slices(replace(tested, record=record), 5) if each.part == "stage"
    ]
    alike = [each.value for each in slices(tested, 5) if each.part == "stage"]

    assert told == ["terms", "offer"]
    assert alike == ["offer", "terms"]  # of one number, by the alphabet


def test_values_of_few_deals_are_pooled(tested: Backtest) -> None:
    pooled = build_report(tested, smallest=10_000)

    assert {row["value"] for row in pooled.figures if row["part"] == "stage"} == {OTHER}


def test_a_difference_is_our_log_loss_minus_theirs(report: Report) -> None:
    for row in report.baselines:
        assert row["difference"] == pytest.approx(row["our_log_loss"] - row["log_loss"])
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    compared = {row["baseline"] for row in report.baselines}
    assert compared == {"base_rate", "logistic_regression", "frequencies"}
    assert report.facts["baselines_without_grounds"] == ["rep_forecast"]


def test_the_learned_signal_beats_the_base_rate(report: Report) -> None:
    """Buyers who will buy reply often: the model hears it, stage and age do not."""
    (row,) = [
        row
        for row in report.baselines
        if (row["baseline"], row["part"], row["horizon_days"]) == ("base_rate", "all", 40.0)
    ]

    assert row["difference"] < 0.0


def test_the_interval_of_the_error_is_that_of_its_deals(tested: Backtest, report: Report) -> None:
    forecasts = tested.forecasts
    rows = np.flatnonzero(forecasts.counted[:, 0])
    error = DealBootstrap().calibration_error(
        forecasts.deal[rows], forecasts.won[rows, 0], forecasts.probability[rows, 0]
    )
    (row,) = [r for r in report.figures if r["part"] == "all" and r["horizon_days"] == 14.0]

    assert (row["ece"], row["ece_low"], row["ece_high"]) == pytest.approx(
        (error.value, error.low, error.high)
    )


def test_the_horizon_shown_alone_is_that_nearest_to_a_month(report: Report) -> None:
    assert report.main_days == 40.0
    for unjudged, nearest in (([], 21.0), ([21.0], 90.0), ([21.0, 90.0], 7.0)):
        facts = {"horizons_days": [7.0, 21.0, 90.0], "horizons_not_judged_days": unjudged}
        assert replace(report, facts=facts).main_days == nearest


def test_bands_of_age_hold_their_lower_bound() -> None:
    code, names = age_bands(np.array([0.0, 13.9, 14.0, 364.0, 365.0]))

    assert [names[each] for each in code] == [
        "under 14 days",
        "under 14 days",
        "14 to 30 days",
        "180 to 365 days",
        "over 365 days",
    ]


@pytest.mark.parametrize("amount", [[np.nan, np.nan], [5.0, 5.0], [0.0, 0.0, 7.0]])
def test_amounts_that_cannot_be_cut_in_four_are_banded_all_the_same(amount: list[float]) -> None:
    code, names = amount_bands(np.array(amount))

    assert len(names) == len(set(names))
    assert all(0 <= each < len(names) for each in code.tolist())
