"""``POST /v1/what-if`` over HTTP: the model's own answer, or a problem that says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from model.actions import Evidence
from model.events import Event
from model.history import History
from model.hypothetical import TAKES, Hypothetical
from model.scorer import Scorer
from model.what_if import CurvePair, Moved, OpenAction, WhatIf, what_if
from service.problems import Refused
from service.what_if_forms import (
    CurvePairForm,
    EvidenceForm,
    MovedForm,
    OpenActionForm,
    WhatIfAnswer,
)
from service.what_if_schema import EXAMPLE_WHAT_IF
from service.what_if_wire import read_what_if
from tests.service.requests import AS_OF, request_json

CLOSE_BY = date(2026, 3, 31)
COMMITTED = Path(__file__).parents[2] / "service" / "openapi.json"
Post = Callable[..., httpx.Response]


@pytest.fixture
def post_what_if(served: str) -> Iterator[Post]:
    """Post a what-if request to the served artifact."""
    with httpx.Client(base_url=served, timeout=30.0) as client:
        yield lambda body: client.post("/v1/what-if", json=body)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
    return found


def validator(document: dict[str, Any], form: str) -> Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{form}", "components": document["components"]}
    return Draft202012Validator(schema, format_checker=FormatChecker(["date"]))


def test_the_answer_is_the_model_s_own(
    post_what_if: Post, scorer: Scorer, open_deals: list[list[Event]], document: dict[str, Any]
) -> None:
    supposed = [
        {"kind": "customer_replied"},
        {"kind": "close_date_changed", "date": "2026-06-30"},
        {"kind": "meeting_held", "name": None},
    ]
    for events in open_deals[:5]:
        answer = post_what_if(request_json(events, hypothetical=supposed, best=3, drivers=4))

        own = what_if(
            scorer,
            History.from_events(events),
            AS_OF,
            [
                Hypothetical(kind="customer_replied"),
                Hypothetical(kind="close_date_changed", date=date(2026, 6, 30)),
                Hypothetical(kind="meeting_held"),
            ],
            close_by=CLOSE_BY,
            most=4,
            best=3,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json() == json.loads(json.dumps(own.to_json()))
        assert len(own.best) == 3
        validator(document, "WhatIfAnswer").validate(answer.json())


def test_nothing_supposed_is_the_score(
    post_what_if: Post, post: Post, open_deals: list[list[Event]]
) -> None:
    told = post_what_if(request_json(open_deals[0], close_by=None, days=30)).json()
    score = post(request_json(open_deals[0], close_by=None, days=30)).json()

    assert told["before"] == told["after"] == score["probability"]
    assert (told["drivers"], told["best"], told["close_by"]) == ([], [], None)


def test_the_example_is_answered_as_documented(
    post_what_if: Post, document: dict[str, Any]
) -> None:
    answer = post_what_if(EXAMPLE_WHAT_IF)

    assert answer.status_code == 200, answer.text
    validator(document, "WhatIfAnswer").validate(answer.json())


REFUSALS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "an unknown kind": (
        {"hypothetical": [{"kind": "customer_repled"}]},
        "what-if",
        "/hypothetical/0/kind",
        "hypothetical[0]: kind 'customer_repled': expected one of pipeline_changed, ",
    ),
    "no kind": (
        {"hypothetical": [{"name": "pilot"}]},
        "invalid",
        "/hypothetical/0",
        "hypothetical[0]: no kind: expected a value",
    ),
    "a closing": (
        {"hypothetical": [{"kind": "call_made"}, {"kind": "deal_won"}]},
        "what-if",
        "/hypothetical/1/kind",
        "hypothetical[1]: kind 'deal_won': expected something that leaves an open deal open",
    ),
    "a missing name": (
        {"hypothetical": [{"kind": "milestone_reached"}]},
        "what-if",
        "/hypothetical/0",
        "hypothetical[0]: milestone_reached without name: expected milestone_reached NAME",
    ),
    "an unknown milestone": (
        {"hypothetical": [{"kind": "call_made"}, {"kind": "milestone_reached", "name": "no such"}]},
        "what-if",
        "/hypothetical/1",
        "hypothetical[1]: name 'no such' of milestone_reached: expected an open or a must-",
    ),
    "a date gone by": (
        {"hypothetical": [{"kind": "close_date_changed", "date": "2026-01-11"}]},
        "what-if",
        "/hypothetical/0",
        "date 2026-01-11 of close_date_changed: expected a date from 2026-01-12 on",
    ),
    "a date in words": (
        {"hypothetical": [{"kind": "close_date_changed", "date": "soon"}]},
        "invalid",
        "/hypothetical/0/date",
        "hypothetical[0]: date 'soon': expected a date",
    ),
    "an unknown member": (
        {"hypothetical": [{"kind": "call_made", "occurred_at": "2026-01-14T16:02:11Z"}]},
        "invalid",
        "/hypothetical/0",
        "field 'occurred_at': expected one of kind, name, text, number, date",
    ),
    "a text for an event": (
        {"hypothetical": ["customer_replied"]},
        "invalid",
        "/hypothetical/0",
        "hypothetical[0]: 'customer_replied': expected an object",
    ),
    "no list": ({"hypothetical": {}}, "invalid", "/hypothetical", "an object: expected a list"),
    "very many": (
        {"hypothetical": [{"kind": "call_made"}] * 21},
        "invalid",
        "/hypothetical",
        "21 hypothetical events: expected at most 20",
    ),
    "best as a flag": ({"best": True}, "invalid", "/best", "best true: expected a number"),
    "a date past the horizon": (
        {"close_by": "2026-12-31"},
        "horizon",
        "/close_by",
        "days ahead 354: expected more than 0 and at most 180 days",
    ),
    "hindsight": (
        {"as_of": "2025-12-01T00:00:00Z"},
        "unscorable",
        "/as_of",
        "the cut-off of the artifact",
    ),
    "a deal not open": ({"events": None}, "unscorable", "/events", "expected a deal open at "),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_supposed_is_a_problem_that_names_the_part(
    case: str, post_what_if: Post, open_deals: list[list[Event]]
) -> None:
    members, kind, pointer, said = REFUSALS[case]
    form = request_json(open_deals[0])
    if case == "a deal not open":
        lost = {"kind": "deal_lost", "occurred_at": AS_OF.isoformat(), "source": "crm"}
        form["events"] = [*form["events"], {**lost, "source_id": "lost"}]
        form["deal_id"] = open_deals[0][0].deal_id
        members = {"best": 1}
    answer = post_what_if(form | members)

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:redflare:problem:{kind}"
    assert problem["pointer"] == pointer
    assert said in problem["detail"]


def test_the_forms_are_the_records() -> None:
    for form, record in (
        (WhatIfAnswer, WhatIf),
        (MovedForm, Moved),
        (CurvePairForm, CurvePair),
        (OpenActionForm, OpenAction),
        (EvidenceForm, Evidence),
    ):
        assert list(form.model_fields) == [field.name for field in fields(record)]


VALUES = st.sampled_from(
    [None, True, 0, 5.0, -1, "", "text", "onsite", "2026-03-31", "2026-02-30", [], {}, *TAKES]
)
ROWS = st.dictionaries(
    st.sampled_from(["kind", "name", "text", "number", "date", "more"]), VALUES, max_size=3
)
EVENTS = st.tuples(st.sampled_from([*TAKES, "deal_won"]), ROWS).map(
    lambda pair: {"kind": pair[0], **pair[1]}
)


@given(
    hypothetical=st.lists(EVENTS | ROWS | VALUES, max_size=2) | VALUES,
    best=st.sampled_from([0, 5, 5.0, 100, 101, -1, 0.5, None, "5", True]),
)
@settings(max_examples=400)
def test_what_is_documented_is_what_is_read(
    hypothetical: Any, best: Any, document: dict[str, Any]
) -> None:
    form = EXAMPLE_WHAT_IF | {"hypothetical": hypothetical, "best": best}
    try:
        read_what_if(json.dumps(form).encode())
    except Refused as refusal:
        refused = refusal.problem.detail
    else:
        refused = ""

    errors = [error.message for error in validator(document, "WhatIfRequest").iter_errors(form)]
    assert bool(errors) == bool(refused), (errors, refused)
