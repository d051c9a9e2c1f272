"""Exports of Salesforce and HubSpot: made-up files of their real columns, and the real seeds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from model.sources.ready import load_mapping, ready_mappings
from tests.imports import Folder, shared_data

OPPORTUNITY = "006000000000001AAA"
OTHER = "006000000000002AAA"
OPPORTUNITIES = (
    "Id,AccountId,Name,StageName,Amount,Probability,CloseDate,Type,LeadSource,IsClosed,IsWon,"
    "ForecastCategory,OwnerId,CreatedDate,LastActivityDate,PushCount,LastStageChangeDate\n"
    f"{OPPORTUNITY},001000000000001AAA,Pilot,Closed Won,900,100,2026-03-20,New,Web,true,true,"
    "Closed,005000000000002AAA,2026-01-05T09:00:00.000Z,2026-03-19,2,2026-03-20T15:00:00.000Z\n"
    f"{OTHER},001000000000002AAA,Roll-out,Proposal,500,50,2026-06-30,New,,false,false,"
    "Pipeline,005000000000001AAA,2026-02-05T09:00:00.000Z,2026-03-19,0,\n"
)


def utc(month: int, day: int, hour: int = 9, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def of_deal(folder: Folder, deal: str, *columns: str) -> list[tuple[Any, ...]]:
    return [row[1:] for row in folder.events("deal_id", *columns) if row[0] == deal]


def test_every_ready_mapping_is_whole() -> None:
    assert ready_mappings() == ["dynamics", "hubspot", "mail", "pipedrive", "salesforce"]
    for name in ready_mappings():
        assert load_mapping(name).source == name


def test_opportunities_alone_tell_openings_and_closings_and_name_what_they_cannot(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path, "salesforce")
    summary, rejects = folder.run(opportunity__csv=OPPORTUNITIES)
    assert not rejects
    assert of_deal(folder, OPPORTUNITY, "kind", "occurred_at", "name") == [
        ("account_changed", utc(1, 5), "001000000000001AAA"),
        ("deal_opened", utc(1, 5), None),
        ("field_changed", utc(1, 5), "LeadSource"),
        ("deal_won", utc(3, 20, 15), None),
    ]
    assert {"Probability", "ForecastCategory", "LastActivityDate", "PushCount"} <= set(
        summary.export_only
    )
    assert {"StageName", "Amount", "CloseDate", "OwnerId"} <= set(summary.export_only)
    assert of_deal(folder, OTHER, "kind") == [("account_changed",), ("deal_opened",)]


@pytest.mark.parametrize(
    ("mapping", "columns", "values"),
    [
        (
            "salesforce",
            "Id,CreatedDate,StageName,CloseDate,IsClosed,IsWon,IsDeleted",
            "2026-01-05T09:00:00Z,New,2026-03-31,false,false",
        ),
        ("hubspot", "deal_id,createdate,dealstage,_fivetran_deleted", "2026-01-05 09:00,new"),
        ("hubspot", "id,createdate,dealstage,archived", "2026-01-05 09:00,new"),
        ("pipedrive", "id,add_time,status,is_deleted", "2026-01-05 09:00:00,open"),
        ("dynamics", "opportunityid,createdon,statecode,IsDelete", "2026-01-05 09:00,0"),
    ],
)
def test_a_deal_deleted_in_the_crm_is_left_out_and_counted(
    mapping: str, columns: str, values: str, tmp_path: Path
) -> None:
    folder = Folder(tmp_path, mapping)
    rows = [f"{OPPORTUNITY},{values},TRUE", f"{OTHER},{values},FALSE"]

    summary, rejects = folder.run(deals__csv="\n".join([columns, *rows, ""]))

    assert not rejects
    assert set(folder.events("deal_id")) == {OTHER}
    assert summary.rows_left_out == 1


def test_a_deal_of_pipedrive_whose_status_says_deleted_is_left_out(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "pipedrive")
    at = "2026-01-05 09:00:00"

    summary, _ = folder.run(deals__csv=f"id,add_time,status\n7,{at},deleted\n8,{at},open\n")

    assert set(folder.events("deal_id")) == {"8"}
    assert summary.rows_left_out == 1


def test_opportunities_exported_without_their_accounts_are_opened_all_the_same(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path, "salesforce")
    rows = [line.split(",") for line in OPPORTUNITIES.splitlines()]
    folder.run(opportunity__csv="".join(",".join([r[0], *r[2:]]) + "\n" for r in rows))
    assert of_deal(folder, OPPORTUNITY, "kind") == [
        ("deal_opened",),
        ("field_changed",),
        ("deal_won",),
    ]


def test_opportunity_history_tells_the_states_and_the_closing(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "salesforce")
    summary, rejects = folder.run(
        opportunity__csv=OPPORTUNITIES,
        history__csv="Id,OpportunityId,CreatedDate,StageName,Amount,CloseDate,ForecastCategory,"
        "Probability\n"
        f"1,{OPPORTUNITY},2026-01-05T09:00:00.000Z,Prospecting,1000,2026-02-28,Pipeline,10\n"
        f"2,{OPPORTUNITY},2026-02-01T09:00:00.000Z,Proposal,1000,2026-03-31,Pipeline,50\n"
        f"3,{OPPORTUNITY},2026-03-20T15:00:00.000Z,Closed Won,900,2026-03-20,Closed,100\n"
        f"4,{OTHER},2026-02-05T09:00:00.000Z,Proposal,500,2026-06-30,Pipeline,50\n",
    )
    assert not rejects
    assert "StageName" not in summary.export_only
    assert "OwnerId" in summary.export_only
    told = of_deal(folder, OPPORTUNITY, "kind", "occurred_at", "name", "number", "date")
    assert [row for row in told if row[0] == "stage_changed"] == [
        ("stage_changed", utc(1, 5), "Prospecting", None, None),
        ("stage_changed", utc(2, 1), "Proposal", None, None),
        ("stage_changed", utc(3, 20, 15), "Closed Won", None, None),
    ]
    assert [row[4] for row in told if row[0] == "close_date_changed"] == [
        date(2026, 2, 28),
        date(2026, 3, 31),
        date(2026, 3, 20),
    ]
    assert [row[3] for row in told if row[0] == "amount_changed"] == [1000.0, 900.0]
    assert [row[2] for row in told if row[0] == "forecast_category_changed"] == [
        "Pipeline",
        "Closed",
    ]
    assert [row[1] for row in told if row[0] == "deal_won"] == [utc(3, 20, 15)]


def test_field_history_tells_what_was_so_at_the_opening_and_agrees_with_history(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path, "salesforce")
    fields = (
        "Id,OpportunityId,Field,OldValue,NewValue,CreatedDate\n"
        "8,006000000000009AAA,Owner,005000000000001AAA,005000000000002AAA,2025-12-01T09:00:00.000Z\n"
        "9,006000000000009AAA,StageName,Prospecting,Proposal,2025-12-01T09:00:00.000Z\n"
        f"1,{OPPORTUNITY},created,,,2026-01-05T09:00:00.000Z\n"
        f"2,{OPPORTUNITY},Owner,005000000000001AAA,005000000000002AAA,2026-02-01T09:00:00.000Z\n"
        f"3,{OPPORTUNITY},Owner,Ada,Bo,2026-02-01T09:00:00.000Z\n"
        f"4,{OPPORTUNITY},StageName,Prospecting,Proposal,2026-02-01T09:00:00.000Z\n"
        f"5,{OPPORTUNITY},StageName,Proposal,Closed Won,2026-03-20T15:00:00.000Z\n"
        f"6,{OPPORTUNITY},Seats__c,,25,2026-02-02T09:00:00.000Z\n"
    )
    summary, rejects = folder.run(opportunity__csv=OPPORTUNITIES, fields__csv=fields)
    assert not rejects
    assert summary.rows_left_out == 1
    told = of_deal(folder, OPPORTUNITY, "kind", "occurred_at", "name", "number")
    assert [row[1:3] for row in told if row[0] == "owner_changed"] == [
        (utc(1, 5), "005000000000001AAA"),
        (utc(2, 1), "005000000000002AAA"),
    ]
    assert ("field_changed", utc(2, 2), "Seats__c", 25.0) in told
    assert [row[1:3] for row in told if row[0] == "stage_changed"] == [
        (utc(1, 5), "Prospecting"),
        (utc(2, 1), "Proposal"),
        (utc(3, 20, 15), "Closed Won"),
    ]
    before = set(folder.events("source_id"))
    history = (
        "Id,OpportunityId,CreatedDate,StageName,Amount,CloseDate\n"
        f"3,{OPPORTUNITY},2026-03-20T15:00:00.000Z,Closed Won,900,2026-03-20\n"
    )
    more, rejects = folder.run(history__csv=history)
    assert not rejects
    added = set(folder.events("source_id")) - before
    assert {name.split("/")[1] for name in added} == {"amount_changed", "close_date_changed"}
    assert more.events_superseded == 0


def test_a_history_that_comes_later_replaces_the_closing_that_only_the_row_told(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path, "salesforce")
    rows = OPPORTUNITIES.replace("2026-03-20T15:00:00.000Z", "")
    folder.run(opportunity__csv=rows)
    closings = [row for row in of_deal(folder, OPPORTUNITY, "kind", "occurred_at", "source_id")
                if row[0] == "deal_won"]  # fmt: skip
    end_of_day = datetime(2026, 3, 20, 23, 59, 59, 999_999, tzinfo=UTC)
    assert closings == [("deal_won", end_of_day, f"{OPPORTUNITY}/deal_won/as exported")]
    again, _ = folder.run(opportunity__csv=rows)
    assert (again.events_written, again.events_superseded) == (0, 0)
    summary, _ = folder.run(
        fields__csv="Id,OpportunityId,Field,OldValue,NewValue,CreatedDate\n"
        f"4,{OPPORTUNITY},StageName,Prospecting,Proposal,2026-02-01T09:00:00.000Z\n"
        f"5,{OPPORTUNITY},StageName,Proposal,Closed Won,2026-03-20T15:00:00.000Z\n"
    )
    assert summary.events_superseded == 1
    assert [row[1] for row in of_deal(folder, OPPORTUNITY, "kind", "occurred_at")
            if row[0] == "deal_won"] == [utc(3, 20, 15)]  # fmt: skip


def test_stages_with_names_of_their_own_close_as_the_company_says(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "salesforce")
    folder.run(
        opportunity__csv=OPPORTUNITIES.replace("Closed Won", "Gewonnen"),
        fields__csv="Id,OpportunityId,Field,OldValue,NewValue,CreatedDate\n"
        f"1,{OPPORTUNITY},StageName,Demo,Offer,2026-02-01T09:00:00.000Z\n"
        f"2,{OPPORTUNITY},StageName,Offer,Gewonnen,2026-03-18T09:00:00.000Z\n",
    )
    assert [row[1] for row in of_deal(folder, OPPORTUNITY, "kind", "occurred_at")
            if row[0] == "deal_won"] == [utc(3, 18)]  # fmt: skip


def test_tasks_and_events_are_contacts_of_their_opportunity(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "salesforce")
    task = "Id,WhatId,WhoId,Subject,Status,Type,TaskSubtype,CallType,CallDurationInSeconds,"
    summary, rejects = folder.run(
        opportunity__csv=OPPORTUNITIES,
        task__csv=task + "ActivityDate,CompletedDateTime,CreatedDate,IsDeleted\n"
        + "\n".join(
            f"{number},{what},003000000000001AAA,{subject},{status},{kind},{call},{duration},"
            f"2026-02-1{number},2026-02-1{number}T09:00:00.000Z,2026-02-1{number}T10:00:00.000Z,"
            for number, (what, subject, status, kind, call, duration) in enumerate(
                [
                    (OPPORTUNITY, "Call", "Completed", "Call,Call", "Outbound", "600"),
                    (OPPORTUNITY, "Call", "Completed", "Call,Call", "Inbound", ""),
                    (OPPORTUNITY, "Email: Offer", "Completed", "Email,Email", "", ""),
                    (OPPORTUNITY, "[In] Re: Offer", "Completed", "Email,Email", "", ""),
                    (OPPORTUNITY, "Email: [In] Re: Offer", "Completed", ",Email", "", ""),
                    (OPPORTUNITY, "[In] Automatic reply", "Completed", "Email,Email", "", ""),
                    (OPPORTUNITY, "Send the draft", "Completed", ",Task", "", ""),
                    (OPPORTUNITY, "Send it", "Open", ",Task", "", ""),
                    ("001000000000001AAA", "Call", "Completed", "Call,Call", "", ""),
                ]
            )
        )
        + "\n",
        event__csv="Id,WhatId,WhoId,Subject,Type,Location,StartDateTime,EndDateTime,"
        "DurationInMinutes,CreatedDate,IsChild\n"
        f"1,{OPPORTUNITY},,Visit,Meeting,Main Street 1,2026-02-20T09:00:00.000Z,"
        "2026-02-20T10:00:00.000Z,60,2026-02-19T09:00:00.000Z,false\n"
        f"2,{OPPORTUNITY},,Visit,Meeting,Main Street 1,2026-02-20T09:00:00.000Z,"
        "2026-02-20T10:00:00.000Z,60,2026-02-19T09:00:00.000Z,true\n"
        f"3,{OPPORTUNITY},,Demo,,https://meet.example/1,2026-02-21T09:00:00.000Z,"
        "2026-02-21T10:00:00.000Z,30,2026-02-25T09:00:00.000Z,false\n",
    )  # fmt: skip
    assert not rejects
    contacts = of_deal(folder, OPPORTUNITY, "kind", "name", "known_at", "span")
    kinds = ("call_made", "customer_replied", "message_sent", "auto_reply_received")
    told = [row for row in contacts if row[0] in (*kinds, "activity_logged", "meeting_held")]
    assert [row[:3] for row in told] == [
        ("call_made", None, utc(2, 10, 10)),
        ("customer_replied", None, utc(2, 11, 10)),
        ("message_sent", None, utc(2, 12, 10)),
        ("customer_replied", None, utc(2, 13, 10)),
        ("customer_replied", None, utc(2, 14, 10)),
        ("auto_reply_received", None, utc(2, 15, 10)),
        ("activity_logged", "Task", utc(2, 16, 10)),
        ("meeting_held", "onsite", utc(2, 20)),
        ("meeting_held", "remote", utc(2, 25)),
    ]
    assert told[0][3] == pytest.approx(600 / 86_400)
    assert told[-1][3] == pytest.approx(30 / 1_440)
    assert summary.rows_left_out == 3
    assert summary.known_raised == 1


def test_mails_with_headers_are_told_from_machines(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "salesforce")
    folder.run(
        opportunity__csv=OPPORTUNITIES,
        mails__csv="Id,RelatedToId,Incoming,MessageDate,Subject,Headers,FromAddress\n"
        f"1,{OPPORTUNITY},true,2026-02-01T09:00:00Z,Offer,Auto-Submitted: auto-replied,a@b.eu\n"
        f"2,{OPPORTUNITY},true,2026-02-02T09:00:00Z,Re: Offer,,a@b.example\n"
        f"3,{OPPORTUNITY},false,2026-02-03T09:00:00Z,Re: Offer,,us@ours.example\n",
    )
    assert [row[0] for row in of_deal(folder, OPPORTUNITY, "kind") if "deal" not in row[0]][2:] == [
        "auto_reply_received",
        "customer_replied",
        "message_sent",
    ]


def test_a_closing_before_the_opening_is_rejected(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "salesforce")
    rows = OPPORTUNITIES.replace("2026-03-20T15:00:00.000Z", "2025-12-20T15:00:00.000Z")
    _, rejects = folder.run(opportunity__csv=rows)
    assert [(r.line, r.column, r.reason) for r in rejects] == [
        (2, "LastStageChangeDate", "closing before opening")
    ]
    assert not of_deal(folder, OPPORTUNITY, "kind")


def test_a_closing_on_the_day_of_the_opening_is_none(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "salesforce")
    columns = "id,stage_name,close_date,created_date,is_closed,is_won,account_id\n"
    _, rejects = folder.run(
        opportunity__csv=columns
        + f"{OPPORTUNITY},Closed Won,2026-01-05 00:00:00,2026-01-05 19:51:13,true,true,001A\n"
    )
    assert not rejects


def test_other_files_of_an_export_are_left_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "salesforce")
    summary, _ = folder.run(opportunity__csv=OPPORTUNITIES, User__csv="Id,Name\n1,Ada\n")
    assert summary.files_ignored == ["User.csv"]


HUBSPOT_DEALS = (
    "deal_id,deal_pipeline_id,deal_pipeline_stage_id,owner_id,property_dealname,property_amount,"
    "property_closedate,property_createdate,property_notes_last_contacted\n"
    "11,default,qualified,7,Pilot,900,2026-03-31 12:00:00,2026-01-05 09:00:00,2026-03-01\n"
    "12,default,won-1,7,Roll-out,500,2026-03-20 15:00:00,2026-02-05 09:00:00,2026-03-01\n"
)
STAGES = (
    "stage_id,label,pipeline_id,display_order,closed_won,is_closed,probability\n"
    "new,New,default,0,FALSE,FALSE,0.1\nqualified,Qualified,default,1,FALSE,FALSE,0.3\n"
    "won-1,Won,default,2,TRUE,TRUE,1.0\nlost-1,Lost,default,3,FALSE,TRUE,0.0\n"
)


def test_hubspot_deals_close_by_the_stages_of_their_pipeline(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "hubspot")
    summary, rejects = folder.run(deal__csv=HUBSPOT_DEALS, deal_pipeline_stage__csv=STAGES)
    assert not rejects
    assert of_deal(folder, "12", "kind", "occurred_at") == [
        ("deal_opened", utc(2, 5)),
        ("deal_won", utc(3, 20, 15)),
    ]
    assert {"deal_pipeline_id", "property_notes_last_contacted"} <= set(summary.export_only)
    assert of_deal(folder, "11", "kind") == [("deal_opened",)]


def test_hubspot_property_history_tells_stages_with_their_order(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "hubspot")
    history = "deal_id,name,value,timestamp,source\n" + "".join(
        f"12,{name},{value},2026-0{month}-0{day} 09:00:00.000,CRM_UI\n"
        for name, value, month, day in [
            ("dealstage", "new", 2, 5),
            ("dealstage", "qualified", 2, 6),
            ("dealstage", "lost-1", 2, 7),
            ("dealstage", "won-1", 3, 8),
            ("amount", "400", 2, 5),
            ("closedate", "1774969200000", 2, 5),
            ("hubspot_owner_id", "7", 2, 5),
            ("hs_deal_stage_probability", "0.1", 2, 5),
            ("notes_last_contacted", "1774969200000", 2, 6),
            ("region", "north", 2, 6),
        ]
    )
    summary, rejects = folder.run(
        deal__csv=HUBSPOT_DEALS, deal_pipeline_stage__csv=STAGES, history__csv=history
    )
    assert not rejects
    assert summary.rows_left_out == 2
    told = of_deal(folder, "12", "kind", "occurred_at", "name", "number", "date")
    assert [row[1:4] for row in told if row[0] == "stage_changed"] == [
        (utc(2, 5), "new", 0.0),
        (utc(2, 6), "qualified", 1.0),
        (utc(2, 7), "lost-1", 3.0),
        (utc(3, 8), "won-1", 2.0),
    ]
    closings = ("deal_lost", "deal_reopened", "deal_won")
    assert [row[:2] for row in told if row[0] in closings] == [
        ("deal_lost", utc(2, 7)),
        ("deal_reopened", utc(3, 8)),
        ("deal_won", utc(3, 8)),
    ]
    assert [row[4] for row in told if row[0] == "close_date_changed"] == [date(2026, 3, 31)]
    assert [row[3] for row in told if row[0] == "amount_changed"] == [400.0]
    assert [row[2] for row in told if row[0] == "field_changed"] == ["region"]


def test_hubspot_engagements_are_contacts_of_all_their_deals(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "hubspot")
    summary, rejects = folder.run(
        deal__csv=HUBSPOT_DEALS,
        engagement__csv="id,type,portal_id\n1,EMAIL,1\n2,EMAIL,1\n3,MEETING,1\n4,CALL,1\n5,NOTE,1\n",
        engagement_deal__csv="deal_id,engagement_id\n11,1\n12,1\n11,2\n11,3\n11,4\n11,5\n11,6\n",
        engagement_email__csv="engagement_id,property_hs_email_subject,property_hs_timestamp,"
        "property_hs_createdate,type\n"
        "1,Offer,2026-02-10 09:00:00,2026-02-10 09:05:00,EMAIL\n"
        "2,Re: Offer,2026-02-11 09:00:00,2026-02-11 09:05:00,INCOMING_EMAIL\n"
        "6,Automatic reply,2026-02-11 10:00:00,2026-02-11 10:00:00,INCOMING_EMAIL\n"
        "9,About no deal,2026-02-11 09:00:00,2026-02-11 09:05:00,EMAIL\n",
        engagement_meeting__csv="engagement_id,start_time,end_time,meeting_outcome,"
        "web_conference_meeting_id\n3,2026-02-12 09:00:00,2026-02-12 10:00:00,,88\n",
        engagement_call__csv="engagement_id,property_hs_call_status,property_hs_call_direction,"
        "property_hs_timestamp\n4,COMPLETED,OUTBOUND,2026-02-13 09:00:00\n",
        engagement_note__csv="engagement_id,property_hs_note_body,property_hs_timestamp\n"
        "5,Looks good,2026-02-14 09:00:00\n",
    )
    assert not rejects
    assert summary.rows_left_out == 1
    opening = ("deal_opened", "pipeline_changed")
    told = of_deal(folder, "11", "kind", "name", "known_at")
    assert [row for row in told if row[0] not in opening] == [
        ("message_sent", None, utc(2, 10, 9, 5)),
        ("customer_replied", None, utc(2, 11, 9, 5)),
        ("auto_reply_received", None, utc(2, 11, 10)),
        ("meeting_held", "remote", utc(2, 12)),
        ("call_made", None, utc(2, 13)),
        ("internal_update_posted", None, utc(2, 14)),
    ]
    assert [k for (k,) in of_deal(folder, "12", "kind") if k not in opening] == ["message_sent"]


def test_real_column_shapes_of_salesforce_are_read(tmp_path: Path) -> None:
    real = sorted((shared_data() / "crm_seeds" / "salesforce").glob("*.csv"))
    all_deleted = Folder(tmp_path, "salesforce")
    summary, _ = all_deleted.add(*real)
    assert (summary.events_written, summary.rows_left_out >= 20) == (0, True)
    folder = Folder(tmp_path, "salesforce")
    kept = {
        seed.name: seed.read_text("utf-8").replace("is_deleted", "was_deleted") for seed in real
    }
    seeds = [folder.write(name, text) for name, text in kept.items()]
    summary, rejects = folder.add(*seeds)
    assert (summary.rows_read, summary.files_ignored) == (40, ["account.csv", "user.csv"])
    assert [r.reason for r in rejects] == ["closing before opening"]  # closed 12 days too early
    assert folder.events("kind").count("deal_opened") == 10
    assert set(folder.events("kind")) == {
        "account_changed",
        "amount_changed",
        "close_date_changed",
        "deal_lost",
        "deal_opened",
        "deal_won",
        "field_changed",
        "forecast_category_changed",
        "owner_changed",
        "stage_changed",
    }
    again, _ = folder.add(*seeds)
    assert again.events_written == 0


def test_real_column_shapes_of_hubspot_are_read(tmp_path: Path) -> None:
    seeds = sorted((shared_data() / "crm_seeds" / "hubspot").glob("*.csv"))
    folder = Folder(tmp_path, "hubspot")
    summary, rejects = folder.add(*seeds)
    assert not rejects
    assert summary.files_ignored == ["deal_pipeline.csv", "owner.csv"]
    assert folder.events("kind").count("deal_opened") == 44
