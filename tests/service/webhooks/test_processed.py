"""A CRM's deliveries worked on: the deal stands alike in whatever order they came, and is told."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from model.event_table import event_from_row, read_events, table_of, write_events
from model.events import Event
from model.sources.standing import standing_events
from service.model_in_force import ModelInForce
from service.processing import Processor
from service.rescoring import Policy
from service.storage import deals, events, inbox, outbox
from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.transfer import export, load
from service.webhooks.mapped import Terms
from tests.service.deliveries import give, work_all
from tests.service.webhooks.payloads import (
    KEY,
    delivery,
    hubspot_change,
    milliseconds,
    outbound_message,
    pipedrive_message,
    receivers,
)

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
NOW = START + timedelta(days=30)
HUBSPOT_DEAL = "697680835"
CHANGES = [
    ("createdate", str(milliseconds(START)), 0),
    ("dealstage", "appointmentscheduled", 0),
    ("amount", "1200", 1),
    ("dealstage", "closedlost", 3),
    ("dealstage", "contractsent", 5),
    ("hubspot_owner_id", "7", 6),
    ("amount", "900", 8),
]
OPPORTUNITY = "006q000000HddohAAB"
VERSIONS = [("Offer", "10", 1), ("Offer", "20", 2), ("Pilot", "20", 3), ("Offer", "20", 4)]


def hubspot_deliveries() -> list[Any]:
    return [
        delivery([hubspot_change(name, value, START + timedelta(days=day))], "hubspot")
        for name, value, day in CHANGES
    ]


def salesforce_deliveries() -> list[Any]:
    found = []
    for stage, amount, day in VERSIONS:
        version = {
            "Id": OPPORTUNITY,
            "CreatedDate": START.isoformat(),
            "SystemModstamp": (START + timedelta(days=day)).isoformat(),
            "StageName": stage,
            "Amount": amount,
            "IsWon": "false",
            "IsClosed": "false",
        }
        found.append(delivery(outbound_message(version), "salesforce-outbound"))
    return found


def processed(database: Database, deliveries: list[Any], **options: Collection[str]) -> None:
    own = receivers()
    keyed = [
        replace(
            each,
            source=each.kind,
            dedupe_key=own[each.kind].dedupe_key(each.headers, each.body),
            received_at=NOW,
        )
        for each in deliveries
    ]
    give(database, *keyed)
    policy = Policy()
    work_all(Processor(database, own, ModelInForce(), policy, lambda: NOW, **options))


def test_a_score_that_a_crm_tells_back_is_no_fact(database: Database) -> None:
    told = [
        delivery([hubspot_change(name, value, START + timedelta(days=1))], "hubspot")
        for name, value in (("redflare_percent", "62"), ("region", "north"))
    ]
    processed(database, [*hubspot_deliveries(), *told], written=["redflare_percent"])

    with database.reading() as connection:
        kept = events.of_deal(connection, HUBSPOT_DEAL)
    assert [event.name for event in kept if event.kind == "field_changed"] == ["region"]


def standing(database: Database, deal_id: str) -> dict[str, Any]:
    with database.reading() as connection:
        row = deals.find(connection, deal_id)
        assert row is not None
        names = ("is_open", "stage", "amount", "owner", "opened_at", "known_at")
        return {name: getattr(row, name) for name in names}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("deal_id", "given", "expected"),
    [
        (
            HUBSPOT_DEAL,
            hubspot_deliveries(),
            {"stage": "contractsent", "amount": 900.0, "owner": "7"},
        ),
        (OPPORTUNITY, salesforce_deliveries(), {"stage": "Offer", "amount": 20.0, "owner": None}),
    ],
    ids=["hubspot", "salesforce"],
)
def test_deliveries_late_twice_and_out_of_order_leave_the_deal_as_it_is(
    database: Database,
    deal_id: str,
    given: list[Any],
    expected: dict[str, Any],
    seed: int,
    tmp_path: Path,
) -> None:
    chance = Random(seed)
    shuffled = given + chance.sample(given, 3)
    if seed:
        chance.shuffle(shuffled)
    for one in shuffled:  # each worked on before the next comes
        processed(database, [one])

    found = standing(database, deal_id)
    assert found["is_open"]
    assert {name: found[name] for name in expected} == expected
    with database.reading() as connection:
        kept = events.of_deal(connection, deal_id)
    assert len({event.source_id for event in kept}) == len(kept)
    export(database, tmp_path / "events.parquet")
    rows = read_events(tmp_path / "events.parquet").to_pylist()
    assert [event_from_row(row) for row in rows] == standing_events(kept)
    assert not any(row["source_id"].endswith("/seen") for row in rows)


def test_a_delivery_of_a_source_that_sends_too_much_asks_for_the_record(database: Database) -> None:
    body = json.dumps(
        {"PrimaryEntityName": "opportunity", "PrimaryEntityId": "g", "MessageName": "Update"}
    )
    large = delivery(body.encode(), "dynamics", **{"x-ms-dynamics-msg-size-exceeded": "1"})
    processed(database, [large])

    with database.reading() as connection:
        [kept] = inbox.listed(connection)
    assert kept.state == "done"
    assert "opportunity g is to be fetched" in kept.notes[0]


def test_a_deal_whose_opening_was_never_told_is_fetched_or_its_delivery_says_so(
    database: Database,
) -> None:
    late = hubspot_change("amount", "5", START)
    gone = hubspot_change("", None, NOW, subscriptionType="deal.deletion", objectId=8)
    for change in (late, gone):
        processed(database, [delivery([change], "hubspot")])
    other = hubspot_change("amount", "5", START, objectId=9)
    processed(database, [delivery([other], "hubspot")], fetched=["hubspot:fetch"])

    with database.reading() as connection:
        [fetched, deleted, said] = [kept.notes for kept in inbox.listed(connection)]
        [asked] = outbox.listed(connection)
    assert len(said) == 1
    assert f"deal '{HUBSPOT_DEAL}': its opening was never told" in said[0]
    assert fetched == ("deal 9 is to be fetched: its opening was never told",)
    assert (asked.entry.destination, asked.entry.payload["record_id"]) == ("hubspot:fetch", "9")
    assert deleted == ()


def test_a_second_crm_s_deal_of_the_same_number_is_a_conflict_and_not_the_same_deal(
    database: Database,
) -> None:
    deal = {"id": int(HUBSPOT_DEAL), "value": 900_000, "add_time": NOW.isoformat()}
    theirs = pipedrive_message("create", deal, entity_id=HUBSPOT_DEAL)
    processed(database, hubspot_deliveries())
    before = standing(database, HUBSPOT_DEAL)
    processed(database, [delivery(theirs, "pipedrive")])

    with database.reading() as connection:
        [kept] = inbox.listed(connection, "failed")
    assert kept.reason is not None
    assert f"deal '{HUBSPOT_DEAL}' of pipedrive" in kept.reason
    assert "hubspot told of a deal" in kept.reason
    assert "databases of their own" in kept.reason
    assert standing(database, HUBSPOT_DEAL) == before


def test_loading_two_crms_deals_of_one_number_is_refused_as_their_deliveries_are(
    database: Database, tmp_path: Path
) -> None:
    def opened(source: str) -> Event:
        return Event(
            deal_id=HUBSPOT_DEAL,
            kind="deal_opened",
            occurred_at=START,
            source=source,
            source_id=f"{source}/1",
        )

    log = tmp_path / "events.parquet"
    words = f"deal '{HUBSPOT_DEAL}' of pipedrive: expected another number, for hubspot told of"
    write_events(table_of([opened("hubspot"), opened("pipedrive")]), log)
    with pytest.raises(StorageError, match=words):
        load(database, log)
    write_events(table_of([opened("hubspot"), opened("mail")]), log)
    assert load(database, log).new == 2
    write_events(table_of([opened("pipedrive")]), log)
    with pytest.raises(StorageError, match=words):
        load(database, log)


def test_terms_hash_people_alike_in_imports_and_webhooks() -> None:
    terms = Terms(mapping="hubspot", person_key=lambda: KEY)

    assert terms.person(" Ada@Example.com") == terms.person("ada@example.com")


def test_a_change_that_tells_a_backdated_opening_again_says_nothing_of_it(
    database: Database,
) -> None:
    data = {"id": 9, "stage_id": 1, "status": "open", "add_time": START.isoformat()}
    entered, moved = ((START + timedelta(days=day)).isoformat() for day in (5, 7))
    told = [
        pipedrive_message("create", data, timestamp=entered),
        pipedrive_message(
            "change", data | {"stage_id": 2, "update_time": moved}, {"stage_id": 1}, id="2"
        ),
    ]
    for each in told:
        processed(database, [delivery(each, "pipedrive")])

    with database.reading() as connection:
        notes = [note for each in inbox.listed(connection, "done") for note in each.notes]
        [opening] = [e for e in events.of_deal(connection, "9") if e.kind == "deal_opened"]
    assert notes == []
    assert opening.known_at == START + timedelta(days=5)


def test_a_delivery_of_no_own_events_is_done(database: Database) -> None:
    processed(database, [delivery(body, "standard") for body in ([], {"events": []})])

    with database.reading() as connection:
        assert inbox.listed(connection, "failed") == []
        assert [each.events for each in inbox.listed(connection, "done")] == [0, 0]
