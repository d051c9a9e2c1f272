"""How lively the deal is, whatever happens: the last event, quiet, events counted."""

from __future__ import annotations

from math import nan
from typing import Final

from model.asof import Snapshot
from model.feature import Computed, Count, Feature, LastEvent


def quiet_days(snapshot: Snapshot) -> float:
    """Days since the last thing happened."""
    return snapshot.age_days[snapshot.rows[-1]] if snapshot.rows else nan


ACTIVITY: Final[tuple[Feature, ...]] = (
    Feature(
        name="last_event",
        unit="category",
        question="what happened last",
        direction=0,
        missing="nothing is known",
        phrase="the last thing on record: {value}",
        unknown="nothing is on record",
        term=LastEvent(),
    ),
    Feature(
        name="quiet_days",
        unit="days",
        question="days since anything happened",
        direction=0,
        missing="nothing is known",
        phrase="nothing happened for {days}",
        unknown="nothing is on record",
        term=Computed(compute=quiet_days),
    ),
    *(
        Feature(
            name=f"events_{days}_days",
            unit="events",
            question=f"events of any kind in {days} days",
            direction=0,
            missing="nothing is known",
            phrase=f"{{value}} things happened in the last {days} days",
            zero=f"nothing happened in the last {days} days",
            one=f"one thing happened in the last {days} days",
            unknown="nothing is on record",
            term=Count(codes=(), days=days),
        )
        for days in (7, 30)
    ),
)
