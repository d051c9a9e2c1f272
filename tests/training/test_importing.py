"""What rows become: events, those told already, and rejects."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.events import microseconds
from model.period import quarter_until
from tests.imports import LOG, Folder
from training.summary import summary_lines

OPENED = "deal,at,what\nD-1,2026-01-05T09:00:00Z,opened\n"


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


def test_one_row_may_tell_several_events(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    summary, rejects = folder.run(log__csv=OPENED + "D-1,2026-01-06T09:00:00Z,mail in\n")
    assert not rejects
    assert summary.rows_read == 2
    assert folder.events("kind", "occurred_at", "name") == [
        ("deal_opened", at(5), None),
        ("activity_logged", at(6), "mail in"),
        ("customer_replied", at(6), None),
    ]


def test_importing_the_same_file_again_changes_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    rows = OPENED + "D-1,2026-01-06T09:00:00Z,call\nD-1,2026-01-07T09:00:00Z,won\n"
    first, _ = folder.run(log__csv=rows)
    before = folder.out.read_bytes()
    again, rejects = folder.run(log__csv=rows)
    assert folder.out.read_bytes() == before
    assert not rejects
    assert (again.events_written, again.events_there) == (0, first.events_written)


def test_the_order_of_rows_and_of_columns_does_not_matter_to_what_is_there(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.run(log__csv=OPENED + "D-1,2026-01-06T09:00:00Z,call\n")
    summary, _ = folder.run(
        other__csv="what,deal,at\ncall,D-1,2026-01-06T09:00:00Z\nopened,D-1,2026-01-05T09:00:00Z\n"
    )
    assert summary.events_written == 0


def test_new_rows_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.run(log__csv=OPENED)
    summary, _ = folder.run(later__csv="deal,at,what\nD-1,2026-01-09T09:00:00Z,won\n")
    assert summary.events_written == 1
    assert folder.events("kind") == ["deal_opened", "deal_won"]


def test_identical_rows_of_one_file_are_different_facts(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    calls = "D-1,2026-01-06T09:00:00Z,call\n" * 3
    folder.run(log__csv=OPENED + calls)
    assert folder.events("kind").count("call_made") == 3
    assert len(set(folder.events("source_id"))) == 4
    again, _ = folder.run(log__csv=OPENED + calls)
    assert again.events_written == 0


def test_what_another_file_told_is_not_counted_as_told_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "salesforce")
    head = "Id,AccountId,StageName,CloseDate,CreatedDate,IsWon,IsClosed\n"
    of_one = head + "1,A,Closed Won,2026-03-20,2026-01-05T09:00:00.000Z,true,true\n"
    history = (
        "Id,OpportunityId,CreatedDate,StageName,Amount,CloseDate\n"
        "1,1,2026-01-05T09:00:00.000Z,Prospecting,1000,2026-02-28\n"
        "2,1,2026-03-20T15:00:00.000Z,Closed Won,900,2026-03-20\n"
    )
    of_another = head + "2,A,Open,2026-03-20,2026-01-05T09:00:00.000Z,false,false\n"
    first, _ = folder.run(opportunity__csv=of_one, history__csv=history)
    other, _ = folder.run(opportunity__csv=of_another)
    assert (other.events_written, other.events_there) == (4, 0)
    again, _ = folder.run(opportunity__csv=of_one, history__csv=history)
    assert (again.events_written, again.events_there) == (0, first.events_written)
    again, _ = folder.run(opportunity__csv=of_another)
    assert (again.events_written, again.events_there) == (0, 4)


def test_a_row_that_two_exports_share_is_one_fact(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    shared = "D-1,2026-01-06T09:00:00Z,call\n"
    summary, rejects = folder.run(
        january__csv=OPENED + shared, february__csv="deal,at,what\n" + shared
    )
    assert not rejects
    assert summary.events_there == 1
    assert folder.events("kind") == ["deal_opened", "call_made"]


@pytest.mark.parametrize(
    ("row", "column", "value", "reason"),
    [
        ("D-1,soon,call", "at", "soon", "not readable as a time"),
        ("D-1,2026-02-30T09:00:00Z,call", "at", "2026-02-30T09:00:00Z", "not readable as a time"),
        ("D-1,9999-12-31T00:00:00Z,call", "at", "9999-12-31T00:00:00Z", "outside 1970 to 2199"),
        ("D-1,,call", "at", None, "missing time"),
        (",2026-01-06T09:00:00Z,call", "deal", None, "missing deal"),
        ("D-1,2026-01-06T09:00:00Z,fax", "what", "fax", "unknown kind"),
        ("D-1,2026-01-06T09:00:00Z,", "what", None, "no activity"),
        (
            "D-1,2026-01-06 09:00,call",
            "at",
            "2026-01-06 09:00",
            "a time without its UTC offset, and the mapping states no time_zone",
        ),
        (
            "D-1,2026-01-04T09:00:00Z,won",
            "",
            "2026-01-04 09:00:00.000000Z",
            "closing before opening",
        ),
        (
            "D-1,2026-01-06T09:00:00Z",
            "",
            "D-1,2026-01-06T09:00:00Z",
            "fewer values than the header has columns",
        ),
        (
            "D-1,2026-01-06T09:00:00Z,call,again",
            "",
            "D-1,2026-01-06T09:00:00Z,call,again",
            "more values than the header has columns",
        ),
    ],
)
def test_a_bad_row_is_told_and_the_rest_is_imported(
    tmp_path: Path, row: str, column: str, value: str | None, reason: str
) -> None:
    folder = Folder(tmp_path)
    rows = OPENED + row + "\nD-1,2026-01-07T09:00:00Z,call\n"
    summary, rejects = folder.run(log__csv=rows)
    assert [(r.line, r.column, r.value) for r in rejects] == [(3, column, value)]
    assert reason in rejects[0].reason
    assert rejects[0].file.endswith("log.csv")
    assert summary.rows_read == 3
    assert summary.rows_rejected == 1
    assert folder.events("kind") == ["deal_opened", "call_made"]


def test_one_id_with_other_content_is_rejected_wherever_it_comes_again(tmp_path: Path) -> None:
    mapping = LOG.replace('activity = "what"', 'activity = "what"\nsource_id = "{id}"')
    folder = Folder(tmp_path, mapping)
    first = "id,deal,at,what\n1,D-1,2026-01-05T09:00:00Z,opened\n2,D-1,2026-01-06T09:00:00Z,call\n"
    _, rejects = folder.run(log__csv=first + "2,D-1,2026-01-07T09:00:00Z,call\n")
    reasons = [(r.line, r.column, r.value, r.reason) for r in rejects]
    assert reasons == [(4, "source_id", "2/call_made", "duplicate id with other content")]
    _, rejects = folder.run(more__csv="id,deal,at,what\n2,D-1,2026-01-08T09:00:00Z,call\n")
    assert [r.reason for r in rejects] == ["duplicate id with other content"]
    assert folder.events("occurred_at") == [at(5), at(6)]


def test_a_second_opening_at_another_time_is_counted(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    opened = [f"D-1,2026-01-0{day}T09:00:00Z,opened\n" for day in (5, 5, 7, 9)]
    summary, _ = folder.run(log__csv="deal,at,what\n" + "".join(opened))
    assert summary.openings_repeated == 2
    assert summary.events_written == 1
    assert "2 openings later than the deal's first left out" in summary_lines(summary, Path("r"))
    again, _ = folder.run(log__csv="deal,at,what\n" + "".join(opened))
    assert (again.openings_repeated, again.events_written, again.events_there) == (2, 0, 1)


def test_events_before_the_opening_are_kept_and_deals_never_opened_are_skipped(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path, LOG.replace('opened = "deal_opened"', 'offer = "deal_opened"'))
    summary, rejects = folder.run(
        log__csv="deal,at,what\n"
        "D-1,2026-01-04T09:00:00Z,call\nD-1,2026-01-05T09:00:00Z,offer\n"
        "D-1,2026-01-06T09:00:00Z,offer\nD-2,2026-01-05T09:00:00Z,call\n"
        "D-2,2026-01-06T09:00:00Z,lost\n"
    )
    assert not rejects
    assert summary.rows_never_opened == 2
    assert folder.events("deal_id", "kind", "occurred_at") == [
        ("D-1", "call_made", at(4)),
        ("D-1", "deal_opened", at(5)),
    ]


@pytest.mark.parametrize(("first", "opening"), [("any", 4), ("call_made", 6)])
def test_a_deal_may_open_with_its_first_event_of_another_kind(
    tmp_path: Path, first: str, opening: int
) -> None:
    folder = Folder(tmp_path, LOG + f'[opens]\nfirst = "{first}"\n')
    folder.run(
        log__csv="deal,at,what\nD-1,2026-01-06T09:00:00Z,call\nD-1,2026-01-04T09:00:00Z,mail in\n"
    )
    assert [t for k, t in folder.events("kind", "occurred_at") if k == "deal_opened"] == [
        at(opening)
    ]


def test_the_first_closing_stands_unless_the_deal_is_reopened(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    summary, _ = folder.run(
        log__csv=OPENED + "D-1,2026-01-06T09:00:00Z,lost\nD-1,2026-01-07T09:00:00Z,won\n"
        "D-2,2026-01-05T09:00:00Z,opened\nD-2,2026-01-06T09:00:00Z,lost\n"
        "D-2,2026-01-07T09:00:00Z,reopened\nD-2,2026-01-08T09:00:00Z,won\n"
    )
    assert summary.closings_repeated == 1
    assert folder.events("deal_id", "kind") == [
        ("D-1", "deal_opened"),
        ("D-1", "deal_lost"),
        ("D-2", "deal_opened"),
        ("D-2", "deal_lost"),
        ("D-2", "deal_reopened"),
        ("D-2", "deal_won"),
    ]


def test_a_number_repeated_in_every_row_is_told_when_it_changes(tmp_path: Path) -> None:
    mapping = LOG.replace(
        'activity = "what"', 'activity = "what"\nstate = { amount_changed = "amount" }'
    )
    folder = Folder(tmp_path, mapping)
    _, rejects = folder.run(
        log__csv="deal,at,what,amount\n"
        "D-1,2026-01-07T09:00:00Z,call,150\nD-1,2026-01-05T09:00:00Z,opened,100\n"
        "D-1,2026-01-06T09:00:00Z,call,100\nD-1,2026-01-08T09:00:00Z,call,NaN\n"
        "D-1,2026-01-09T09:00:00Z,call,150\nD-1,2026-01-10T09:00:00Z,call,\n"
    )
    amounts = folder.events("kind", "number", "occurred_at")
    assert [row[1:] for row in amounts if row[0] == "amount_changed"] == [
        (100.0, at(5)),
        (150.0, at(7)),
    ]
    assert [(r.line, r.column, r.value, r.reason) for r in rejects] == [
        (5, "amount", "NaN", "not a finite number")
    ]
    assert folder.events("kind").count("call_made") == 4


def test_when_a_fact_was_known_is_read_defaulted_or_raised_and_counted(tmp_path: Path) -> None:
    mapping = LOG.replace('activity = "what"', 'activity = "what"\nknown_at = "known"')
    folder = Folder(tmp_path, mapping)
    summary, _ = folder.run(
        log__csv="deal,at,what,known\n"
        "D-1,2026-01-05T09:00:00Z,opened,\n"
        "D-1,2026-01-06T09:00:00Z,call,2026-01-08T09:00:00Z\n"
        "D-1,2026-01-07T09:00:00Z,call,2026-01-01T09:00:00Z\n"
    )
    assert folder.events("known_at") == [at(5), at(8), at(7)]
    assert (summary.known_defaulted, summary.known_raised) == (1, 1)


def test_a_bare_date_is_known_at_the_end_of_its_day_in_the_stated_zone(tmp_path: Path) -> None:
    folder = Folder(tmp_path, 'time_zone = "Europe/Berlin"\n' + LOG)
    folder.run(log__csv="deal,at,what\nD-1,2026-01-05 10:00,opened\nD-1,2026-01-06,call\n")
    assert folder.events("occurred_at") == [
        at(5),
        datetime(2026, 1, 6, 22, 59, 59, 999_999, tzinfo=UTC),
    ]


def test_a_bare_date_west_of_greenwich_lies_in_its_quarter_and_is_known_when_it_ends_there(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path, 'time_zone = "America/New_York"\n' + LOG)
    folder.run(log__csv="deal,at,what\nD-1,2026-03-02 10:00,opened\nD-1,2026-03-31,won\n")
    _, won = folder.events("occurred_at")
    _, known = folder.events("known_at")

    assert quarter_until(date(2026, 3, 31)).holds(microseconds(won))
    assert won == datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert known == datetime(2026, 4, 1, 3, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ("2026-03-30 21:30", "2026-03-31T23:59:59.999999"),
        ("2026-03-31 21:30", "2026-04-01T01:30:00"),  # that evening, when it is April in UTC
    ],
)
def test_a_closing_of_a_deals_own_row_lies_in_its_quarter_but_not_before_the_opening(
    tmp_path: Path, opened: str, closed: str
) -> None:
    mapping = """source = "crm"\ntime_zone = "America/New_York"
        [[record]]\ntitle = "deal"\nrows = "deal"\ndeal_id = "id"\nopened_at = "opened"
        closed_at = "closed"\nwon = { won = "yes" }"""
    folder = Folder(tmp_path, mapping)
    _, rejects = folder.run(deal__csv=f"id,opened,closed,won\nD-1,{opened},2026-03-31,yes\n")

    assert not rejects
    assert folder.events("kind") == ["deal_opened", "deal_won"]
    assert folder.events("occurred_at")[1] == datetime.fromisoformat(closed).replace(tzinfo=UTC)
    assert folder.events("known_at")[1] == datetime(2026, 4, 1, 3, 59, 59, 999_999, tzinfo=UTC)


def test_people_are_told_apart_without_their_names(tmp_path: Path) -> None:
    mapping = LOG.replace('activity = "what"', 'activity = "what"\nperson = "who"')
    folder = Folder(tmp_path, mapping)
    folder.run(
        log__csv="deal,at,what,who\n"
        "D-1,2026-01-05T09:00:00Z,opened,\nD-1,2026-01-06T09:00:00Z,call,Ada@example.com\n"
        "D-1,2026-01-07T09:00:00Z,call,ada@example.com\nD-1,2026-01-08T09:00:00Z,call,bo@example.com\n"
    )
    nobody, ada, ada_again, bo = folder.events("person")
    assert nobody is None
    assert ada == ada_again != bo
    assert b"example.com" not in folder.out.read_bytes()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(8)), cut=st.integers(1, 7))
def test_neither_the_order_of_rows_nor_how_they_are_split_into_files_matters(
    tmp_path: Path, order: list[int], cut: int
) -> None:
    what = ["opened", "call", "mail in", "lost", "reopened", "call", "won", "call"]
    rows = [f"D-1,2026-01-{5 + i:02}T09:00:00Z,{name}\n" for i, name in enumerate(what)]
    head = "deal,at,what\n"
    whole = Folder(tmp_path)
    whole.out = tmp_path / "whole.parquet"
    whole.out.unlink(missing_ok=True)
    whole.run(log__csv=head + "".join(rows))
    split = Folder(tmp_path)
    split.out = tmp_path / "split.parquet"
    split.out.unlink(missing_ok=True)
    mixed = [rows[i] for i in order]
    split.run(one__csv=head + "".join(mixed[:cut]), two__csv=head + "".join(mixed[cut:]))
    assert split.table().equals(whole.table())
