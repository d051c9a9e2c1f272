"""The deals that are kept, over the API: listed, one by one, forecast, and each caller's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio import create_task_group, move_on_after, run, sleep

from model.errors import ScoreError
from model.events import Event
from model.scorer import Scorer
from service.forecasting import Forecasting
from service.storage import deals, events
from service.storage.database import Database
from tests.service.house import House
from tests.service.requests import AS_OF
from tests.service.test_openapi import validator

DOCUMENT = json.loads(
    (Path(__file__).parents[2] / "service" / "openapi.json").read_text(encoding="utf-8")
)
DEALS = 7
NOT_FOUND = "urn:redflare:problem:not-found"


@pytest.fixture
def house(database: Database, scorer: Scorer, open_deals: list[list[Event]]) -> Iterator[House]:
    own = House(database, scorer)
    own.tell(*open_deals[:DEALS])
    yield own
    own.close()


@pytest.fixture
def reader(house: House) -> dict[str, str]:
    return house.key("read")


def listed(house: House, headers: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    """All pages of a list, two deals a page."""
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        given = {**query, "limit": 2, **after}
        answer = house.ask("GET", "/v1/deals", headers=headers, params=given)
        assert answer.status_code == 200, answer.text
        validator(DOCUMENT, "DealsAnswer").validate(answer.json())
        found += answer.json()["deals"]
        if answer.json()["next"] is None:
            return found
        after = {"after": answer.json()["next"]}


def test_pages_hold_every_open_deal_once(
    house: House, reader: dict[str, str], open_deals: list[list[Event]]
) -> None:
    ids = [deal["deal_id"] for deal in listed(house, reader)]
    riskiest = listed(house, reader, order="riskiest")

    assert ids == sorted(deal[0].deal_id for deal in open_deals[:DEALS])
    assert sorted(deal["deal_id"] for deal in riskiest) == ids
    shown = [deal["shown_probability"] for deal in riskiest]
    assert shown == sorted(shown)
    assert listed(house, reader, state="closed") == []


def test_filters_are_what_they_say(house: House, reader: dict[str, str]) -> None:
    every = listed(house, reader, state="all")
    middle = sorted(deal["shown_probability"] for deal in every)[3]
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"below": middle}, lambda deal: deal["shown_probability"] < middle),
        ({"flagged": True}, lambda deal: deal["flares"]),
        ({"flagged": False}, lambda deal: not deal["flares"]),
        ({"stage": every[0]["stage"]}, lambda deal: deal["stage"] == every[0]["stage"]),
        ({"verdict": "good"}, lambda deal: deal["verdict"] == "good"),
        ({"verdict": "unscorable"}, lambda deal: deal["verdict"] == "unscorable"),
        (
            {"owner": [every[0]["owner"], every[1]["owner"]]},
            lambda deal: deal["owner"] in (every[0]["owner"], every[1]["owner"]),
        ),
        (
            {"closes_from": "2026-02-01", "closes_until": "2026-03-31"},
            lambda deal: "2026-02-01" <= (deal["close_date"] or "") <= "2026-03-31",
        ),
    ]
    for query, takes in cases:
        assert listed(house, reader, **query) == [deal for deal in every if takes(deal)], query


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"bellow": "0.5"}, "query bellow '0.5': expected one of limit, after, state, owner, "),
        ({"below": "2"}, "query below '2': expected less than or equal to 1"),
        ({"state": "won"}, "query state 'won': expected 'open', 'closed' or 'all'"),
        ({"below": "nan"}, "query below"),
        ({"limit": "0"}, "query limit '0'"),
        ({"after": "x"}, "after 'x': expected what the answer of the page before calls next"),
        (
            {"order": "riskiest", "after": "WyJELTEiLHRydWVd"},
            "after 'WyJELTEiLHRydWVd': expected what",
        ),
        ({"after": "WzEsMl0"}, "after 'WzEsMl0': expected what the answer"),
        ({"stage": "a\0b"}, "query stage"),
        ({"owner": "a\0b"}, "query owner 0"),
    ],
)
def test_what_cannot_be_looked_for_is_named(
    query: dict[str, str], told: str, house: House, reader: dict[str, str]
) -> None:
    answer = house.ask("GET", "/v1/deals", headers=reader, params=query)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(told)


@pytest.mark.parametrize(
    ("path", "query", "told"),
    [
        (
            "/v1/deals/D-1",
            {"since": "2026-01-11T08:00:00Z", "days": "30"},
            "query: since without close_by: expected close_by too",
        ),
        ("/v1/forecast", {}, "query close_by, which is missing: expected a value"),
    ],
)
def test_a_query_that_lacks_something_is_told_what(
    path: str, query: dict[str, str], told: str, house: House, reader: dict[str, str]
) -> None:
    answer = house.ask("GET", path, headers=reader, params=query)

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(told)


def test_one_deal_has_its_last_score_and_those_before(
    house: House, reader: dict[str, str], scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    deal_id = open_deals[0][0].deal_id
    house.now = AS_OF + timedelta(days=2)
    house.processor.tick()
    answer = house.ask("GET", f"/v1/deals/{deal_id}", headers=reader)
    past = house.ask("GET", f"/v1/deals/{deal_id}/scores", headers=reader, params={"limit": 1})
    rest = {"after": past.json()["next"]}
    earlier = house.ask("GET", f"/v1/deals/{deal_id}/scores", headers=reader, params=rest)

    validator(DOCUMENT, "DealAnswer").validate(answer.json())
    validator(DOCUMENT, "ScoresAnswer").validate(past.json())
    assert answer.json()["score"]["model_version"] == scorer.artifact.model_version
    assert answer.json()["score"]["probability"] == past.json()["scores"][0]["probability"]
    assert past.json()["scores"][0]["cause"] == "tick"
    assert [score["cause"] for score in earlier.json()["scores"]] == ["delivery"]
    assert earlier.json()["next"] is None


def test_a_deal_is_scored_now_as_its_events_sent_along_are(
    house: House, reader: dict[str, str], open_deals: list[list[Event]]
) -> None:
    deal_id = open_deals[0][0].deal_id
    asked = {"close_by": "2026-03-31", "drivers": 3}
    answer = house.ask("GET", f"/v1/deals/{deal_id}", headers=reader, params=asked)
    moved = house.ask(
        "GET",
        f"/v1/deals/{deal_id}",
        headers=reader,
        params=asked | {"since": "2026-01-08T00:00:00Z"},
    )

    score = answer.json()["score"]
    validator(DOCUMENT, "DealAnswer").validate(answer.json())
    assert (score["close_by"], len(score["drivers"])) == ("2026-03-31", 3)
    assert score["as_of"] == AS_OF.isoformat()
    assert moved.json()["score"]["change"]["after"] == pytest.approx(score["probability"])


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"close_by": "2026-03-31", "days": "3"}, "both close_by and days"),
        ({"since": "2026-01-08T00:00:00Z"}, "since without close_by"),
        ({"close_by": "2026-03-31", "since": "2026-01-08T00:00:00"}, "its UTC offset"),
        ({"close_by": "0"}, "query close_by '0': expected a date. Remedy: write it as 2026-03-31"),
        ({"close_by": "2199-12-31"}, "days ahead 63541"),
        ({"close_by": "9999-12-31"}, "query close_by"),
        ({"days": "1e300"}, "days"),
        ({"close_by": "2025-12-31"}, "days ahead -11"),
    ],
)
def test_a_date_that_cannot_be_answered_is_refused(
    query: dict[str, str],
    told: str,
    house: House,
    reader: dict[str, str],
    open_deals: list[list[Event]],
) -> None:
    path = f"/v1/deals/{open_deals[0][0].deal_id}"
    answer = house.ask("GET", path, headers=reader, params=query)

    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert "pointer" not in answer.json()


def test_what_if_is_answered_of_the_deal_that_is_kept(
    house: House, reader: dict[str, str], open_deals: list[list[Event]]
) -> None:
    deal_id = open_deals[0][0].deal_id
    body = {"close_by": "2026-03-31", "hypothetical": [{"kind": "meeting_held"}], "best": 2}
    answer = house.ask("POST", f"/v1/deals/{deal_id}/what-if", headers=reader, json=body)
    asked = {"close_by": "2026-03-31"}
    now = house.ask("GET", f"/v1/deals/{deal_id}", headers=reader, params=asked)

    assert answer.status_code == 200, answer.text
    validator(DOCUMENT, "WhatIfAnswer").validate(answer.json())
    assert answer.json()["before"] == pytest.approx(now.json()["score"]["probability"])
    refused = house.ask(
        "POST", f"/v1/deals/{deal_id}/what-if", headers=reader, json={**body, "events": []}
    )
    assert refused.json()["detail"].startswith("field 'events': expected one of close_by")


def test_a_forecast_counts_the_deals_that_the_caller_sees(
    house: House, reader: dict[str, str]
) -> None:
    asked = {"close_by": "2026-03-31", "target": 1000}
    answer = house.ask("GET", "/v1/forecast", headers=reader, params=asked)
    owner = listed(house, reader)[0]["owner"]
    mine = house.ask("GET", "/v1/forecast", headers=house.key(owners=[owner]), params=asked)
    chosen = house.ask("GET", "/v1/forecast", headers=reader, params=asked | {"owner": owner})
    others = house.ask(
        "GET", "/v1/forecast", headers=house.key(owners=["nobody"]), params=asked | {"owner": owner}
    )

    for each in (answer, mine, others):
        assert each.status_code == 200, each.text
        validator(DOCUMENT, "ForecastAnswer").validate(each.json())
    [whole] = answer.json()["currencies"]
    assert whole["open_deals"] == DEALS
    assert whole["quarter"]["total"]["p10"] <= whole["quarter"]["total"]["p90"]
    [part] = mine.json()["currencies"]
    assert part["open_deals"] == sum(deal["owner"] == owner for deal in listed(house, reader))
    assert part["quarter"]["unopened"]["expected"] == 0.0
    assert chosen.json()["currencies"] == mine.json()["currencies"]
    assert sum(each["open_deals"] for each in others.json()["currencies"]) == 0


def test_a_quarter_that_is_over_has_no_forecast(house: House, reader: dict[str, str]) -> None:
    yesterday = str(house.now.date() - timedelta(days=1))
    answer = house.ask("GET", "/v1/forecast", headers=reader, params={"close_by": yesterday})

    assert answer.status_code == 422
    assert f"close_by {yesterday}, which is past" in answer.json()["detail"]


def test_a_deal_that_was_loaded_is_told_apart_from_one_that_is_unknown(
    house: House, reader: dict[str, str], open_deals: list[list[Event]]
) -> None:
    deal = [replace(event, deal_id="D-new", source="loaded") for event in open_deals[-1]]
    with house.database.writing() as connection:
        events.append(connection, deal, at=0)
        deals.open_for_now(connection, ["D-new"])
    assert house.processor.is_any_loaded()
    answer = house.ask("GET", "/v1/deals/D-new", headers=reader)
    owned = house.ask("GET", "/v1/deals/D-new", headers=house.key(owners=["ann"]))

    assert answer.status_code == owned.status_code == 404
    assert "were not looked at yet" in answer.json()["detail"]
    assert "not looked at" not in owned.json()["detail"], "nor that it exists"
    house.processor.tick()
    assert not house.processor.is_any_loaded()
    assert house.ask("GET", "/v1/deals/D-new", headers=reader).status_code == 200


def test_one_forecast_answers_for_every_target(house: House, reader: dict[str, str]) -> None:
    def ask(target: float) -> Any:
        asked = {"close_by": "2026-03-31", "target": target}
        return house.ask("GET", "/v1/forecast", headers=reader, params=asked).json()

    low = ask(0)
    house.now += timedelta(minutes=5)
    high = ask(1e12)

    assert low["as_of"] == high["as_of"], "it was not made again"
    assert [low["currencies"][0]["reach"], high["currencies"][0]["reach"]] == [1.0, 0.0]


def test_forecasts_that_wait_for_each_other_keep_no_other_answer_waiting(
    house: House, reader: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = threading.Event()

    def slow(*_given: object) -> Any:
        going_on.wait(30.0)
        raise ScoreError("a forecast", "none in this test", "see elsewhere")

    monkeypatch.setattr(Forecasting, "_made", slow)

    async def ask_all() -> bool:
        transport, base = httpx.ASGITransport(house.app), "http://localhost"
        async with httpx.AsyncClient(transport=transport, base_url=base, headers=reader) as client:
            await client.get("/v1/models")  # the key is known from here on
            async with create_task_group() as group:
                for year in range(2026, 2026 + 45):  # more than there are shared threads
                    group.start_soon(client.get, f"/v1/forecast?close_by={year}-03-31")
                await sleep(0.2)
                with move_on_after(5.0) as waited:
                    await client.get("/v1/models")
                going_on.set()
            return waited.cancelled_caught

    assert not run(ask_all), "a list of models waited for forecasts"


def test_reps_see_their_own_deals_alone(
    house: House, reader: dict[str, str], open_deals: list[list[Event]]
) -> None:
    every = {deal["deal_id"]: deal["owner"] for deal in listed(house, reader)}
    mine = every[open_deals[0][0].deal_id]
    rep = house.key("write", owners=[mine])
    own = [deal_id for deal_id, owner in every.items() if owner == mine]
    other = next(deal_id for deal_id, owner in every.items() if owner != mine)

    assert [deal["deal_id"] for deal in listed(house, rep)] == own
    assert listed(house, rep, owner=every[other]) == []
    for path in ("", "/scores", "/milestones"):
        answer = house.ask("GET", f"/v1/deals/{other}{path}", headers=rep)
        unknown = house.ask("GET", f"/v1/deals/none{path}", headers=rep)
        assert (answer.status_code, unknown.status_code) == (404, 404)
        assert answer.json()["detail"].replace(other, "none") == unknown.json()["detail"]
    told = {"kind": "milestone_set", "name": "pilot", "date": "2026-02-01"}
    for path, body in (("milestones", told), ("what-if", {"days": 30})):
        answer = house.ask("POST", f"/v1/deals/{other}/{path}", headers=rep, json=body)
        assert answer.status_code == 404
    assert house.ask("GET", "/v1/inbox", headers=rep).status_code == 403


def test_a_deal_s_id_may_hold_slashes(house: House, reader: dict[str, str], scorer: Scorer) -> None:
    del scorer
    for deal_id in ("a/b", "a%2Fb", "scores/", "x/scores/y", "\u00fc", "a%0Ab", "a%00b"):
        answer = house.ask("GET", f"/v1/deals/{deal_id}", headers=reader)
        assert (answer.status_code, answer.json()["title"]) == (
            404,
            "There is nothing at this path",
        )
    assert house.ask("GET", "/v1/deals/x/what-if", headers=reader).status_code == 405


def test_the_models_that_are_kept_are_listed(house: House, reader: dict[str, str]) -> None:
    answer = house.ask("GET", "/v1/models", headers=reader)

    validator(DOCUMENT, "ModelsAnswer").validate(answer.json())
    assert answer.json() == {"models": []}


def test_without_a_model_deals_are_listed_and_nothing_is_scored(
    database: Database, open_deals: list[list[Event]]
) -> None:
    house = House(database, None)
    house.tell(open_deals[0])
    reader = house.key("read")
    deal_id = open_deals[0][0].deal_id

    assert [deal["probability"] for deal in listed(house, reader)] == [None]
    assert house.ask("GET", f"/v1/deals/{deal_id}", headers=reader).json()["score"] is None
    for path in (f"/v1/deals/{deal_id}?days=30", "/v1/forecast?close_by=2026-03-31"):
        answer = house.ask("GET", path, headers=reader)
        assert (answer.status_code, answer.json()["title"]) == (503, "No model is in force")
    house.close()
