"""The OpenAPI document: what the framework knows of its routes, and the rest by hand."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.access import GUARDED
from service.batch_forms import BatchAnswer
from service.forms import ProblemAnswer, ScoreAnswer
from service.inbox_forms import ReceiptAnswer
from service.problems import (
    FAULT,
    FORBIDDEN,
    INVALID,
    MALFORMED,
    MEDIA,
    MEDIA_TYPE,
    NO_DATABASE,
    NO_KEY,
    NO_MODEL,
    NOT_FAILED,
    NOT_FOUND,
    NOT_READY,
    SLOW,
    TOO_LARGE,
    TOO_MANY,
    UNAVAILABLE,
    UNVERIFIED,
    Kind,
)
from service.request_schema import SCHEMAS, Schema
from service.session_cookie import SECURE_COOKIE
from service.webhooks.routes import PATH as WEBHOOKS
from service.what_if_forms import WhatIfAnswer
from service.what_if_schema import WHAT_IF_SCHEMAS
from service.write_schema import WRITE_SCHEMAS

COMPONENTS: Final = "#/components/schemas/{model}"
ABSENT: Final = Kind(NOT_FOUND.slug, 404, "It is unknown or another's, or nothing is kept")
AWAY: Final = Kind(NO_MODEL.slug, 503, "No model is in force, or the database does not answer")
RETRY: Final = ("429", "503")  # answers that say when to come back
UNPROCESSABLE: Final = Kind(INVALID.slug, 422, "The request, an event or the date cannot be used")
DESCRIPTION: Final = """\
How probably an open deal is won by a date, and what drives it, from the deal's own events.

