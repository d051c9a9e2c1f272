"""The daily look at open deals of which nothing came: only time passed, and it moves scores too."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

from model.events import DAY_US, microseconds
from model.feeds import Feed
from model.scorer import Scorer
from service.known_feeds import KnownFeeds
from service.logs import fault_of, fields
from service.metrics import Metrics
from service.model_in_force import ModelInForce
from service.rescoring import Occasion, Policy, rescore
from service.storage import deals, tombstones
from service.storage.database import Database
from service.storage.errors import StoreUnavailable
from service.storage.rows import AnyRow

LOG: Final = logging.getLogger("redflare.worker")
TICKED_AT_ONCE: Final = 50  # deals of one transaction


class Ticker:
    """Looks at the open deals that a day went by for, and at those that were loaded.

    Parameters
    ----------
    database
        Open, and up to date.
    models
        The model in force.
    policy
        When and to whom something is told.
    clock
        Tells the present, UTC.
    feeds
        What the feeds show.
    step
        Told the name of each step before its end, for tests that end the process there.
    metrics
        Counts what is looked at.
    """

    def __init__(
        self,
        database: Database,
        models: ModelInForce,
        policy: Policy,
        clock: Callable[[], datetime],
        *,
        feeds: KnownFeeds,
        step: Callable[[str], None],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._models = models
        self._policy = policy
        self._clock = clock
        self._feeds = feeds
        self._step = step
        self._metrics = metrics

    def is_any_loaded(self) -> bool:
        """Whether there are deals that were loaded, and that the next tick looks at.

        Raises
        ------
        StoreUnavailable
            If the database does not answer.
        """
        if self._models.scorer is None:
            return False
        with self._database.reading() as connection:
            return deals.is_any_loaded(connection)

    def tick(self) -> int:
        """Score anew the open deals of which nothing came for a day; how many there were.

        Raises
        ------
        StoreUnavailable
            If the database does not answer: what was scored until then is kept.
        """
        scorer = self._models.scorer
        if scorer is None:
            return 0
        ticked = 0
        now = microseconds(self._clock())
        before = now - int(self._policy.stale_days * DAY_US)
        while True:
            with self._database.reading() as connection:
                deal_ids = deals.stale(connection, before, TICKED_AT_ONCE)
            if not deal_ids:
                return ticked
            with self._database.writing() as connection:
                tombstones.hold(connection)
                deal_ids = deals.stale(connection, before, TICKED_AT_ONCE)  # none forgotten since
                known = self._feeds.beside(connection, scorer)
                occasion = Occasion(cause="tick", inbox_id=None, until=now, at=now)
                for row in deals.lock(connection, deal_ids).values():
                    if deals.is_stale(row, before):
                        self._tick_deal(connection, row, scorer, known, occasion)
                        # One that cannot be scored too, lest it come first for ever.
                        deals.looked_at(connection, row.deal_id, as_of=now)
                        ticked += 1
                self._step("ticked")

    def _tick_deal(
        self,
        connection: Connection,
        row: AnyRow,
        scorer: Scorer,
        known: dict[str, Feed] | None,
        occasion: Occasion,
    ) -> None:
        """Score one deal, of which nothing is kept where it cannot be scored."""
        try:
            with connection.begin_nested(), self._metrics.scoring("tick"):
                rescore(connection, row, scorer, known, self._policy, occasion)
                self._step("scored")
        except (InterfaceError, OperationalError, StoreUnavailable):
            raise  # the deal can do nothing about it
        except Exception as error:  # noqa: BLE001 - a fault of ours; the next deal does not wait
            self._metrics.ticked.labels("failed").inc()
            LOG.error("deal %r cannot be scored", row.deal_id, extra=fields(fault=fault_of(error)))
        else:
            self._metrics.ticked.labels("done").inc()
