"""What a delivery leaves out is fetched with a destination's credentials, as a delivery."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from model.sources.standing import standing_events
from service.model_in_force import ModelInForce
from service.processing import Processor
from service.refetching import FetchSender, fetchers
from service.rescoring import Policy
from service.storage import inbox, outbox
from service.storage.database import Database
from service.storage.errors import StoreUnavailable
from service.webhooks.delivery import Delivery
from service.webhooks.sources import read_sources
from service.writeback.destinations import read_destinations
from service.writeback.entry import Refused, Retry, Sent
from tests.service.deliveries import give, work_all
from tests.service.webhooks.payloads import KEY, NOW, TOKEN, context, delivery, receivers
from tests.service.writeback.servers import Got, Server, entry, local_client, serving

GUID = "6d81597f-0f9f-e711-8122-000d3aa2331c"
OPPORTUNITY = "006q000000HddohAAB"
SECRETS = f'secrets = ["{TOKEN}"]'
CONFIGURED = {
    "hubspot": (
        f'kind = "hubspot"\n{SECRETS}\nurl = "https://x.example/"',
        f'kind = "hubspot"\n{SECRETS}\nurl = "URL"\nproperties = {{ a = "drivers" }}',
    ),
    "salesforce": (
        f'kind = "salesforce-cdc"\n{SECRETS}',
        f'kind = "salesforce"\n{SECRETS}\nurl = "URL"\nclient_id = "c"\nfields = {{ A = "as_of" }}',
    ),
}
RECORDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "hubspot": (
        "9",
        "/crm/v3/objects/deals/9?propertiesWithHistory=createdate%2Cdealstage%2Cpipeline%2C",
        {
            "id": "9",
            "properties": {},
            "propertiesWithHistory": {
                "createdate": [{"value": "2026-01-05T09:00:00Z", "timestamp": "2026-01-05"}],
                "amount": [
                    {"value": "20", "timestamp": "2026-02-01T09:00:00.123Z"},
                    {"value": "10", "timestamp": "2026-01-05T09:00:00Z"},
                ],
            },
        },
    ),
    "salesforce": (
        OPPORTUNITY,
        f"/services/data/v62.0/sobjects/Opportunity/{OPPORTUNITY}",
        {
            "attributes": {"type": "Opportunity"},
            "Id": OPPORTUNITY,
            "Amount": 10.0,
            "CreatedDate": "2026-01-05T09:00:00.000+0000",
            "SystemModstamp": "2026-02-01T09:00:00.000+0000",
            "StageName": "Signed",
            "IsWon": True,
            "IsClosed": True,
        },
    ),
}
EXPECTED = {
    "hubspot": ["amount_changed", "deal_opened", "amount_changed"],
    "salesforce": ["deal_opened", "amount_changed", "deal_won", "stage_changed"],
}


def answering(record: dict[str, Any]) -> Callable[[Got], tuple[int, dict[str, str], bytes]]:
    def answer(got: Got) -> tuple[int, dict[str, str], bytes]:
        if "oauth2" in got.path:
            return 200, {}, b'{"access_token": "t"}'
        return 200, {}, json.dumps(record).encode()

    return answer


def fetcher(
    tmp_path: Path, server: Server, crm: str, accept: Callable[[Delivery], Any]
) -> FetchSender:
    given = {}
    for variable, what, text in zip(
        ("REDFLARE_WEBHOOKS", "REDFLARE_DESTINATIONS"),
        ("sources", "destinations"),
        CONFIGURED[crm],
        strict=True,
    ):
        file = tmp_path / f"{what}.toml"
        file.write_text(f"[{what}.crm]\n{text.replace('URL', server.url)}\n", "utf-8")
        given[variable] = str(file)
    sources = read_sources(given, lambda: KEY)
    [found] = fetchers(sources, read_destinations(given, local_client()), accept).values()
    assert isinstance(found, FetchSender)
    return found


@pytest.mark.parametrize("crm", list(RECORDS))
def test_a_record_is_fetched_and_told_as_a_delivery(tmp_path: Path, crm: str) -> None:
    record_id, path, record = RECORDS[crm]
    kept: list[Delivery] = []
    with serving(answering(record)) as server:
        own = fetcher(tmp_path, server, crm, kept.append)
        outcome = own.send(entry(payload={"record_id": record_id}), NOW)
        sources = read_sources({"REDFLARE_WEBHOOKS": str(tmp_path / "sources.toml")}, lambda: KEY)

    assert outcome == Sent(status=200)
    assert server.got[-1].method == "GET"
    assert server.got[-1].path.startswith(path)
    [one] = kept
    told = sources["crm"][1].translate(one)
    assert [event.kind for event in standing_events(told.events)] == EXPECTED[crm]


def test_an_opportunity_of_dynamics_is_told_as_it_stands() -> None:
    record = {
        "@odata.context": "x",
        "opportunityid": GUID,
        "createdon": "2026-01-05T09:00:00Z",
        "modifiedon": "2026-02-01T09:00:00Z",
        "stepname": "2-Develop",
        "estimatedvalue": 5000.0,
        "_ownerid_value": "u-1",
        "statecode": 2,
    }
    told = receivers()["dynamics"].translate(
        delivery(record, "dynamics", **{"x-redflare-fetched": GUID})
    )

    assert [event.kind for event in standing_events(told.events)] == [
        *("deal_opened", "amount_changed", "deal_lost", "owner_changed", "stage_changed")
    ]
    assert told.events[0].occurred_at == datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize("record_id", ["../contacts/1", "9?x=1", "", "x" * 30])
def test_an_id_that_is_none_is_not_fetched(tmp_path: Path, record_id: str) -> None:
    with serving() as server:
        own = fetcher(tmp_path, server, "hubspot", lambda _: None)
        assert isinstance(own.send(entry(payload={"record_id": record_id}), NOW), Refused)
    assert server.got == []


def test_what_cannot_be_kept_or_read_is_fetched_again(tmp_path: Path) -> None:
    def full(_: Delivery) -> None:
        raise StoreUnavailable("disk full")

    with serving(answering({})) as server:
        assert isinstance(
            fetcher(tmp_path, server, "hubspot", full).send(entry(payload={"record_id": "9"}), NOW),
            Retry,
        )
        server.answer = lambda _: (503, {}, b"")
        own = fetcher(tmp_path, server, "hubspot", lambda _: None)
        assert isinstance(own.send(entry(payload={"record_id": "9"}), NOW), Retry)


def test_a_source_without_a_destination_of_its_name_and_crm_fetches_nothing() -> None:
    assert fetchers({}, {}, lambda _: None) == {}


@pytest.mark.parametrize("fetched", [("dynamics:fetch",), ()])
def test_a_message_too_large_is_queued_to_be_fetched_where_it_can_be(
    database: Database, fetched: tuple[str, ...]
) -> None:
    large = delivery(context("Update", {}), "dynamics", **{"x-ms-dynamics-msg-size-exceeded": "1"})
    give(database, replace(large, source="dynamics"))
    work_all(
        Processor(database, receivers(), ModelInForce(), Policy(), lambda: NOW, fetched=fetched)
    )

    with database.reading() as connection:
        queued = [kept.entry for kept in outbox.listed(connection)]
        assert [kept.state for kept in inbox.listed(connection)] == ["done"]
    assert [(each.destination, each.payload["record_id"]) for each in queued] == [
        (name, GUID) for name in fetched
    ]
