"""Drawings of what was: a deal's way with its events, and how far probabilities came true."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any, Final

import matplotlib as mpl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from model.drawing import DANGER, INK, QUIET, SHADE, STYLE, svg_element
from model.events import from_microseconds
from service.review.labels import reliability_label, story_label
from service.review.past import Reliable
from service.review.story import MARKS, Story

SHAPES: Final = ("|", "D", "x", "s", "v")  # of marks, so that colour is never the only sign


def story_chart(story: Story, key: str) -> str:
    """A deal's probability week by week above rows of what happened when."""
    with mpl.rc_context({**STYLE, "timezone": "UTC"}):
        figure = Figure(figsize=(6.4, 2.7), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        days = [from_microseconds(point.as_of) for point in story.points]
        above.plot(days, [100 * p.probability for p in story.points], color=QUIET, linewidth=1)
        honest = [p for p in story.points if not p.hindsight]
        above.plot(
            [from_microseconds(p.as_of) for p in honest],
            [100 * p.probability for p in honest],
            color=INK,
            marker=".",
            markersize=4,
            clip_on=False,
        )
        above.set_ylim(0, 108 * max(p.probability for p in story.points))
        above.yaxis.set_major_locator(MaxNLocator(4))
        above.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
        first = story.points[0].as_of if story.points else 0
        seen = {name: [us for us in at if us >= first] for name, at in story.marks.items()}
        names = [name for name, at in seen.items() if at]
        for row, name in enumerate(names):
            at = [from_microseconds(us) for us in seen[name]]
            shape = SHAPES[list(MARKS).index(name)]
            colour = DANGER if name.startswith("escalation") else INK
            below.plot(at, [row] * len(at), shape, color=colour, markersize=5, linestyle="none")
        below.set_yticks(range(len(names)), names)
        below.set_ylim(len(names) - 0.4, -0.6)
        below.tick_params(axis="y", length=0)
        below.spines["left"].set_visible(False)
        # Neither has types.
        locator: Any = AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
        below.xaxis.set_major_locator(locator)
        days_shown: Any = ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]
        below.xaxis.set_major_formatter(days_shown)
        return svg_element(figure, key, story_label(story))


def reliability_chart(bins: Sequence[Reliable], key: str) -> str:
    """What was said beside what came true, with as large a dot as there were deals."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.7, 2.4), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 100], [0, 100], color=SHADE, linewidth=1)
        most = max(each.deals for each in bins)
        axes.scatter(
            [100 * each.said for each in bins],
            [100 * each.won for each in bins],
            s=[12 + 90 * each.deals / most for each in bins],
            color=INK,
            linewidth=0,
            clip_on=False,
        )
        axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="said", ylabel="won")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
        return svg_element(figure, key, reliability_label(bins))
