"""The API over real HTTP: the model's own score, or a problem that says what to do."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from model.change import Change, Shift, Step
from model.data_quality import DataQuality, Finding
from model.event_table import write_events
from model.events import Event, microseconds
from model.feeds import feeds_of
from model.gates import Gate, Gates
from model.history import History
from model.score import CurvePoint, Driver, Interval, Score
from model.scorer import Scorer
from model.unusual import Unusual
from service import forms
from service.app import create_app
from service.endpoint import INLINE_BYTES
from tests.service.requests import AS_OF, event_json, request_json
from training.simulate import Simulation

Post = Callable[..., httpx.Response]
CLOSE_BY = date(2026, 3, 31)


def as_json(score: Score) -> Any:
    return json.loads(json.dumps(score.to_json()))


def test_the_answer_is_the_very_score_that_the_scorer_gives(
    post: Post, scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    assert len(open_deals) >= 20
    for events in open_deals[:20]:
        answer = post(request_json(events))

        score = scorer.score(History.from_events(events), AS_OF, close_by=CLOSE_BY)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == as_json(score)


@pytest.mark.parametrize(
    ("members", "options"),
    [
        ({"close_by": None, "days": 30}, {"days": 30.0}),
        ({"close_by": None, "days": 0.5, "drivers": 0}, {"days": 0.5, "most": 0}),
        ({"drivers": 1000}, {"close_by": CLOSE_BY, "most": 1000}),
        ({"as_of": "2026-01-12T05:30:00+05:30"}, {"close_by": CLOSE_BY}),
        ({"hindsight": True}, {"close_by": CLOSE_BY, "hindsight": True}),
        ({"feeds": {}}, {"close_by": CLOSE_BY}),
    ],
)
def test_every_option_of_the_scorer_may_be_asked_for(
    members: dict[str, Any],
    options: dict[str, Any],
    post: Post,
    scorer: Scorer,
    open_deals: list[list[Event]],
) -> None:
    answer = post(request_json(open_deals[0], **members))

    score = scorer.score(History.from_events(open_deals[0]), AS_OF, **options)
    assert answer.json() == as_json(score)


def test_why_it_moved_begins_at_the_score_of_then(
    post: Post, scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    then = AS_OF - timedelta(days=2)
    hours = [(then + timedelta(hours=hour)).isoformat() for hour in range(-400, 24)]
    feeds = {
        name: {"kinds": ["deal_opened", "call_made"], "heard": hours}
        for name in (*scorer.trained_feeds, "unheard of")
    }
    old = [events for events in open_deals if min(event.known_at for event in events) < then]
    assert len(old) >= 5
    for events in old[:5]:
        told = post(request_json(events, since=then.isoformat(), feeds=feeds)).json()
        first = post(request_json(events, as_of=then.isoformat(), feeds=feeds)).json()
        assert told["change"]["before"] == first["probability"]
        assert told["change"]["after"] == pytest.approx(told["probability"], abs=1e-12)


def test_why_it_moved_is_refused_where_there_was_no_number_then(
    post: Post, open_deals: list[list[Event]]
) -> None:
    then = AS_OF - timedelta(days=2)
    first = open_deals[0][0]
    opened = replace(first, kind="deal_opened", source="unheard of", source_id="opened",
                     occurred_at=then - timedelta(days=1), known_at=then - timedelta(days=1),
                     )  # fmt: skip
    reply = replace(first, kind="customer_replied", source_id="replied", known_at=AS_OF,
                    occurred_at=AS_OF, )  # fmt: skip
    answer = post(request_json([opened, reply], since=then.isoformat()))

    assert answer.status_code == 422
    assert "nothing_known" in answer.text
    assert '"/since"' in answer.text


def test_hindsight_is_marked(post: Post, open_deals: list[list[Event]]) -> None:
    opened = min(event.occurred_at for event in open_deals[0])
    moment = (opened + timedelta(days=1)).isoformat()
    form = request_json(open_deals[0], as_of=moment, close_by=None, days=30)

    assert post(form).status_code == 422
    assert post(form | {"hindsight": True}).json()["hindsight"] is True


def test_the_command_line_shows_the_same_score(
    post: Post,
    small_company: Simulation,
    small_artifact: Path,
    open_deals: list[list[Event]],
    redflare: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    write_events(small_company.events, tmp_path / "events.parquet")
    feeds = feeds_of(History.from_table(small_company.events))
    heard = {
        source: {
            "kinds": sorted(feed.kinds),
            "heard": [f"{time}Z" for time in feed.heard.astype("datetime64[us]")],
        }
        for source, feed in feeds.items()
    }
    deal_id = open_deals[0][0].deal_id

    shown = redflare(
        *("explain", "events.parquet", deal_id, "--artifact", str(small_artifact), "--json"),
        *("--as-of", "2026-01-12", "--close-by", "2026-03-31"),
    )

    assert shown.returncode == 0, shown.stderr
    answer = post(request_json(open_deals[0], feeds=heard, drivers=1000))
    assert answer.json() == json.loads(shown.stdout)


def test_the_deal_may_be_named_once_for_all_its_events(
    post: Post, open_deals: list[list[Event]]
) -> None:
    form = request_json(open_deals[0])
    nameless = form | {"events": [dict(event) for event in form["events"]]}
    for event in nameless["events"]:
        nameless["deal_id"] = event.pop("deal_id")

    assert post(nameless).json() == post(form).json()


def test_order_and_repetition_of_events_change_nothing(
    post: Post, open_deals: list[list[Event]]
) -> None:
    events = open_deals[0]

    assert (
        post(request_json([*events[::-1], *events[:3]])).json() == post(request_json(events)).json()
    )


def test_a_feed_that_stopped_is_told_from_a_silent_customer(
    post: Post, scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    hours = microseconds(AS_OF) - np.arange(400, 200, -1) * 3_600_000_000
    heard = [f"{time}Z" for time in hours.astype("datetime64[us]")]
    kinds = ["customer_replied", "message_sent"]
    feeds = {source: {"kinds": kinds, "heard": heard} for source in scorer.trained_feeds}

    answers = [
        post(request_json(events, feeds=feeds)).json()["probability"] for events in open_deals[:20]
    ]

    assert answers != [post(request_json(e)).json()["probability"] for e in open_deals[:20]]


def test_the_request_of_the_readme_is_answered(post: Post, root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    found = re.search(r"curl .+?/v1/score .+? -d '(\{.+?\})'$", readme, re.DOTALL | re.MULTILINE)
    assert found

    answer = post(found[1].encode())

    assert answer.status_code == 200, answer.text
    assert answer.json()["deal_id"] == json.loads(found[1])["deal_id"]


def test_long_and_short_requests_side_by_side_are_each_answered_right(
    served: str, open_deals: list[list[Event]]
) -> None:
    def grown(events: list[Event], number: int) -> dict[str, Any]:
        form = request_json(events)
        note = event_json(events[0]) | {"kind": "activity_logged", "name": "note"}
        notes = [note | {"source_id": f"note-{each}"} for each in range(number)]
        return form | {"events": form["events"] + notes}

    forms = [grown(events, 400 * (place % 2)) for place, events in enumerate(open_deals[:20])]
    assert len(json.dumps(forms[0])) < INLINE_BYTES < len(json.dumps(forms[1]))

    async def send() -> list[Any]:
        async with httpx.AsyncClient(base_url=served, timeout=30.0) as client:
            answers = [client.post("/v1/score", json=form) for form in forms]
            return [answer.json() for answer in await asyncio.gather(*answers)]

    together = asyncio.run(send())

    with httpx.Client(base_url=served, timeout=30.0) as client:
        assert together == [client.post("/v1/score", json=form).json() for form in forms]


def ask(app: Any, *requests: tuple[str, str, Any]) -> list[httpx.Response]:
    """Send requests to an application in this process."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return [await client.request(m, path, json=body) for m, path, body in requests]

    return asyncio.run(send())


