"""What the API refuses, with the words that help: forms, bodies, media types, sizes, paths."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.events import Event
from service.settings import Settings
from tests.service.requests import event_json, request_json

Post = Callable[..., httpx.Response]
OneRequestAtATime = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def without(form: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in form.items() if name not in names}


def with_event(form: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The request with members of its third event changed."""
    events = list(form["events"])
    events[2] = events[2] | members
    return form | {"events": events}


Change = Callable[[dict[str, Any]], Any]

FORMS: dict[str, tuple[Change, str, str | None, str]] = {
    "a list": (lambda f: [f], "invalid", "", "a list: expected an object"),
    "an unknown field": (
        lambda f: f | {"asof": "2026-01-12"},
        "invalid",
        "",
        "field 'asof': expected one of deal_id, events, as_of",
    ),
    "no events": (lambda f: without(f, "events"), "invalid", "", "no events: expected the deal's"),
    "empty events": (
        lambda f: f | {"events": []},
        "invalid",
        "/events",
        "events an empty list: expected a list of events",
    ),
    "events null": (lambda f: f | {"events": None}, "invalid", "/events", "events null"),
    "too many events": (
        lambda f: f | {"events": f["events"][:1] * 20_001},
        "invalid",
        "/events",
        "20001 events: expected at most 20000",
    ),
    "neither date nor days": (
        lambda f: without(f, "close_by"),
        "invalid",
        "",
        "neither close_by nor days: expected one of them",
    ),
    "date and days": (lambda f: f | {"days": 3}, "invalid", "", "both close_by and days"),
    "a date with a time": (
        lambda f: f | {"close_by": "2026-03-31T00:00:00Z"},
        "invalid",
        "/close_by",
        "close_by '2026-03-31T00:00:00Z': expected a date. Remedy: write it as 2026-03-31",
    ),
    "a week": (lambda f: f | {"close_by": "2026-W05-1"}, "invalid", "/close_by", "expected a date"),
    "a date past the horizon": (
        lambda f: f | {"close_by": "2026-12-31"},
        "horizon",
        "/close_by",
        "days ahead 354: expected more than 0 and at most 180 days, until 2026-07-11",
    ),
    "a date in year 9999": (
        lambda f: f | {"close_by": "9999-12-31"},
        "horizon",
        "/close_by",
        "expected more than 0 and at most 180 days",
    ),
    "a date gone by": (
        lambda f: f | {"close_by": "2026-01-01"},
        "horizon",
        "/close_by",
        "Remedy: ask for a later date",
    ),
    "no days": (
        lambda f: without(f, "close_by") | {"days": 0},
        "horizon",
        "/days",
        "days ahead 0: expected more than 0",
    ),
    "days past the horizon": (
        lambda f: without(f, "close_by") | {"days": 180.5},
        "horizon",
        "/days",
        "days ahead 180.5: expected more than 0 and at most 180 days",
    ),
    "days in quotes": (
        lambda f: without(f, "close_by") | {"days": "30"},
        "invalid",
        "/days",
        "days '30': expected a number. Remedy: leave quotes out",
    ),
    "days true": (
        lambda f: without(f, "close_by") | {"days": True},
        "invalid",
        "/days",
        "days true: expected a number",
    ),
    "a naive as_of": (
        lambda f: f | {"as_of": "2026-01-12T00:00:00"},
        "invalid",
        "/as_of",
        "as_of 2026-01-12T00:00:00: expected a time with its UTC offset. Remedy: append Z",
    ),
    "an as_of that is no time": (
        lambda f: f | {"as_of": "yesterday"},
        "invalid",
        "/as_of",
        "as_of 'yesterday': expected an ISO 8601 time",
    ),
    "an as_of in year 9999": (
        lambda f: f | {"as_of": "9999-12-31T23:59:59Z"},
        "invalid",
        "/as_of",
        "expected a time from 1970 to 2199",
    ),
    "an as_of of another day by its offset, in year 1": (
        lambda f: f | {"as_of": "0001-01-01T00:00:00+23:59"},
        "invalid",
        "/as_of",
        "expected a time from 1970 to 2199",
    ),
    "an as_of before the cut-off": (
        lambda f: f | {"as_of": "2025-12-01T00:00:00Z"},
        "unscorable",
        "/as_of",
        "expected a time from 2026-01-05T00:00:00.+ on, the cut-off of the artifact. Remedy: use",
    ),
    "a closed deal": (
        lambda f: (
            f
            | {
                "events": [
                    *f["events"],
                    f["events"][0]
                    | {
                        "kind": "deal_lost",
                        "source_id": "end",
                        "occurred_at": "2026-01-11T00:00:00Z",
                        "known_at": None,
                    },
                ]
            }
        ),
        "unscorable",
        "/events",
        "expected a deal open at 2026-01-12T00:00:00",
    ),
    "hindsight in quotes": (
        lambda f: f | {"hindsight": "yes"},
        "invalid",
        "/hindsight",
        "hindsight 'yes': expected true or false",
    ),
    "half a driver": (
        lambda f: f | {"drivers": 1.5},
        "invalid",
        "/drivers",
        "drivers 1.5: expected a whole number from 0 to 1000",
    ),
    "an empty deal_id": (
        lambda f: f | {"deal_id": ""},
        "invalid",
        "/deal_id",
        "deal_id '': expected a text that is not empty",
    ),
    "a list of feeds": (lambda f: f | {"feeds": []}, "invalid", "/feeds", "feeds a list"),
    "a feed without kinds": (
        lambda f: f | {"feeds": {"a/b": {}}},
        "invalid",
        "/feeds/a~1b",
        "kinds null: expected a list",
    ),
    "a feed of an unknown kind": (
        lambda f: f | {"feeds": {"mail": {"kinds": ["mail"]}}},
        "invalid",
        "/feeds/mail",
        "a feed of kind 'mail': expected one of deal_opened",
    ),
    "a feed heard at a naive time": (
        lambda f: f | {"feeds": {"mail": {"kinds": [], "heard": ["2026-01-12T00:00:00"]}}},
        "invalid",
        "/feeds/mail",
        "heard 2026-01-12T00:00:00: expected a time with its UTC offset",
    ),
    "an event that is none": (
        lambda f: f | {"events": [*f["events"][:2], "event"]},
        "invalid",
        "/events/2",
        r"events\[2\]: 'event': expected an object",
    ),
    "an event of another deal": (
        lambda f: with_event(f, deal_id="D-X"),
        "invalid",
        "/events/2/deal_id",
        r"events\[2\]: deal_id 'D-X': expected 'D-\d+', as before. Remedy: send one deal",
    ),
    "an unknown field of an event": (
        lambda f: with_event(f, colour="red"),
        "invalid",
        "/events/2",
        r"events\[2\]: field 'colour': expected one of deal_id, kind, occurred_at",
    ),
    "an unknown kind": (
        lambda f: with_event(f, kind="deal_woon"),
        "event",
        "/events/2/kind",
        r"events\[2\]: kind 'deal_woon': expected one of deal_opened, deal_won",
    ),
    "a naive time": (
        lambda f: with_event(f, occurred_at="2025-11-01T12:00:00"),
        "event",
        "/events/2/occurred_at",
        r"events\[2\]: occurred_at 2025-11-01T12:00:00: expected a time with its UTC offset",
    ),
    "a bare date for a time": (
        lambda f: with_event(f, occurred_at="2025-11-01"),
        "event",
        "/events/2/occurred_at",
        "expected a time with its UTC offset",
    ),
    "a time in year 9999": (
        lambda f: with_event(f, occurred_at="9999-12-31T00:00:00Z", known_at=None),
        "event",
        "/events/2/occurred_at",
        "expected a time from 1970 to 2199",
    ),
    "a date of an event in year 9999": (
        lambda f: with_event(f, kind="close_date_changed", date="9999-12-31"),
        "event",
        "/events/2/date",
        "date 9999-12-31: expected a date from 1970-01-01 to 2199-12-31",
    ),
    "known before it happened": (
        lambda f: with_event(f, known_at="2020-01-01T00:00:00Z"),
        "event",
        "/events/2/known_at",
        "expected a time not before occurred_at",
    ),
    "a missing value of the kind": (
        lambda f: with_event(f, kind="amount_changed", number=None),
        "event",
        "/events/2",
        "amount_changed without number: expected a number: number is the amount",
    ),
    "a number in quotes": (
        lambda f: with_event(f, number="12"),
        "invalid",
        "/events/2/number",
        r"events\[2\]: number '12': expected a number",
    ),
    "a number past all bounds": (
        lambda f: with_event(f, number=10**400),
        "invalid",
        "/events/2/number",
        "expected a smaller number",
    ),
    "a name that is a number": (
        lambda f: with_event(f, name=7),
        "invalid",
        "/events/2/name",
        r"events\[2\]: name 7: expected a text",
    ),
    "an object for a text": (
        lambda f: with_event(f, text={"a": 1}),
        "invalid",
        "/events/2/text",
        "text an object: expected a text",
    ),
    "an event without a source": (
        lambda f: with_event(f, source=None),
        "invalid",
        "/events/2/source",
        r"events\[2\]: source null: expected a value",
    ),
    "one event with two contents": (
        lambda f: f | {"events": [*f["events"], f["events"][0] | {"text": "other"}]},
        "event",
        None,
        r"events\[\d+\]: event '.+' of '.+' twice with other content",
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_request_that_cannot_be_answered_is_told_why(
    case: str, post: Post, open_deals: list[list[Event]]
) -> None:
    change, kind, pointer, detail = FORMS[case]
    body = json.dumps(change(request_json(open_deals[0]))).encode()

    problem = post(body)

    assert problem.status_code == 422, problem.text
    assert problem.headers["content-type"] == "application/problem+json"
    said = problem.json()
    assert (said["type"], said["status"]) == (f"urn:redflare:problem:{kind}", 422)
    if pointer is not None:
        assert said["pointer"] == pointer
    with pytest.raises(ValueError, match=detail):
        raise ValueError(said["detail"])


BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "line 1, column 1: Expecting value: expected JSON"),
    "half a text": (b'{"events": [', "line 1, column 13: Expecting value"),
    "NaN": (b'{"days": NaN}', "NaN: expected a finite number"),
    "Infinity": (b'{"days": -Infinity}', "-Infinity: expected a finite number"),
    "a name twice": (b'{"days": 1, "days": 2}', "'days' twice in one object"),
    "deep nesting": (b'{"a":' * 100_000, "deeply nested JSON: expected a few levels"),
    "deep lists": (b"[" * 100_000, "deeply nested JSON: expected a few levels"),
    "no UTF-8": (b'{"deal_id": "\xff"}', "byte 0xff at 13: expected UTF-8"),
    "half a character": (rb'{"deal_id": "\ud800"}', "an escaped half of a surrogate pair"),
    "thousands of digits": (b'{"days": ' + b"9" * 5000 + b"}", "a number of thousands of digits"),
    "a mark before the text": (b"\xef\xbb\xbf{}", "line 1, column 1: .*: expected JSON"),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_json_is_told_where(case: str, post: Post) -> None:
    body, detail = BODIES[case]

    problem = post(body)

    assert problem.status_code == 400
    assert problem.json()["type"] == "urn:redflare:problem:malformed"
    with pytest.raises(ValueError, match=detail):
        raise ValueError(problem.json()["detail"])


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"content-type": "text/plain"}, "Content-Type 'text/plain': expected application/json"),
        ({"content-type": "application/json; charset=latin-1"}, "charset=latin-1"),
        ({"content-type": ""}, "no Content-Type: expected application/json in UTF-8"),
        ({"content-encoding": "gzip"}, "Content-Encoding 'gzip': expected a body as it is"),
    ],
)
def test_another_media_type_is_refused(headers: dict[str, str], detail: str, post: Post) -> None:
    problem = post(b"{}", **headers)

    assert problem.status_code == 415
    assert detail in problem.json()["detail"]


