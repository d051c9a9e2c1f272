"""What is told of a score: as `/v1/score` answers it, and single values for the fields of a CRM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from model.score import Score

Payload = Mapping[str, Any]
MAIN_DRIVERS: Final = 3
LONGEST_TEXT: Final = 2_000  # characters


def payload_of(score: Score, before: float | None) -> dict[str, Any]:
    """What is told of a score, beside the probability told before; None where none was.

    `score_of` finds the score in it.
    """
    return {
        "deal_id": score.deal_id,
        "score": {**score.to_json(), "previous_probability": before},
    }


def score_of(payload: Payload) -> Payload | None:
    """The score that is told; None where none is, as of an alert about a deal without a number."""
    score = payload.get("score")
    return score if isinstance(score, Mapping) else None


def shown_probability(score: Payload) -> float | None:
    """The gated probability where there is one, else the model's own; None where there is none."""
    gates = score.get("gates")
    gated = gates.get("gated_probability") if isinstance(gates, Mapping) else None
    value = score.get("probability") if gated is None else gated
    return float(value) if isinstance(value, int | float) else None


def percent(value: float | None) -> int | None:
    """A probability in whole per cent.

    Examples
    --------
    >>> percent(0.285), percent(None)
    (28, None)
    """
    return None if value is None else round(100 * value)


def drivers_text(score: Payload) -> str:
    """The main drivers in words, with the points that each adds.

    Examples
    --------
    >>> drivers_text({"drivers": [{"points": -0.08, "phrase": "no reply for 30 days"}]})
    '-8 points: no reply for 30 days'
    """
    drivers = score.get("drivers")
    lines = [
        f"{100 * driver['points']:+.0f} points: {driver['phrase']}"
        for driver in (drivers if isinstance(drivers, list) else [])[:MAIN_DRIVERS]
    ]
    return "\n".join(lines)[:LONGEST_TEXT]


def _interval(score: Payload, end: str) -> int | None:
    interval = score.get("interval")
    return percent(interval.get(end)) if isinstance(interval, Mapping) else None


def _missed(score: Payload) -> str:
    gates = score.get("gates")
    missed = gates.get("missed", []) if isinstance(gates, Mapping) else []
    return ", ".join(str(gate["name"]) for gate in missed)


def _quality(score: Payload) -> str | None:
    quality = score.get("data_quality")
    return quality.get("verdict") if isinstance(quality, Mapping) else None


VALUES: Final[Mapping[str, Callable[[Payload], Any]]] = {
    "probability": shown_probability,
    "probability_percent": lambda score: percent(shown_probability(score)),
    "model_probability": lambda score: score.get("probability"),
    "low_percent": lambda score: _interval(score, "low"),
    "high_percent": lambda score: _interval(score, "high"),
    "drivers": drivers_text,
    "missed_gates": _missed,
    "data_quality": _quality,
    "close_by": lambda score: score.get("close_by"),
    "as_of": lambda score: score.get("as_of"),
    "model_version": lambda score: score.get("model_version"),
}
"""What a field of a CRM may hold, by the name used in configuration."""


def values_of(fields: Mapping[str, str], score: Payload) -> dict[str, Any]:
    """A CRM's fields with what they hold of a score.

    Parameters
    ----------
    fields
        The name of a value for each field, keys of `VALUES`.
    score
        As `score_of` answers it.

    Examples
    --------
    >>> values_of({"redflare": "probability_percent"}, {"probability": 0.25})
    {'redflare': 25}
    """
    return {field: VALUES[name](score) for field, name in fields.items()}
