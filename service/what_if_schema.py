"""What ``POST /v1/what-if`` takes, as JSON Schema for the OpenAPI document.

Documentation alone: `service.what_if_wire` reads the requests. Tests hold the two together.
"""

from __future__ import annotations

from typing import Any, Final

from model.events import KINDS, NEEDS
from model.hypothetical import MEETINGS, MISSED, TAKES
from service.request_schema import EXAMPLE_EVENTS, EXAMPLE_REQUEST, QUESTION, Schema
from service.what_if_wire import MOST_BEST, MOST_SUPPOSED

COLUMNS: Final = ("name", "text", "number", "date")
EXAMPLE_SUPPOSED: Final[list[dict[str, Any]]] = [
    {"kind": "meeting_held", "name": "onsite"},
    {"kind": "close_date_changed", "date": "2026-04-30"},
]
EXAMPLE_WHAT_IF: Final[dict[str, Any]] = {
    **EXAMPLE_REQUEST,
    "events": EXAMPLE_EVENTS,
    "hypothetical": EXAMPLE_SUPPOSED[:1],
    "best": 3,
}


def _meaning(kind: str) -> str:
    return (
        "as if the due date of the named milestone had passed" if kind == MISSED else KINDS[kind][0]
    )


def _values() -> list[Schema]:
    """Which columns kinds must carry, and which they may not."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for kind, takes in TAKES.items():
        alike.setdefault((NEEDS.get(kind, ("name",)), takes), []).append(kind)
    rules = []
    for (needs, takes), kinds in alike.items():
        values: Schema = {column: {"type": "null"} for column in COLUMNS if column not in takes}
        values |= {column: {"not": {"enum": [None, ""]}} for column in needs}
        rules.append(
            {
                "if": {"properties": {"kind": {"enum": kinds}}},
                "then": {"properties": values, "required": list(needs)},
            }
        )
    where = {"properties": {"name": {"enum": [*MEETINGS, None]}}}
    return [*rules, {"if": {"properties": {"kind": {"const": "meeting_held"}}}, "then": where}]


HYPOTHETICAL: Final[Schema] = {
    "type": "object",
    "description": "What is supposed to happen to the deal at as_of; it may not close it.",
    "additionalProperties": False,
    "required": ["kind"],
    "properties": {
        "kind": {
            "type": "string",
            "enum": list(TAKES),
            "description": "What happens:\n"
            + "\n".join(f"- `{kind}`: {_meaning(kind)}" for kind in TAKES),
        },
        "name": {"type": ["string", "null"], "description": "As its kind says."},
        "text": {"type": ["string", "null"], "description": "As its kind says."},
        "number": {"type": ["number", "null"], "description": "As its kind says."},
        "date": {
            "type": ["string", "null"],
            "format": "date",
            "description": "As its kind says; not before the day of as_of.",
        },
    },
    "allOf": _values(),
    "examples": EXAMPLE_SUPPOSED,
}

WHAT_IF_REQUEST: Final[Schema] = {
    **QUESTION,
    "description": "One deal with its events and the date to answer for, as in a score request, "
    "and what is supposed.",
    "properties": {
        **QUESTION["properties"],
        "hypothetical": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Hypothetical"},
            "maxItems": MOST_SUPPOSED,
            "default": [],
            "description": "They happen at as_of, in this order; without any, nothing changes.",
        },
        "best": {
            "type": "integer",
            "minimum": 0,
            "maximum": MOST_BEST,
            "default": 0,
            "description": "How many of the actions still open to show, each supposed alone, the "
            "largest rise first.",
        },
    },
    "examples": [EXAMPLE_WHAT_IF],
}
WHAT_IF_SCHEMAS: Final[dict[str, Schema]] = {
    "Hypothetical": HYPOTHETICAL,
    "WhatIfRequest": WHAT_IF_REQUEST,
}