def test_the_character_set_of_json_may_be_said(post: Post, open_deals: list[list[Event]]) -> None:
    body = json.dumps(request_json(open_deals[0])).encode()

    answer = post(body, **{"content-type": "Application/JSON; charset=UTF-8"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/v1/nothing", 404, "GET /v1/nothing: expected a path of this service"),
        ("POST", "/v1/score/", 404, "POST /v1/score/: expected a path of this service"),
        ("GET", "/docs", 404, "GET /docs"),
        ("GET", "/redoc", 404, "GET /redoc"),
        ("PUT", "/v1/score", 405, "PUT /v1/score: expected POST"),
        ("DELETE", "/v1/model", 405, "DELETE /v1/model: expected GET"),
    ],
)
def test_another_path_or_method_is_a_problem_too(
    method: str, path: str, status: int, detail: str, served: str
) -> None:
    problem = httpx.request(method, served + path)

    assert problem.status_code == status
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == status
    assert detail in problem.json()["detail"]
    if status == 405:
        assert problem.headers["allow"] in detail


def test_a_request_of_ten_megabytes_is_answered(post: Post, open_deals: list[list[Event]]) -> None:
    events = open_deals[0]
    note = event_json(events[0]) | {"kind": "activity_logged", "name": "note", "text": "x" * 282}
    many = [note | {"source_id": f"note-{number}"} for number in range(19_900)]
    form = request_json(events)
    body = json.dumps(form | {"events": form["events"] + many}).encode()
    assert 10_000_000 <= len(body) <= Settings().max_body_bytes

    answer = post(body)

    assert answer.status_code == 200, answer.text
    assert answer.json()["deal_id"] == events[0].deal_id


