"""What the worker goes by of the feeds is what the database shows, whoever kept it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from model.events import Event, microseconds
from model.score import Score
from model.scorer import Scorer
from service.hearing import Hearing
from service.rescoring import rescore
from service.storage import feeds
from service.storage.database import Database
from tests.service.deliveries import delivery, give, processor, work_all
from tests.service.requests import AS_OF

NOW = AS_OF + timedelta(days=2)
CRM, MAIL = "crm:simulated", "mail:simulated"  # as the artifact was trained


def said(source: str, hours: float) -> Event:
    """What a source says so many hours after `AS_OF`."""
    return Event(
        deal_id="D-1",
        kind="customer_replied",
        occurred_at=AS_OF + timedelta(hours=hours),
        source=source,
        source_id=f"{source}/{hours}",
    )


def test_an_hour_kept_by_this_worker_or_another_counts_at_once(
    database: Database, another: Callable[[], Database], scorer: Scorer
) -> None:
    hearing, other = Hearing(lambda: NOW), another()

    def shown(connection: Connection) -> list[list[int]]:
        with_all = scorer.feeds(feeds.heard(connection))
        return [found[MAIL].heard.tolist() for found in (hearing.of(connection, scorer), with_all)]

    # The first, a later hour, one between, and an earlier time of an hour that was heard.
    for hours in (0.5, 130.5, 48.5, 130.25):
        with database.writing() as connection:
            hearing.add(feeds.add(connection, [said(MAIL, hours)]))
            own, whole = shown(connection)
            assert own == whole
    with other.writing() as connection:
        feeds.add(connection, [said(MAIL, 200.5)])
    with database.reading() as connection:
        own, whole = shown(connection)
        assert own == whole
        assert len(own) == 4
    with database.writing() as connection, connection.begin_nested() as undone:
        hearing.add(feeds.add(connection, [said(MAIL, 300.5)]))
        assert len(shown(connection)[0]) == 5
        undone.rollback()
    hearing.forget()
    with database.reading() as connection:
        assert len(shown(connection)[0]) == 4


def test_a_feed_that_speaks_again_runs_for_the_deal_of_which_it_speaks(
    database: Database, scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[bool] = []

    def noting(*given: Any) -> Score | None:
        stopped.append(given[3][MAIL].pause(microseconds(now)) > 0)
        return rescore(*given)

    monkeypatch.setattr("service.processing.rescore", noting)
    mails = [said(MAIL, -hours) for hours in range(7 * 24, 30 * 24)]  # quiet for a week
    now = AS_OF
    with database.writing() as connection:
        feeds.add(connection, [*mails, said(CRM, -1)])
    own = processor(database, scorer, now=lambda: now)
    for source, seconds in ((CRM, 0), (MAIL, 20)):
        now = AS_OF + timedelta(seconds=seconds)
        give(database, delivery(said(source, seconds / 3600), key=source, at=now))
        work_all(own)

    assert stopped == [True, False]