Every error is a problem of RFC 9457 that says what was given, what was expected and what to do."""


def describe(app: FastAPI) -> Schema:
    """The OpenAPI document of the service.

    Parameters
    ----------
    app
        With its routes.
    """
    document = get_openapi(
        title="Redflare", version="1", description=DESCRIPTION, routes=app.routes
    )
    document["paths"]["/v1/score"] = {"post": _score_operation()}
    document["paths"]["/v1/what-if"] = {"post": _what_if_operation()}
    document["paths"]["/readyz"]["get"]["responses"]["503"] = _problem(NOT_READY)
    document["paths"][WEBHOOKS] = {"post": _webhook_operation()}
    document["paths"]["/v1/scores"] = {"post": _scores_operation()}
    document["paths"]["/v1/events"] = {"post": _events_operation()}
    for path, operation in _OF_DEAL.items():
        document["paths"].setdefault(path, {})["post"] = operation()
    components = document.setdefault("components", {})
    components["securitySchemes"] = SECURITY
    components["headers"] = LIMITS
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):  # the framework's own refusals
        schemas.pop(unused, None)
    schemas |= SCHEMAS | WHAT_IF_SCHEMAS | WRITE_SCHEMAS
    for form in (ScoreAnswer, WhatIfAnswer, BatchAnswer, ReceiptAnswer, ProblemAnswer):
        schema = form.model_json_schema(ref_template=COMPONENTS)
        schemas |= schema.pop("$defs", {})
        schemas[form.__name__] = schema
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    return document


def _complete(path: str, operation: Schema) -> None:
    """What every operation has in common."""
    responses = operation["responses"]
    responses["500"] = _problem(FAULT)
    if not path.startswith(GUARDED):
        return
    operation["security"] = [{name: []} for name in SECURITY]
    if "422" in responses:
        responses["422"] = _problem(UNPROCESSABLE)
    kinds = [NO_KEY, FORBIDDEN, TOO_MANY, AWAY]
    if path not in STATELESS:
        kinds.append(ABSENT)
    if path.endswith("/retry"):
        kinds.append(NOT_FAILED)
    for kind in kinds:
        responses[str(kind.status)] = _problem(kind)
    for status in RETRY:
        responses[status]["headers"] = {"Retry-After": AFTER}
    for status, response in responses.items():
        if status != UNCOUNTED:
            own = {name: {"$ref": f"#/components/headers/{name}"} for name in LIMITS}
            response["headers"] = response.get("headers", {}) | own
    operation["responses"] = dict(sorted(responses.items()))


SECURITY: Final[Schema] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of redflare keys create. Without a database none is asked for.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SECURE_COOKIE,
        "description": "Of a browser that signed in with a key.",
    },
}
AFTER: Final[Schema] = {
    "description": "Seconds after which to come back; without it, waiting alone does not help.",
    "schema": {"type": "integer", "minimum": 1},
}
UNCOUNTED: Final = "401"  # whoever has no key is not counted by one
LIMITS: Final[Schema] = {
    "RateLimit-Policy": {
        "description": "How many requests (q) a caller may send in so many seconds (w).",
        "schema": {"type": "string"},
        "example": '"requests";q=12000;w=60',
    },
    "RateLimit": {
        "description": "How many may still be sent (r), and in how many seconds more may be (t).",
        "schema": {"type": "string"},
        "example": '"requests";r=11999;t=60',
    },
}
STATELESS: Final = ("/v1/score", "/v1/scores", "/v1/what-if", "/v1/model")
DEAL_ID: Final[Schema] = {
    "name": "deal_id",
    "in": "path",
    "required": True,
    "description": "The deal, as its CRM names it.",
    "schema": {"type": "string", "minLength": 1},
}
IDEMPOTENCY_KEY: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Made by chance for this request, and sent again with it alone: then it counts "
    "once and is answered as before. With another request it is refused.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}


def _scores_operation() -> Schema:
    return {
        "summary": "Score up to a thousand deals",
        "description": "As POST /v1/score does, each by itself: what cannot be scored is listed "
        "with its problem. Stateless: nothing is kept.",
        "operationId": "scores",
        **_exchange("ScoresRequest", "A score or a problem for each deal.", "BatchAnswer"),
    }


def _events_operation() -> Schema:
    return {
        "summary": "Tell events of deals",
        "description": "Kept in the inbox before it is answered, then worked on as a webhook's "
        "delivery is. Needs scope write.",
        "operationId": "tell-events",
        "parameters": [IDEMPOTENCY_KEY],
        **_exchange("EventsRequest", "They are kept.", "ReceiptAnswer", status="202"),
    }


def _milestone_operation() -> Schema:
    return {
        "summary": "Say what becomes of a deal's milestone",
        "description": "Kept in the inbox before it is answered, then worked on: the deal is "
        "scored anew. Needs scope write.",
        "operationId": "tell-milestone",
        "parameters": [DEAL_ID, IDEMPOTENCY_KEY],
        **_exchange("MilestoneRequest", "It is kept.", "ReceiptAnswer", status="202"),
    }


def _deal_what_if_operation() -> Schema:
    return {
        "summary": "Suppose that something happens to a deal that is kept",
        "description": "As POST /v1/what-if, of the events that the service has. Nothing is kept.",
        "operationId": "deal-what-if",
        "parameters": [DEAL_ID],
        **_exchange("DealWhatIfRequest", "Before and after.", "WhatIfAnswer"),
    }


_OF_DEAL: Final = {
    "/v1/deals/{deal_id}/milestones": _milestone_operation,
    "/v1/deals/{deal_id}/what-if": _deal_what_if_operation,
}


def _score_operation() -> Schema:
    return {
        "summary": "Score one deal",
        "description": "The probability that the deal is won by a date, the curve over dates, and "
        "the drivers in points of probability that add up. Stateless: nothing is kept.",
        "operationId": "score",
        **_exchange("ScoreRequest", "The score.", "ScoreAnswer"),
    }


def _what_if_operation() -> Schema:
    return {
        "summary": "Suppose that something happens to a deal",
        "description": "The probability that the deal is won by a date, as it is and as it would "
        "be if events happened now; the change by driver, in points that add up; and the actions "
        "still open, each supposed alone, beside what past deals did. It says what such deals "
        "did, not what an action causes. Stateless: nothing is kept.",
        "operationId": "what-if",
        **_exchange("WhatIfRequest", "Before and after.", "WhatIfAnswer"),
    }


def _webhook_operation() -> Schema:
    any_json: Schema = {"description": "As the source sends it."}
    xml: Schema = {"type": "string", "description": "SOAP, of a Salesforce Outbound Message."}
    acknowledged = {
        "application/json": {"schema": {"type": "object"}},
        "text/xml": {"schema": {"type": "string", "description": "SOAP that acknowledges it."}},
    }
    return {
        "summary": "Deliver a webhook",
        "description": "Takes what a configured source posts: verified over the raw bytes, "
        "committed, and only then acknowledged. A delivery that came before is acknowledged again. "
        "What is not verified is answered alike, whatever is wrong with it.",
        "operationId": "webhook",
        "parameters": [
            {
                "name": "source",
                "in": "path",
                "required": True,
                "description": "The source's name in the configuration.",
                "schema": {"type": "string"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": any_json}, "text/xml": {"schema": xml}},
        },
        "responses": {
            "200": {"description": "The delivery is kept.", "content": acknowledged},
            **{
                str(kind.status): _problem(kind)
                for kind in (UNVERIFIED, NO_DATABASE, SLOW, TOO_LARGE, MEDIA, UNAVAILABLE)
            },
        },
    }


def _exchange(request: str, description: str, answer: str, *, status: str = "200") -> Schema:
    return {
        "requestBody": {"required": True, "content": _json(request, "application/json")},
        "responses": {
            status: {"description": description, "content": _json(answer, "application/json")},
            **{
                str(kind.status): _problem(kind)
                for kind in (MALFORMED, SLOW, TOO_LARGE, MEDIA, UNPROCESSABLE)
            },
        },
    }


def _problem(kind: Kind) -> Schema:
    return {"description": f"{kind.title}.", "content": _json("ProblemAnswer", MEDIA_TYPE)}


def _json(form: str, media_type: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": COMPONENTS.format(model=form)}}}
