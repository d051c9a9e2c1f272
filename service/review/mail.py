"""A review as a mail: the summary in the body, the page attached."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Final

from model.errors import RedflareError
from model.feature import counted
from service.review import words
from service.review.deal_row import DealRow
from service.review.page import letter
from service.review.view import Review
from service.writeback.addresses import Unresolved
from service.writeback.destinations import FILE_VARIABLE, read_destinations
from service.writeback.mail import MailSender

MOST_FLARES: Final = 10


class MailError(RedflareError):
    """A review cannot be mailed. Correct what is named, or write an .eml and send that."""


def mail(review: Review, page: str) -> bytes:
    """The bytes of an ``.eml`` file that a mail program opens as a draft.

    Parameters
    ----------
    page
        The page, attached as ``review-WEEK.html``.
    """
    draft = message(review, page)
    draft["Date"] = format_datetime(review.question.as_of)
    draft["X-Unsent"] = "1"  # mail programs open it as a draft that lacks but its addresses
    return draft.as_bytes()


def message(review: Review, page: str) -> EmailMessage:
    """The mail without addresses and date: the summary in the body, the page attached."""
    made = EmailMessage()
    made["Subject"] = subject(review)
    made.set_content(summary(review))
    made.add_alternative(letter(review, told_flares(review)), subtype="html")
    made.add_attachment(
        page.encode(),
        maintype="text",
        subtype="html",
        filename=f"review-{review.week}.html",
        params={"charset": "utf-8"},
    )
    return made


def send(made: EmailMessage, name: str, environment: Mapping[str, str], now: datetime) -> list[str]:
    """Hand a mail over to the server of a destination; those who got it.

    Parameters
    ----------
    made
        As `message` makes it.
    name
        Of a destination of kind ``mail`` in the file that ``REDFLARE_DESTINATIONS`` names.
    environment
        For instance ``os.environ``.
    now
        When it is sent.

    Raises
    ------
    MailError
        If there is no such destination, or its server does not take the mail.
    """
    known = {
        key: each.sender
        for key, each in read_destinations(environment).items()
        if isinstance(each.sender, MailSender)
    }
    if name not in known:
        raise MailError(
            f"--mail {name}",
            "a name ending in .eml, or a destination of kind mail"
            + (f": {', '.join(known)}" if known else ""),
            f"name one in the file of {FILE_VARIABLE}",
        )
    server, recipients = known[name].server, known[name].recipients
    made["From"] = server.sender
    made["To"] = ", ".join(recipients)
    made["Date"] = format_datetime(now)
    made["Message-ID"] = make_msgid(domain=server.sender.rpartition("@")[2])
    try:
        refused = server.send(made, recipients)
    except (smtplib.SMTPException, OSError, Unresolved) as error:
        raise MailError(
            f"the mail server {server.host}:{server.port} ({type(error).__name__}: {error})",
            "one that takes the mail",
            f"check destination {name!r} of {FILE_VARIABLE}, then send it again",
        ) from error
    return [each for each in recipients if each not in refused]


def subject(review: Review) -> str:
    """The week, what is expected, and how many red flares stand; in one line."""
    said = []
    if len(review.money) == 1 and review.money[0].outlook.forecast is not None:
        outlook = review.money[0].outlook
        expected = words.amount(review.money[0].outlook.forecast.whole.total.expected)
        said.append(f"{expected} {outlook.currency}".rstrip() + " expected")
    if review.flared:
        said.append(counted(len(review.flared), "red flare"))
    return " ".join(f"Forecast review {review.week}{': ' if said else ''}{', '.join(said)}".split())


def told_flares(review: Review) -> list[DealRow]:
    """The first red flares, of those that the page tells."""
    return [row for row in review.flared if row.deal.deal_id in review.pages][:MOST_FLARES]


def summary(review: Review) -> str:
    """The review in a few lines of text."""
    lines = [
        f"Forecast review, week {review.week}, quarter until {review.question.period.last}.",
        "",
        *review.notes,
    ]
    if review.notes:
        lines.append("")
    for money in review.money:
        lines.append(words.lead(money, review))
        if money.bridge is not None:
            lines.append("Since last week:")
            lines += [
                f"  {bar}: {words.cents(value)}"
                for bar, value in money.bridge.bars.items()
                if value
            ]
        lines.append("")
    shown = told_flares(review)
    if shown:
        lines.append(f"Red flares, {len(shown)} of {len(review.flared)}:")
    for row in shown:
        sentence = words.flare_sentence(row, review.pages[row.deal.deal_id], review)
        money_now = f"{words.amount(row.deal.amount)} {row.deal.currency}".strip()
        lines.append(
            f"- {row.deal.deal_id} ({money_now}, {words.percent(row.probability)} by "
            f"{review.question.period.last}): {sentence}"
        )
    lines += ["", "The whole page is attached; it needs nothing beside itself."]
    return "\n".join(lines) + "\n"
