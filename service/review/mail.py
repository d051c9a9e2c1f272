"""A review as a mail: the summary in the body, the page attached."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from service.review import words
from service.review.view import Review

MOST_FLARES: Final = 10


def mail(review: Review, page: str) -> bytes:
    """The bytes of an ``.eml`` file.

    Parameters
    ----------
    page
        The page, attached as ``review-WEEK.html``.
    """
    message = EmailMessage()
    message["Subject"] = f"Forecast review {review.week}"
    message["Date"] = format_datetime(review.question.as_of)
    message["X-Unsent"] = "1"  # mail programs open it as a draft that lacks but its addresses
    message.set_content(summary(review))
    message.add_attachment(
        page.encode(),
        maintype="text",
        subtype="html",
        filename=f"review-{review.week}.html",
        params={"charset": "utf-8"},
    )
    return message.as_bytes()


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
    left = words.days_left(review)
    shown = [row for row in review.flared if row.deal.deal_id in review.pages][:MOST_FLARES]
    if shown:
        lines.append(f"Red flares, {len(shown)} of {len(review.flared)}:")
    for row in shown:
        sentence = words.flare_sentence(row, review.pages[row.deal.deal_id], left)
        money_now = f"{words.amount(row.deal.amount)} {row.deal.currency}".strip()
        lines.append(
            f"- {row.deal.deal_id} ({money_now}, {words.percent(row.probability)}): {sentence}"
        )
    lines += ["", "The whole page is attached; it needs nothing beside itself."]
    return "\n".join(lines) + "\n"
