"""What the API takes about deals that it keeps, and about many at once, as JSON Schema.

Documentation alone: `service.taking`, `service.batch_wire` and `service.what_if_wire` read the
requests. Tests hold the two together.
"""

from __future__ import annotations

from typing import Any, Final

from service.batch_wire import COMMON, MOST_DEALS
from service.milestones import ACTS
from service.request_schema import EVENT, EXAMPLE_EVENTS, QUESTION, Schema
from service.taking import DATED, LONGEST_NAME
from service.webhooks.own_events import MOST_EVENTS
from service.what_if_schema import EXAMPLE_SUPPOSED, WHAT_IF_REQUEST
from service.what_if_wire import STORED_FIELDS

EXAMPLE_TOLD: Final[dict[str, Any]] = {"events": [{"deal_id": "D-1", **EXAMPLE_EVENTS[3]}]}
EXAMPLE_MILESTONE: Final[dict[str, Any]] = {
    "kind": "milestone_set",
    "name": "security review",
    "date": "2026-02-06",
}

SCORES_REQUEST: Final[Schema] = {
    "type": "object",
    "description": "Deals with their events, and the one date to answer for: close_by or days.",
    "additionalProperties": False,
    "required": ["deals"],
    "oneOf": QUESTION["oneOf"],
    "properties": {
        **{name: QUESTION["properties"][name] for name in (*COMMON, "feeds")},
        "deals": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_DEALS,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["deal_id", "events"],
                "properties": {
                    name: QUESTION["properties"][name] for name in ("deal_id", "events")
                },
            },
            "description": "Each is answered by itself.",
        },
    },
    "examples": [
        {"close_by": "2026-03-31", "deals": [{"deal_id": "D-1", "events": EXAMPLE_EVENTS}]}
    ],
}

TOLD_EVENT: Final[Schema] = {
    **EVENT,
    "description": "One fact about a deal.",
    "required": ["deal_id", *EVENT["required"]],
    "properties": {
        **EVENT["properties"],
        "person": {
            "type": ["string", "null"],
            "description": "An address or a contact's id, which is kept as a keyed hash.",
        },
    },
    "examples": EXAMPLE_TOLD["events"],
}

EVENTS_REQUEST: Final[Schema] = {
    "type": "object",
    "description": "Events of any deals, known at most a day after the present. One of the same "
    "source and source_id is the same event; those from a key bound to owners are kept with api/, "
    "the key's id and / before their source.",
    "additionalProperties": False,
    "required": ["events"],
    "properties": {
        "events": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_EVENTS,
            "items": {"$ref": "#/components/schemas/ToldEvent"},
            "description": "All are kept, or none is.",
        }
    },
    "examples": [EXAMPLE_TOLD],
}

MILESTONE_REQUEST: Final[Schema] = {
    "type": "object",
    "description": "What becomes of one milestone of the deal.",
    "additionalProperties": False,
    "required": ["kind", "name"],
    "properties": {
        "kind": {
            "type": "string",
            "enum": list(ACTS),
            "description": "Set, moved, reached or dropped; declared must-hit, or so no more.",
        },
        "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_NAME,
            "description": "Of the milestone; but to set one it must be there.",
        },
        "date": {
            "type": "string",
            "format": "date",
            "description": "When it is due, for one that is set or moved.",
        },
        "text": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_NAME,
            "description": "Who says so, of a must-hit one: by default what the key is for.",
        },
        "occurred_at": {
            "type": "string",
            "format": "date-time",
            "description": "When, if earlier than now.",
        },
    },
    "if": {"properties": {"kind": {"enum": list(DATED)}}},
    "then": {"required": ["date"]},
    "else": {"properties": {"date": False}},
    "examples": [EXAMPLE_MILESTONE],
}

DEAL_WHAT_IF_REQUEST: Final[Schema] = {
    "type": "object",
    "description": "The date to answer for, and what is supposed of the deal.",
    "additionalProperties": False,
    "oneOf": QUESTION["oneOf"],
    "properties": {name: WHAT_IF_REQUEST["properties"][name] for name in STORED_FIELDS},
    "examples": [{"close_by": "2026-03-31", "hypothetical": EXAMPLE_SUPPOSED[:1], "best": 3}],
}

WRITE_SCHEMAS: Final[dict[str, Schema]] = {
    "ScoresRequest": SCORES_REQUEST,
    "ToldEvent": TOLD_EVENT,
    "EventsRequest": EVENTS_REQUEST,
    "MilestoneRequest": MILESTONE_REQUEST,
    "DealWhatIfRequest": DEAL_WHAT_IF_REQUEST,
}
