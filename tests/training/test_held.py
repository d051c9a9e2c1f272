from __future__ import annotations

import numpy as np

from training.held import calibration_finding, horizon_of
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
