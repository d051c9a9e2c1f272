"""Deliveries worked on one after the other: translated, kept, scored, and what follows queued.

All of one delivery is in one transaction. Whoever is killed in it leaves nothing of it, and the
delivery where it was; whoever is killed after it leaves it done. On SQLite several share a
transaction while nobody else waits to write, each behind a savepoint of its own. On PostgreSQL,
where several workers could wait for each other's deals, each has its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from model.errors import RedflareError
from model.events import DAY_US, Event, microseconds
from model.feeds import Feed
from model.scorer import Scorer
from service.hearing import Hearing
from service.logs import fault_of, fields
from service.metrics import Metrics
from service.model_in_force import ModelInForce
from service.refetching import RECORD_FETCHED, fetch_entry, fetch_name
from service.rescoring import AHEAD_US, Occasion, Policy, rescore
from service.storage import deals, events, feeds, inbox, outbox, tombstones
from service.storage.database import Database, is_unavailable
from service.storage.errors import StorageError, StoreUnavailable
from service.storage.rows import AnyRow
from service.webhooks.delivery import Receiver, Refetch, Translation, Untranslatable
from service.webhooks.fetched import FETCHED

LOG: Final = logging.getLogger("redflare.worker")
REQUEST_ID: Final = "x-request-id"  # the header that `service.request_log` sees to
WORKED_AT_ONCE: Final = 32  # deliveries of one transaction
LONGEST_REST: Final = 0.05  # seconds after a transaction that others waited for
CLOSINGS: Final = ("deal_won", "deal_lost")
TICKED_AT_ONCE: Final = 50  # deals of one transaction


def no_step(_step: str) -> None:
    """Where nobody looks."""


class _Worked(NamedTuple):
    """What became of a delivery: why it failed, if it did, and how long it took."""

    kept: inbox.Kept
    reason: str | None
    seconds: float


class Processor:
    """Works on the deliveries of an inbox.

    Parameters
    ----------
    database
        Open, and up to date.
    receivers
        By the source's name.
    models
        The model in force.
    policy
        When and to whom something is told.
    clock
        Tells the present, UTC.
    step
        Told the name of each step before its end, for tests that end the process there.
    fetched
        Names of `service.refetching.fetchers`: what a delivery leaves out is fetched by them.
    metrics
        Counts what is worked on; the processor's own unless given.
    written
        Fields that destinations write scores to: what a CRM tells of them is our own echo.
    """

    def __init__(
        self,
        database: Database,
        receivers: Mapping[str, Receiver],
        models: ModelInForce,
        policy: Policy,
        clock: Callable[[], datetime],
        step: Callable[[str], None] = no_step,
        fetched: Collection[str] = (),
        metrics: Metrics | None = None,
        written: Collection[str] = (),
    ) -> None:
        self._database = database
        self._receivers = receivers
        self._models = models
        self._policy = policy
        self._clock = clock
        self._step = step
        self._fetched = frozenset(fetched)
        self._written = frozenset(written)
        self._metrics = metrics or Metrics()
        self._at_once = WORKED_AT_ONCE if database.is_sqlite else 1
        self._hearing = Hearing(clock)

    def work(self) -> int:
        """Work on the next deliveries; how many there were.

        Raises
        ------
        StoreUnavailable
            If the database does not answer: the deliveries stay as they were.
        """
        with self._database.reading() as connection:
            waiting = inbox.peek(connection, self._at_once)
        if not waiting:
            return 0
        # Before the transaction, which on SQLite keeps all other writers waiting.
        translated = {kept.id: (kept, self._translated(kept)) for kept in waiting}
        wrote_from = time.perf_counter()
        try:
            worked, is_awaited = self._write(translated)
        except BaseException:
            self._hearing.forget()  # of what was told nothing is kept, nor what it showed of feeds
            raise
        self._step("committed")
        wrote_seconds = time.perf_counter() - wrote_from
        if self._database.is_sqlite:  # no more are read than are likely to be worked on
            grown = 2 * len(worked) if len(worked) == len(waiting) else len(worked)
            self._at_once = max(1, min(grown, WORKED_AT_ONCE))
        for each in worked:
            self._told(each)
        if is_awaited:  # those who receive have as much of the time, or they would come to little
            time.sleep(min(wrote_seconds, LONGEST_REST))
        return len(worked)

    def _write(
        self, translated: Mapping[int, tuple[inbox.Kept, Translation | str]]
    ) -> tuple[list[_Worked], bool]:
        """Work on about those in one transaction; what became of each, and whether others wait."""
        worked: list[_Worked] = []
        is_awaited = False
        with self._database.writing() as connection:
            # Before any row, lest forgetting and this wait for each other.
            tombstones.hold(connection)
            for inbox_id in inbox.take(connection, len(translated)):
                began = time.perf_counter()
                if inbox_id in translated:
                    kept, translation = translated[inbox_id]
                else:  # another worker has those that were first
                    kept = inbox.find(connection, inbox_id)
                    translation = self._translated(kept)
                self._step("taken")
                reason = self._work_on(connection, kept, translation)
                self._step("finished")
                worked.append(_Worked(kept, reason, time.perf_counter() - began))
                is_awaited = self._database.is_awaited()
                if is_awaited:
                    break
        return worked, is_awaited

    def _work_on(
        self, connection: Connection, kept: inbox.Kept, translated: Translation | str
    ) -> str | None:
        """See to all of one delivery; why it cannot be used, if it cannot."""
        now = microseconds(self._clock())
        if isinstance(translated, str):
            reason: str | None = translated
        else:
            reason = self._reason_against(connection, kept, translated, now)
        if reason is not None:
            inbox.fail(connection, kept.id, reason, at=now)
        return reason

    def _told(self, worked: _Worked) -> None:
        """Count and log what became of a delivery; the reason may hold parts of its body."""
        kept, reason, seconds = worked
        outcome = "done" if reason is None else "failed"
        self._metrics.worked.labels(kept.delivery.source, outcome).inc()
        LOG.log(
            logging.INFO if reason is None else logging.WARNING,
            "delivery %d of %s is %s",
            kept.id,
            kept.delivery.source,
            outcome,
            extra=fields(
                delivery_id=kept.delivery.id,
                request_id=kept.delivery.headers.get(REQUEST_ID),
                milliseconds=round(seconds * 1e3, 1),
            ),
        )

    def _translated(self, kept: inbox.Kept) -> Translation | str:
        """What a delivery tells, or why it tells nothing."""
        delivery = kept.delivery
        receiver = self._receivers.get(delivery.source)
        if receiver is None:
            return (
                f"a delivery of {delivery.source!r}: expected a source that is configured. "
                "Remedy: configure it again, then redflare inbox retry."
            )
        try:
            translation = receiver.translate(delivery)
        except Untranslatable as error:
            return error.reason
        except StoreUnavailable:
            raise  # the delivery can do nothing about it
        except Exception as error:  # noqa: BLE001 - a fault of ours; the next delivery does not wait
            return _fault(kept, error)
        self._step("translated")
        return replace(
            translation,
            events=tuple(
                event
                for event in translation.events
                if event.kind != "field_changed" or event.name not in self._written
            ),
        )

    def _reason_against(
        self, connection: Connection, kept: inbox.Kept, translation: Translation, now: int
    ) -> str | None:
        """Keep what a delivery tells; why it cannot be used, where nothing of it is kept."""
        try:
            with connection.begin_nested():
                self._keep(connection, kept, translation, now)
        except StoreUnavailable:
            raise  # the delivery can do nothing about it
        except RedflareError as error:
            self._hearing.forget()  # of what it told nothing is kept
            return str(error)
        except Exception as error:
            if isinstance(error, DBAPIError) and is_unavailable(error):
                raise
            self._hearing.forget()
            return _fault(kept, error)
        return None

    def _keep(
        self, connection: Connection, kept: inbox.Kept, translation: Translation, now: int
    ) -> None:
        told = tombstones.without_forgotten(connection, translation.events)
        if kept.delivery.kind != "standard":  # what tells our own events knows whose they are
            events.check_one_crm(connection, ((each.source, each.deal_id) for each in told))
        appended = events.append(connection, told, at=now, inbox_id=kept.id)
        if kept.delivery.kind == "standard" and appended.misnamed:
            event = appended.misnamed[0]
            raise StorageError(
                f"event {event.source_id!r} of {event.source!r} of deal {event.deal_id!r}",
                "an id that no event of another deal has",
                "put the deal's id into source_id",
            )
        self._hearing.add(feeds.add(connection, appended.new))
        self._step("appended")
        until = microseconds(kept.delivery.received_at) + AHEAD_US
        occasion = Occasion(
            cause="delivery",
            inbox_id=kept.id,
            until=until,
            at=now,
            delivery_id=kept.delivery.id,
        )
        affected = {event.deal_id for event in appended.new}
        scorer = self._models.scorer
        known = None if scorer is None else self._hearing.of(connection, scorer)
        unopened: list[str] = []
        for row in deals.lock(connection, affected).values():
            with self._metrics.scoring("delivery"):
                score = rescore(connection, row, scorer, known, self._policy, occasion)
            if score is None and row.opened_at is None:
                unopened += self._see_to(connection, row.deal_id)
            self._step("scored")
        notes = [*translation.notes, *map(_of_conflict, appended.conflicting)]
        refetch = [*translation.refetch]
        closed = {event.deal_id for event in told if event.kind in CLOSINGS}
        unopened = [deal_id for deal_id in unopened if deal_id not in closed]
        if (
            fetch_name(kept.delivery.source) in self._fetched
            and FETCHED not in kept.delivery.headers
        ):
            named = {each.record_id for each in refetch}
            refetch += [_opening_of(deal_id) for deal_id in unopened if deal_id not in named]
        else:
            notes += map(_of_unopened, unopened)
        for each in refetch:
            self._fetch(connection, kept, each, now)
        notes += [
            f"{each.entity} {each.record_id} is to be fetched: {each.reason}" for each in refetch
        ]
        inbox.finish(connection, kept.id, at=now, events=len(appended.new), notes=notes)
        if told != list(translation.events):
            inbox.empty(connection, kept.id)

    def _see_to(self, connection: Connection, deal_id: str) -> list[str]:
        """Have the tick look at a deal of which nothing is known yet: its events are to come.

        How it stands cannot be said, and as a closed one nobody would look at it again. The deal
        itself is answered where something is known of it, and not its opening.
        """
        row = deals.find(connection, deal_id)
        if row is not None and row.known_at is None:
            deals.open_for_now(connection, [deal_id])
        elif row is not None and row.opened_at is None:
            return [deal_id]
        return []

    def _fetch(self, connection: Connection, kept: inbox.Kept, refetch: Refetch, now: int) -> None:
        """Queue a record to be fetched, where somebody can."""
        name = fetch_name(kept.delivery.source)
        if name not in self._fetched:
            return
        message_id, payload = fetch_entry(kept.delivery.source, refetch, kept.id)
        outbox.queue(
            connection,
            message_id=message_id,
            kind=RECORD_FETCHED,
            destination=name,
            deal_id=refetch.record_id,
            payload=payload,
            at=now,
            delivery_id=kept.delivery.id,
        )

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
                known = self._hearing.of(connection, scorer)
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
        except StoreUnavailable:
            raise  # the deal can do nothing about it
        except Exception as error:
            if isinstance(error, DBAPIError) and is_unavailable(error):
                raise
            self._metrics.ticked.labels("failed").inc()
            LOG.error("deal %r cannot be scored", row.deal_id, extra=fields(fault=fault_of(error)))
        else:
            self._metrics.ticked.labels("done").inc()


def _fault(kept: inbox.Kept, error: Exception) -> str:
    LOG.error("delivery %d cannot be worked on", kept.id, extra=fields(fault=fault_of(error)))
    return f"a fault of Redflare: {type(error).__name__}: {error}"


def _opening_of(deal_id: str) -> Refetch:
    return Refetch(entity="deal", record_id=deal_id, reason="its opening was never told")


def _of_unopened(deal_id: str) -> str:
    return (
        f"deal {deal_id!r}: its opening was never told, so that it counts as not open and has no "
        "score: tell it, or load its history"
    )


def _of_conflict(event: Event) -> str:
    return (
        f"event {event.source_id!r} of {event.source!r} came before with other content, "
        "and the first stands"
    )
