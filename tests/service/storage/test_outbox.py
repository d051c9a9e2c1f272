"""What is to be told is told once, the newest last, and given up after three days."""

from __future__ import annotations

from datetime import timedelta

import pytest

from model.events import from_microseconds
from service.storage import outbox
from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.outbox import Kept
from service.writeback.entry import RED_FLARE_RAISED, SCORE_CHANGED
from tests.factories import day, day_us

US = timedelta(microseconds=1)


def queue(database: Database, message_id: str, **overrides: object) -> bool:
    values: dict[str, object] = {
        "kind": SCORE_CHANGED,
        "destination": "crm",
        "deal_id": "D-1",
        "payload": {"probability": 0.5},
        "at": day_us(0),
    }
    with database.writing() as connection:
        return outbox.queue(connection, message_id=message_id, **{**values, **overrides})


def take(database: Database, at: int) -> str | None:
    with database.writing() as connection:
        entry = outbox.take(connection, ["crm"], at=at)
    return None if entry is None else entry.id


def found(database: Database, message_id: str) -> Kept:
    with database.reading() as connection:
        return outbox.find(connection, message_id)


def test_an_entry_is_queued_once(database: Database) -> None:
    assert [queue(database, "a"), queue(database, "a", payload={})] == [True, False]
    entry = found(database, "a").entry

    assert found(database, "a").state == "pending"  # it supersedes not itself
    assert (entry.destination, entry.kind, entry.deal_id) == ("crm", SCORE_CHANGED, "D-1")
    assert (entry.payload, entry.queued_at, entry.attempt) == ({"probability": 0.5}, day(0), 0)


def test_an_older_score_is_never_told_after_a_newer_one(database: Database) -> None:
    queue(database, "older")
    queue(database, "alert", kind=RED_FLARE_RAISED)
    queue(database, "elsewhere", destination="other")
    queue(database, "of another deal", deal_id="D-2")
    queue(database, "newer")

    assert found(database, "older").state == "superseded"
    taken = [take(database, day_us(0)) for _ in range(4)]
    assert taken == ["alert", "of another deal", "newer", None]


@pytest.mark.parametrize("ends", ["sent", "parked", "put off", "killed"])
def test_a_newer_score_waits_while_an_older_one_is_being_sent(
    ends: str, database: Database
) -> None:
    queue(database, "older")
    with database.writing() as connection:
        tried = outbox.take(connection, ["crm"], at=day_us(0))
    assert tried is not None
    queue(database, "newer", at=day_us(0) + 1)
    queue(database, "of another deal", deal_id="D-2", at=day_us(0) + 2)

    assert found(database, "older").state == "superseded"
    assert take(database, day_us(0) + 3) == "of another deal"
    assert take(database, day_us(0) + 3) is None
    at = day_us(0) + (outbox.LEASE // US if ends == "killed" else 4)
    with database.writing() as connection:
        match ends:
            case "sent":
                outbox.sent(connection, "older", at=at)
            case "parked":
                outbox.park(connection, "older", "status 404", at=at)
            case "put off":
                outbox.put_off(connection, tried, "status 503", None, at=at)
    assert take(database, at) == "newer"
    assert found(database, "older").state == "superseded"


def test_the_three_days_count_from_the_first_attempt(database: Database) -> None:
    queue(database, "a")
    late = day_us(5)  # nobody sent until then
    with database.writing() as connection:
        entry = outbox.take(connection, ["crm"], at=late)
        assert entry is not None
        assert outbox.put_off(connection, entry, "status 503", None, at=late)

    kept = found(database, "a")
    assert (kept.state, kept.entry.first_tried_at) == ("pending", day(5))


def test_an_entry_that_is_being_tried_is_left_until_its_lease_ends(database: Database) -> None:
    queue(database, "a")
    lease = outbox.LEASE // US

    assert take(database, day_us(0)) == "a"
    assert take(database, day_us(0) + lease - 1) is None
    assert take(database, day_us(0) + lease) == "a"  # whoever tried it was killed


def test_an_entry_that_is_sent_is_done(database: Database) -> None:
    queue(database, "a")
    take(database, day_us(0))
    with database.writing() as connection:
        outbox.sent(connection, "a", at=day_us(0))

    assert found(database, "a").state == "sent"
    assert take(database, day_us(9)) is None


def test_the_attempts_span_three_days_and_then_it_is_parked(database: Database) -> None:
    queue(database, "a")
    now = first = day_us(0)
    attempts = 0
    while found(database, "a").state == "pending":
        now = found(database, "a").due_at
        with database.writing() as connection:
            entry = outbox.take(connection, ["crm"], at=now)
            assert entry is not None
            outbox.put_off(connection, entry, "status 500", None, at=now)
        attempts += 1

    assert 5 <= attempts <= 12
    assert timedelta(days=2) <= (now - first) * US <= timedelta(days=3)
    assert found(database, "a").reason == "status 500"
    with database.writing() as connection:
        assert outbox.retry(connection, None, at=now) == (1, 0)
    assert take(database, now) == "a"
    entry = found(database, "a").entry
    assert entry.attempt == 1  # of a whole schedule
    assert entry.queued_at == from_microseconds(now)


def test_what_is_retried_by_hand_is_told_after_nothing_newer(database: Database) -> None:
    def parked(message_id: str, **overrides: object) -> int:
        queue(database, message_id, **overrides)
        with database.writing() as connection:
            outbox.park(connection, message_id, "status 404", at=day_us(1))
        return found(database, message_id).number

    older = parked("older")
    alert = parked("alert", kind=RED_FLARE_RAISED)
    elsewhere = parked("elsewhere", destination="other")
    newer = parked("newer")
    with database.writing() as connection:
        assert outbox.retry(connection, [older, alert], at=day_us(2)) == (1, 1)
    states = [found(database, each).state for each in ("older", "alert", "elsewhere", "newer")]
    assert states == ["superseded", "pending", "parked", "parked"]
    with database.writing() as connection:
        assert outbox.retry(connection, [older, 99], at=day_us(2)) == (0, 0)
        assert outbox.retry(connection, [newer, elsewhere], at=day_us(2)) == (2, 0)


def test_a_destination_that_asks_to_wait_is_waited_for(database: Database) -> None:
    queue(database, "a")
    with database.writing() as connection:
        entry = outbox.take(connection, ["crm"], at=day_us(0))
        assert entry is not None
        outbox.put_off(connection, entry, "status 429", timedelta(hours=5), at=day_us(0))

    assert found(database, "a").due_at == day_us(0) + timedelta(hours=5) // US


def test_an_id_that_is_none_is_told(database: Database) -> None:
    with pytest.raises(StorageError, match="entry 'nothing'"):
        found(database, "nothing")
