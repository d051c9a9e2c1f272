"""What is forgotten is gone from all that deliveries told and named, whatever else fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from model.events import Event, microseconds
from model.scorer import Scorer
from service import forgetting, rescoring
from service.rescoring import Policy
from service.storage import deals, events, inbox, tombstones
from service.storage.database import Database
from service.storage.retention import retain
from service.storage.rows import AnyRow
from service.storage.schema import INBOX
from tests.service.databases import on_sqlite
from tests.service.deliveries import delivery, give, processor, work_all
from tests.service.requests import AS_OF

PERSON = "p" * 24


def told(kind: str = "internal_update_posted", deal_id: str = "D-11", **values: Any) -> Event:
    fact = {"occurred_at": AS_OF, "source": "crm", "source_id": f"{deal_id}/{kind}"}
    return Event(deal_id=deal_id, kind=kind, **{**fact, **values})


def naming(database: Database) -> list[int]:
    """Deliveries of which a body or notes are kept, by number."""
    with database.reading() as connection:
        rows = connection.execute(select(INBOX.c.id, INBOX.c.body, INBOX.c.notes)).all()
    return sorted(row.id for row in rows if row.body or row.notes != "[]")


@pytest.mark.parametrize("forgets_person", [False, True])
def test_what_deliveries_name_that_told_nothing_of_it_is_forgotten(
    database: Database, *, forgets_person: bool
) -> None:
    given = [
        delivery(told(text="words of ANN@example.com, see D-1."), key="1", at=AS_OF),
        delivery(told(source_id="2", text="of D-12 and joann@example.com"), key="2", at=AS_OF),
        delivery(told(source_id="3"), key="3", at=AS_OF),
        delivery(key="4", at=AS_OF, body=b'{"deal_id": "D-1", "by": "ann@example.com"'),
    ]
    give(database, *given)
    work_all(processor(database, now=lambda: AS_OF))
    noted = "[\"deal 'D-1' of ann@example.com: refused\"]"
    with database.writing() as connection:
        blank = inbox.without_body() | {"notes": noted}
        connection.execute(update(INBOX).where(INBOX.c.id == 3).values(blank))
        if forgets_person:
            tombstones.forget_person(connection, PERSON, by="ann", at=0, said=" Ann@example.com")
        else:
            tombstones.forget_deal(connection, "D-1", by="ann", at=0)

    assert naming(database) == [2]


@on_sqlite
def test_a_deal_that_cannot_be_scored_undoes_no_erasure(
    database: Database, scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for deal_id in ("D-1", "D-2"):
        reply = replace(told("customer_replied", deal_id), person=PERSON, text="words")
        with database.writing() as connection:
            events.append(connection, [told("deal_opened", deal_id), reply], at=0)
            deals.lock(connection, [deal_id])

    def faulty(connection: Connection, row: AnyRow, *others: Any) -> Any:
        if row.deal_id == "D-1":
            raise ZeroDivisionError
        return rescoring.rescore(connection, row, *others)

    monkeypatch.setattr(forgetting, "rescore", faulty)
    at = microseconds(AS_OF + timedelta(days=1))
    stone, scored = forgetting.forget_person(database, PERSON, scorer, Policy(), by="ann", at=at)

    assert (stone.counts["events"], scored) == (2, 1)
    with database.reading() as connection:
        assert events.deals_of_person(connection, PERSON) == []


@pytest.mark.parametrize(
    ("kinds", "is_let_go"),
    [
        (["amount_changed"], False),  # its opening was never told
        (["amount_changed", "deal_lost"], True),
        (["deal_lost", "deal_reopened"], False),
        (["deal_opened", "deal_won"], True),
    ],
)
@on_sqlite
def test_only_deals_whose_closing_was_told_are_let_go_as_closed(
    database: Database, kinds: list[str], *, is_let_go: bool
) -> None:
    facts = [
        told(kind, occurred_at=AS_OF + timedelta(hours=hour), number=5.0)
        for hour, kind in enumerate(kinds)
    ]
    now = AS_OF + timedelta(days=60)
    give(database, delivery(*facts, key="1", at=AS_OF + timedelta(days=1)))
    work_all(processor(database, now=lambda: now))
    old = microseconds(now - timedelta(days=30))
    done = retain(database, old, at=microseconds(now), by="ann", failed=False, closed_deals=True)

    assert done.detail["deals"] == int(is_let_go)
