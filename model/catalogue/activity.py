"""How lively the deal is, whatever happens: the last event, quiet, events counted."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from model.asof import WINDOWS_DAYS, AsOf
from model.events import DAY_US
from model.feature import Computed, Feature
from model.history import NONE, Floats


def last_event(asof: AsOf) -> Floats:
    """Code of the last thing that happened, of whatever kind."""
    codes = asof.last.argmax(axis=0)
    codes[asof.final < 0] = NONE
    return np.asarray(asof.vocabulary.event_categories.take(codes))


def quiet_days(asof: AsOf) -> Floats:
    """Days since the last thing happened."""
    return asof.age_us.take(asof.final) / DAY_US


def events(asof: AsOf) -> Floats:
    """Events of any kind within each of `model.asof.WINDOWS_DAYS`, then in all. (W + 1, S)."""
    return np.asarray(np.add.reduce(asof.recent, axis=1))


def events_within(asof: AsOf, window: int) -> Floats:
    """Events of any kind within the n-th of `model.asof.WINDOWS_DAYS`."""
    within: Floats = asof.once(events)[window]
    return within


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
            term=Computed(compute=partial(events_within, window=window)),
        )
        for window, days in enumerate(WINDOWS_DAYS)
        if days in (7, 30)
    ),
)
