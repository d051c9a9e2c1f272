"""Drawings of a review as plain SVG elements: no script, no reference outside themselves."""

from __future__ import annotations

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from model.bridge import BARS, Bridge
from model.drawing import DANGER, INK, QUIET, SHADE, STYLE, svg_element
from model.forecast import Forecast
from model.score import Score
from service.review.labels import bridge_label, curve_label, distribution_label, short_money

LIGHT: Final = "#e6eaee"


def distribution_chart(made: Forecast, target: float | None, key: str) -> str:
    """How the period's won amount is spread, with the middle eight tenths shaded.

    Parameters
    ----------
    target
        Marked where given.
    key
        Before every id inside, so that several stand in one page.
    """
    total = made.whole.total
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.0, 1.8), layout="constrained")
        axes = figure.subplots()
        low, high = np.quantile(made.draws, (0.002, 0.998))
        counts, edges = np.histogram(made.draws, bins=44, range=(low, max(high, low + 1.0)))
        middles = (edges[1:] + edges[:-1]) / 2
        inside = (middles >= total.p10) & (middles <= total.p90)
        width = edges[1] - edges[0]
        for chosen, colour in ((inside, SHADE), (~inside, LIGHT)):
            axes.bar(middles[chosen], counts[chosen], width * 0.92, color=colour)
        top = float(counts.max()) * 1.22
        # Their labels stand on the far sides of the two lines, so close values do not crowd.
        expected_first = target is not None and total.expected <= target
        axes.vlines(total.expected, 0, top, color=INK, linewidth=1.4)
        axes.annotate(
            f"expected {short_money(total.expected)}",
            (total.expected, top),
            xytext=(-4 if expected_first else 4, -2),
            textcoords="offset points",
            ha="right" if expected_first else "left",
            va="top",
        )
        for value, name in ((total.p10, "P10"), (total.p90, "P90")):
            axes.annotate(
                f"{name}\n{short_money(value)}",
                (value, 0),
                xytext=(0, 5),
                textcoords="offset points",
                ha="center",
            )
        if target is not None:
            axes.vlines(target, 0, top * 0.8, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
            axes.annotate(
                f"target {short_money(target)}",
                (target, top * 0.8),
                xytext=(4 if expected_first else -4, 0),
                textcoords="offset points",
                ha="left" if expected_first else "right",
                va="bottom",
            )
        axes.set_ylim(0, top)
        axes.yaxis.set_visible(False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_money(value)))
        return svg_element(figure, key, distribution_label(made, target))


def bridge_chart(made: Bridge, key: str) -> str:
    """The way from last week's expected amount to this week's, bar by bar."""
    names = ["last week", *(bar for bar in BARS if made.bars[bar]), "this week"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.0, 0.45 + 0.21 * len(names)), layout="constrained")
        axes = figure.subplots()
        axes.barh(0, made.before / 100, 0.62, color=SHADE)
        level = made.before
        for place, bar in enumerate(names[1:-1], start=1):
            cents = made.bars[bar]
            colour = DANGER if cents < 0 else QUIET
            axes.barh(place, cents / 100, 0.62, left=level / 100, color=colour)
            axes.vlines(level / 100, place - 1.31, place - 0.31, color=QUIET, linewidth=0.5)
            level += cents
            left = min(level, level - cents) / 100
            axes.annotate(
                f"{'+' if cents > 0 else ''}{short_money(cents / 100)}",
                (left if cents < 0 else level / 100, place),
                xytext=(-3 if cents < 0 else 3, 0),
                textcoords="offset points",
                ha="right" if cents < 0 else "left",
                va="center",
            )
        last = len(names) - 1
        axes.barh(last, made.after / 100, 0.62, color=SHADE)
        for place, cents in ((0, made.before), (last, made.after)):
            axes.annotate(
                short_money(cents / 100),
                (cents / 100, place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
            )
        levels = np.cumsum([made.before, *(made.bars[bar] for bar in names[1:-1])]) / 100
        room = max(float(np.ptp(levels)), 0.04 * float(np.abs(levels).max()), 1.0)
        axes.set_xlim(max(0.0, float(levels.min()) - 0.8 * room), float(levels.max()) + 0.5 * room)
        if axes.get_xlim()[0] > 0:
            axes.set_xlabel("the axis does not begin at 0", color=QUIET)
        axes.set_yticks(range(len(names)))
        axes.set_yticklabels(names)
        axes.set_ylim(last + 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_money(value)))
        return svg_element(figure, key, bridge_label(made))


def curve_chart(score: Score, key: str) -> str:
    """A deal's probability by date with its 80 % interval."""
    days = [0.0, *(point.days for point in score.curve)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.0, 1.8), layout="constrained")
        axes = figure.subplots()
        low = [0.0, *(100 * point.low for point in score.curve)]
        high = [0.0, *(100 * point.high for point in score.curve)]
        axes.fill_between(days, low, high, color=LIGHT, linewidth=0)
        axes.plot(days, [0.0, *(100 * p.probability for p in score.curve)], color=INK)
        axes.axvline(score.days, color=QUIET, linewidth=0.8, linestyle=(0, (4, 2)))
        far = score.days > days[-1] / 2
        axes.annotate(
            f"{score.probability or 0.0:.0%} by {score.close_by or f'{score.days:g} days'}",
            (score.days, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if far else 4, -2),
            textcoords="offset points",
            ha="right" if far else "left",
            va="top",
        )
        axes.set(xlim=(0, days[-1]), xlabel="days from now")
        axes.set_ylim(0, 1.25 * max(high))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
        return svg_element(figure, key, curve_label(score))
