from __future__ import annotations

from dataclasses import replace

import numpy as np

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
    assert "were expected" not in calibration_finding([horizon], limits).words


def test_a_figure_outside_its_band_is_not_said_to_hold_where_too_little_shows_it() -> None:
    limits = read_thresholds().monitor
    horizon = Horizon(
        days=45.0,
        deals=150,
        won=30,
        expected=50.0,
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
