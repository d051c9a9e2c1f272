"""What adds up on a page or a terminal, rounded so that it does as shown."""

from __future__ import annotations

from typing import Final

from model.change import Change, Step
from model.forecast import Part
from model.rounding import rounded_parts, shown_points
from model.score import Score
from model.what_if import WhatIf

OTHERS: Final = "everything else"
MOST_MOVED: Final = 8  # features of a what-if that are named


def score_parts(score: Score) -> list[tuple[str, float]]:
    """What leads from the average deal to this one: phrases and probability added."""
    return _named(
        score.average_probability or 0.0,
        [(driver.phrase, driver.points) for driver in score.drivers],
        score.other_points or 0.0,
        score.probability or 0.0,
    )


def what_if_parts(told: WhatIf) -> list[tuple[str, float]]:
    """What leads from a deal as it is to it as supposed: phrases and probability added."""
    named, rest = told.drivers[:MOST_MOVED], told.drivers[MOST_MOVED:]
    return _named(
        told.before,
        [(moved.phrase, moved.points) for moved in named],
        sum(moved.points for moved in rest) + told.other_points,
        told.after,
    )


def change_parts(change: Change) -> list[tuple[Step, float]]:
    """What leads from a deal then to it now: steps and probability added."""
    points = shown_points(change.before, [step.points for step in change.steps], change.after)
    return list(zip(change.steps, points, strict=True))


def amount_parts(part: Part) -> tuple[int, int, int]:
    """Won, to come of open deals, and of those not yet opened, in whole units of the currency."""
    won = round(part.won)
    to_come = (part.open.expected, part.unopened.expected)
    opened, unopened = rounded_parts(to_come, round(part.total.expected) - won)
    return won, opened, unopened


def _named(
    before: float, parts: list[tuple[str, float]], other: float, after: float
) -> list[tuple[str, float]]:
    shown = shown_points(before, [*(points for _, points in parts), other], after)
    return list(zip([*(phrase for phrase, _ in parts), OTHERS], shown, strict=True))
