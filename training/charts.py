"""Drawings as plain SVG elements: no script, no reference outside themselves, text as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.typing import RcKeyType

from model.drawing import DANGER, INK, QUIET, SHADE, STYLE, svg_element
from training.curves import Curve, Step
from training.section import Chart

LINE: Final = "#d5dbe1"
WIDTH: Final = 3.1  # inches of 72 units; the page scales the drawing
LONGEST_NAME: Final = 26
FEWEST_DRAWN: Final = 10  # deals of a band that is drawn: fewer make strokes of chance
MOST_CATEGORIES: Final = 12
MOST_SHARE: Final = 0.98  # of the forecasts' values that a curve's axis spans
RC: Final[dict[RcKeyType, Any]] = STYLE | {"xtick.major.size": 2.5, "ytick.major.size": 2.5}


def reliability_chart(bands: Sequence[dict[str, Any]], days: float) -> Chart:
    """Forecast against what came, with the count of forecasts below.

    Parameters
    ----------
    bands
        As `training.backtest_report.bands_of` gives them, of one horizon.
    days
        The horizon.
    """
    told = "; ".join(
        f"forecast {band['mean_probability']:.0%}, won {band['won_share']:.0%}" for band in bands
    )
    most = max(band["deals"] for band in bands)
    bands = [band for band in bands if band["deals"] >= min(FEWEST_DRAWN, most)]
    p = np.array([band["mean_probability"] for band in bands])
    share = np.array([band["won_share"] for band in bands])
    low = np.array([band["won_share_low"] for band in bands])
    high = np.array([band["won_share_high"] for band in bands])
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, WIDTH * 1.12), layout="constrained")
        axes, counts = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (4.2, 1), "hspace": 0.04}
        )
        top = min(1.0, float(np.ceil(10 * max(p.max(), high.max())) / 10))
        axes.plot([0, top], [0, top], color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.vlines(p, low, high, color=INK, linewidth=1.0)
        within = (low <= p) & (p <= high)
        for chosen, marker, colour in (
            (within, "o", INK),
            (p > high, "v", DANGER),
            (p < low, "^", DANGER),
        ):
            axes.plot(p[chosen], share[chosen], marker, color=colour, markersize=5.0)
        axes.set(xlim=(-0.02 * top, 1.02 * top), ylim=(-0.02 * top, 1.02 * top))
        axes.set_ylabel("won within the days")
        _percent(axes, "both")
        axes.grid(color=LINE, linewidth=0.5)
        axes.set_axisbelow(True)
        widths = np.array([min(band["high"], top) - band["low"] for band in bands])
        lefts = np.array([band["low"] for band in bands])
        rows = np.array([band["rows"] for band in bands])
        counts.bar(lefts, rows, widths, align="edge", color=SHADE, edgecolor="white", linewidth=0.8)
        counts.set_ylabel("forecasts")
        counts.set_xlabel("forecast")
        counts.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        counts.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        return Chart(
            title=f"Within {days:g} days",
            svg=svg_element(
                figure, f"reliability-{days:g}", f"Reliability within {days:g} days: {told}"
            ),
            told=told,
        )


def difference_chart(rows: Sequence[tuple[str, float, float, float]], days: float) -> Chart:
    """Our log-loss minus each baseline's, with its interval.

    Parameters
    ----------
    rows
        Name, difference, low and high of each baseline.
    days
        The horizon.
    """
    with mpl.rc_context(RC):
        figure = Figure(figsize=(WIDTH, 0.75 + 0.27 * len(rows)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0.0, color=QUIET, linewidth=0.8)
        for place, (_, value, low, high) in enumerate(rows):
            worse, clear = low > 0.0, high < 0.0
            colour = DANGER if worse else INK
            axes.hlines(place, low, high, color=colour, linewidth=1.2)
            axes.plot(
                value,
                place,
                "X" if worse else "o",
                color=colour,
                markerfacecolor=colour if worse or clear else "white",
                markersize=5.5,
            )
        axes.set_yticks(range(len(rows)))
        axes.set_yticklabels([_short(name) for name, *_ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel("log-loss, ours minus theirs")
        said = "; ".join(
            f"{name}: {value:+.4f}, from {low:+.4f} to {high:+.4f}"
            for name, value, low, high in rows
        )
        return Chart(
            title=f"Within {days:g} days",
            svg=svg_element(figure, f"difference-{days:g}", f"Log-loss difference: {said}"),
            told=said,
        )


def curve_chart(curve: Curve, number: int) -> Chart:
    """A feature's values against the points that they add.

    Parameters
    ----------
    curve
        The learned effect.
    number
        Of the chart on the page, so that its parts have names of their own.
    """
    with mpl.rc_context(RC):
        draw = _category_curve if curve.is_category else _number_curve
        figure = draw(curve)
        first, last = min(curve.steps, key=_points), max(curve.steps, key=_points)
        said = (
            f"from {100 * first.points:+.1f} points ({first.value}) "
            f"to {100 * last.points:+.1f} ({last.value}); {curve.direction}"
        )
        return Chart(
            title=curve.question,
            svg=svg_element(figure, f"curve-{number}", f"{curve.question}: {said}"),
            told=said,
            note=curve.direction,
        )


def _points(step: Step) -> float:
    return step.points


def _number_curve(curve: Curve) -> Figure:
    figure = Figure(figsize=(WIDTH, WIDTH * 0.62), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0.0, color=QUIET, linewidth=0.8)
    known = [step for step in curve.steps if step.low is not None or step.high is not None]
    left, right = _span(known)
    edges = [left, *(step.high for step in known if step.high is not None), right]
    edges = [min(max(edge, left), right) for edge in edges]

    def heights(values: list[float]) -> list[float]:
        return [100 * value for value in (*values, values[-1])]

    low, high = [s.points_low for s in known], [s.points_high for s in known]
    axes.fill_between(edges, heights(low), heights(high), step="post", color=SHADE, linewidth=0)
    axes.step(edges, heights([s.points for s in known]), where="post", color=INK, linewidth=1.4)
    axes.set_xlim(left, right)
    axes.set_xlabel(_unit(curve))
    axes.set_ylabel("points")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    unknown = [step for step in curve.steps if step.low is None and step.high is None]
    if unknown and unknown[0].share >= 1.0 - MOST_SHARE:
        step = unknown[0]
        beside = right + 0.09 * (right - left)
        axes.vlines(beside, 100 * step.points_low, 100 * step.points_high, color=INK, linewidth=1.0)
        axes.plot(beside, 100 * step.points, "D", color=INK, markersize=4.0)
        axes.set_xlim(left, right + 0.15 * (right - left))
        axes.annotate(
            "not\nknown",
            (beside, 100 * max(step.points_high, step.points)),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=6.5,
            color=QUIET,
        )
        axes.margins(y=0.16)
    return figure


def _span(steps: Sequence[Step]) -> tuple[float, float]:
    """From where to where nearly all known values lie, by the bounds of the steps."""
    share = np.array([step.share for step in steps])
    total = max(float(share.sum()), 1e-12)
    reached = np.cumsum(share) / total
    tail = (1.0 - MOST_SHARE) / 2.0
    first = int(np.searchsorted(reached, tail, side="right"))
    last = int(np.searchsorted(reached, 1.0 - tail, side="left"))
    bounds = [step.high for step in steps if step.high is not None]
    if not bounds:
        return 0.0, 1.0
    gap = (bounds[-1] - bounds[0]) / max(len(bounds) - 1, 1) or abs(bounds[0]) or 1.0
    low = bounds[first - 1] if first > 0 else bounds[0] - gap
    high = bounds[last] if last < len(bounds) else bounds[-1] + gap
    if low < 0.0 <= bounds[0]:
        low = 0.0
    return low, max(high, low + 1e-9)


def _category_curve(curve: Curve) -> Figure:
    steps = sorted(curve.steps, key=lambda step: -step.share)[:MOST_CATEGORIES]
    steps = sorted([step for step in steps if step.share > 0], key=_points)
    figure = Figure(figsize=(WIDTH, 0.65 + 0.2 * len(steps)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0.0, color=QUIET, linewidth=0.8)
    for place, step in enumerate(steps):
        axes.hlines(
            place, 100 * step.points_low, 100 * step.points_high, color=SHADE, linewidth=3.0
        )
        axes.plot(100 * step.points, place, "o", color=INK, markersize=4.5)
    axes.set_yticks(range(len(steps)))
    axes.set_yticklabels([_short(step.value) for step in steps])
    axes.set_ylim(-0.6, len(steps) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("points")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def _unit(curve: Curve) -> str:
    return curve.unit if curve.unit not in ("number", "category") else "value"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _percent(axes: Axes, which: str) -> None:
    percent = FuncFormatter(lambda value, _: f"{100 * value:.3g} %")
    if which == "both":
        axes.yaxis.set_major_formatter(percent)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(percent)
    axes.xaxis.set_major_locator(MaxNLocator(5))
