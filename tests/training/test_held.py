from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.held import Horizon, calibration_finding, horizon_of
from training.said import Said
from training.thresholds import read_thresholds


def test_deals_that_were_all_won_in_the_end_are_judged_by_their_moments() -> None:
    """Each is won within the days of its second moment, but not of its first: as was said."""
    deal = np.repeat(np.arange(200), 2)
    probability = np.where(np.arange(400) % 4 < 2, 0.4, 0.6)[:, None]
    won = (np.arange(400) % 2 == 1)[:, None]
    said = Said(
        deal=deal,
        as_of=np.arange(400),
        probability=probability,
        counted=np.ones((400, 1), dtype=bool),
        won=won,
    )
    limits = read_thresholds().monitor
    horizon = horizon_of(said, 0, 30.0)

    assert horizon.won == horizon.deals == 200
    assert horizon.came == pytest.approx(horizon.expected) == pytest.approx(0.5)
    assert "was expected" not in calibration_finding([horizon], limits).words


def test_of_deals_said_rightly_week_by_week_as_many_came_as_were_expected() -> None:
    """A deal open for months is won once: each forecast of the weeks before was rightly low."""
    rng = np.random.default_rng(5)
    weeks = np.minimum(rng.geometric(0.05, 2000), 40)  # until it is won, or no more looked at
    deal = np.repeat(np.arange(2000), weeks)
    week = np.concatenate([np.arange(each) for each in weeks])
    last = week + 1 == np.repeat(weeks, weeks)
    won = (last & (np.repeat(weeks, weeks) < 40))[:, None]
    said = Said(
        deal=deal,
        as_of=week,
        probability=np.full((len(deal), 1), 0.05),
        counted=np.ones((len(deal), 1), dtype=bool),
        won=won,
    )
    horizon = horizon_of(said, 0, 7.0)

    assert horizon.won > 1600
    assert horizon.came == pytest.approx(horizon.expected, rel=0.05)
    assert calibration_finding([horizon], read_thresholds().monitor).state == "well"


def test_a_figure_outside_its_band_is_not_said_to_hold_where_too_little_shows_it() -> None:
    limits = read_thresholds().monitor
    horizon = Horizon(
        days=45.0,
        deals=150,
        won=30,
        expected=0.3,
        came=0.25,
        loss=0.4,
        slope=1.2,
        slope_error=0.2,
        intercept=0.0,
        intercept_error=0.3,
    )

    well = calibration_finding([horizon], limits)
    unsure = calibration_finding([replace(horizon, intercept=-0.5)], limits)

    assert well.words == "calibration holds within 45 days: slope 1.20, intercept 0.00"
    assert unsure.state == "well"
    assert unsure.words.startswith("calibration may be off, but is not shown to be by so few deals")
