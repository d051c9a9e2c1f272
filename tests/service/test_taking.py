"""What the API is told: kept before it is answered, once for each key, and worked on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from model.events import Event, microseconds
from model.scorer import Scorer
from service.storage import events, inbox
from service.storage.database import Database
from service.storage.retention import retain
from tests.service.house import House
from tests.service.requests import AS_OF, event_json
from tests.service.test_deals_api import DOCUMENT
from tests.service.test_openapi import validator


@pytest.fixture
def house(database: Database, scorer: Scorer, open_deals: list[list[Event]]) -> Iterator[House]:
    own = House(database, scorer)
    own.tell(open_deals[0])
    yield own
    own.close()


@pytest.fixture
def deal_id(open_deals: list[list[Event]]) -> str:
    return open_deals[0][0].deal_id


def past(deal: list[Event]) -> list[Event]:
    return [event for event in deal if (event.known_at or event.occurred_at) <= AS_OF]


def told(deal: list[Event]) -> dict[str, Any]:
    return {"events": [event_json(event) for event in past(deal)]}


def test_events_are_kept_and_the_deal_is_scored(
    house: House, open_deals: list[list[Event]]
) -> None:
    writer, new = house.key("write"), past(open_deals[1])
    answer = house.ask("POST", "/v1/events", headers=writer, json=told(new))
    assert answer.status_code == 202, answer.text
    validator(DOCUMENT, "ReceiptAnswer").validate(answer.json())
    house.work()

    found = house.ask("GET", f"/v1/deals/{new[0].deal_id}", headers=writer)
    assert found.json()["score"]["probability"] > 0
    with house.database.reading() as connection:
        kept = inbox.find(connection, answer.json()["delivery"])
    assert (kept.state, kept.events) == ("done", len(new))


def test_a_request_sent_again_with_its_key_counts_once(
    house: House, open_deals: list[list[Event]], deal_id: str
) -> None:
    writer = house.key("write") | {"idempotency-key": "7f3a"}
    first, again = (
        house.ask("POST", "/v1/events", headers=writer, json=told(open_deals[1])) for _ in range(2)
    )
    other = house.ask("POST", "/v1/events", headers=writer, json=told(open_deals[2]))
    elsewhere = house.ask(
        "POST", f"/v1/deals/{deal_id}/milestones", headers=writer, json=told(open_deals[1])
    )
    another_s = house.ask(
        "POST",
        "/v1/events",
        headers=house.key("write") | {"idempotency-key": "7f3a"},
        json=told(open_deals[1]),
    )

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    for refused in (other, elsewhere):
        assert refused.status_code == 422
        assert refused.json()["type"] == "urn:redflare:problem:other-body"
    assert another_s.json()["delivery"] != first.json()["delivery"]


def test_a_request_sent_again_after_its_body_was_let_go_is_known(
    house: House, open_deals: list[list[Event]]
) -> None:
    writer = house.key("write") | {"idempotency-key": "7f3a"}
    body = told(open_deals[1])
    first = house.ask("POST", "/v1/events", headers=writer, json=body)
    house.work()
    at = microseconds(house.now + timedelta(days=1))
    retain(house.database, at, at=at, by="ann", failed=False, closed_deals=False)
    again = house.ask("POST", "/v1/events", headers=writer, json=body)
    with house.database.reading() as connection:
        kept = inbox.find(connection, first.json()["delivery"]).delivery.body

    assert (kept, again.status_code, again.json()) == (b"", 202, first.json())


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\xe9"])
def test_an_idempotency_key_that_is_none_is_refused(key: str, house: House) -> None:
    headers = house.key("write") | {"idempotency-key": key}
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = house.ask("POST", "/v1/events", headers=raw, json={"events": []})

    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"kind": "deal_woon"}, "events[0]: kind 'deal_woon': expected one of deal_opened"),
        ({"occurred_at": "9999-01-01T00:00:00Z"}, "events[0]: occurred_at 9999-01-01T00:00:00"),
        ({"name": "a\0b"}, "name with the character U+0000"),
        ({"source": None}, "events[0]: no source"),
        ({"more": 1}, "events[0]: field 'more'"),
    ],
)
def test_an_event_that_cannot_be_kept_is_refused_whole(
    change: dict[str, Any], detail: str, house: House, open_deals: list[list[Event]]
) -> None:
    body = {"events": [event_json(open_deals[1][0]) | change]}
    answer = house.ask("POST", "/v1/events", headers=house.key("write"), json=body)

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(detail)
    with house.database.reading() as connection:
        assert sum(inbox.counts(connection).values()) == 1


def test_telling_needs_a_key_that_may_write(house: House, deal_id: str) -> None:
    for path in ("/v1/events", f"/v1/deals/{deal_id}/milestones"):
        answer = house.ask("POST", path, headers=house.key("read"), json={})
        assert answer.status_code == 403


def test_a_rep_tells_of_own_deals_alone(
    house: House, open_deals: list[list[Event]], deal_id: str
) -> None:
    owner = house.ask("GET", f"/v1/deals/{deal_id}", headers=house.key()).json()["deal"]["owner"]
    rep = house.key("write", owners=[owner])
    call = event_json(open_deals[0][0]) | {"kind": "call_made", "source_id": "call/1"}
    mine = house.ask("POST", "/v1/events", headers=rep, json={"events": [call]})
    another = house.ask("POST", "/v1/events", headers=rep, json=told(open_deals[1]))

    assert (mine.status_code, another.status_code) == (202, 403)
    assert "deals of the owners that the key is bound to" in another.json()["detail"]


def test_a_rep_s_event_keeps_none_of_another_s_deal_out(
    house: House, open_deals: list[list[Event]], deal_id: str
) -> None:
    owner = house.ask("GET", f"/v1/deals/{deal_id}", headers=house.key()).json()["deal"]["owner"]
    theirs = past(open_deals[1])
    forged = event_json(theirs[0]) | {"deal_id": deal_id, "kind": "call_made"}
    mine = house.ask(
        "POST",
        "/v1/events",
        headers=house.key("write", owners=[owner]),
        json={"events": [forged]},
    )
    house.work()
    true = house.ask("POST", "/v1/events", headers=house.key("write"), json=told(theirs))
    house.work()

    with house.database.reading() as connection:
        first, second = (
            inbox.find(connection, answer.json()["delivery"]) for answer in (mine, true)
        )
        sources = {each.source for each in events.of_deal(connection, deal_id)}
    assert (first.events, second.events, second.notes) == (1, len(theirs), ())
    assert any(re.fullmatch(rf"api/rf_\w+/{theirs[0].source}", source) for source in sources)


def test_an_event_of_the_far_future_is_refused(house: House, open_deals: list[list[Event]]) -> None:
    def status(**ahead: float) -> int:
        time = (house.now + timedelta(**ahead)).isoformat()
        call = event_json(open_deals[0][0]) | {"kind": "call_made", "source_id": "call/1"}
        body = {"events": [call | {"occurred_at": time, "known_at": time}]}
        answer = house.ask("POST", "/v1/events", headers=house.key("write"), json=body)
        assert answer.status_code == 202 or "at most a day after" in answer.json()["detail"]
        return answer.status_code

    assert [status(hours=23), status(hours=25), status(days=27_000)] == [202, 422, 422]


def milestone_of(house: House, deal_id: str, name: str) -> dict[str, Any]:
    answer = house.ask("GET", f"/v1/deals/{deal_id}/milestones", headers=house.key())
    validator(DOCUMENT, "MilestonesAnswer").validate(answer.json())
    [found] = [each for each in answer.json()["milestones"] if each["name"] == name]
    return dict(found)


def test_a_milestone_s_life(house: House, deal_id: str) -> None:
    writer = house.key("write")

    def tell(kind: str, **more: str) -> None:
        house.now += timedelta(minutes=1)
        body = {"kind": kind, "name": "pilot", **more}
        path = f"/v1/deals/{deal_id}/milestones"
        answer = house.ask("POST", path, headers=writer, json=body)
        assert answer.status_code == 202, answer.text
        house.work()

    tell("milestone_set", date="2026-01-20")
    tell("must_hit_declared")
    found = milestone_of(house, deal_id, "pilot")
    assert (found["state"], found["due"], found["must_hit"]) == ("open", "2026-01-20", True)
    assert found["declared_by"] == "Ann's own"
    tell("milestone_moved", date="2026-01-16")
    house.now = AS_OF + timedelta(days=6)
    assert milestone_of(house, deal_id, "pilot")["state"] == "missed"
    tell("milestone_moved", date="2026-02-20")
    assert milestone_of(house, deal_id, "pilot")["state"] == "missed", "too late to move it"
    deal = house.ask("GET", f"/v1/deals/{deal_id}", headers=writer).json()["deal"]
    assert deal["shown_probability"] == 0.0
    assert "gate missed" in [flare["rule"] for flare in deal["flares"]]
    tell("milestone_reached", occurred_at="2026-01-17T12:00:00Z")
    found = milestone_of(house, deal_id, "pilot")
    assert (found["state"], found["reached_at"]) == ("reached", "2026-01-17T12:00:00+00:00")
    tell("must_hit_withdrawn")
    assert not milestone_of(house, deal_id, "pilot")["must_hit"]
    tell("milestone_set", date="2026-03-01")
    tell("milestone_dropped")
    assert milestone_of(house, deal_id, "pilot")["state"] == "dropped"


def test_no_must_hit_milestone_is_missed_before_it_was_said(house: House, deal_id: str) -> None:
    writer = house.key("write")

    def tell(kind: str, **more: str) -> Any:
        house.now += timedelta(minutes=1)
        path = f"/v1/deals/{deal_id}/milestones"
        body = {"kind": kind, "name": "pilot", **more}
        answer = house.ask("POST", path, headers=writer, json=body)
        house.work()
        return answer

    assert tell("milestone_set", date="2025-01-20").status_code == 202
    late = tell("must_hit_declared")
    assert late.status_code == 422
    assert late.json()["detail"].startswith("must_hit_declared of 'pilot', due 2025-01-20, at 2026")
    assert "move it first" in late.json()["detail"] + late.json().get("remedy", "")
    assert not milestone_of(house, deal_id, "pilot")["must_hit"]

    assert tell("milestone_set", date="2026-01-20").status_code == 202
    assert tell("must_hit_declared").status_code == 202
    assert tell("milestone_moved", date="2025-01-20").status_code == 422
    assert tell("milestone_set", date="2025-01-20").status_code == 422
    assert milestone_of(house, deal_id, "pilot")["state"] == "open"


def test_a_must_hit_milestone_that_was_declared_in_time_may_be_told_late(
    house: House, deal_id: str
) -> None:
    path = f"/v1/deals/{deal_id}/milestones"
    for kind, more in (("milestone_set", {"date": "2026-01-10"}), ("must_hit_declared", {})):
        at = "2026-01-09T09:00:00Z"
        body = {"kind": kind, "name": "pilot", "occurred_at": at, **more}
        answer = house.ask("POST", path, headers=house.key("write"), json=body)
        assert answer.status_code == 202, answer.text
        house.work()


def test_no_events_are_refused_with_a_remedy_that_helps(house: House) -> None:
    answer = house.ask("POST", "/v1/events", headers=house.key("write"), json={"events": []})

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("0 events: expected 1 to 10000")
    assert "parts" not in answer.text


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ([], "the body: expected an object"),
        ({"kind": "milestone_set"}, "no name"),
        ({"kind": "deal_won", "name": "x"}, "kind 'deal_won': expected one of milestone_set"),
        ({"kind": "milestone_set", "name": "x"}, "milestone_set None: expected a due date"),
        (
            {"kind": "milestone_set", "name": "x", "date": "9999-01-01"},
            "date 9999-01-01: expected a date from 1970",
        ),
        (
            {"kind": "milestone_reached", "name": "x", "date": "2026-02-01"},
            "milestone_reached 2026-02-01: expected no date",
        ),
        ({"kind": "milestone_reached", "name": "nothing"}, "milestone 'nothing': expected"),
        ({"kind": "milestone_set", "name": "", "date": "2026-02-01"}, "name of 0 characters"),
        ({"kind": "milestone_set", "name": "a\0", "date": "2026-02-01"}, "name with the character"),
        (
            {
                "kind": "milestone_set",
                "name": "x",
                "date": "2026-02-01",
                "occurred_at": "2026-01-13T00:00:00Z",
            },
            "occurred_at 2026-01-13T00:00:00+00:00: expected a time not after the present",
        ),
    ],
)
def test_what_cannot_be_said_of_a_milestone_is_refused(
    body: Any, detail: str, house: House, deal_id: str
) -> None:
    path = f"/v1/deals/{deal_id}/milestones"
    answer = house.ask("POST", path, headers=house.key("write"), json=body)

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(detail)


def test_deliveries_are_listed_shown_and_put_back(
    house: House, open_deals: list[list[Event]]
) -> None:
    admin = house.key("admin")
    with house.database.writing() as connection:
        inbox.fail(connection, 1, "for a test", at=5)
    house.ask("POST", "/v1/events", headers=admin, json=told(open_deals[1]))
    page = house.ask("GET", "/v1/inbox", headers=admin, params={"limit": 1}).json()
    rest = {"before": page["next"], "state": "failed"}
    [failed] = house.ask("GET", "/v1/inbox", headers=admin, params=rest).json()["deliveries"]
    shown = house.ask("GET", f"/v1/inbox/{failed['id']}", headers=admin)

    validator(DOCUMENT, "InboxAnswer").validate(page)
    validator(DOCUMENT, "ShownForm").validate(shown.json())
    assert [each["source"] for each in page["deliveries"]] == ["/v1"]
    assert page["counts"] == {"received": 1, "done": 0, "failed": 1, "superseded": 0}
    assert shown.json()["reason"] == "for a test"
    put_back = house.ask("POST", f"/v1/inbox/{failed['id']}/retry", headers=admin)
    validator(DOCUMENT, "RetryAnswer").validate(put_back.json())
    house.work()
    again = house.ask("POST", f"/v1/inbox/{failed['id']}/retry", headers=admin)
    assert again.json() == put_back.json()  # one that is done, after a mapping was mended
    house.work()
    with house.database.writing() as connection:
        inbox.empty(connection, failed["id"])
    done = house.ask("POST", f"/v1/inbox/{failed['id']}/retry", headers=admin)
    assert (done.status_code, done.json()["title"]) == (409, "The delivery has not failed")
    for path in ("/v1/inbox/99", "/v1/inbox/99/retry"):
        answer = house.ask("POST" if path.endswith("y") else "GET", path, headers=admin)
        assert answer.status_code == 404
    assert house.ask("GET", "/v1/inbox/99999999999999999999", headers=admin).status_code == 422
    assert house.ask("GET", "/v1/inbox", headers=house.key("write")).status_code == 403


def test_people_told_of_are_kept_as_hashes(house: House, open_deals: list[list[Event]]) -> None:
    reply = event_json(open_deals[0][0]) | {
        "kind": "customer_replied",
        "source_id": "m-1",
        "person": "ann@example.com",
    }
    house.ask("POST", "/v1/events", headers=house.key("write"), json={"events": [reply]})
    house.work()

    with house.database.reading() as connection:
        kept = {each.person for each in events.of_deal(connection, open_deals[0][0].deal_id)}
    assert "ann@example.com" not in kept
    assert any(kept)


def test_what_is_told_waits_for_a_database_that_does_not_answer(
    house: House, open_deals: list[list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.storage.errors import StoreUnavailable

    writer = house.key("write")
    assert house.ask("GET", "/v1/model", headers=writer).status_code == 200  # the key is known

    def away(*_given: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr("service.storage.group_commit.arrivals.add", away)
    answer = house.ask("POST", "/v1/events", headers=writer, json=told(open_deals[1]))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
