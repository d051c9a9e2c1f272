"""The OpenAPI document: what the framework knows of its routes, and the rest by hand."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.forms import ProblemAnswer, ScoreAnswer
from service.problems import (
    FAULT,
    INVALID,
    MALFORMED,
    MEDIA,
    MEDIA_TYPE,
    NOT_FOUND,
    NOT_READY,
    SLOW,
    TOO_LARGE,
    UNAVAILABLE,
    UNVERIFIED,
    Kind,
)
from service.request_schema import SCHEMAS, Schema
from service.webhooks.routes import PATH as WEBHOOKS
from service.what_if_forms import WhatIfAnswer
from service.what_if_schema import WHAT_IF_SCHEMAS

COMPONENTS: Final = "#/components/schemas/{model}"
NO_INBOX: Final = Kind(NOT_FOUND.slug, 404, "The service has no database, and keeps nothing")
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
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= SCHEMAS | WHAT_IF_SCHEMAS
    for form in (ScoreAnswer, WhatIfAnswer, ProblemAnswer):
        schema = form.model_json_schema(ref_template=COMPONENTS)
        schemas |= schema.pop("$defs", {})
        schemas[form.__name__] = schema
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"]["500"] = _problem(FAULT)
    return document


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
                for kind in (UNVERIFIED, NO_INBOX, SLOW, TOO_LARGE, MEDIA, UNAVAILABLE)
            },
        },
    }


def _exchange(request: str, description: str, answer: str) -> Schema:
    return {
        "requestBody": {"required": True, "content": _json(request, "application/json")},
        "responses": {
            "200": {"description": description, "content": _json(answer, "application/json")},
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
