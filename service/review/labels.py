"""The drawings of a review in words, and trends, which need no library to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Final

from model.bridge import BARS, Bridge
from model.events import from_microseconds
from model.feature import counted
from model.forecast import Forecast
from model.score import Score
from service.review.past import Reliable
from service.review.story import Story

MINUS: Final = "\N{MINUS SIGN}"
SPARK_WIDTH: Final = 64  # units
SPARK_HEIGHT: Final = 16


def short_money(amount: float) -> str:
    """An amount for an axis.

    Examples
    --------
    >>> [short_money(amount) for amount in (0, 950, 48_000, 1_250_000)]
    ['0', '950', '48k', '1.25M']
    """
    size = abs(amount)
    if size >= 1e6:
        told = f"{amount / 1e6:.3g}M"
    else:
        told = f"{amount / 1e3:.3g}k" if size >= 1e3 else f"{amount:.3g}"
    return told.replace("-", MINUS)


def distribution_label(made: Forecast, target: float | None) -> str:
    """What `distribution_chart` shows, in words."""
    total = made.whole.total
    told = f"expected {short_money(total.expected)}, P10 to P90 {short_money(total.p10)} to "
    told += short_money(total.p90)
    if target is not None:
        told += f", target {short_money(target)}"
    return f"Won amount of the period: {told}"


def bridge_label(made: Bridge) -> str:
    """What `bridge_chart` shows, in words."""
    told = "; ".join(f"{bar} {made.bars[bar] / 100:+,.0f}" for bar in BARS if made.bars[bar])
    return f"From {made.before / 100:,.0f} to {made.after / 100:,.0f}: {told}"


def curve_label(score: Score) -> str:
    """What `curve_chart` shows, in words."""
    told = "; ".join(f"{p.probability:.0%} within {p.days:g} days" for p in score.curve)
    return f"Probability by date of {score.deal_id}: {told}"


def story_label(story: Story) -> str:
    """What `story_chart` shows, in words."""
    if not story.points:
        return "No probability can be told of the past."
    first, last = story.points[0], story.points[-1]
    marks = "; ".join(
        f"{name} {counted(len(at), 'time')}" for name, at in story.marks.items() if at
    )
    return (
        f"From {first.probability:.0%} on {from_microseconds(first.as_of).date()} to "
        f"{last.probability:.0%} on {from_microseconds(last.as_of).date()}; {marks}"
    )


def reliability_label(bins: Sequence[Reliable]) -> str:
    """What `reliability_chart` shows, in words."""
    told = "; ".join(f"said {each.said:.0%}, won {each.won:.0%} of {each.deals}" for each in bins)
    return f"Said and come true: {told}"


def sparkline(values: Sequence[float]) -> str:
    """A trend of probabilities as a line of its own scale; empty where there are not two.

    Examples
    --------
    >>> sparkline([0.2])
    ''
    >>> sparkline([0.2, 0.4]).startswith('<svg class="spark"')
    True
    """
    known = [(place, value) for place, value in enumerate(values) if not isnan(value)]
    if len(known) < 2:
        return ""
    low = min(value for _, value in known)
    span = max(max(value for _, value in known) - low, 0.02)
    step = SPARK_WIDTH / (len(values) - 1)
    points = " ".join(
        f"{place * step:.0f},{SPARK_HEIGHT - 2 - (value - low) / span * (SPARK_HEIGHT - 4):.0f}"
        for place, value in known
    )
    weeks = counted(known[-1][0] - known[0][0], "week")
    told = f"from {known[0][1]:.0%} to {known[-1][1]:.0%} over {weeks}"
    return (
        f'<svg class="spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" role="img" '
        f'aria-label="{told}"><polyline points="{points}"/></svg>'
    )
