"""The section of what the model has learned, feature by feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from training.charts import curve_chart
from training.curves import Curve
from training.figure_text import points
from training.section import Section, Table

SHOWN_CURVES: Final = 12
LISTED_CURVES: Final = 25


def curves_section(curves: Sequence[Curve], days: float, known_before: str) -> Section:
    """The learned curves."""
    return Section(
        key="curves",
        title="What the model has learned",
        words=[
            (
                f"What a value adds to the probability of a win within {days:g} days for the "
                f"average deal, in percentage points, by the model of {known_before}; the "
                "strongest features first. The shade or bar is the 80 % interval over the "
                "model's bags of half the deals. What a value adds together with another one is "
                "not in it. It says what such deals did, not what changing the value would do."
            ),
        ],
        charts=[curve_chart(curve, n) for n, curve in enumerate(curves[:SHOWN_CURVES])],
        tables=[
            Table(
                caption="The strongest features: the mean size of what they add, in points",
                header=("feature", "direction", "mean", "lowest", "highest"),
                rows=[
                    (
                        curve.question,
                        curve.direction,
                        f"{100 * curve.strength:.2f}",
                        points(min(step.points for step in curve.steps)),
                        points(max(step.points for step in curve.steps)),
                    )
                    for curve in curves[:LISTED_CURVES]
                ],
                words=2,
                on_terminal=False,
                wide=True,
            )
        ],
        figures=[curve.to_json() for curve in curves],
        tidy=[
            {
                "section": "curves",
                "part": curve.feature,
                "value": step.value,
                "horizon_days": days,
                "method": "redflare",
                "figure": figure,
                "number": getattr(step, figure),
            }
            for curve in curves
            for step in curve.steps
            for figure in ("points", "points_low", "points_high", "share")
        ],
    )
