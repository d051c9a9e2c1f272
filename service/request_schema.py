"""What the API takes, as JSON Schema for the OpenAPI document.

Documentation alone: `service.wire` reads the requests. Tests hold the two together.
"""

from __future__ import annotations

from typing import Any, Final

from model.events import KINDS, NEEDS
from model.feeds import FEWEST_HEARD
from model.scorer import MAIN_DRIVERS
from service.wire import MOST_DRIVERS, MOST_EVENTS, REQUIRED

Schema = dict[str, Any]

EXAMPLE_EVENTS: Final[list[dict[str, Any]]] = [
    {
        "kind": "deal_opened",
        "occurred_at": "2026-01-05T09:30:00Z",
        "source": "crm",
        "source_id": "D-1/1",
    },
    {
        "kind": "stage_changed",
        "occurred_at": "2026-01-05T09:30:00Z",
        "name": "Qualification",
        "number": 1,
        "source": "crm",
        "source_id": "D-1/2",
    },
    {
        "kind": "amount_changed",
        "occurred_at": "2026-01-05T09:30:00Z",
        "number": 48000,
        "source": "crm",
        "source_id": "D-1/3",
    },
    {
        "kind": "customer_replied",
        "occurred_at": "2026-01-14T16:02:11Z",
        "known_at": "2026-01-14T16:02:40Z",
        "person": "p-8d2f",
        "source": "mail",
        "source_id": "m-1077",
    },
]
EXAMPLE_REQUEST: Final[dict[str, Any]] = {
    "deal_id": "D-1",
    "as_of": "2026-01-19T08:00:00Z",
    "close_by": "2026-03-31",
    "events": EXAMPLE_EVENTS,
}


def _text(description: str, **more: object) -> Schema:
    return {"type": "string", "description": description, **more}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _time(description: str) -> Schema:
    return _text(f"{description} ISO 8601 with its offset from UTC.", format="date-time")


def _needs() -> list[Schema]:
    """What each kind must carry."""
    columns = sorted({column for needs in NEEDS.values() for column in needs})
    return [
        {
            "if": {
                "properties": {
                    "kind": {"enum": [k for k, needs in NEEDS.items() if column in needs]}
                }
            },
            "then": {"properties": {column: {"not": {"type": "null"}}}, "required": [column]},
        }
        for column in columns
    ]


EVENT: Final[Schema] = {
    "type": "object",
    "description": "One fact about the deal: what happened, when, and when it came to be known.",
    "additionalProperties": False,
    "required": [name for name in REQUIRED if name != "deal_id"],
    "properties": {
        "deal_id": _text("The deal; needed where none stands beside `events`.", minLength=1),
        "kind": _text(
            "What happened:\n"
            + "\n".join(f"- `{kind}`: {meaning}" for kind, (meaning, _) in KINDS.items()),
            enum=list(KINDS),
        ),
        "occurred_at": _time("When it happened."),
        "known_at": _or_null(_time("When we came to know it: by default when it happened.")),
        "name": _or_null(_text("As its kind says.")),
        "text": _or_null(_text("As its kind says.")),
        "number": _or_null({"type": "number", "description": "As its kind says."}),
        "date": _or_null(_text("As its kind says.", format="date")),
        "person": _or_null(_text("Tells people apart: a keyed hash of an address or contact id.")),
        "thread": _or_null(_text("The mail thread or conversation.")),
        "span": _or_null({"type": "number", "description": "How long it lasted, days."}),
        "source": _text("The CRM or mailbox that tells it."),
        "source_id": _text(
            "The fact's id in its source, among all deals, with the version of the record. The "
            "same event sent twice counts once; with other content it is refused, and of what is "
            "kept the first stands, as the delivery's notes say."
        ),
    },
    "allOf": _needs(),
    "examples": EXAMPLE_EVENTS,
}

FEED: Final[Schema] = {
    "type": "object",
    "description": "What a source carries, and when it was heard about any deal.",
    "additionalProperties": False,
    "required": ["kinds"],
    "properties": {
        "kinds": {
            "type": "array",
            "items": {"type": "string", "enum": list(KINDS)},
            "description": "A kind that no source of the deal carries is missing, not absent.",
        },
        "heard": {
            "type": "array",
            "items": _time("When something came."),
            "description": "The first time of each hour is enough. From these the model tells a "
            "feed that stopped from a customer gone silent. Fewer than "
            f"{FEWEST_HEARD} hours, or none: it runs.",
        },
    },
}

QUESTION: Final[Schema] = {
    "type": "object",
    "description": "One deal with its events, and the date to answer for: close_by or days.",
    "additionalProperties": False,
    "required": ["events"],
    "oneOf": [{"required": ["close_by"]}, {"required": ["days"]}],
    "anyOf": [
        {"required": ["deal_id"]},
        {"properties": {"events": {"items": {"required": ["deal_id"]}}}},
    ],
    "properties": {
        "deal_id": _text("The deal; its events need not name it then.", minLength=1),
        "events": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Event"},
            "minItems": 1,
            "maxItems": MOST_EVENTS,
            "description": "All events of the one deal, in any order.",
        },
        "as_of": _time(
            "Nothing known later is used; by default the present. At most a day later than the "
            "server's clock."
        ),
        "close_by": _text("The date to be won by, inclusive, UTC.", format="date"),
        "days": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "The days from as_of to be won in.",
        },
        "feeds": {
            "type": "object",
            "additionalProperties": {"$ref": "#/components/schemas/Feed"},
            "description": "By source. The kinds of a source that training knew stay as they "
            "were, and one that it never met is not looked at: it may carry whatever the company's "
            "sources carry. By default every feed runs.",
        },
        "hindsight": {
            "type": "boolean",
            "default": False,
            "description": "Allow an as_of before the model's cut-off; the score is marked so.",
        },
        "drivers": {
            "type": "integer",
            "minimum": 0,
            "maximum": MOST_DRIVERS,
            "default": MAIN_DRIVERS,
            "description": "How many drivers to name; the rest is summed up in other_points.",
        },
    },
    "examples": [EXAMPLE_REQUEST],
}
SCORE_REQUEST: Final[Schema] = {
    **QUESTION,
    "dependentRequired": {"since": ["close_by"]},
    "properties": {
        **QUESTION["properties"],
        "since": _time(
            "Say too why the probability by close_by moved since then; the deal must have been "
            "open, and the model in force."
        ),
    },
}
SCHEMAS: Final[dict[str, Schema]] = {"Event": EVENT, "Feed": FEED, "ScoreRequest": SCORE_REQUEST}
