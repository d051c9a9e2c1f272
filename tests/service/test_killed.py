"""Killed at any step, on both databases: each delivery is scored once, and none is lost."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from model.events import Event
from service.storage import inbox, models, outbox
from service.storage.database import Database
from service.storage.schema import EVENTS, FLARES, OUTBOX, SCORES
from tests.service.deliveries import delivery
from tests.service.killed import run
from tests.service.requests import AS_OF

NOW = AS_OF + timedelta(days=1)
STEPS = ("kept", "acknowledged", "translated", "taken", "appended", "scored", "finished",
         "committed", "leased", "sent")  # fmt: skip


@pytest.fixture
def plan(
    url: str,
    database: Database,
    small_artifact: Path,
    open_deals: list[list[Event]],
    tmp_path: Path,
) -> dict[str, Any]:
    """Some deliveries of a few deals, and where to work on them."""
    version, files = models.read_artifact(small_artifact)
    with database.writing() as connection:
        models.install(connection, version, files, at=0)
    given = []
    for number, deal in enumerate(open_deals[:4]):
        known = [each for each in deal if (each.known_at or each.occurred_at) <= AS_OF]
        half = len(known) // 2
        given.append((f"{number}/a", delivery(*known[:half], key="", at=NOW).body.decode()))
        given.append((f"{number}/b", delivery(*known[half:], key="", at=NOW).body.decode()))
    (tmp_path / "deliveries").write_text(json.dumps(given))
    return {
        "url": url,
        "now": NOW.isoformat(),
        "deliveries": str(tmp_path / "deliveries"),
        "acknowledged": str(tmp_path / "acknowledged"),
        "told": str(tmp_path / "told"),
        "names": [],
        "steps": 0,
    }


def check(database: Database, plan: dict[str, Any]) -> None:
    """Each delivery done, each event kept and each deal of a delivery scored once, all told."""
    given = json.loads(Path(plan["deliveries"]).read_text())
    with database.reading() as connection:
        assert inbox.counts(connection) == dict.fromkeys(inbox.STATES, 0) | {"done": len(given)}
        scored = connection.execute(select(SCORES.c.inbox_id)).scalars().all()
        stored = Counter(map(tuple, connection.execute(select(EVENTS.c.source_id))))
        flares = connection.execute(select(FLARES.c.deal_id, FLARES.c.rule, FLARES.c.subject)).all()
        queued = {row.message_id: row.state for row in connection.execute(select(OUTBOX))}
    events = [row["source_id"] for _, body in given for row in json.loads(body)]
    assert set(stored.values()) == {1}
    assert len(stored) == len(events)
    assert len(scored) == len(set(scored)) == len(given)
    assert len(flares) == len(set(map(tuple, flares)))
    assert set(queued.values()) <= {"sent", "superseded"}
    told = {line.split()[0] for line in Path(plan["told"]).read_text().splitlines()}
    sent = {message_id for message_id, state in queued.items() if state == "sent"}
    assert sent <= told <= queued.keys()


def finish(plan: dict[str, Any]) -> None:
    """Work to the end, now and when the leases of those that were killed have ended."""
    for now in (NOW, NOW + 2 * outbox.LEASE):
        assert run(plan | {"now": now.isoformat(), "steps": 0, "names": []}) == 0


def killed_at(plan: dict[str, Any], steps: int, names: list[str]) -> bool:
    return run(plan | {"steps": steps, "names": names}) < 0


def test_killed_at_each_step_in_turn_nothing_is_lost_or_done_twice(
    database: Database, plan: dict[str, Any]
) -> None:
    for name in STEPS:
        assert killed_at(plan, 1, [name]), name
    finish(plan)

    check(database, plan)


@pytest.mark.slow
def test_killed_again_and_again_at_random(database: Database, plan: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    # Up to more steps than one transaction of all deliveries takes, or none would ever end.
    most = 12 * len(json.loads(Path(plan["deliveries"]).read_text()))
    while killed_at(plan, int(rng.integers(1, most)), []):
        pass
    finish(plan)

    check(database, plan)
