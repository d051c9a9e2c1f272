"""What shows that the customer means it: talks about terms, technical validation, rivals."""

from __future__ import annotations

from typing import Final

import numpy as np

from model.asof import AsOf
from model.catalogue.course import close_date_days
from model.feature import NOT_CARRIED, Computed, Count, Feature, Since
from model.history import Floats

STARTED: Final = "commercial_talks_started"
TALKS: Final = (STARTED, "commercial_talks_absent")
VALIDATION: Final = (
    "technical_validation_started",
    "technical_validation_passed",
    "technical_validation_failed",
)
VALIDATION_STATES: Final = ("not started", "started", "passed", "failed")
_CODED: Final = tuple(enumerate(VALIDATION, 1))


def talks_started(asof: AsOf) -> Floats:
    """1 if commercial talks started, 0 if not."""
    started = np.zeros(asof.size)
    for i in asof.followed.by_kind[STARTED]:
        started[asof.followed.snap[i]] = 1.0
    return started


def no_talks_days_left(asof: AsOf) -> Floats:
    """Days left to the close date while no commercial talks have started; NaN once they have."""
    left = asof.once(close_date_days).copy()
    for i in asof.followed.by_kind[STARTED]:
        left[asof.followed.snap[i]] = np.nan
    return left


def validation_state(asof: AsOf) -> Floats:
    """Codes of `VALIDATION_STATES`."""
    state = np.zeros(asof.size)
    for i, code in sorted((i, code) for code, kind in _CODED for i in asof.followed.by_kind[kind]):
        state[asof.followed.snap[i]] = code
    return state


PROOF: Final[tuple[Feature, ...]] = (
    Feature(
        name="commercial_talks",
        unit="flag",
        question="commercial talks started",
        direction=1,
        missing=NOT_CARRIED,
        phrase="commercial talks: {value}",
        zero="commercial talks not started",
        one="commercial talks started",
        term=Computed(compute=talks_started, carriers=TALKS),
    ),
    Feature(
        name="commercial_talks_days",
        unit="days",
        question="days since commercial talks started",
        direction=0,
        missing="they have not started",
        phrase="commercial talks started {value} days ago",
        term=Since(codes=(STARTED,)),
    ),
    Feature(
        name="no_talks_days_left",
        unit="days",
        question="days left to the close date without commercial talks",
        direction=0,
        missing="talks have started, or no close date is known",
        phrase="commercial talks not started with {value} days left",
        term=Computed(compute=no_talks_days_left, carriers=TALKS),
    ),
    Feature(
        name="technical_validation",
        unit="category",
        question="technical validation",
        direction=0,
        missing=NOT_CARRIED,
        phrase="technical validation {value}",
        term=Computed(compute=validation_state, carriers=VALIDATION),
    ),
    Feature(
        name="technical_validation_days",
        unit="days",
        question="days since the last step of technical validation",
        direction=0,
        missing="it has not started",
        phrase="last step of technical validation {value} days ago",
        term=Since(codes=VALIDATION),
    ),
    Feature(
        name="competitor_named",
        unit="flag",
        question="a competitor named",
        direction=0,
        missing=NOT_CARRIED,
        phrase="competitor named: {value}",
        zero="no competitor named",
        one="a competitor is named",
        term=Count(codes=("competitor_named",), most=1),
    ),
)
