from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.cli import main
from tests.imports import Folder

DEALS = """
source = "crm"
[[record]]
title = "deals"
rows = "deal"
deal_id = "id"
opened_at = "opened"
"""
OURS = Path("mail.toml")
BOOK = "address,deal_id\nada@customer.example,D-1\n@other.example,D-2\nsubject:Pilot offer,D-1\n"


def mail(number: int, sender: str, to: str, headers: str = "", subject: str = "Offer") -> str:
    return (
        f"Message-ID: <{number}@mail.example>\nFrom: {sender}\nTo: {to}\nSubject: {subject}\n"
        f"Date: Tue, {5 + number:02} Jan 2026 10:00:00 +0100\n{headers}\nHello\n"
    )


def at(day: int) -> datetime:
    return datetime(2026, 1, day, 9, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Two deals of a CRM, to which mails are added."""
    deals = Folder(tmp_path, DEALS)
    deals.run(
        deals__csv="id,opened\nD-1,2026-01-01T00:00:00Z\nD-2,2026-01-01T00:00:00Z\n"
        "D-3,2026-01-01T00:00:00Z\n"
    )
    deals.mapping = "mail"
    return deals


def mails(folder: Folder, *columns: str) -> list[object]:
    rows = folder.events("source", *columns)
    return [row[1:] for row in rows if row[0] == "mail"]


def test_mails_are_contacts_of_the_deal_whose_addresses_they_bear(folder: Folder) -> None:
    summary, rejects = folder.run(
        book__csv=BOOK,
        a__eml=mail(1, "Bo <bo@ours.example>", "ada@customer.example"),
        b__eml=mail(2, "Ada <ADA@customer.example>", "bo@ours.example"),
        c__eml=mail(3, "cy@other.example", "bo@ours.example", "Auto-Submitted: auto-replied\n"),
        d__eml=mail(4, "news@lists.example", "bo@ours.example"),
        e__eml=mail(5, "cy@other.example", "bo@ours.example", "List-Id: news\n"),
    )
    assert not rejects
    assert (summary.rows_read, summary.rows_left_out) == (5, 2)
    assert mails(folder, "deal_id", "kind", "occurred_at", "thread") == [
        ("D-1", "message_sent", at(6), "<1@mail.example>"),
        ("D-1", "customer_replied", at(7), "<2@mail.example>"),
        ("D-2", "auto_reply_received", at(8), "<3@mail.example>"),
    ]
    people = [row[0] for row in mails(folder, "person")]  # type: ignore[index]
    assert people[0] == people[1] != people[2]


def test_a_thread_keeps_its_deal_when_somebody_new_joins_it(folder: Folder) -> None:
    (folder.path / OURS).write_text(
        Path("model/sources/mappings/mail.toml")
        .read_text("utf-8")
        .replace("our_domains = []", 'our_domains = ["ours.example"]'),
        "utf-8",
    )
    folder.mapping = str(folder.path / OURS)
    _, rejects = folder.run(
        book__csv=BOOK,
        a__eml=mail(1, "bo@ours.example", "ada@customer.example"),
        b__eml=mail(2, "lawyer@firm.example", "bo@ours.example", "In-Reply-To: <1@mail.example>\n"),
        c__eml=mail(3, "x@elsewhere.example", "bo@ours.example", subject="Re: AW: pilot offer"),
        d__eml=mail(4, "x@elsewhere.example", "deals+d-2@ours.example"),
        e__eml=mail(5, "x@elsewhere.example", "bo@ours.example", "X-Deal-Id: D-3\n"),
    )
    assert not rejects
    assert mails(folder, "deal_id", "kind", "thread") == [
        ("D-1", "message_sent", "<1@mail.example>"),
        ("D-1", "customer_replied", "<1@mail.example>"),
        ("D-1", "customer_replied", "<3@mail.example>"),
        ("D-2", "customer_replied", "<4@mail.example>"),
        ("D-3", "customer_replied", "<5@mail.example>"),
    ]


def test_whose_mails_they_are_is_known_by_columns_and_asked_for_where_nothing_says_it(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write("whose.csv", BOOK)
    folder.write("a.eml", mail(1, "ada@customer.example", "sales@ours.example"))
    given = [str(folder.path / name) for name in ("whose.csv", "a.eml")]
    options = ["--out", str(folder.path / "told.parquet")]
    assert main(["import", "mail", given[1], *options]) == 2
    assert "Remedy: add a CSV of the columns address,deal_id" in capsys.readouterr().err
    folder.mapping = "mail"
    summary, _ = folder.add(*map(Path, given))
    assert summary.events_written == 1


def test_an_address_of_several_deals_is_decided_by_the_thread_or_rejected(folder: Folder) -> None:
    _, rejects = folder.run(
        book__csv="address,deal_id\nada@customer.example,D-1\nada@customer.example,D-2\n"
        "subject:Roll-out,D-2\n",
        a__eml=mail(1, "ada@customer.example", "bo@ours.example", subject="Re: Roll-out"),
        b__eml=mail(2, "ada@customer.example", "bo@ours.example", subject="Lunch"),
    )
    assert [row[0] for row in mails(folder, "deal_id")] == ["D-2"]  # type: ignore[index]
    assert [(r.line, r.value, r.reason) for r in rejects] == [(1, "D-1, D-2", "of several deals")]


def test_a_mailbox_is_read_mail_by_mail_and_a_mail_without_a_date_is_told(folder: Folder) -> None:
    box = "".join(
        f"From MAILER Thu Jan  1 00:00:00 2026\n{text}\n"
        for text in (
            mail(1, "ada@customer.example", "bo@ours.example"),
            mail(2, "ada@customer.example", "bo@ours.example").replace("Date: ", "Dated: "),
            mail(3, "ada@customer.example", "bo@ours.example").replace("Jan 2026", "Foo 2026"),
        )
    )
    summary, rejects = folder.run(book__csv=BOOK, box__mbox=box)
    assert summary.rows_read == 3
    assert [(r.line, r.reason) for r in rejects] == [
        (10, "missing time"),
        (19, "not readable as a time"),
    ]
    again, _ = folder.run(box__mbox=box, book__csv=BOOK)
    assert again.events_written == 0


def test_a_mail_is_known_when_the_last_server_took_it(folder: Folder) -> None:
    received = "Received: from a by b; Tue, 06 Jan 2026 12:00:00 +0000\n"
    folder.run(book__csv=BOOK, a__eml=received + mail(1, "ada@customer.example", "bo@ours.example"))
    assert mails(folder, "known_at") == [(datetime(2026, 1, 6, 12, tzinfo=UTC),)]
