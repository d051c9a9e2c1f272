"""A red flare as a mail."""

from __future__ import annotations

import logging
import smtplib
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final

from service.logs import fields
from service.smtp import SmtpServer
from service.writeback.addresses import AddressRefused, Unresolved
from service.writeback.entry import Entry, Outcome, Refused, Retry, Sent
from service.writeback.payload import drivers_text, percent, score_of, shown_probability

LOG: Final = logging.getLogger("redflare.writeback")
TAKEN: Final = 250  # as servers say it
NO_STATUS: Final = -1  # of smtplib: the answer is none of SMTP, as one that was cut short
LATER: Final = frozenset({NO_STATUS, 421, 450, 451, 452, 454, 530, 534, 535, 538})
# 53x too: as with a token, an account is mended within three days.
LONGEST_SUBJECT: Final = 150  # characters
UNFOLDED: Final = SMTP.clone(max_line_length=998)  # folded, a subject begins with a blank for some


@dataclass(frozen=True, kw_only=True)
class MailSender:
    """Mails each alert to the same people.

    Parameters
    ----------
    server
        Takes it.
    recipients
        Who is told.
    """

    server: SmtpServer
    recipients: tuple[str, ...]

    def send(self, entry: Entry, now: datetime) -> Outcome:
        """See `service.writeback.entry.Sender`."""
        flare = entry.payload.get("red_flare")
        if not isinstance(flare, dict):
            return Refused(reason=f"{entry.kind}: no alert, and mails tell nothing else")
        message = alert(entry, flare)
        message["From"] = self.server.sender
        message["To"] = ", ".join(self.recipients)
        message["Message-ID"] = f"<{entry.id}@{self.server.sender.rpartition('@')[2]}>"
        message["Date"] = format_datetime(now)
        try:
            refused = self.server.send(message, self.recipients)
        except AddressRefused as error:
            return Refused(reason=str(error))
        except Unresolved as error:
            return Retry(reason=str(error))
        except smtplib.SMTPRecipientsRefused as error:
            return _outcome(max(status for status, _ in error.recipients.values()), "no recipient")
        except smtplib.SMTPResponseException as error:
            return _outcome(error.smtp_code, type(error).__name__)
        except (smtplib.SMTPException, OSError) as error:
            return Retry(reason=f"{type(error).__name__} from {self.server.host}")
        if refused:  # the others have it, and would have it twice
            LOG.warning(
                "%d of %d recipients of %r are refused",
                len(refused),
                len(self.recipients),
                entry.destination,
                extra=fields(entry_id=entry.id, delivery_id=entry.delivery_id),
            )
        return Sent(status=TAKEN)


def _outcome(status: int, what: str) -> Outcome:
    reason = f"status {status}: {what}"
    return (
        Retry(reason=reason) if status in LATER or 400 <= status < 500 else Refused(reason=reason)
    )


def alert(entry: Entry, flare: dict[str, Any]) -> EmailMessage:
    """The words of an alert: why, how probable, what drives it."""
    message = EmailMessage(UNFOLDED)
    subject = _line(f"Red flare: {entry.deal_id}: {flare['phrase']}")
    message["Subject"] = subject[:LONGEST_SUBJECT]
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: out-of-office replies stay away
    score = score_of(entry.payload) or {}
    lines = [f"Deal {_line(entry.deal_id)}: {_line(str(flare['phrase']))}.", ""]
    facts = facts_text(entry.payload.get("deal"))
    if facts:
        lines.append(facts)
    probability = percent(shown_probability(score))
    if probability is None:
        lines.append("No probability can be given.")
    else:
        lines.append(f"{probability}% to be won within {score['days']:g} days.")
    why = drivers_text(score)
    if why:
        lines += ["", why]
    lines += ["", f"Since {flare['since']}. Told once until it clears."]
    message.set_content("\n".join(lines) + "\n")
    return message


def facts_text(deal: Any) -> str:
    """Whose deal it is, for how much, where it stands, and until when.

    Examples
    --------
    >>> facts_text({"owner": "ann", "amount": 48000.0, "currency": "EUR", "stage": None})
    'Owner ann, 48,000 EUR.'
    """
    known = deal if isinstance(deal, dict) else {}
    amount = known.get("amount")
    money = None if amount is None else f"{amount:,.0f} {known.get('currency') or ''}".rstrip()
    parts = (
        ("owner {}", known.get("owner")),
        ("{}", money),
        ("stage {}", known.get("stage")),
        ("planned to close on {}", known.get("close_date")),
    )
    said = [words.format(value) for words, value in parts if value]
    text = _line(", ".join(said))
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _line(text: str) -> str:
    """A text that cannot begin another header."""
    return "".join(each if each.isprintable() else " " for each in text)
