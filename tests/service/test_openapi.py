"""The OpenAPI document: committed, true to what is read and answered, with examples that hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from model.events import Event
from model.scorer import Scorer
from service.app import create_app
from service.problems import Refused
from service.request_schema import EXAMPLE_EVENTS, EXAMPLE_REQUEST
from service.wire import read_question
from tests.service.requests import request_json

COMMITTED = Path(__file__).parents[2] / "service" / "openapi.json"
FORMATS = FormatChecker(["date"])


@FORMATS.checks("date-time", raises=ValueError)
def is_time_with_offset(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return found


def validator(document: dict[str, Any], form: str) -> Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{form}", "components": document["components"]}
    return Draft202012Validator(schema, format_checker=FORMATS)


def test_the_served_document_is_the_committed_one(served: str, document: dict[str, Any]) -> None:
    assert httpx.get(f"{served}/openapi.json").json() == document, (
        "after an intended change, write service/openapi.json anew from GET /openapi.json"
    )


def test_every_schema_is_one(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_example_holds(document: dict[str, Any]) -> None:
    examples = {
        form: schema["examples"]
        for form, schema in document["components"]["schemas"].items()
        if "examples" in schema
    }

    assert {"Event", "ScoreRequest", "ScoreAnswer", "ProblemAnswer"} <= set(examples)
    assert {"Hypothetical", "WhatIfRequest", "WhatIfAnswer"} <= set(examples)
    for form, given_examples in examples.items():
        for given_example in given_examples:
            validator(document, form).validate(given_example)


def test_everything_has_a_description(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        assert schema["description"]
    for form in (
        *("Event", "Feed", "Hypothetical", "ProblemAnswer"),
        *("ScoreRequest", "ScoreAnswer", "WhatIfRequest", "WhatIfAnswer"),
        *("ScoresRequest", "EventsRequest", "ToldEvent", "MilestoneRequest", "DealWhatIfRequest"),
        *("DealForm", "MilestoneForm", "ForecastAnswer", "CurrencyForm", "DeliveryForm"),
    ):
        for name, member in document["components"]["schemas"][form]["properties"].items():
            assert "description" in member, f"{form}.{name}"


def test_the_example_is_answered_as_documented(
    document: dict[str, Any], post: Callable[..., httpx.Response]
) -> None:
    answer = post(EXAMPLE_REQUEST)

    assert answer.status_code == 200, answer.text
    validator(document, "ScoreAnswer").validate(answer.json())


def test_answers_and_problems_are_as_documented(
    document: dict[str, Any],
    post: Callable[..., httpx.Response],
    open_deals: list[list[Event]],
    served: str,
) -> None:
    for events in open_deals[:10]:
        validator(document, "ScoreAnswer").validate(post(request_json(events)).json())
    for body in (b"", b"[]"):
        validator(document, "ProblemAnswer").validate(post(body).json())
    validator(document, "ModelAnswer").validate(httpx.get(f"{served}/v1/model").json())
    validator(document, "HealthAnswer").validate(httpx.get(f"{served}/healthz").json())


def test_every_answered_path_is_documented(document: dict[str, Any], scorer: Scorer) -> None:
    app: Any = create_app(scorer)

    paths = {"/v1/score", "/v1/what-if", "/v1/model", "/webhooks/{source}"}
    paths |= {"/healthz", "/readyz", "/metrics", "/v1/scores", "/v1/events", "/v1/deals"}
    paths |= {f"/v1/deals/{{deal_id}}{more}" for more in ("", "/scores", "/milestones", "/what-if")}
    paths |= {"/v1/forecast", "/v1/models", "/v1/inbox", "/v1/inbox/{number}"}
    paths |= {"/v1/inbox/{number}/retry"}
    assert set(document["paths"]) == paths
    assert {route.path for route in app.app.routes if isinstance(route, APIRoute)} <= set(
        document["paths"]
    )


TIMES = ["2026-01-14T16:02:11Z", "2026-01-14T17:02:11+01:00"]
VALUES = st.sampled_from(
    [
        *(None, True, False, 0, 5, 5.0, 0.5, -1, 1001, "", "text", [], ["x"], {}, {"a": 1}),
        *("2026-03-31", "2026-02-30", "2026-01-14T16:02:11", "31.3.2026"),
        *("deal_won", "field_changed", "milestone_set", "amount_changed", "deal_woon"),
        *TIMES,
        [TIMES[0]],
        ["deal_won"],
        {"mail": {"kinds": ["deal_won"]}},
        {"mail": {"kinds": ["deal_won"], "heard": TIMES}},
        {"mail": {"kinds": ["deal_woon"]}},
        {"mail": {"kinds": [], "heard": ["2026-03-31"]}},
        {"mail": {"heard": []}},
        {"mail": {"kinds": [], "more": 1}},
        EXAMPLE_EVENTS,
    ]
)
MEMBERS = [*EXAMPLE_REQUEST, "days", "feeds", "hindsight", "drivers", "more"]
COLUMNS = [*EXAMPLE_EVENTS[3], "name", "text", "number", "date", "thread", "span", "more"]


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """The example with members taken away, added and changed."""
    form = dict(EXAMPLE_REQUEST)
    event = dict(EXAMPLE_EVENTS[3])
    for part, names in ((form, MEMBERS), (event, COLUMNS)):
        for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True)):
            if draw(st.booleans()):
                part.pop(name, None)
            else:
                part[name] = draw(VALUES)
    if form.get("events") == EXAMPLE_EVENTS:
        form["events"] = [*EXAMPLE_EVENTS[:3], event]
    return form


def without_close_by(days: float) -> dict[str, Any]:
    return {**{k: v for k, v in EXAMPLE_REQUEST.items() if k != "close_by"}, "days": days}


@given(form=requests())
@example(form=without_close_by(0))
@example(form=without_close_by(0.5))
@settings(max_examples=400)
def test_what_is_documented_is_what_is_read(form: dict[str, Any], document: dict[str, Any]) -> None:
    try:
        question = read_question(json.dumps(form).encode())
    except Refused as refusal:
        refused = refusal.problem.detail
        if "not before occurred_at" in refused or "as before" in refused:
            return  # what two values say of each other is beyond a schema
    else:  # how near a date may be is the model's to refuse: test_api_refusals.py holds it to that
        too_near = question.days is not None and question.days <= 0
        refused = f"days {question.days}" if too_near else ""

    errors = [error.message for error in validator(document, "ScoreRequest").iter_errors(form)]
    assert bool(errors) == bool(refused), (errors, refused)
