"""Deliveries of our own events, and what works on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from model.events import Event
from model.scorer import Scorer
from service.model_in_force import ModelInForce
from service.processing import Processor
from service.rescoring import Policy
from service.storage import arrivals
from service.storage.database import Database
from service.webhooks.delivery import Delivery, Receiver
from service.webhooks.mapped import Terms
from service.webhooks.standard import StandardReceiver
from tests.factories import day
from tests.service.requests import event_json

SOURCE = "events"
RECEIVER = StandardReceiver(
    keys=(b"k" * 32,), terms=Terms(mapping="", person_key=lambda: b"p" * 32)
)


def delivery(*events: Event, key: str, at: datetime, **overrides: Any) -> Delivery:
    """A delivery of our own events that came at a time."""
    body = json.dumps([event_json(event) for event in events]).encode()
    values: dict[str, Any] = {
        "source": SOURCE,
        "kind": "standard",
        "dedupe_key": key,
        "received_at": at,
        "headers": {"webhook-id": key},
        "body": body,
    }
    return Delivery(**{**values, **overrides})


def give(database: Database, *given: Delivery) -> list[bool]:
    """Put deliveries into the inbox."""
    with database.writing() as connection:
        return arrivals.add(connection, given)


def processor(
    database: Database,
    scorer: Scorer | None = None,
    *,
    now: Callable[[], datetime] = lambda: day(10),
    destinations: Sequence[str] = ("crm",),
    policy: Policy | None = None,
    receivers: Mapping[str, Receiver] | None = None,
    **options: Any,
) -> Processor:
    """What works on the inbox of a database."""
    return Processor(
        database,
        receivers or {SOURCE: RECEIVER},
        ModelInForce(scorer=scorer),
        policy or Policy(destinations=dict.fromkeys(destinations, ())),
        now,
        **options,
    )


def work_all(own: Processor) -> int:
    """Work until nothing waits; how many deliveries there were."""
    worked = 0
    while now := own.work():
        worked += now
    return worked
