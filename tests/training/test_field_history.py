"""Field histories and deals as exported: what changed, and what held at the opening."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.imports import Folder


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


FIELDS = """
source = "crm"
time_zone = "UTC"
[[record]]
title = "deals"
rows = "deal"
files = "deals*"
deal_id = "id"
opened_at = "created"
[record.current]
amount_changed = "amount"
owner_changed = "owner"
field_changed = ["region"]
[record.fixed]
account_changed = "account"
[[record]]
title = "changes"
rows = "field"
files = "changes*"
deal_id = "id"
occurred_at = "at"
field = "field"
old = "old"
new = "new"
[record.fields]
Stage = "stage_changed"
Amount = "amount_changed"
"Close*" = "close_date_changed"
Note = "next_step_changed"
"Internal*" = "drop"
[stages]
won = ["Won*"]
lost = ["Lost"]
"""


DEALS = (
    "id,created,amount,owner,account,region\n"
    "D-1,2026-01-05,300,bo,A-1,north\nD-2,2026-01-05,50,cy,A-2,south\n"
)


def test_a_field_history_becomes_changes_of_its_kinds(tmp_path: Path) -> None:
    folder = Folder(tmp_path, FIELDS)
    summary, rejects = folder.run(
        deals__csv=DEALS,
        changes__csv="id,at,field,old,new\n"
        "D-1,2026-01-06T09:00:00Z,Stage,,Demo\nD-1,2026-01-07T09:00:00Z,Amount,100,300\n"
        "D-0,2026-01-05T00:00:00Z,Amount,5,6\nD-1,2026-01-08T09:00:00Z,CloseDate,,2026-03-31\n"
        "D-1,2026-01-08T10:00:00Z,Seats,,12\nD-1,2026-01-08T11:00:00Z,Region,,007\n"
        "D-1,2026-01-09T09:00:00Z,Note,,Call Ada\nD-1,2026-01-09T10:00:00Z,InternalScore,,1\n"
        "D-1,2026-01-09T11:00:00Z,Amount,300,\n"
        "D-1,2026-01-10T09:00:00Z,CloseDate,,tomorrow\n",
    )
    assert [(r.line, r.column, r.value) for r in rejects] == [(11, "new", "tomorrow")]
    assert summary.values_emptied == 1
    assert summary.rows_left_out == 1
    changes = folder.events("deal_id", "kind", "name", "text", "number", "date")
    assert [row for row in changes if row[0] == "D-1" and row[1] != "deal_opened"] == [
        ("D-1", "account_changed", "A-1", None, None, None),
        ("D-1", "amount_changed", None, None, 100.0, None),  # what it was before its first change
        ("D-1", "stage_changed", "Demo", None, None, None),
        ("D-1", "amount_changed", None, None, 300.0, None),
        ("D-1", "close_date_changed", None, None, None, date(2026, 3, 31)),
        ("D-1", "field_changed", "Seats", None, 12.0, None),
        ("D-1", "field_changed", "Region", "007", None, None),
        ("D-1", "next_step_changed", None, "Call Ada", None, None),
    ]


def test_a_value_that_a_history_follows_and_never_saw_change_held_at_the_opening(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path, FIELDS)
    summary, _ = folder.run(
        deals__csv=DEALS,
        changes__csv="id,at,field,old,new\nD-1,2026-01-07T09:00:00Z,Amount,100,300\n"
        "D-0,2026-01-04T09:00:00Z,Amount,5,6\n",
    )
    amounts = [row[1:] for row in folder.events("kind", "deal_id", "number", "occurred_at")
               if row[0] == "amount_changed"]  # fmt: skip
    assert amounts == [("D-1", 100.0, at(5, 0)), ("D-1", 300.0, at(7)), ("D-2", 50.0, at(5, 0))]
    assert summary.export_only == ["owner", "region"]


# Stages and regions are followed from 2026-01-10 on only; D-9 is of another year.
TRUNCATED_DEALS = (
    "id,created,stage,region,closed,how\n"
    "D-1,2026-01-02,Demo,north,,\n"  # open, never changed
    "D-2,2026-01-02,Offer,south,,\n"  # open, changed later
    "D-3,2026-01-02,Lost,west,2026-01-08,lost\n"  # closed before the history begins
    "D-4,2026-01-12,Lost,east,2026-01-20,lost\n"  # closed within it, untold by it
    "D-5,2026-01-12,Demo,east,,\n"
)
TRUNCATED_CHANGES = (
    "id,at,field,old,new\n"
    "D-9,2026-01-10T09:00:00Z,Stage,Demo,Offer\nD-9,2026-01-10T09:00:00Z,region,a,b\n"
    "D-2,2026-01-15T09:00:00Z,Stage,Demo,Offer\n"
)


def test_no_value_holds_before_the_history_that_vouches_for_it_began(tmp_path: Path) -> None:
    current = 'amount_changed = "amount"\nowner_changed = "owner"'
    mapping = FIELDS.replace(current, 'stage_changed = "stage"')
    mapping = mapping.replace('account_changed = "account"', "")
    closings = 'closed_at = "closed?"\nwon = { how = ["won"] }\nlost = { how = ["lost"] }\n'
    mapping = mapping.replace("[record.current]", f"{closings}[record.current]", 1)
    folder = Folder(tmp_path, mapping)
    _, rejects = folder.run(deals__csv=TRUNCATED_DEALS, changes__csv=TRUNCATED_CHANGES)

    assert not rejects
    told = folder.events("kind", "deal_id", "name", "text", "occurred_at", "known_at")
    assert [row[1:3] + row[4:] for row in told if row[0] == "stage_changed"] == [
        ("D-1", "Demo", at(10), at(10)),
        ("D-2", "Demo", at(10), at(10)),
        ("D-2", "Offer", at(15), at(15)),
        ("D-5", "Demo", at(12, 0), at(12, 0)),
    ]
    assert [(row[1], row[3], row[4]) for row in told if row[0] == "field_changed"] == [
        ("D-1", "north", at(10)),
        ("D-2", "south", at(10)),
        ("D-4", "east", at(12, 0)),
        ("D-5", "east", at(12, 0)),
    ]
    assert [row[1] for row in told if row[0] == "deal_lost"] == ["D-3", "D-4"]


def test_without_a_history_todays_values_are_left_out_and_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path, FIELDS)
    summary, _ = folder.run(deals__csv=DEALS)
    assert sorted(folder.events("kind")) == ["account_changed"] * 2 + ["deal_opened"] * 2
    assert summary.export_only == ["amount", "owner", "region"]


def test_stages_close_and_reopen_a_deal(tmp_path: Path) -> None:
    folder = Folder(tmp_path, FIELDS)
    folder.run(
        deals__csv=DEALS,
        changes__csv="id,at,field,old,new\n"
        "D-1,2026-01-06T09:00:00Z,Stage,,Demo\nD-1,2026-01-07T09:00:00Z,Stage,Demo,Lost\n"
        "D-1,2026-01-08T09:00:00Z,Stage,Lost,Won (paper)\n",
    )
    closings = ("deal_lost", "deal_reopened", "deal_won")
    assert [row for row in folder.events("kind", "occurred_at") if row[0] in closings] == [
        ("deal_lost", at(7)),
        ("deal_reopened", at(8)),
        ("deal_won", at(8)),
    ]
    again, rejects = folder.add(folder.path / "deals.csv", folder.path / "changes.csv")
    assert not rejects
    assert (again.events_written, again.events_superseded) == (0, 0)


@pytest.mark.parametrize("order", [("Demo", "Won", "Lost"), ("Lost", "Won", "Demo")])
def test_a_deal_that_passes_several_closing_stages_in_one_moment_is_won_if_any_wins(
    order: tuple[str, ...], tmp_path: Path
) -> None:
    folder = Folder(tmp_path, FIELDS)
    rows = [f"D-1,2026-01-06T09:00:00Z,Stage,,{stage}\n" for stage in order]
    folder.run(deals__csv=DEALS, changes__csv="id,at,field,old,new\n" + "".join(rows))
    closings = ("deal_won", "deal_lost", "deal_reopened")
    assert [row[0] for row in folder.events("kind", "deal_id") if row[0] in closings] == [
        "deal_won"
    ]


def test_one_fact_told_by_two_records_of_one_moment_may_differ_and_both_are_kept(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path, FIELDS.replace('new = "new"', 'new = "new"\nsource_id = "fact"'))
    rows = (
        "id,at,field,old,new\nD-1,2026-01-06T09:00:00Z,Stage,,Demo\n"
        "D-1,2026-01-06T09:00:00Z,Stage,Demo,Offer\n"
    )
    _, rejects = folder.run(deals__csv=DEALS, changes__csv=rows, changes_again__csv=rows)
    assert not rejects
    columns = ("kind", "name", "occurred_at", "source_id")
    stages = [row[1:] for row in folder.events(*columns) if row[0] == "stage_changed"]
    assert {row[:2] for row in stages} == {("Demo", at(6)), ("Offer", at(6))}
    moment = "D-1/stage_changed/2026-01-06 09:00:00.000000/"
    assert [row[2].startswith(moment) for row in stages] == [True, True]
    head, *changes = rows.splitlines()
    (folder.path / "changes.csv").write_text("\n".join([head, *reversed(changes)]), "utf-8")
    again, rejects = folder.add(folder.path / "changes.csv", folder.path / "deals.csv")
    assert not rejects
    assert again.events_written == 0
