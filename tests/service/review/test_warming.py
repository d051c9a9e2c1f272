"""Reviews that are made before anybody asks, and what is said while one is made."""

from __future__ import annotations

import asyncio
import re
import time
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from service.review.asking import Request
from service.review.desk import Desk
from service.review.gathering import Gathered
from service.review.process import ReviewProcess
from service.review.question import Question
from service.review.review_settings import ReviewSettings
from service.review.shelf import REST_TIMES, Shelf
from service.storage.database import Database
from tests.factories import deal_event
from tests.service.review.conftest import NOW, keep, made, own

MAKING_SECONDS = 16.0


class Counted:
    """Makings of reviews, each of which takes as long."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self.made = 0
        gathered = Shelf._gathered

        def slow(shelf: Shelf, question: Question) -> Gathered:
            found = gathered(shelf, question)
            self.seconds += MAKING_SECONDS
            self.made += 1
            return found

        monkeypatch.setattr(Shelf, "_gathered", slow)


def at_rest(shelf: Shelf) -> Shelf:
    """The same, once nothing is made any more."""
    until = time.monotonic() + 60.0
    while shelf._works:
        assert time.monotonic() < until
        time.sleep(0.01)
    return shelf


def test_the_present_week_s_review_is_there_before_anybody_asks(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(database, [deal_event("deal_opened", -10.0), deal_event("customer_replied", 5.0)])
    counted = Counted(monkeypatch)
    desk = Desk(database, ReviewSettings(), lambda: NOW)

    desk.warm()
    at_rest(desk._shelf)

    answer = desk.answer(Request(place="review", patient=False))
    assert answer is not None, "it has not to be made"
    assert b"D-1" in answer.body
    assert counted.made == 1


def test_nothing_is_made_ahead_of_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    desk = Desk(database, ReviewSettings(), lambda: NOW)

    desk.warm()

    assert counted.made == 0
    assert not desk._shelf._works


def test_what_changes_all_the_time_is_made_ahead_after_ten_times_as_much_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(database, [deal_event("deal_opened", -10.0), deal_event("customer_replied", 5.0)])
    counted = Counted(monkeypatch)
    desk = Desk(database, ReviewSettings(), lambda: NOW)
    desk._shelf = Shelf(database, lambda: counted.seconds)
    for minute in range(8):
        keep(database, [deal_event("call_made", -9.0 + 0.1 * minute)])
        desk.warm()
        at_rest(desk._shelf)
        if minute == 0:
            begun = counted.seconds
        counted.seconds += 60.0

    assert REST_TIMES * MAKING_SECONDS == 160.0
    assert counted.seconds - begun == 8 * 60.0 + 2 * MAKING_SECONDS
    assert counted.made == 3, "at the first minute, the fourth and the seventh"


def test_one_that_holds_is_not_made_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(database, [deal_event("deal_opened", -10.0), deal_event("customer_replied", 5.0)])
    counted = Counted(monkeypatch)
    desk = Desk(database, ReviewSettings(), lambda: NOW)
    desk._shelf = Shelf(database, lambda: counted.seconds)
    for _ in range(3):
        desk.warm()
        at_rest(desk._shelf)
        counted.seconds += 1_000.0

    assert counted.made == 1


def test_what_was_made_ahead_shows_a_key_of_some_owners_their_deals_alone(
    database: Database,
) -> None:
    for owner, deal_id in (("ann", "D-1"), ("bob", "D-2")):
        told = [
            deal_event("deal_opened", -10.0, deal_id=deal_id),
            deal_event("owner_changed", -10.0, deal_id=deal_id, name=owner),
            deal_event("customer_replied", 5.0, deal_id=deal_id),
        ]
        keep(database, told)
    own(database, {"D-1": "ann", "D-2": "bob"})
    desk = Desk(database, ReviewSettings(), lambda: NOW)

    desk.warm()
    at_rest(desk._shelf)

    for owner, mine, other in (("ann", b"D-1", b"D-2"), ("bob", b"D-2", b"D-1")):
        request = Request(place="review", owners=frozenset({owner}))
        body = made(desk, request).body
        assert mine in body
        assert other not in body
    assert b"D-1" in made(desk, Request(place="review")).body


def test_a_review_is_said_to_be_made_while_its_process_starts(reviewed_url: str) -> None:
    async def asked() -> None:
        process = ReviewProcess(reviewed_url, ReviewSettings())
        try:
            assert await process.answer(Request(place="review", patient=False)) is None
            answer = await process.answer(Request(place="review"))
        finally:
            process.close()
        assert answer is not None
        assert answer.status == 202
        page = answer.body.decode()
        assert "The review is being made" in page
        assert '<meta http-equiv="refresh" content="2">' in page
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://", page)

    asyncio.run(asked())


def test_a_service_that_ends_while_a_review_is_made_leaves_no_file_behind(
    reviewed_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = ReviewProcess(reviewed_url, ReviewSettings())
    process.warm()
    children = process._started()._children
    until = time.monotonic() + 60.0
    while not any(tmp_path.glob("redflare-*")) and time.monotonic() < until:
        time.sleep(0.005)
    process.close()
    # Not whether they are alive: the pool's own thread may have been told of their end before.
    ended = wait([child.sentinel for child in children], 30.0)

    assert len(ended) == len(children) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_process_is_started_for_a_database_without_deals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.review.process.WARM_AFTER_SECONDS", 0.0)
    process = ReviewProcess("sqlite:///nowhere.db", ReviewSettings())
    asked: list[bool] = []

    process.start_warming(lambda: bool(asked.append(True)))
    until = time.monotonic() + 10.0
    while not asked and time.monotonic() < until:
        time.sleep(0.005)
    process.close()

    assert asked
    assert process._running is None
