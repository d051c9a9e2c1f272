"""What waits is sent, tried again, parked, and left to the worker's threads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from model.events import Event, microseconds
from model.scorer import Scorer
from service.model_in_force import ModelInForce
from service.sending import Sending
from service.storage import inbox, outbox, scores
from service.storage.database import Database
from service.storage.errors import StoreUnavailable
from service.worker import Worker
from service.writeback.entry import SCORE_CHANGED, Entry, Outcome, Refused, Retry, Sent
from service.writeback.records import HubSpotDeal, RecordSender
from service.writeback.tokens import FixedToken
from tests.factories import day, day_us
from tests.service.deliveries import delivery, give, processor, work_all
from tests.service.requests import AS_OF
from tests.service.writeback.servers import local_client, serving

NOW = AS_OF + timedelta(days=1)


class Destination:
    """Notes what it is sent, and answers as it is told to."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.outcomes = list(outcomes)
        self.got: list[Entry] = []

    def send(self, entry: Entry, _now: datetime) -> Outcome:
        self.got.append(entry)
        outcome = self.outcomes.pop(0) if self.outcomes else Sent(status=200)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def queue(database: Database, message_id: str = "a", destination: str = "crm") -> None:
    with database.writing() as connection:
        outbox.queue(
            connection,
            message_id=message_id,
            kind=SCORE_CHANGED,
            destination=destination,
            deal_id=message_id,
            payload={},
            at=day_us(0),
        )


def state(database: Database, message_id: str = "a") -> tuple[str, str | None]:
    with database.reading() as connection:
        kept = outbox.find(connection, message_id)
    return kept.state, kept.reason


@pytest.mark.parametrize(
    ("outcome", "ends"),
    [
        (Sent(status=204), ("sent", None)),
        (Retry(reason="status 503"), ("pending", "status 503")),
        (Refused(reason="status 404"), ("parked", "status 404")),
        (ZeroDivisionError("oh"), ("pending", "a fault of Redflare: ZeroDivisionError")),
    ],
)
def test_an_entry_ends_as_its_destination_says(
    outcome: Outcome | Exception, ends: tuple[str, str | None], database: Database
) -> None:
    queue(database)
    sending = Sending(database, {"crm": Destination(outcome)}, lambda: day(0))

    assert sending.send() is True
    assert state(database) == ends
    assert sending.send() is False


def test_an_entry_is_tried_again_with_the_same_id(database: Database) -> None:
    queue(database)
    now = [day(0)]
    crm = Destination(Retry(reason="status 503"), Sent(status=200))
    sending = Sending(database, {"crm": crm}, lambda: now[0])
    sending.send()
    now[0] = day(1)
    sending.send()

    assert [(entry.id, entry.attempt) for entry in crm.got] == [("a", 0), ("a", 1)]
    assert state(database) == ("sent", None)


def test_what_is_for_no_destination_of_today_waits(database: Database) -> None:
    queue(database, destination="gone")

    assert Sending(database, {"crm": Destination()}, lambda: day(0)).send() is False
    assert Sending(database, {}, lambda: day(0)).send() is False
    assert state(database) == ("pending", None)


def test_what_a_delivery_changes_reaches_the_record_in_the_crm(
    database: Database, scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    deal = [replace(event, deal_id="9") for event in open_deals[0]]
    give(database, delivery(*deal, key="a", at=NOW))
    work_all(processor(database, scorer, now=lambda: NOW))
    with serving() as server:
        form = HubSpotDeal(
            properties={"percent": "probability_percent", "why": "drivers"}, base_url=server.url
        )
        tokens = FixedToken(secret="t")
        crm = RecordSender(client=local_client(), tokens=tokens, form=form)
        while Sending(database, {"crm": crm}, lambda: NOW).send():
            pass

    (got,) = server.got  # red flares are no business of a record's
    with database.reading() as connection:
        score = scores.latest(connection, "9")
    assert score is not None
    assert score.probability is not None
    told = json.loads(got.body)["properties"]
    assert told["percent"] == str(round(100 * score.probability))
    assert score.drivers[0].phrase in told["why"]


def until(true: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def test_the_worker_scores_and_sends_what_comes_and_stops(
    database: Database, scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    crm = Destination()
    models = ModelInForce(scorer=scorer)
    worker = Worker(
        processor(database, scorer, now=lambda: NOW),
        Sending(database, {"crm": crm}, lambda: NOW),
        models,
    )
    worker.start()
    give(database, delivery(*open_deals[0], key="a", at=NOW))
    worker.wake()

    assert until(lambda: bool(crm.got))
    worker.stop()
    assert not [each for each in threading.enumerate() if each.name == "deliveries"]
    with database.reading() as connection:
        assert inbox.counts(connection)["done"] == 1
        assert inbox.find(connection, 1).finished_at == microseconds(NOW)


def test_a_destination_that_does_not_answer_holds_up_no_other(
    database: Database, scorer: Scorer
) -> None:
    let_go = threading.Event()

    class Dead(Destination):
        def send(self, entry: Entry, now: datetime) -> Outcome:
            super().send(entry, now)
            let_go.wait(60)
            return Retry(reason="no answer")

    dead, crm = Dead(), Destination()
    queue(database, "first", "a dead one")
    queue(database, "second", "crm")
    worker = Worker(
        processor(database, scorer, now=lambda: NOW),
        Sending(database, {"a dead one": dead, "crm": crm}, lambda: NOW),
        ModelInForce(scorer=scorer),
    )
    worker.start()

    try:
        assert until(lambda: bool(dead.got))
        assert until(lambda: bool(crm.got), 10.0)
    finally:
        let_go.set()
        worker.stop()


def test_a_worker_outlives_a_database_that_does_not_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.worker.UNAVAILABLE_SECONDS", 0.01)
    own = processor(database)
    failures = [StoreUnavailable("gone"), ZeroDivisionError("oh")]
    work = own.work

    def failing() -> bool:
        if failures:
            raise failures.pop(0)
        return work()

    monkeypatch.setattr(own, "work", failing)
    give(database, delivery(key="a", at=NOW, body=b"{"))
    worker = Worker(own, Sending(database, {}, lambda: NOW), ModelInForce())
    worker.start()

    def failed() -> bool:
        with database.reading() as connection:
            return inbox.counts(connection)["failed"] == 1

    assert until(failed)
    worker.stop()
    assert not failures
