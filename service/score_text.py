"""A score as text for a terminal: one deal laid open, or the riskiest of many in a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from model.feature import counted, days_in_words
from model.score import Score
from service.change_text import change_text
from service.parts import score_parts
from service.tables import bar, points_text, text_table

# How often a range holds the true probability; measured on simulated companies, see the README.
HOLDS: Final = {"model": "8 of 10", "base rate": "5 or 6 of 10"}


def score_table(shown: Sequence[Score], of: int) -> str:
    """The least probable of so many open deals, with what drives each one.

    Parameters
    ----------
    shown
        In the order to show; at least one.
    of
        How many open deals there are.
    """
    first = shown[0]
    moments = {score.as_of for score in shown}
    several = len(moments) > 1
    rows = [
        (
            score.deal_id,
            *([_day(score.as_of)] if several else []),
            _probability(score),
            _shown_range(score),
            _why(score),
        )
        for score in shown
    ]
    asked = f"{of} points" if several else f"{counted(of, 'open deal')} as of {_day(first.as_of)}"
    title = (
        f"The {f'{len(shown)} ' if len(shown) > 1 else ''}least probable of {asked}, "
        f"to be won by {first.close_by or f'{first.days:g} days later'}. "
    )
    # The average deal is another one with each number of days ahead.
    average = next(
        (s.average_probability for s in shown if s.average_probability is not None), None
    )
    if average is not None and not several:
        title += f"The average deal: {average:.1%}. "
    title += (
        "Points are percentage points; the range holds the true probability in about "
        f"{HOLDS[first.basis]} deals."
    )
    if first.basis == "base rate":
        title += "\nToo few deals had closed to learn from: base rates by stage and age alone."
    header = ("deal", *(["as of"] if several else []), "P(won)", "range", "main drivers")
    return f"{title}\n\n{text_table(header, rows, right=(2 if several else 1,))}"


def riskiest_first(scores: Sequence[Score]) -> list[Score]:
    """By the probability that forecasts use; deals without a number last."""

    def rank(score: Score) -> tuple[bool, float, float]:
        shown, own = score.shown_probability, score.probability
        return (own is None, shown or 0.0, own or 0.0)

    return sorted(scores, key=rank)


def _probability(score: Score) -> str:
    shown = score.shown_probability
    return "none" if score.probability is None or shown is None else f"{shown:.1%}"


def _shown_range(score: Score) -> str:
    """The range of the probability shown: a zero by declaration has none."""
    return _range(score) if score.shown_probability == score.probability else ""


def _range(score: Score) -> str:
    if score.interval is None:
        return ""
    return f"{score.interval.low:.0%} to {score.interval.high:.0%}"


def _why(score: Score) -> str:
    said = [f"{d.phrase} ({points_text(d.points)})" for d in score.drivers[:3]]
    if score.probability is None:
        said = [score.data_quality.findings[0].phrase]
    if score.gates is not None and score.gates.missed:
        missed = score.gates.missed[0]
        said.insert(0, f"MUST-HIT {missed.name!r} MISSED on {missed.due}")
        if score.probability is not None:
            said.insert(1, f"by the model alone {score.probability:.1%}")
    return "; ".join(said)


def explanation(score: Score) -> str:
    """One deal laid open: gates, curve, drivers, what is known, why it moved."""
    parts = [_head(score), *_gate_lines(score)]
    if score.probability is not None:
        parts += ["", _curve(score), "", _drivers(score)]
        parts += ["", "Points are percentage points of probability and add up."]
    parts += ["", *_quality_lines(score), f"Model {score.model_version}."]
    if score.change is not None:
        parts += ["", change_text(score.change)]
    return "\n".join(parts)


def _head(score: Score) -> str:
    head = f"Deal {score.deal_id} as of {_day(score.as_of)}: "
    until = f"{score.close_by or f'{score.days:g} days later'} ({days_in_words(score.days)})"
    if score.probability is None:
        return f"{head}no probability to be won by {until} can be given."
    shown = score.shown_probability
    spread = f"{_range(score)} in {HOLDS[score.basis]} such answers."
    if shown == score.probability:
        head += f"{shown:.1%} to be won by {until}, {spread}"
    else:
        head += (
            f"{shown:.1%} to be won by {until}, for a must-hit milestone is missed. By the model "
            f"alone {score.probability:.1%}, {spread}"
        )
    if score.basis == "base rate":
        head += "\nToo few deals had closed to learn from: the base rate by stage and age alone."
    if score.hindsight:
        head += "\nHindsight: the model knows of closings after this moment."
    return head


def _gate_lines(score: Score) -> list[str]:
    if score.gates is None:
        return []
    lines = [
        f"Missed: must-hit {gate.name!r}, due {gate.due}, declared by {gate.declared_by} on "
        f"{gate.declared_at[:10]}. Only reaching or withdrawing it clears it."
        for gate in score.gates.missed
    ]
    ahead = score.gates.next
    if ahead is not None:
        due = "without a date" if ahead.days_left is None else f"due {ahead.due}"
        left = "" if ahead.days_left is None else f", {days_in_words(ahead.days_left)} left"
        lines.append(
            f"Next gate: must-hit {ahead.name!r}, {due}{left}, declared by {ahead.declared_by} on "
            f"{ahead.declared_at[:10]}. If it is missed, the deal counts as 0%."
        )
    return lines


def _curve(score: Score) -> str:
    rows = [
        (
            _day(p.by),
            f"{p.days:g}",
            f"{p.probability:.1%}",
            f"{p.low:.0%} to {p.high:.0%}",
            bar(p.probability),
        )
        for p in score.curve
    ]
    return text_table(("won by", "days", "P(won)", "range", ""), rows, right=(1, 2))


def _drivers(score: Score) -> str:
    rows = [
        (f"{(score.average_probability or 0.0) * 100:.1f}", "the average deal, by this date"),
        *((points_text(points), phrase) for phrase, points in score_parts(score)),
        (f"{(score.probability or 0.0) * 100:.1f}", "this deal"),
    ]
    return text_table(("points", "driver"), rows, right=(0,))


def _quality_lines(score: Score) -> list[str]:
    quality = score.data_quality
    lines = [f"What is known of it: {quality.verdict}."]
    lines += [f"- {finding.phrase}" for finding in quality.findings]
    if score.unusual:
        lines.append("Unlike anything that training saw:")
        lines += [f"- {unusual.phrase}" for unusual in score.unusual]
    return lines


def _day(text: str) -> str:
    time = datetime.fromisoformat(text).astimezone(UTC)
    return time.date().isoformat() if time.time() == time.min.time() else f"{time:%Y-%m-%d %H:%M}"
