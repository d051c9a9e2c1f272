"""What a supposed event would make of a probability, as text for a terminal."""

from __future__ import annotations

import shutil
import textwrap
from typing import Final

from model.actions import FEWEST_DEALS, Evidence
from model.feature import days_in_words
from model.rounding import shown_change
from model.score import Basis, Interval
from model.what_if import OpenAction, WhatIf
from service.parts import what_if_parts
from service.score_text import HOLDS
from service.tables import bar, points_text, text_table

NARROWEST: Final = 60  # characters


def width() -> int:
    """Of the terminal, in characters."""
    return max(shutil.get_terminal_size().columns, NARROWEST)


def what_if_text(told: WhatIf) -> str:
    """The change and its drivers, both curves, and the actions still open.

    Parameters
    ----------
    told
        With its events, its open actions, or both.
    """
    moment = told.as_of[:16].replace("T00:00", "").replace("T", " ")
    now = _range(told.interval_before, told.basis)
    by = f"to be won by {told.close_by} ({days_in_words(told.days)})"
    first = f"{told.before:.1%} {by}, {now}."
    if told.gated_before == 0.0:
        first = (
            f"0.0% {by}, for a must-hit milestone is missed. By the model alone "
            f"{told.before:.1%}, {now}."
        )
    parts = [f"Deal {told.deal_id} as of {moment}: {first}"]
    if told.basis == "base rate":
        parts.append(
            "Too few deals had closed to learn from: the base rate by stage and age alone, which "
            "most events cannot change."
        )
    if told.hindsight:
        parts.append("Hindsight: the model knows of closings after this moment.")
    if told.events:
        parts += [_change(told), _curve(told)]
    if told.best:
        parts.append(_best(told))
        if told.gated_before == 0.0 and told.best[0].gated_after:
            parts.append(_clearing(told.best))
    if told.gated_before == 0.0 or told.gated_after == 0.0:
        parts.append(_gated(told))
    units = f"Points are percentage points of probability and add up. Model {told.model_version}."
    parts.append(textwrap.fill(f"{told.statement} {units}", width()))
    return "\n\n".join(parts)


def _range(interval: Interval, basis: Basis) -> str:
    return f"{interval.low:.0%} to {interval.high:.0%} in {HOLDS[basis]} such answers"


def _change(told: WhatIf) -> str:
    supposed = ", then ".join(told.phrases) + _alone(told.gated_after)
    rows = [
        (f"{told.before * 100:.1f}", "as it is" + _alone(told.gated_before)),
        *((points_text(points), phrase) for phrase, points in what_if_parts(told)),
        (
            f"{told.after * 100:.1f}",
            f"if {supposed}: {_range(told.interval_after, told.basis)}",
        ),
    ]
    return text_table(("points", "what if"), rows, right=(0,))


def _alone(gated: float | None) -> str:
    """What a number of the model's own is called where the gated one is zero."""
    return ", by the model alone" if gated == 0.0 else ""


def _curve(told: WhatIf) -> str:
    rows = [
        (
            pair.by[:10],
            f"{pair.days:g}",
            f"{pair.before:.1%}",
            f"{pair.after:.1%}",
            bar(pair.after),
        )
        for pair in told.curve
    ]
    alone = "model alone: " if 0.0 in (told.gated_before, told.gated_after) else ""
    header = ("won by", "days", f"{alone}as it is", "supposed", "")
    return text_table(header, rows, right=(1, 2, 3))


def _best(told: WhatIf) -> str:
    best = told.best
    is_missed = told.gated_before == 0.0
    rows = [
        (
            points_text(shown_change(told.before, action.after)),
            *([f"{action.gated_after or 0.0:.1%}"] if is_missed else []),
            f"{action.after:.1%}",
            action.event,
            *_past_deals(action.evidence),
        )
        for action in best
    ]
    title = "Still open, each supposed alone"
    shown = next((action.evidence for action in best if action.evidence is not None), None)
    if shown is not None:
        title += (
            f". Beside it past deals about as probable ({shown.band_low:.0%} to "
            f"{shown.band_high:.0%} within {shown.band_days:g} days) to which it was open: of "
            f"those that saw it within {shown.window_days:g} days and of those that did not, "
            f"the share won in the {shown.won_within_days:g} days after these"
        )
    numbers = ("P(won)", "model alone") if is_missed else ("P(won)",)
    header = ("points", *numbers, "event", "saw it", "did not")
    right = tuple(range(1 + len(numbers)))
    return textwrap.fill(f"{title}:", width()) + "\n\n" + text_table(header, rows, right=right)


def _clearing(best: tuple[OpenAction, ...]) -> str:
    """What clears the missed must-hit milestones, which is listed first."""
    clearing = [
        f"{action.event} (0% to {action.gated_after:.1%})" for action in best if action.gated_after
    ]
    return textwrap.fill(
        f"Listed first, as it clears what is missed: {', '.join(clearing)}. With any other alone "
        "the gated probability stays 0%.",
        width(),
    )


def _past_deals(evidence: Evidence | None) -> tuple[str, str]:
    """Won shares of deals with the action and without, or how few there are."""
    if evidence is None:
        return "none on record", ""
    took, others = evidence.took_deals, evidence.others_deals
    if min(took, others) < FEWEST_DEALS:
        return f"too few ({took})", f"({others})"
    return (
        f"{evidence.took_won / took:.0%} of {took}",
        f"{evidence.others_won / others:.0%} of {others}",
    )


def _gated(told: WhatIf) -> str:
    if told.gated_after != 0.0:
        return "A must-hit milestone is missed: 0% as it is; supposed, it is missed no more."
    if told.gated_before != 0.0:
        return "A must-hit milestone would be missed: the gated probability would be 0%."
    return "A must-hit milestone is missed: the gated probability is 0%, as it is and as supposed."
