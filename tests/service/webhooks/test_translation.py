"""What deliveries tell: the same events, with the same ids, as an import of the same facts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.event_table import event_from_row
from model.events import Event
from model.sources.closings import Stages
from model.sources.persons import person_of
from model.sources.ready import load_mapping
from model.sources.standing import standing_events
from model.sources.told import Row, tell
from service.webhooks.delivery import Refetch, Translation, Untranslatable
from service.webhooks.fetched import FETCHED
from tests.imports import Folder, shared_data
from tests.service.requests import event_json
from tests.service.webhooks.payloads import (
    KEY,
    NOW,
    change_event,
    context,
    delivery,
    hubspot_change,
    milliseconds,
    outbound_message,
    pipedrive_message,
    receivers,
    request,
)

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DEAL = "697680835"
RECEIVERS = receivers()


def translated(kind: str, body: Any, **headers: str) -> Translation:
    return RECEIVERS[kind].translate(delivery(body, kind, **headers))


def outcome(kind: str, body: Any) -> Any:
    """What a delivery tells, or why it tells nothing: never nothing."""
    try:
        told = translated(kind, body)
    except Untranslatable as error:
        return error.reason
    return told.events or told.notes or told.refetch


def said(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """Each event as kind and what it says."""
    return [
        (
            event.kind,
            *(v for v in (event.name, event.text, event.number, event.date) if v is not None),
        )
        for event in events
    ]


def as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def imported(folder: Folder) -> list[Event]:
    return [event_from_row(row) for row in folder.table().to_pylist()]


STAGES = ["appointmentscheduled", "contractsent", "closedwon", "closedlost"]
CHANGES = st.lists(
    st.tuples(
        st.just(0) | st.integers(0, 200_000_000),  # milliseconds after the one before
        st.sampled_from(["dealstage", "amount", "closedate", "hubspot_owner_id", "region"]),
        st.integers(0, 3),
    ),
    max_size=12,
)
VALUES = {
    "dealstage": STAGES,
    "amount": ["0", "1200.5", "9000", "77"],
    "closedate": ["2026-03-31", "2026-06-30T00:00:00Z", str(milliseconds(NOW)), "2026-12-24"],
    "hubspot_owner_id": ["1", "2", "30", "4"],
    "region": ["north", "007", "12.5", "süd"],
}


@settings(max_examples=15)
@given(changes=CHANGES, data=st.data())
def test_hubspot_tells_what_an_import_of_its_history_tells(
    changes: list[tuple[int, str, int]], data: st.DataObject, tmp_path_factory: Any
) -> None:
    # A deal that was closed when first seen has a closing of doubtful time in an import.
    time, rows = START, [("dealstage", STAGES[0], START)]
    for gap, name, choice in changes:
        time += timedelta(milliseconds=gap)
        rows.append((name, VALUES[name][choice], time))
    folder = Folder(tmp_path_factory.mktemp("crm"), "hubspot")
    history = [
        {"deal_id": DEAL, "name": name, "value": value, "timestamp": at.isoformat()}
        for name, value, at in [("createdate", "-", START), *rows]
    ]
    folder.run(
        deal__csv=as_csv([{"deal_id": DEAL, "createdate": START.isoformat()}]),
        deal_property_history__csv=as_csv(history),
    )

    told = [hubspot_change("createdate", str(milliseconds(START)), START + timedelta(seconds=9))]
    told += [hubspot_change(name, value, at) for name, value, at in rows]
    told += data.draw(st.lists(st.sampled_from(told), max_size=4))  # some again
    kept: list[Event] = []
    for one in data.draw(st.permutations(told)):
        kept += translated("hubspot", [one]).events

    assert standing_events(kept) == standing_events(imported(folder))
    assert standing_events(imported(folder) + kept) == standing_events(imported(folder))


def test_salesforce_s_change_events_tell_what_an_import_of_its_field_history_tells(
    tmp_path: Any,
) -> None:
    deal = "006q000000HddohAAB"
    folder = Folder(tmp_path, "salesforce")
    fields = ["StageName", "Amount", "CloseDate", "Owner", "Region__c", "StageName"]
    old = ["Prospecting", "1000", "2026-03-31", "005000000000001", "", "Negotiation"]
    new = ["Negotiation", "1500.5", "2026-06-30", "005000000000002", "south", "Closed Won"]
    times = [START + timedelta(days=day) for day in range(1, 7)]
    folder.run(
        Opportunity__csv=as_csv(
            [
                {
                    "Id": deal,
                    "StageName": "Closed Won",
                    "CloseDate": "2026-06-30",
                    "CreatedDate": START.isoformat(),
                    "IsWon": "true",
                    "IsClosed": "true",
                    "Amount": "1500.5",
                    "OwnerId": "005000000000002",
                    "AccountId": "001000000000001",
                }
            ]
        ),
        OpportunityFieldHistory__csv=as_csv(
            [
                {
                    "OpportunityId": whose,
                    "CreatedDate": time.isoformat(),
                    "Field": field,
                    "OldValue": before,
                    "NewValue": after,
                }
                # Another deal's rows show that the history began before this deal.
                for whose, of in (("006q000000HddohAAC", [START] * 6), (deal, times))
                for time, field, before, after in zip(of, fields, old, new, strict=True)
            ]
        ),
    )
    told = [
        change_event(
            "CREATE",
            deal,
            CreatedDate=START.isoformat(),
            StageName="Prospecting",
            Amount=1000.0,
            CloseDate="2026-03-31",
            OwnerId="005000000000001",
            AccountId="001000000000001",
            IsWon=False,
            IsClosed=False,
            header={"commitTimestamp": milliseconds(START)},
        )
    ] + [
        change_event(
            "UPDATE",
            deal,
            LastModifiedDate=milliseconds(time),
            header={"commitTimestamp": milliseconds(time)},
            **{"OwnerId" if field == "Owner" else field: after},
        )
        for time, field, after in zip(times, fields, new, strict=True)
    ]
    kept = [event for one in reversed(told) for event in translated("salesforce-cdc", one).events]

    assert standing_events(kept) == standing_events(imported(folder))


def test_an_outbound_message_tells_states_that_stand_only_where_they_change() -> None:
    def version(day: int, **fields: str | None) -> bytes:
        time = (START + timedelta(days=day)).isoformat()
        return outbound_message(
            {"Id": "006A", "CreatedDate": START.isoformat(), "SystemModstamp": time, **fields}
        )

    first = translated("salesforce-outbound", version(1, StageName="Offer", Amount="10"))
    second = translated("salesforce-outbound", version(2, StageName="Offer", Amount="20"))
    third = translated(
        "salesforce-outbound",
        version(3, StageName="Signed", Amount=None, IsWon="true", IsClosed="true"),
    )
    kept = [*third.events, *second.events, *first.events, *second.events]

    assert said(standing_events(kept)) == [
        ("deal_opened",),
        ("amount_changed", 10.0),
        ("stage_changed", "Offer"),
        ("amount_changed", 20.0),
        ("deal_won",),
        ("stage_changed", "Signed"),
    ]
    assert "between two of them is not told" in first.notes[0]


def test_two_values_of_one_second_are_both_told_whatever_tells_them() -> None:
    changes = [hubspot_change("amount", value, START) for value in ("5", "6")]
    told = [event for each in changes for event in translated("hubspot", [each]).events]
    assert [event.number for event in standing_events(told)] == [5.0, 6.0]

    seen = [
        event
        for amount in ("5", "6")
        for event in translated(
            "salesforce-outbound",
            outbound_message({"Id": "006A", "SystemModstamp": START.isoformat(), "Amount": amount}),
        ).events
        if event.kind == "amount_changed"
    ]
    assert sorted(event.number or 0 for event in standing_events(seen)) == [5.0, 6.0]


def test_no_id_tells_a_person_s_words_to_whoever_guesses_them() -> None:
    def id_under(key: bytes, words: str) -> str:
        change = hubspot_change("hs_next_step", words, START)
        row = Row(
            record="deal_property_history",
            values={
                "deal_id": DEAL,
                "name": change["propertyName"],
                "value": words,
                "timestamp": START.isoformat(),
            },
        )
        told = tell(load_mapping("hubspot"), [row], stages=Stages(), person_key=key)
        return told.events[0].source_id

    assert id_under(b"one", "call Ada") == id_under(b"one", "call Ada")
    assert len({id_under(b"one", "call Ada"), id_under(b"two", "call Ada")}) == 2
    assert len({id_under(b"one", "call Ada"), id_under(b"one", "call Bob")}) == 2
    [event] = translated("hubspot", [hubspot_change("hs_next_step", "call Ada", START)]).events
    assert event.source_id == id_under(KEY, "call Ada")


def test_a_value_seen_is_the_fact_of_the_same_value_and_moment() -> None:
    def change(number: float, ending: str) -> Event:
        moment = f"{DEAL}/amount_changed/2026-01-05 09:00:00.000000/{number:g}"
        return Event(
            deal_id=DEAL,
            kind="amount_changed",
            occurred_at=START,
            number=number,
            source="crm",
            source_id=moment + ending,
        )

    facts = [change(5, ""), change(6, "")]
    assert standing_events([*facts, change(5, "/seen"), change(6, "/seen")]) == facts


def test_a_late_state_between_two_alike_does_not_regress_what_stands() -> None:
    def at(day: int, stage: str) -> tuple[Event, ...]:
        time = (START + timedelta(days=day)).isoformat()
        record = {"Id": "006A", "SystemModstamp": time, "StageName": stage}
        return translated("salesforce-outbound", outbound_message(record)).events

    early, middle, late = at(1, "Offer"), at(2, "Pilot"), at(3, "Offer")
    for order in ((early, late, middle), (late, middle, early)):
        kept = [event for events in order for event in events]
        assert [name for _, name in said(standing_events(kept))] == ["Offer", "Pilot", "Offer"]


def test_the_stage_of_an_outbound_message_holds_since_it_last_changed() -> None:
    record = {
        "Id": "006A",
        "StageName": "Offer",
        "Amount": "5",
        "SystemModstamp": "2026-02-03T10:00:00.000Z",
        "LastStageChangeDate": "2026-02-01T10:00:00.000Z",
    }
    events = standing_events(translated("salesforce-outbound", outbound_message(record)).events)

    assert [(event.kind, event.occurred_at.day) for event in events] == [
        ("stage_changed", 1),
        ("amount_changed", 3),
    ]


def test_a_won_opportunity_with_all_fields_that_are_advised_tells_its_stage_and_its_win() -> None:
    record = {
        "Id": "006A",
        "StageName": "Signed",
        "Amount": "5",
        "IsClosed": "true",
        "IsWon": "true",
        "CreatedDate": START.isoformat(),
        "SystemModstamp": "2026-02-03T10:00:00.000Z",
        "LastStageChangeDate": "2026-02-01T10:00:00.000Z",
    }
    for body in (outbound_message(record), outbound_message(record, {**record, "Id": "006B"})):
        told = translated("salesforce-outbound", body)
        assert not [note for note in told.notes if "left out" in note]
        assert [
            (event.kind, event.occurred_at.day)
            for event in standing_events(told.events)
            if event.deal_id == "006A"
        ] == [("deal_opened", 5), ("deal_won", 1), ("stage_changed", 1), ("amount_changed", 3)]


def test_a_task_of_an_outbound_message_is_the_import_s_activity(tmp_path: Any) -> None:
    task = {
        "Id": "00T1",
        "WhatId": "006A",
        "WhoId": "003B",
        "Status": "Completed",
        "TaskSubtype": "Call",
        "Subject": "Call",
        "ActivityDate": "2026-02-03",
        "CreatedDate": "2026-02-03T10:00:00.000Z",
    }
    folder = Folder(tmp_path, "salesforce")
    opportunity = {
        "Id": "006A",
        "StageName": "Offer",
        "CloseDate": "2026-06-30",
        "CreatedDate": START.isoformat(),
        "IsWon": "false",
        "IsClosed": "false",
    }
    folder.run(Opportunity__csv=as_csv([opportunity]), Task__csv=as_csv([task]))
    told = translated("salesforce-outbound", outbound_message(task, entity="Task"))

    assert list(told.events) == [event for event in imported(folder) if event.kind == "call_made"]
    assert told.events[0].person == person_of("003B", KEY)


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (
            context(
                "Create",
                {
                    "createdon": f"/Date({milliseconds(START)})/",
                    "stepname": "1-Qualify",
                    "estimatedvalue": {"__type": "Money:x", "Value": 5000.0},
                    "estimatedclosedate": "/Date(1774915200000)/",
                    "ownerid": {"__type": "EntityReference:x", "Id": "u-1", "LogicalName": "u"},
                    "statecode": {"__type": "OptionSetValue:x", "Value": 0},
                    "description": None,
                },
            ),
            [
                ("deal_opened",),
                ("stage_changed", "1-Qualify"),
                ("amount_changed", 5000.0),
                ("close_date_changed", datetime(2026, 3, 31, tzinfo=UTC).date()),
                ("owner_changed", "u-1"),
            ],
        ),
        (
            context("Update", {"new_region": "north", "estimatedvalue_base": 1}),
            [("field_changed", "new_region", "north")],
        ),
        (context("Update", {"statecode": {"Value": 1}}), [("deal_won",)]),
        (context("Lose", {}), [("deal_lost",)]),
        (
            context("Assign", {}, InputParameters=[{"key": "Assignee", "value": {"Id": "u-2"}}]),
            [("owner_changed", "u-2")],
        ),
        (
            context("SetState", {}, InputParameters=[{"key": "State", "value": {"Value": 1}}]),
            [("deal_won",)],
        ),
        (context("Update", {"firstname": "Ada"}, PrimaryEntityName="contact"), []),
        (context("Delete", {}), [("deal_lost", "deleted")]),
    ],
)
def test_dynamics_tells_the_columns_that_a_message_sets(
    body: dict[str, Any], events: list[tuple[Any, ...]]
) -> None:
    told = translated("dynamics", body)

    assert said(told.events) == events
    assert all(event.deal_id == body["PrimaryEntityId"] for event in told.events)
    assert bool(told.notes) == (not events)


def test_what_dynamics_left_out_for_its_size_is_fetched() -> None:
    body = context("Update", {"stepname": "2-Develop"})
    told = translated("dynamics", body, **{"x-ms-dynamics-msg-size-exceeded": "true"})

    assert told.events == ()
    assert told.refetch == (
        Refetch(
            entity="opportunity",
            record_id=body["PrimaryEntityId"],
            reason="Update: the message came without what it changed",
        ),
    )


def test_pipedrive_tells_what_a_change_names_and_no_more() -> None:
    data = {
        "id": 9,
        "stage_id": 3,
        "value": 250,
        "currency": "EUR",
        "status": "lost",
        "lost_reason": "price",
        "lost_time": "2026-03-01T10:00:00Z",
        "update_time": "2026-03-01T10:00:01.500Z",
        "custom_fields": {"d4c3": {"type": "enum", "id": 12}},
    }
    previous = {
        "stage_id": 2,
        "status": "open",
        "lost_reason": None,
        "custom_fields": {"d4c3": None},
    }
    told = translated("pipedrive", pipedrive_message("change", data, previous))

    assert said(told.events) == [
        ("stage_changed", "3"),
        ("deal_lost", "price"),
        ("field_changed", "d4c3", 12.0),
    ]
    assert {event.deal_id for event in told.events} == {"9"}
    dated = pipedrive_message("change", data | {"add_time": START.isoformat()}, previous)
    assert said(translated("pipedrive", dated).events) == [("deal_opened",), *said(told.events)]
    assert told.events[1].occurred_at == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_pipedrive_tells_all_of_a_new_deal() -> None:
    data = {"id": 9, "stage_id": 1, "value": 0, "status": "open", "add_time": "2026-03-01 10:00:00"}

    assert said(translated("pipedrive", pipedrive_message("create", data)).events) == [
        ("deal_opened",),
        ("stage_changed", "1"),
        ("amount_changed", 0.0),
    ]


@pytest.mark.parametrize(
    ("kind", "body", "dated_back"),
    [
        (
            "pipedrive",
            pipedrive_message(
                "change",
                {
                    "status": "won",
                    "won_time": START.strftime("%Y-%m-%d %H:%M:%S"),
                    "update_time": NOW.isoformat(),
                },
                {"status": "open"},
            ),
            ["deal_won"],
        ),
        (
            "pipedrive",
            pipedrive_message("create", {"value": 7, "add_time": START.isoformat()}),
            ["deal_opened", "amount_changed"],
        ),
        ("hubspot", [hubspot_change("createdate", str(milliseconds(START)), NOW)], ["deal_opened"]),
        (
            "salesforce-cdc",
            change_event("CREATE", "006A", CreatedDate=milliseconds(START), Amount=7),
            ["deal_opened", "amount_changed"],
        ),
        (
            "dynamics",
            context(
                "Create", {"createdon": f"/Date({milliseconds(START)})/", "estimatedvalue": 7.0}
            ),
            ["deal_opened", "amount_changed"],
        ),
    ],
)
def test_what_a_crm_dates_back_was_not_known_before_it_was_entered(
    kind: str, body: Any, dated_back: list[str]
) -> None:
    events = [event for event in translated(kind, body).events if event.kind in dated_back]

    assert [event.kind for event in events] == dated_back
    assert {event.occurred_at for event in events} == {START}
    assert {event.known_at for event in events} == {NOW}
    assert standing_events(events, as_of=NOW - timedelta(seconds=1)) == []


def test_a_createdate_changed_in_hubspot_s_history_was_not_known_before_the_change() -> None:
    history = [{"value": START.isoformat(), "timestamp": NOW.isoformat()}]
    record = {"id": DEAL, "propertiesWithHistory": {"createdate": history}}
    [event] = translated("hubspot", record, **{FETCHED: "deal"}).events

    assert (event.occurred_at, event.known_at) == (START, NOW)


@pytest.mark.parametrize(
    ("kind", "body", "note"),
    [
        (
            "hubspot",
            [hubspot_change("x", "1", NOW, subscriptionType="contact.creation")],
            "contact",
        ),
        ("hubspot", [hubspot_change("amount", None, NOW)], "emptied"),
        (
            "salesforce-cdc",
            change_event("UPDATE", "001A", header={"entityName": "Account"}),
            "Account",
        ),
        ("pipedrive", pipedrive_message("change", {}, {}, entity="person"), "person"),
        ("salesforce-outbound", outbound_message(), "no notification"),
        ("salesforce-outbound", outbound_message({"Id": "00Q"}, entity="Lead"), "Lead 00Q"),
    ],
)
def test_what_a_payload_cannot_tell_is_said(kind: str, body: Any, note: str) -> None:
    told = translated(kind, body)

    assert told.events == ()
    assert note in told.notes[0]


@pytest.mark.parametrize("change", ["GAP_UPDATE", "GAP_OVERFLOW", "GAP_CREATE"])
def test_a_gap_in_salesforce_s_changes_is_fetched(change: str) -> None:
    told = translated("salesforce-cdc", change_event(change, "006A", "006B"))

    assert [one.record_id for one in told.refetch] == ["006A", "006B"]


def test_a_deal_whose_undeletion_is_told_as_a_gap_is_fetched_and_stands_open_again() -> None:
    before = {"commitTimestamp": milliseconds(START)}
    deleted = translated("salesforce-cdc", change_event("DELETE", DEAL, header=before))
    restored = translated("salesforce-cdc", change_event("GAP_UNDELETE", DEAL))

    assert [one.record_id for one in restored.refetch] == [DEAL]
    told = standing_events([*restored.events, *deleted.events])
    assert [event.kind for event in told] == ["deal_lost", "deal_reopened"]


def test_hubspot_s_merge_and_restore_are_fetched() -> None:
    merge = hubspot_change("", None, NOW, subscriptionType="deal.merge", primaryObjectId=5)
    restore = hubspot_change("", None, NOW, subscriptionType="deal.restore")
    told = translated("hubspot", [merge, restore])

    assert [one.record_id for one in told.refetch] == ["5", DEAL]


def test_what_names_no_deal_as_changes_do_fails_none_of_the_changes_beside_it() -> None:
    association = {
        "subscriptionType": "deal.associationChange",
        "fromObjectId": 697680835,
        "toObjectId": 4,
        "associationType": "DEAL_TO_CONTACT",
    }
    told = translated("hubspot", [association, hubspot_change("amount", "7", NOW)])

    assert said(told.events) == [("amount_changed", 7.0)]
    assert told.notes == (f"deal {DEAL}: associationChange, which no event says",)


def test_of_deals_that_hubspot_merges_the_one_that_is_left_is_fetched_and_the_others_are_gone() -> (
    None
):
    ids = {"primaryObjectId": 5, "mergedObjectIds": [6, 7], "newObjectId": 8, "objectId": 5}
    told = translated(
        "hubspot", [hubspot_change("", None, NOW, subscriptionType="deal.merge", **ids)]
    )

    assert [one.record_id for one in told.refetch] == ["8"]
    assert [(event.deal_id, event.kind, event.name) for event in told.events] == [
        (whose, "deal_lost", "merged into 8") for whose in ("5", "6", "7")
    ]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("hubspot", [hubspot_change("", None, NOW, subscriptionType="deal.deletion")]),
        ("salesforce-cdc", change_event("DELETE", DEAL)),
        ("salesforce-cdc", change_event("GAP_DELETE", DEAL)),
        ("dynamics", context("Delete", {}, PrimaryEntityId=DEAL)),
        ("pipedrive", pipedrive_message("delete", {}, entity_id=DEAL)),
        (
            "pipedrive",
            pipedrive_message(
                "change",
                {"status": "deleted", "update_time": NOW.isoformat()},
                {"status": "open"},
                entity_id=DEAL,
            ),
        ),
    ],
)
def test_a_deal_deleted_in_its_crm_is_lost_as_deleted(kind: str, body: Any) -> None:
    [event] = translated(kind, body).events

    assert (event.deal_id, event.kind, event.name) == (DEAL, "deal_lost", "deleted")
    assert event.occurred_at == event.known_at == NOW


def test_a_deletion_closes_what_was_open_and_a_restoration_undoes_that_alone() -> None:
    def at(day: int, happening: str, **more: Any) -> list[Event]:
        change = hubspot_change(
            "dealstage", None, START + timedelta(days=day), subscriptionType=f"deal.{happening}"
        )
        return list(translated("hubspot", [change | more]).events)

    opened = at(0, "creation") + at(1, "propertyChange", propertyValue="contractsent")
    lost = at(2, "propertyChange", propertyValue="closedlost")
    gone, back = at(3, "deletion"), at(4, "restore")

    def statuses(events: Sequence[Event]) -> list[tuple[Any, ...]]:
        return said([event for event in standing_events(events) if "stage" not in event.kind])

    assert statuses(gone + opened) == [("deal_opened",), ("deal_lost", "deleted")]
    assert statuses(back + gone + opened)[2:] == [("deal_reopened",)]
    assert statuses(back + gone + lost + opened) == [("deal_opened",), ("deal_lost",)]


def test_a_deletion_takes_back_no_win_that_only_an_export_tells() -> None:
    won = Event(
        deal_id=DEAL,
        kind="deal_won",
        occurred_at=START + timedelta(days=2),
        source="hubspot",
        source_id=f"{DEAL}/deal_won/2026-01-07/as exported",
    )
    gone = translated("hubspot", [hubspot_change("", None, NOW, subscriptionType="deal.deletion")])

    assert standing_events([*gone.events, won]) == [won]


def test_of_a_change_event_for_several_records_each_is_told() -> None:
    told = translated(
        "salesforce-cdc", {"data": {"payload": change_event("UPDATE", "006A", "006B", Amount=5)}}
    )

    assert [(event.deal_id, event.number) for event in told.events] == [
        ("006A", 5.0),
        ("006B", 5.0),
    ]
    assert {event.occurred_at for event in told.events} == {NOW}


def test_fields_that_a_decoded_change_event_leaves_null_did_not_change() -> None:
    header = {"changedFields": ["LastModifiedDate", "Amount"], "nulledFields": []}
    event = change_event("UPDATE", "006A", Amount=5, StageName=None, header=header)

    assert said(translated("salesforce-cdc", event).events) == [("amount_changed", 5.0)]


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("standard", b"{", "JSON"),
        ("standard", b"\xff\xfe", "UTF-8"),
        ("standard", {"events": [{"kind": "call_made"}]}, "no deal_id"),
        ("hubspot", 5, "expected objects"),
        ("hubspot", [{}], "subscriptionType"),
        (
            "hubspot",
            [hubspot_change("amount", "much", NOW)],
            "amount, value 'much': not readable as a number",
        ),
        ("hubspot", [hubspot_change("closedate", "9999-12-31", NOW)], "outside 1970 to 2199"),
        ("hubspot", [hubspot_change("amount", "1", NOW, occurredAt=10**13)], "outside 1970"),
        ("hubspot", [hubspot_change("amount", "1", NOW, occurredAt=10**30)], "a time"),
        ("salesforce-outbound", outbound_message({"Id": "006A"}), "add SystemModstamp"),
        ("salesforce-outbound", b"<x/>", "expected an Outbound Message"),
        ("salesforce-cdc", {"payload": {}}, "ChangeEventHeader"),
        ("dynamics", {}, "PrimaryEntityName"),
        (
            "dynamics",
            context("Update", {"stepname": "x", "modifiedon": "/Date(253402300799000)/"}),
            "outside",
        ),
        (
            "dynamics",
            context("Update", {"stepname": "x", "modifiedon": f"/Date({'9' * 18})/"}),
            "a time",
        ),
        ("pipedrive", {"meta": 5}, "meta"),
        (
            "pipedrive",
            pipedrive_message("change", {"value": 2, "update_time": "soon"}, {"value": 1}),
            "a time",
        ),
    ],
)
def test_a_delivery_that_tells_nothing_says_why(kind: str, body: Any, reason: str) -> None:
    with pytest.raises(Untranslatable, match=reason):
        translated(kind, body)


def test_one_value_that_cannot_be_read_leaves_the_others_told() -> None:
    told = translated(
        "hubspot",
        [hubspot_change("closedate", "9999-12-31", NOW), hubspot_change("amount", "5", NOW)],
    )

    assert said(told.events) == [("amount_changed", 5.0)]
    assert told.notes == (
        f"left out: deal '{DEAL}', closedate, value '9999-12-31': outside 1970 to 2199",
    )


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"occurredAt": "soon"}, "deleted at 'soon': expected a time with its offset"),
        ({"occurredAt": None}, "deal.deletion with nothing for occurredAt: expected int or str"),
    ],
)
def test_a_deletion_that_cannot_be_read_leaves_the_others_of_its_batch_told(
    odd: dict[str, Any], why: str
) -> None:
    deletion = hubspot_change("", None, NOW, subscriptionType="deal.deletion") | odd
    told = translated("hubspot", [deletion, hubspot_change("amount", "5", NOW)])

    assert said(told.events) == [("amount_changed", 5.0)]
    [note] = told.notes
    assert note.startswith("left out: ")
    assert why in note
    with pytest.raises(Untranslatable, match="check what sends it"):
        translated("hubspot", [deletion])


def test_a_company_s_own_stages_close_deals_where_it_says_so() -> None:
    own = receivers()["hubspot"].terms.__class__(
        mapping="hubspot",
        person_key=lambda: KEY,
        won_stages=("9001",),
        lost_stages=("9002",),
        stage_orders=(("9000", 1.0), ("9001", 2.0)),
    )
    receiver = type(RECEIVERS["hubspot"])(secrets=("x",), url="https://x", terms=own)
    stages = ["9000", "9001", "9000", "9002", "9001"]
    told = receiver.translate(
        delivery(
            [
                hubspot_change("dealstage", stage, START + timedelta(days=day))
                for day, stage in enumerate(stages)
            ]
        )
    )
    standing = standing_events(told.events)

    assert [event.number for event in standing if event.kind == "stage_changed"] == [
        1,
        2,
        1,
        None,
        2,
    ]
    assert [event.kind for event in standing if event.kind != "stage_changed"] == [
        *("deal_won", "deal_reopened", "deal_lost", "deal_reopened", "deal_won")
    ]


EVENT = Event(
    deal_id="D-1",
    kind="customer_replied",
    occurred_at=START,
    known_at=NOW,
    person="Ada@Example.com",
    thread="t",
    source="mail",
    source_id="m/1",
)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda row: row,
        lambda row: [row],
        lambda row: {"events": [row]},
        lambda row: {"type": "events", "timestamp": "2026-03-02T08:30:00Z", "data": [row]},
    ],
)
def test_our_own_events_come_alone_or_in_a_batch_with_people_hashed(wrap: Any) -> None:
    told = translated("standard", wrap(event_json(EVENT)))

    assert [event_json(event) for event in told.events] == [
        event_json(EVENT) | {"person": person_of("ada@example.com", KEY)}
    ]


def test_the_same_delivery_has_one_key_whichever_attempt_it_is() -> None:
    first = [hubspot_change("amount", "1", NOW), hubspot_change("amount", "2", NOW)]
    again = [{**one, "attemptNumber": 3} for one in reversed(first)]
    message = pipedrive_message("change", {"value": 1}, {"value": 2})
    repeated = {**message, "meta": {**message["meta"], "attempt": 2}}
    outbound = outbound_message({"Id": "006A", "SystemModstamp": NOW.isoformat()})

    def key(kind: str, body: Any) -> str:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return RECEIVERS[kind].dedupe_key({"webhook-id": "msg_1"}, raw)

    assert key("hubspot", first) == key("hubspot", again) != key("hubspot", first[:1])
    assert key("pipedrive", message) == key("pipedrive", repeated)
    assert key("salesforce-outbound", outbound) == key(
        "salesforce-outbound", outbound.replace(b"opens!Salesforce", b"another")
    )
    assert key("salesforce-cdc", change_event("UPDATE", "006A")) == key(
        "salesforce-cdc", [{"payload": change_event("UPDATE", "006A"), "event": {"replayId": 5}}]
    )
    assert key("standard", {}) == "msg_1"


SECRET = "opens!Salesforce"


@pytest.mark.parametrize(
    "written",
    [
        f"<SessionId>{SECRET}</SessionId>",
        f"<SessionId><![CDATA[{SECRET}]]></SessionId>",
        f"<SessionId>x<!-- -->{SECRET}</SessionId>",
        f"<SessionId>x<?y z?>{SECRET}</SessionId>",
        f"<SessionId>x<b>{SECRET}</b>{SECRET}</SessionId>",
        f'<SessionId a=">" b="{SECRET}">x</SessionId>',
        f'<o:SessionId xmlns:o="http://soap.sforce.com/2005/09/outbound">{SECRET}</o:SessionId>',
        f"<!-- <SessionId>x</SessionId> {SECRET} --><SessionId/>",
    ],
)
def test_the_session_of_an_outbound_message_is_not_kept_in_any_form(written: str) -> None:
    record: dict[str, str | None] = {"Id": "006A", "SystemModstamp": NOW.isoformat(), "Name": None}
    sent = outbound_message(record)
    body = sent.replace(f"<SessionId>{SECRET}</SessionId>".encode(), written.encode())
    receiver = RECEIVERS["salesforce-outbound"]
    _, kept = receiver.kept({}, body)

    assert SECRET.encode() in body
    assert SECRET.encode() not in kept
    assert receiver.translate(delivery(kept, "salesforce-outbound")) == receiver.translate(
        delivery(sent, "salesforce-outbound")
    )
    assert receiver.dedupe_key({}, body) == receiver.dedupe_key(
        {}, body.replace(SECRET.encode(), b"another")
    )


def test_a_message_full_of_sessions_holds_nobody_up() -> None:
    comment = b"<!--" + b"<SessionId " * 25_000 + b"--></soapenv:Envelope>"
    body = outbound_message({"Id": "006A"}).replace(b"</soapenv:Envelope>", comment)
    _, kept = RECEIVERS["salesforce-outbound"].kept({}, body)

    assert len(kept) < 2_000 < len(body)


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "utf-7"])
def test_an_outbound_message_in_another_encoding_is_not_taken(encoding: str) -> None:
    text = outbound_message({"Id": "006A"}).decode().replace("UTF-8", encoding)
    body = text.encode("utf-16" if encoding == "utf-16" else "utf-8")
    receiver = RECEIVERS["salesforce-outbound"]

    assert receiver.kept({}, body)[1] == b""
    with pytest.raises(Untranslatable, match="expected an Outbound Message"):
        receiver.translate(delivery(body, "salesforce-outbound"))


@pytest.mark.parametrize("name", ["OutboundMessage1.xml", "OutboundMessage2.xml"])
def test_real_outbound_messages_are_taken_and_acknowledged(name: str) -> None:
    body = (shared_data() / "crm_seeds" / "salesforce_outbound_message" / name).read_bytes()
    receiver = receivers()["salesforce-outbound"]
    own = type(receiver)(
        secrets=("secret",),
        organisation_id="0123456789ABCDENNN",
        terms=receiver.terms,
    )
    own.verify(request(body, query="token=secret"), NOW)
    told = own.translate(delivery(body))

    assert told.events == ()
    assert len(told.notes) == (3 if name == "OutboundMessage1.xml" else 1)
    assert b"<Ack>true</Ack>" in own.acknowledge()[1]


def deep(body: bytes) -> list[bytes]:
    """A body cut short, nested, in other character sets."""
    return [
        *(body[: len(body) * part // 5] for part in range(5)),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        body.decode().encode("utf-16"),
        body.decode().encode("utf-32"),
        body.replace(b"0", b"\xff"),
        body.replace(b"2026", b"9999"),
        body.replace(b"00", b"99999999999999999999999999"),
        body.replace(b"1", b"\\ud800"),
        b"null",
        b"NaN",
    ]


SOUND = {
    "standard": event_json(EVENT),
    "hubspot": [hubspot_change("amount", "1000", NOW)],
    "salesforce-outbound": outbound_message(
        {"Id": "006A", "SystemModstamp": "2026-03-02T08:30:00Z", "Amount": "1000"}
    ),
    "salesforce-cdc": change_event("UPDATE", "006A", Amount=1000),
    "dynamics": context("Update", {"estimatedvalue": {"Value": 1000.0}}),
    "pipedrive": pipedrive_message("change", {"value": 1000}, {"value": 1}),
}


@pytest.mark.parametrize("kind", list(SOUND))
def test_no_body_is_ever_more_than_untranslatable(kind: str) -> None:
    sound = SOUND[kind] if isinstance(SOUND[kind], bytes) else json.dumps(SOUND[kind]).encode()
    assert translated(kind, sound).events
    for body in deep(sound):
        assert outcome(kind, body)


ONE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "\x00", "2026-03-02", "9999-12-31T23:59:59Z", "/Date(-1)/", "006A"])
)
SOME = ONE | st.lists(ONE, max_size=2) | st.dictionaries(st.text(max_size=3), ONE, max_size=2)
ANY = SOME | st.lists(SOME, max_size=2)


@pytest.mark.parametrize("kind", [kind for kind in SOUND if not isinstance(SOUND[kind], bytes)])
@settings(max_examples=60)
@given(data=st.data())
def test_a_sound_payload_with_anything_in_any_place_is_told_or_refused(
    kind: str, data: st.DataObject
) -> None:
    body = json.loads(json.dumps(SOUND[kind]))
    place: Any = body
    while True:
        names = list(place) if isinstance(place, dict) else list(range(len(place)))
        name = data.draw(st.sampled_from(names))
        if not isinstance(place[name], dict | list) or not place[name] or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = data.draw(ANY)

    outcome(kind, body)  # raises nothing else
