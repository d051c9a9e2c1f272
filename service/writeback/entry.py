"""One entry of the outbox, and what came of an attempt to send it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

SCORE_CHANGED: Final = "score.changed"
RED_FLARE_RAISED: Final = "red_flare.raised"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A score to be written back, as the outbox keeps it.

    Parameters
    ----------
    id
        The same at every attempt, so that a receiver can tell a repetition.
    destination
        The name under which the destination is configured.
    kind
        What is told: ``score.changed`` or ``red_flare.raised``.
    deal_id
        As its CRM names it.
    payload
        What is told, as JSON; see `service.writeback.payload`.
    queued_at
        When it was put into the outbox, UTC.
    attempt
        How many attempts there were before.
    delivery_id
        Of the delivery that it follows from, for the log; None where time alone asked for it.
    first_tried_at
        When the first attempt began, UTC; None before it.
    """

    id: str
    destination: str
    kind: str
    deal_id: str
    payload: Mapping[str, Any]
    queued_at: datetime
    attempt: int
    delivery_id: str | None = None
    first_tried_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """The destination has it."""

    status: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """It may succeed later.

    Parameters
    ----------
    reason
        What happened, without secrets.
    after
        How long the destination asks to wait; None leaves it to the schedule.
    """

    reason: str
    after: timedelta | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """It will not succeed as it is: parked until somebody sees to it.

    Parameters
    ----------
    reason
        What happened, without secrets.
    """

    reason: str


Outcome = Sent | Retry | Refused


class Sender(Protocol):
    """One configured destination."""

    def send(self, entry: Entry, now: datetime) -> Outcome:
        """Try once to send an entry; never raises for what the destination does."""