def test_the_present_is_the_server_s_where_no_time_is_named(
    scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    app = create_app(scorer, clock=lambda: AS_OF)

    answers = ask(
        app,
        ("POST", "/v1/score", request_json(open_deals[0], as_of=None)),
        ("POST", "/v1/score", request_json(open_deals[0])),
    )

    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize(("hours", "status"), [(0, 200), (24, 200), (24.001, 422), (24 * 365, 422)])
def test_a_moment_later_than_the_server_s_clock_by_more_than_a_day_is_refused(
    hours: float, status: int, scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    app = create_app(scorer, clock=lambda: AS_OF)
    asked = AS_OF + timedelta(hours=hours)
    form = request_json(open_deals[0], as_of=asked.isoformat(), close_by=None, days=30)

    answer = ask(app, ("POST", "/v1/score", form))[0]

    assert answer.status_code == status
    if status == 422:
        assert answer.json()["pointer"] == "/as_of"
        assert answer.json()["detail"].startswith(
            f"as_of {asked.isoformat()}: expected a time not after the present, {AS_OF.isoformat()}"
        )


def test_a_fault_shows_nothing_of_its_inside(scorer: Scorer, open_deals: list[list[Event]]) -> None:
    class Faulty(Scorer):
        def score(self, *_: Any, **__: Any) -> Score:
            raise ZeroDivisionError("secret")

    answer = ask(
        create_app(Faulty(scorer.artifact)), ("POST", "/v1/score", request_json(open_deals[0]))
    )[0]

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:redflare:problem:fault"
    assert "secret" not in answer.text
    assert "ZeroDivision" not in answer.text


def test_each_request_is_one_line_of_the_log_without_what_was_in_it(
    scorer: Scorer, open_deals: list[list[Event]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "redflare.requests")

    ask(
        create_app(scorer),
        ("POST", "/v1/score?key=hush", request_json(open_deals[0])),
        ("GET", "/no%0Awhere", None),
    )

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("redf")]
    assert lines == ["POST /v1/score 200", "GET /no%0Awhere 404"]


def test_the_model_in_force_is_described(served: str, scorer: Scorer) -> None:
    assert httpx.get(f"{served}/v1/model").json() == {
        "model_version": scorer.artifact.model_version,
        "schema_version": 2,
        "edges_days": [0.0, 7.0, 30.0, 90.0, 180.0],
        "known_before": "2026-01-05T00:00:00Z",
        "trained_deals": scorer.artifact.facts["training"]["deals"],
        "won_deals": scorer.artifact.facts["training"]["won"],
        "features": len(scorer.features.names),
    }


def test_the_process_says_that_it_is_well(served: str) -> None:
    assert httpx.get(f"{served}/healthz").json() == {"status": "ok"}


def test_the_documented_score_has_the_members_of_the_score() -> None:
    documented = {
        forms.ScoreAnswer: Score,
        forms.DriverForm: Driver,
        forms.CurvePointForm: CurvePoint,
        forms.IntervalForm: Interval,
        forms.GatesForm: Gates,
        forms.GateForm: Gate,
        forms.ChangeForm: Change,
        forms.StepForm: Step,
        forms.ShiftForm: Shift,
        forms.DataQualityForm: DataQuality,
        forms.FindingForm: Finding,
        forms.UnusualForm: Unusual,
    }
    for form, record in documented.items():
        assert list(form.model_fields) == [field.name for field in fields(record)]
