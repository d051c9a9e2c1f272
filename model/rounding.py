"""Rounded parts that add up: what is shown of drivers, reasons and amounts sums as it is shown.

Each part is rounded to the nearest unit, then those with the largest remainders by one more unit,
up or down, until they add up to the rounded total (the largest-remainder method). No number that
is kept or answered is changed by it, only what stands on a page or a terminal.

References
----------
Balinski, M. L. and Young, H. P. (1982), Fair Representation, Yale University Press.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

TENTHS: Final = 1_000  # tenths of a percentage point in a probability of 1


def rounded_parts(parts: Sequence[float], total: int) -> list[int]:
    """Whole numbers that add up to a total, each as near to its part as that allows.

    Parameters
    ----------
    parts
        In the unit that is shown; they sum to about `total`.
    total
        As shown.

    Returns
    -------
    list of int
        In the order of `parts`. A part of 0 stays 0, and none changes its sign, while others can
        take the difference.

    Examples
    --------
    >>> rounded_parts([0.4, 0.4, 0.4, -2.2], -1)
    [1, 0, 0, -2]
    """
    rounded = [round(part) for part in parts]
    missing = total - sum(rounded)
    step = 1 if missing > 0 else -1

    def unlikely(place: int) -> tuple[bool, float]:
        turns = rounded[place] == 0 and parts[place] * step <= 0.0
        return turns, step * (rounded[place] - parts[place])

    order = sorted(range(len(parts)), key=unlikely)
    for turn in range(abs(missing) if order else 0):
        rounded[order[turn % len(order)]] += step
    return rounded


def tenths(probability: float) -> int:
    """Tenths of a percentage point, rounded as a text of one decimal is.

    Examples
    --------
    >>> tenths(0.1234), tenths(-0.0342)
    (123, -34)
    """
    return round(10 * float(f"{100 * probability:.1f}"))


def shown_points(before: float, parts: Sequence[float], after: float) -> list[float]:
    """What leads from one probability to another, so that it adds up in tenths of a point.

    Parameters
    ----------
    before, after
        Probabilities, shown with one decimal of a percentage point.
    parts
        Probability; ``before + sum(parts)`` is `after`.

    Returns
    -------
    list of float
        Probability, in the order of `parts`; with one decimal of a percentage point they add up
        from `before` to `after`.

    Examples
    --------
    >>> shown_points(0.1004, [0.0204, 0.0204], 0.1412)
    [0.021, 0.02]
    """
    shown = rounded_parts([TENTHS * part for part in parts], tenths(after) - tenths(before))
    return [part / TENTHS for part in shown]


def shown_change(before: float, after: float) -> float:
    """A change of a probability as it follows from both as they are shown.

    Examples
    --------
    >>> shown_change(0.1234, 0.1567)
    0.034
    """
    return (tenths(after) - tenths(before)) / TENTHS
