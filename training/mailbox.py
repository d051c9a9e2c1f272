"""Read mails, from single files or mailboxes, as rows: who wrote when, in which deal's thread."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email import message_from_bytes
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.sources.mail import classify, header, recipients, sender
from model.sources.mapping import Column, MailRules
from model.sources.rows import Rows
from model.sources.threads import AddressBook, Mail, Place, place_mails
from training.reading import BadRow, Progress, Source

MAIL_SUFFIXES: Final = (".eml", ".mbox")
MAIL_COLUMNS: Final = (
    "deal_id",
    "occurred_at",
    "known_at",
    "writer",
    "reason",
    "subject",
    "thread",
    "person",
    "message_id",
)
MESSAGE_IDS: Final = re.compile(r"<[^<>\s]+>")


@dataclass(kw_only=True)
class MailSource(Source):
    """A file of mails.

    Parameters
    ----------
    mails
        What it holds.
    times
        When each was written and when it arrived, as text.
    starts
        The line on which each begins.
    places
        Where each belongs; filled once all files are read.
    """

    mails: list[Mail] = field(default_factory=list)
    times: list[tuple[str | None, str | None]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def batches(
        self, columns: list[str] | None, progress: Progress
    ) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int64]]]:
        """All mails in one batch of the columns `MAIL_COLUMNS`."""
        progress(self.size)
        self.bad_rows = [
            BadRow(row=row, value=", ".join(place.several), reason="of several deals")
            for row, place in enumerate(self.places)
            if place.several
        ]
        numbers = [row for row, place in enumerate(self.places) if not place.several]
        rows = [
            {
                "deal_id": place.deal_id,
                "occurred_at": written,
                "known_at": arrived,
                "writer": str(place.writer),
                "reason": mail.verdict.reason,
                "subject": mail.subject or None,
                "thread": place.thread,
                "person": place.person,
                "message_id": mail.message_id,
            }
            for mail, place, (written, arrived) in (
                (self.mails[row], self.places[row], self.times[row]) for row in numbers
            )
        ]
        schema = pa.schema([(name, pa.string()) for name in MAIL_COLUMNS])
        batch = pa.RecordBatch.from_pylist(rows, schema=schema)
        yield batch.select(columns) if columns is not None else batch, np.array(numbers, np.int64)

    def lines(self, rows: set[int]) -> dict[int, int]:
        """The line on which each mail begins."""
        return {row: self.starts[row] for row in rows}


def open_mails(path: Path, rules: MailRules) -> MailSource:
    """Read a file of mails and classify them.

    Parameters
    ----------
    path
        A file ending in .eml or .mbox.
    rules
        Our domains, and the header that names a deal.
    """
    source = MailSource(path=path, names=MAIL_COLUMNS)
    for start, raw in _messages(path):
        message = message_from_bytes(raw)
        source.mails.append(_mail(message, rules, f"<{path.name}:{start}>"))
        source.times.append(_times(message))
        source.starts.append(start)
    return source


def settle_places(sources: Sequence[MailSource], deals: Rows | None, rules: MailRules) -> None:
    """Say of all mails together which deal they are about.

    Parameters
    ----------
    sources
        All files of mails.
    deals
        Rows of ``address`` and ``deal_id``, if there are any.
    rules
        Our domains.
    """
    entries: list[tuple[str | None, str | None]] = []
    if deals is not None:
        addresses = deals.text(Column(names=("address",))).to_pylist()
        named = deals.text(Column(names=("deal_id",))).to_pylist()
        entries = list(zip(addresses, named, strict=True))
    book = AddressBook.of(entries, rules.our_domains)
    places = iter(place_mails([mail for source in sources for mail in source.mails], book))
    for source in sources:
        source.places = [next(places) for _ in source.mails]


def _messages(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each mail with the line on which it begins; a mailbox has one after each From line."""
    if path.suffix.lower() == ".eml":
        yield 1, path.read_bytes()
        return
    held: list[bytes] = []
    start, blank = 1, True
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.startswith(b"From ") and blank:
                if held:
                    yield start, b"".join(held)
                held, start = [], number
            held.append(line)
            blank = not line.strip()
    if held:
        yield start, b"".join(held)


def _mail(message: Message, rules: MailRules, stand_in: str) -> Mail:
    own = MESSAGE_IDS.findall(header(message, "Message-ID"))
    references = MESSAGE_IDS.findall(header(message, "References"))
    references += MESSAGE_IDS.findall(header(message, "In-Reply-To"))
    return Mail(
        message_id=own[0] if own else stand_in,
        references=tuple(dict.fromkeys(references)),
        sender=sender(message),
        recipients=tuple(recipients(message)),
        subject=header(message, "Subject"),
        verdict=classify(message, rules.our_domains),
        named_deal=header(message, rules.deal_header) if rules.deal_header else "",
    )


def _times(message: Message) -> tuple[str | None, str | None]:
    """When it was written, and when the last server took it."""
    written = _time(header(message, "Date"))
    arrived = _time(str(message.get("Received", "")).rpartition(";")[2])
    return written, arrived if arrived is not None and "T" in arrived else None


def _time(text: str) -> str | None:
    if not text.strip():
        return None
    try:
        time = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError):
        return text.strip()
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
