"""How lively the deal is, whatever happens: the last event, quiet, events counted."""

from __future__ import annotations

from typing import Final

import numpy as np

from model.asof import AsOf
from model.events import DAY_US
from model.feature import Computed, Count, Feature
from model.history import NONE, Floats


def last_event(asof: AsOf) -> Floats:
    """Code of the last thing that happened, of whatever kind."""
    codes = asof.last.argmax(axis=0)
    codes[asof.final < 0] = NONE
    return np.asarray(asof.vocabulary.event_categories.take(codes))


def quiet_days(asof: AsOf) -> Floats:
    """Days since the last thing happened."""
    return asof.age_us.take(asof.final) / DAY_US


ACTIVITY: Final[tuple[Feature, ...]] = (
    Feature(
        name="last_event",
        unit="category",
        question="what happened last",
        direction=0,
        missing="nothing is known",
        phrase="last event: {value}",
        term=Computed(compute=last_event),
    ),
    Feature(
        name="quiet_days",
        unit="days",
        question="days since anything happened",
        direction=0,
        missing="nothing is known",
        phrase="nothing happened for {value} days",
        term=Computed(compute=quiet_days),
    ),
    *(
        Feature(
            name=f"events_{days}_days",
            unit="events",
            question=f"events of any kind in {days} days",
            direction=0,
            missing="nothing is known",
            phrase=f"{{value}} events in {days} days",
            zero=f"nothing happened in {days} days",
            one=f"1 event in {days} days",
            term=Count(codes=(), days=days),
        )
        for days in (7, 30)
    ),
)
