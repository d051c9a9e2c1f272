"""A delivery is kept before it is acknowledged, once, whoever gives it and however many wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from service.storage import arrivals, inbox, turn
from service.storage.database import Database
from service.storage.errors import StorageError, StoreUnavailable
from service.storage.group_commit import InboxWriter
from service.webhooks.delivery import Delivery
from tests.factories import day, day_us
from tests.service.databases import on_postgresql, on_sqlite
from tests.service.deliveries import give


def sent(key: str = "k", **overrides: object) -> Delivery:
    values = {
        "source": "events",
        "kind": "standard",
        "dedupe_key": key,
        "received_at": day(1),
        "headers": {"webhook-id": key, "odd": "a\0é"},
        "body": b"\0\xff{}",
    }
    return Delivery(**{**values, **overrides})


def test_a_delivery_is_kept_as_it_came(database: Database) -> None:
    give(database, sent())
    with database.reading() as connection:
        (listed,) = inbox.listed(connection)
        found = inbox.find(connection, listed.id)

    assert (listed.delivery.body, listed.delivery.headers) == (b"", {}), "a list reads no bodies"
    assert listed.to_json() == found.to_json()
    assert found.delivery == sent(headers={"webhook-id": "k", "odd": "aé"})
    assert (found.state, found.reason, found.events) == ("received", None, None)


def test_what_came_before_is_no_new_delivery(database: Database) -> None:
    assert give(database, sent("a"), sent("b"), sent("a", body=b"again")) == [True, True, False]
    assert give(database, sent("a"), sent("a", source="other")) == [False, True]
    with database.reading() as connection:
        assert inbox.counts(connection) == {"received": 3} | dict.fromkeys(
            ("done", "failed", "superseded"), 0
        )


def test_a_corrected_delivery_is_kept_beside_the_one_that_failed(database: Database) -> None:
    give(database, sent("a", body=b"odd"), sent("b", body=b"odd"))
    assert give(database, sent("a", body=b"corrected")) == [False], "nobody knows yet that it fails"
    with database.writing() as connection:
        inbox.fail(connection, 1, "odd", at=0)

    assert give(database, sent("a", body=b"odd")) == [False]
    assert give(database, sent("a", body=b"corrected"), sent("a", body=b"corrected")) == [
        True,
        False,
    ]
    assert give(database, sent("a", body=b"corrected"), sent("b", body=b"x")) == [False, False]
    with database.reading() as connection:
        kept = [inbox.find(connection, each.id) for each in inbox.listed(connection)]
    assert {(each.state, each.delivery.body) for each in kept} == {
        ("superseded", b"odd"),
        ("received", b"odd"),
        ("received", b"corrected"),
    }
    assert {each.notes for each in kept if each.state == "superseded"} == {
        (f"corrected by delivery {kept[0].id}",)
    }
    with database.writing() as connection:
        inbox.fail(connection, kept[0].id, "odd again", at=0)
    assert give(database, sent("a", body=b"at last"), sent("a", body=b"odd")) == [True, False]
    with database.writing() as connection:
        assert inbox.failed(connection) == 0
        latest = inbox.listed(connection, most=1)[0].id
        assert inbox.find(connection, kept[0].id).notes == (f"corrected by delivery {latest}",)
        assert inbox.retry(connection, None) == 0
        assert inbox.retry(connection, [1]) == 1, "as before, where the cause was another"


@pytest.mark.parametrize("key", ["x" * 10_000, "a\0", "\ud800", "", "é"])
def test_any_text_may_be_a_dedupe_key(key: str, database: Database) -> None:
    assert [give(database, sent(key))[0] for _ in range(2)] == [True, False]


def test_deliveries_are_worked_on_in_the_order_they_came(database: Database) -> None:
    give(database, sent("b"), sent("a"))
    give(database, sent("c"))
    keys = []
    for _ in range(3):
        with database.writing() as connection:
            (taken,) = inbox.take(connection, 1)
            keys.append(inbox.find(connection, taken).delivery.dedupe_key)
            inbox.finish(connection, taken, at=0, events=0, notes=[])

    assert keys == ["a", "b", "c"]  # those of one batch by key
    with database.writing() as connection:
        assert list(inbox.take(connection, 2)) == []


@on_postgresql
def test_several_workers_share_the_inbox(
    database: Database, another: Callable[[], Database]
) -> None:
    give(database, sent("a"), sent("b"))
    with database.writing() as one, another().writing() as other:
        taken = [*inbox.take(one, 1), *inbox.take(other, 2)]

        assert [inbox.find(one, each).delivery.dedupe_key for each in taken] == ["a", "b"]


def test_large_deliveries_are_not_read_together(database: Database) -> None:
    large = b"x" * (inbox.MOST_BYTES_AT_ONCE - 1)
    give(database, sent("a", body=large), sent("b", body=b"xx"), sent("c"))
    with database.reading() as connection:
        assert [each.delivery.dedupe_key for each in inbox.peek(connection, 3)] == ["a"]


def test_a_failed_delivery_stays_with_its_reason_until_it_is_retried(database: Database) -> None:
    give(database, sent("a"), sent("b"))
    with database.writing() as connection:
        for number in (1, 2):
            inbox.fail(connection, number, "no deal\0 \ud800", at=day_us(1))
    with database.reading() as connection:
        assert inbox.find(connection, 1).reason == "no deal\\0 \\ud800"
        assert inbox.oldest_waiting(connection) is None
    with database.writing() as connection:
        assert inbox.retry(connection, [1]) == 1
    with database.reading() as connection:
        assert [each.id for each in inbox.listed(connection, "received")] == [1]
        assert inbox.oldest_waiting(connection) == day_us(1)
    with database.writing() as connection:
        assert inbox.retry(connection, None) == 1


def test_a_delivery_that_is_done_is_worked_again_by_its_number_while_its_body_is_kept(
    database: Database,
) -> None:
    give(database, sent("a"), sent("b"))
    with database.writing() as connection:
        for number in (1, 2):
            inbox.finish(connection, number, at=day_us(1), events=0, notes=["nothing read"])
        inbox.empty(connection, 2)
        assert inbox.states(connection, [1, 2]) == {1: "done", 2: "done and without its body"}
        assert inbox.retry(connection, None) == 0
        assert inbox.retry(connection, [1, 2]) == 1
    with database.reading() as connection:
        assert inbox.find(connection, 1).state == "received"


def test_a_number_that_is_none_is_told(database: Database) -> None:
    with (
        database.reading() as connection,
        pytest.raises(StorageError, match="redflare inbox list"),
    ):
        inbox.find(connection, 7)


def test_deliveries_of_many_clients_share_commits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    add = arrivals.add

    def counted(connection: object, deliveries: list[Delivery]) -> list[bool]:
        sizes.append(len(deliveries))
        return add(connection, deliveries)

    monkeypatch.setattr(arrivals, "add", counted)
    notices: list[None] = []
    with database.writing():  # the first batch waits until all others have come
        writer = InboxWriter(database, lambda: notices.append(None))
        answers = [writer.submit(sent(str(number % 50))) for number in range(100)]
        assert not any(answer.done() for answer in answers)
    assert sum(answer.result(10) for answer in answers) == 50
    writer.close()

    assert sum(sizes) == 100
    assert len(sizes) <= 3
    assert 1 <= len(notices) <= 3


def test_an_awaited_delivery_is_kept_when_it_is_answered(database: Database) -> None:
    async def accept() -> list[bool]:
        return await asyncio.gather(*(writer.accept(sent(key)) for key in "aba"))

    writer = InboxWriter(database)
    assert sorted(asyncio.run(accept())) == [False, True, True]
    with database.reading() as connection:
        assert inbox.counts(connection)["received"] == 2
    writer.close()


@on_sqlite
def test_a_store_that_fails_is_told_to_whoever_waits(
    database: Database, another: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "BUSY_SECONDS", 0.05)
    writer = InboxWriter(database)
    with another().writing():
        answer = writer.submit(sent())
        with pytest.raises(StoreUnavailable, match="another process"):
            answer.result(10)
    assert writer.submit(sent()).result(10) is True  # sent again, it is kept
    writer.close()


def test_a_delivery_that_cannot_be_kept_leaves_the_others_alone(database: Database) -> None:
    with database.writing():
        writer = InboxWriter(database)
        good, bad = writer.submit(sent("a")), writer.submit(sent("b", kind=None))
        last = writer.submit(sent("c"))
    assert (good.result(10), last.result(10)) == (True, True)
    with pytest.raises(StoreUnavailable, match="cannot keep this delivery"):
        bad.result(10)
    writer.close()


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), MemoryError()])
def test_whatever_goes_wrong_every_delivery_is_answered_and_the_next_is_kept(
    error: Exception, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall(*_given: object) -> list[bool]:
        raise error

    def stored() -> None:
        raise error

    writer = InboxWriter(database, stored)
    with monkeypatch.context() as patch:
        patch.setattr(arrivals, "add", fall)
        with pytest.raises(StoreUnavailable, match="cannot keep this delivery"):
            writer.submit(sent("a")).result(10)
    assert writer.submit(sent("a")).result(10) is True  # though nobody can be told of it
    assert writer.submit(sent("b")).result(10) is True
    writer.close()


@on_sqlite
def test_a_file_that_cannot_be_locked_is_a_store_that_does_not_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_given: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("service.storage.turn.fcntl.flock", no_locks)
    with pytest.raises(StoreUnavailable, match="No locks available"), database.writing():
        pass
    monkeypatch.undo()


def test_a_writer_that_closes_writes_what_waits_and_takes_no_more(database: Database) -> None:
    with database.writing():
        writer = InboxWriter(database)
        answers = [writer.submit(sent(str(number))) for number in range(10)]
        closing = threading.Thread(target=writer.close)
        closing.start()
    closing.join()
    assert all(answer.result(0) for answer in answers)
    with pytest.raises(StoreUnavailable, match="stopping"):
        writer.submit(sent("late")).result(0)
