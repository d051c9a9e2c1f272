"""What shows that the customer means it: talks about terms, technical validation, rivals."""

from __future__ import annotations

from math import nan
from typing import Final

from model.asof import Snapshot
from model.catalogue.course import close_date_days
from model.events import KIND_CODES
from model.feature import NOT_CARRIED, Computed, Count, Feature, Since
from model.vocabulary import NEVER_SEEN

STARTED: Final = "commercial_talks_started"
TALKS: Final = (STARTED, "commercial_talks_absent")
VALIDATION: Final = (
    "technical_validation_started",
    "technical_validation_passed",
    "technical_validation_failed",
)
VALIDATION_STATES: Final = ("not started", "started", "passed", "failed")
_STATE_OF_CODE: Final = {KIND_CODES[kind]: i for i, kind in enumerate(VALIDATION, 1)}


def talks_started(snapshot: Snapshot) -> float:
    """1 if commercial talks started, 0 if not."""
    return 1.0 if snapshot.of(STARTED) else 0.0


def no_talks_days_left(snapshot: Snapshot) -> float:
    """Days left to the close date while no commercial talks have started; NaN once they have."""
    return nan if snapshot.of(STARTED) else close_date_days(snapshot)


def validation_state(snapshot: Snapshot) -> float:
    """Codes of `VALIDATION_STATES`."""
    last = snapshot.last(*VALIDATION)
    return 0.0 if last < 0 else float(_STATE_OF_CODE[snapshot.deal.code[last]])


PROOF: Final[tuple[Feature, ...]] = (
    Feature(
        name="commercial_talks",
        unit="flag",
        question="commercial talks started",
        direction=1,
        missing=NOT_CARRIED,
        phrase="commercial talks have started",
        zero="commercial talks have not started",
        unknown="commercial talks are not on record",
        term=Computed(compute=talks_started, reads=(STARTED,), carriers=TALKS),
    ),
    Feature(
        name="commercial_talks_days",
        unit="days",
        question="days since commercial talks started",
        direction=0,
        missing="they have not started",
        phrase="commercial talks started {days} ago",
        unknown="commercial talks have not started, as far as is on record",
        term=Since(codes=(STARTED,)),
    ),
    Feature(
        name="no_talks_days_left",
        unit="days",
        question="days left to the close date without commercial talks",
        direction=0,
        missing="talks have started, or no close date is known",
        phrase="{days} left to the planned close date without commercial talks",
        negative="the planned close date passed {days} ago without commercial talks",
        unknown="no planned close date waits for commercial talks",
        term=Computed(compute=no_talks_days_left, reads=("close_date_changed",), carriers=TALKS),
    ),
    Feature(
        name="technical_validation",
        unit="category",
        question="technical validation",
        direction=0,
        missing=NOT_CARRIED,
        phrase="technical validation {value}",
        words=(
            ("not started", "has not started"),
            ("started", "is under way"),
            ("passed", "was passed"),
            ("failed", "failed"),
            (NEVER_SEEN, "stands as in no earlier deal"),
        ),
        unknown="technical validation is not on record",
        term=Computed(compute=validation_state, reads=VALIDATION, carriers=VALIDATION),
    ),
    Feature(
        name="technical_validation_days",
        unit="days",
        question="days since the last step of technical validation",
        direction=0,
        missing="it has not started",
        phrase="the last step of technical validation was {days} ago",
        unknown="technical validation has not started, as far as is on record",
        term=Since(codes=VALIDATION),
    ),
    Feature(
        name="competitor_named",
        unit="flag",
        question="a competitor named",
        direction=0,
        missing=NOT_CARRIED,
        phrase="a competitor is named",
        zero="no competitor is named",
        unknown="competitors are not on record",
        term=Count(codes=("competitor_named",), most=1),
    ),
)
