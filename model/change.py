"""A change: how the probability of one deal by one date moved between two moments, and why.

`model.why_moved` finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """What one feature adds to a step.

    Parameters
    ----------
    feature
        Its name, or ``the average deal``.
    points
        Probability added.
    phrase
        The fact in words, as it stands after the step.
    """

    feature: str
    points: float
    phrase: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One reason for a change.

    Parameters
    ----------
    reason
        ``fewer days``, ``time``, ``event`` or ``retraining``.
    phrase
        In words.
    known_at
        When an event became known, ISO 8601 UTC; None for other reasons.
    points
        Probability added.
    shifts
        The features that moved, strongest first; they sum to `points`. Empty for fewer days.
    """

    reason: str
    phrase: str
    known_at: str | None
    points: float
    shifts: tuple[Shift, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """How the probability of one deal by one date moved.

    Parameters
    ----------
    deal_id
        The deal.
    since, as_of
        The two moments, ISO 8601 UTC.
    close_by
        The date asked about, inclusive.
    before, after
        The probability at both: ``before + sum of the steps' points`` is ``after``.
    steps
        The reasons, in order.
    """

    deal_id: str
    since: str
    as_of: str
    close_by: str
    before: float
    after: float
    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self)


def change_from_json(value: Mapping[str, Any]) -> Change:
    """The inverse of `Change.to_json`."""
    steps = tuple(
        Step(**{**step, "shifts": tuple(Shift(**shift) for shift in step["shifts"])})
        for step in value["steps"]
    )
    return Change(**{**value, "steps": steps})
