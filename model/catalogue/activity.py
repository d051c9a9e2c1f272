"""How lively the deal is, whatever happens: the last activity, quiet, activity counted.

Milestones and what is declared about them are no activity (`model.asof.PLANS`). They have features
of their own, each with a direction; here, where either way is free, one that is reached would count
as something happening, which may be learned as bad, and hide the reply before it.
"""

from __future__ import annotations

from math import nan
from typing import Final

from model.asof import Snapshot
from model.feature import Computed, Count, Feature, LastEvent


def quiet_days(snapshot: Snapshot) -> float:
    """Days since the last activity."""
    rows = snapshot.activity
    return snapshot.age_days[rows[-1]] if rows else nan


ACTIVITY: Final[tuple[Feature, ...]] = (
    Feature(
        name="last_event",
        unit="category",
        question="the last activity, milestones aside",
        direction=0,
        missing="nothing is known",
        phrase="the last activity on record: {value}",
        unknown="nothing is on record",
        term=LastEvent(),
    ),
    Feature(
        name="quiet_days",
        unit="days",
        question="days since any activity, milestones aside",
        direction=0,
        missing="nothing is known",
        phrase="no activity for {days}",
        unknown="nothing is on record",
        term=Computed(compute=quiet_days),
    ),
    *(
        Feature(
            name=f"events_{days}_days",
            unit="events",
            question=f"activities of any kind in {days} days, milestones aside",
            direction=0,
            missing="nothing is known",
            phrase=f"{{value}} activities in the last {days} days",
            zero=f"no activity in the last {days} days",
            one=f"one activity in the last {days} days",
            unknown="nothing is on record",
            term=Count(codes=(), days=days),
        )
        for days in (7, 30)
    ),
)
