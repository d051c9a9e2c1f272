"""Red-flare rules and the simple rules that CRMs ship, week by week over past deals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from model.red_flare import Thresholds, has_fallen, is_low, is_silent
from training.early_walk import Walk

Bools = NDArray[np.bool_]
Group = Literal["flare", "simple"]

INACTIVE_DAYS: Final = (7, 14, 30)  # limits that CRMs ship
PUSHES: Final = (1, 2, 3)
HALVINGS: Final = 20  # of the span in which a limit is searched


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleRows:
    """Where one rule's flare stood.

    Parameters
    ----------
    name
        The rule with its limit.
    group
        Whether it is a red flare or a simple rule to compare with.
    rows
        Whether it stood at each row of the walk. Shape (S,).
    """

    name: str
    group: Group
    rows: Bools


def flare_rules(walk: Walk, thresholds: Thresholds) -> list[RuleRows]:
    """The red flares as `model.red_flare.red_flares` raises and clears them."""
    fallen, days = thresholds.fallen_share, thresholds.silence_days
    least = f" and {thresholds.fallen_amount:g}" if thresholds.fallen_amount else ""
    standing = {
        "gate missed": walk.gates_missed > 0,
        f"silent for {days:g} days": is_silent(walk.silence_days, thresholds),
        f"value fallen by {fallen:.0%}{least}": fallen_rows(walk, thresholds),
        f"probability below {thresholds.low_share:g} of usual": low_rows(walk, thresholds),
    }
    return [RuleRows(name=name, group="flare", rows=rows) for name, rows in standing.items()]


def simple_rules(walk: Walk) -> list[RuleRows]:
    """Rules that need no model: inactivity, pushed and overdue close dates."""
    standing = {f"no activity in {n} days": walk.inactive_days >= n for n in INACTIVE_DAYS}
    standing |= {f"close date pushed {n} times": walk.pushes >= n for n in PUSHES}
    standing["close date overdue"] = walk.close_date_days < 0
    return [
        RuleRows(name=name.replace("1 times", "once"), group="simple", rows=rows)
        for name, rows in standing.items()
    ]


def fallen_rows(walk: Walk, thresholds: Thresholds) -> Bools:
    """Where the expected value has fallen and is not back yet. Shape (S,)."""
    value = walk.expected_value
    before = walk.before(value)
    stands = np.zeros(value.size, dtype=bool)
    fallen_from = np.full(value.size, np.nan)
    for rows in walk.steps:
        earlier = np.where(stands[rows - 1], fallen_from[rows - 1], np.nan)
        still = has_fallen(earlier, value[rows], thresholds)
        fallen_from[rows] = np.where(still, earlier, before[rows])
        stands[rows] = still | has_fallen(before[rows], value[rows], thresholds)
    return np.asarray(stands)


def low_rows(walk: Walk, thresholds: Thresholds) -> Bools:
    """Where the probability is low beside the usual one. Shape (S,)."""
    first = walk.nth == 0
    stands: Bools = first & is_low(walk.probability, walk.usual, False, thresholds)
    for rows in walk.steps:
        stood = stands[rows - 1]
        stands[rows] = is_low(walk.probability[rows], walk.usual[rows], stood, thresholds)
    return stands


def raised(walk: Walk, standing: Bools) -> Bools:
    """Where a flare stood that did not the week before. Shape (S,)."""
    stood = np.concatenate([[False], standing[:-1]]) & (walk.nth > 0)
    return np.asarray(standing & ~stood)


def flares_counted(walk: Walk, standing: Bools) -> int:
    """Flares raised; those that stand when the walk begins were raised before."""
    return int((raised(walk, standing) & ~walk.first_of_walk).sum())


def as_busy(walk: Walk, thresholds: Thresholds, flares: int) -> tuple[float, Bools]:
    """The low-probability rule that raises no more than so many flares, its limit at most 1.

    Returns
    -------
    low_share
        That limit.
    rows
        Where the flare stood. Shape (S,).
    """
    standing = np.zeros(walk.deal.size, dtype=bool)
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried = low_rows(walk, replace(thresholds, low_share=middle))
        if flares_counted(walk, tried) <= flares:
            low, standing = middle, tried
        else:
            high = middle
    return low, standing
