"""What waits in the outbox sent, one attempt at a time.

An attempt is made between two transactions: the first leases the entry, the second says what came
of it. Whoever is killed between them is followed when the lease ends, with the same id, by which
the destination can tell the repetition.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from model.events import microseconds
from service.logs import fault_of, fields
from service.metrics import Metrics
from service.storage import outbox
from service.storage.database import Database
from service.writeback.entry import Entry, Outcome, Refused, Retry, Sender, Sent

LOG: Final = logging.getLogger("redflare.writeback")


class Sending:
    """Sends the entries of an outbox.

    Parameters
    ----------
    database
        Open, and up to date.
    senders
        By the destination's name; entries for others wait until they are configured again.
    clock
        Tells the present, UTC.
    step
        Told the name of each step before its end, for tests that end the process there.
    metrics
        Counts attempts; its own unless given.
    """

    def __init__(
        self,
        database: Database,
        senders: Mapping[str, Sender],
        clock: Callable[[], datetime],
        step: Callable[[str], None] = lambda _step: None,
        metrics: Metrics | None = None,
    ) -> None:
        self._database = database
        self._senders = senders
        self._clock = clock
        self._step = step
        self._metrics = metrics or Metrics()

    @property
    def destinations(self) -> list[str]:
        """The names of those that can be sent to."""
        return sorted(self._senders)

    def send(self, destination: str | None = None) -> bool:
        """Try the entry that is due first; whether there was one.

        Parameters
        ----------
        destination
            Only those for it; None takes all.

        Raises
        ------
        StoreUnavailable
            If the database does not answer.
        """
        names = self.destinations if destination is None else [destination]
        if not names:
            return False
        now = self._clock()
        with self._database.reading() as connection:
            if not outbox.is_due(connection, names, at=microseconds(now)):
                return False
        with self._database.writing() as connection:
            entry = outbox.take(connection, names, at=microseconds(now))
        if entry is None:
            return False
        self._step("leased")
        outcome = self._try(entry, now)
        self._step("sent")
        at = microseconds(self._clock())
        became = "sent"
        with self._database.writing() as connection:
            match outcome:
                case Sent():
                    outbox.sent(connection, entry.id, at=at)
                case Retry(reason=reason, after=after):
                    again = outbox.put_off(connection, entry, reason, after, at=at)
                    became = "retried" if again else "parked"
                case Refused(reason=reason):
                    outbox.park(connection, entry.id, reason, at=at)
                    became = "parked"
        self._told(entry, outcome, became)
        return True

    def _told(self, entry: Entry, outcome: Outcome, became: str) -> None:
        """Count and log what came of an attempt."""
        self._metrics.write_backs.labels(entry.destination, became).inc()
        # What a destination answers may repeat what it was sent: redflare outbox shows it.
        reason = None if isinstance(outcome, Sent) else outcome.reason.partition(":")[0]
        LOG.log(
            logging.INFO if reason is None else logging.WARNING,
            "%s to %r is %s%s",
            entry.kind,
            entry.destination,
            became,
            "" if reason is None else f": {reason}",
            extra=fields(
                entry_id=entry.id, delivery_id=entry.delivery_id, attempt=entry.attempt + 1
            ),
        )

    def _try(self, entry: Entry, now: datetime) -> Outcome:
        try:
            return self._senders[entry.destination].send(entry, now)
        except Exception as error:  # noqa: BLE001 - a fault of ours: the next entry is not to wait for it
            LOG.error(
                "%s cannot be sent to %r",
                entry.id,
                entry.destination,
                extra=fields(fault=fault_of(error)),
            )
            return Retry(reason=f"a fault of Redflare: {type(error).__name__}")
