"""Bodies that nobody sane sends, signed all the same: each is answered, and the work goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import pytest

from model.events import Event
from model.scorer import Scorer
from service.model_in_force import ModelInForce
from service.processing import Processor
from service.rescoring import Policy
from service.storage import inbox
from service.storage.database import Database
from tests.service.deliveries import RECEIVER, SOURCE, delivery, give, work_all
from tests.service.house import House
from tests.service.requests import AS_OF
from tests.service.webhooks.payloads import NOW, receivers, signed
from tests.service.webhooks.test_translation import SOUND, deep

MEDIA = {"salesforce-outbound": "text/xml"}


@pytest.fixture
def house(database: Database, scorer: Scorer) -> Iterator[House]:
    sources = {kind: (kind, receiver) for kind, receiver in receivers().items()}
    own = House(database, scorer, sources)
    own.now = NOW
    everybody = receivers() | {SOURCE: RECEIVER}
    own.processor = Processor(database, everybody, ModelInForce(scorer=scorer), Policy(), own.clock)
    yield own
    own.close()


def hostile(kind: str) -> list[bytes]:
    """Random, cut short, nested, in other character sets, of the year 9999."""
    sound = SOUND[kind] if isinstance(SOUND[kind], bytes) else json.dumps(SOUND[kind]).encode()
    chance = Random(kind)
    return [sound, *deep(sound), *(chance.randbytes(length) for length in (1, 40, 4_000))]


@pytest.mark.parametrize("kind", list(SOUND))
def test_every_receiver_survives_what_it_is_sent(
    kind: str, house: House, open_deals: list[list[Event]]
) -> None:
    statuses = []
    for body in hostile(kind):
        taken = signed(kind, body)
        headers = {**taken.headers, "content-type": MEDIA.get(kind, "application/json")}
        path = f"/webhooks/{kind}" + (f"?{taken.query}" if taken.query else "")
        statuses.append(house.ask("POST", path, headers=headers, content=body).status_code)
    assert statuses[0] == 200
    assert set(statuses) <= {200, 401}

    give(house.database, delivery(*open_deals[0], key="last", at=AS_OF))
    assert work_all(house.processor) > 1
    with house.database.reading() as connection:
        every = inbox.listed(connection)
    assert (every[0].state, every[0].events) == ("done", len(open_deals[0]))
    assert {each.state for each in every} <= {"done", "failed"}
    for each in every:
        assert "fault of Redflare" not in (each.reason or ""), (each.reason, each.delivery.body)
