"""The company's deals as the API reads them: those that a caller may see, and their events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from model.errors import EventError
from model.events import Event, microseconds
from model.feeds import Feed
from model.scorer import Scorer
from model.sources.standing import standing_events
from service.access import Access
from service.problems import NO_DATABASE, NOT_FOUND, Refused, refused
from service.storage import deals, events, feeds
from service.storage.database import Database
from service.storage.rows import AnyRow, check_text

HEARD_SECONDS: Final = 60.0  # for which what the feeds show is not read again


class Company:
    """What a database holds of a company's deals.

    Parameters
    ----------
    database
        Open, and up to date; None where nothing is kept.
    in_force
        Answers the scorer of the model in force.
    clock
        Tells the present, UTC.
    """

    def __init__(
        self,
        database: Database | None,
        in_force: Callable[[], Scorer],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._heard: tuple[float, dict[str, Feed]] | None = None
        self._hearing = threading.Lock()
        self.in_force = in_force
        self.clock = clock

    @property
    def database(self) -> Database:
        """The database.

        Raises
        ------
        Refused
            If there is none.
        """
        if self._database is None:
            raise refused(
                NO_DATABASE,
                "a service without a database",
                "one that keeps deals",
                "serve with --database",
            )
        return self._database

    @property
    def now_us(self) -> int:
        """The present, microseconds since 1970 UTC."""
        return microseconds(self.clock())

    def deal(self, connection: Connection, deal_id: str, access: Access) -> AnyRow:
        """The row of a deal.

        Raises
        ------
        Refused
            If it is unknown, or another's: both alike, not to tell which deals there are.
        """
        try:
            check_text("deal", deal_id)
        except EventError as error:
            raise no_deal(deal_id) from error
        row = deals.find(connection, deal_id)
        if row is not None and row.known_at is None and access.owners is None:
            raise refused(
                NOT_FOUND,
                f"deal {deal_id!r}, whose events are kept and were not looked at yet",
                "one that the worker has looked at",
                "ask again in some seconds; it takes a worker that runs, and events known by now",
            )
        if row is None or row.known_at is None or not access.sees(row.owner):
            raise no_deal(deal_id)
        return row

    def events(self, connection: Connection, deal_id: str) -> list[Event]:
        """What stands of a deal's events."""
        return standing_events(events.of_deal(connection, deal_id))

    def events_of(self, connection: Connection, deal_ids: Sequence[str]) -> list[Event]:
        """What stands of the events of some deals."""
        told = events.of_deals(connection, deal_ids)
        return standing_events(event for _, of_deal in told for event in of_deal)

    def heard(self, connection: Connection) -> dict[str, Feed]:
        """What each source carries and when it was heard, read again now and then."""
        with self._hearing:
            now = time.monotonic()
            if self._heard is None or now >= self._heard[0] + HEARD_SECONDS:
                self._heard = now, feeds.heard(connection)
            return self._heard[1]


def no_deal(deal_id: str) -> Refused:
    """The refusal of a deal that is unknown, or that the caller does not see."""
    return refused(
        NOT_FOUND,
        f"deal {deal_id!r}",
        "one that is known and that the key sees",
        "see them with GET /v1/deals",
    )