def test_a_larger_request_is_refused_while_it_is_sent(post: Post) -> None:
    problem = post(b" " * (Settings().max_body_bytes + 1))

    assert problem.status_code == 413
    assert problem.headers["connection"] == "close"
    assert "a body of 10485761 bytes: expected at most 10485760" in problem.json()["detail"]


@pytest.mark.parametrize(
    ("length", "sent", "detail"),
    [
        ("Content-Length: 1000000000", b"{", "a body of 1000000000 bytes"),
        (
            "Transfer-Encoding: chunked",
            (b"10000\r\n" + b" " * 65536 + b"\r\n") * 161,
            "a body of more than 10485760 bytes",
        ),
    ],
    ids=["declared", "in pieces"],
)
def test_a_body_past_the_limit_is_refused_before_it_is_whole(
    length: str, sent: bytes, detail: str, served: str
) -> None:
    host, port = urlsplit(served).hostname, urlsplit(served).port
    with socket.create_connection((host, port), timeout=10.0) as connection:
        head = f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}"
        connection.sendall(head.encode() + b"\r\n\r\n" + sent)

        answer = b""
        while part := connection.recv(65536):
            answer += part

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert detail in answer.decode()


@given(body=st.binary(max_size=200))
@OneRequestAtATime
def test_no_bytes_are_a_fault(body: bytes, post: Post) -> None:
    assert post(body).status_code in (400, 422)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.datetimes().map(lambda time: f"{time.isoformat()}Z")
    | st.dates().map(str),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3)
    ),
    max_leaves=6,
)


@given(data=st.data())
@OneRequestAtATime
def test_no_value_anywhere_is_a_fault(
    data: st.DataObject, post: Post, open_deals: list[list[Event]]
) -> None:
    form = request_json(open_deals[0])
    names = ["deal_id", "as_of", "close_by", "days", "feeds", "hindsight", "drivers", "events"]
    form = form | data.draw(st.dictionaries(st.sampled_from(names), ANYTHING, max_size=2))
    columns = ["kind", "occurred_at", "known_at", "name", "text", "number", "date", "source_id"]
    events = form["events"]
    if isinstance(events, list) and len(events) > 2 and isinstance(events[2], dict):
        members = st.dictionaries(st.sampled_from(columns), ANYTHING, max_size=3)
        form = with_event(form, **data.draw(members))

    answer = post(json.dumps(form).encode())

    assert answer.status_code in (200, 400, 422), answer.text
