"""Deliveries over HTTP: refused by size, type and proof, committed, and only then acknowledged."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from model.scorer import Scorer
from service.app import create_app
from service.request_log import NOTES
from service.room import Body, Room
from service.settings import Settings
from service.storage.errors import StoreUnavailable
from service.webhooks.delivery import Delivery, Request
from service.webhooks.routes import WebhookEndpoint, webhook_route
from tests.service.webhooks.payloads import (
    NOW,
    TOKEN,
    hubspot_change,
    outbound_message,
    receivers,
    request,
    signed,
)

KINDS = list(receivers())
MEDIA_TYPES = {"salesforce-outbound": "text/xml; charset=utf-8"}
UNVERIFIED = {
    "type": "urn:redflare:problem:unverified",
    "title": "The request is not verified",
    "status": 401,
    "detail": "The request is not verified.",
}


@dataclass
class Shelf:
    """An inbox that lasts as long as a test."""

    kept: dict[tuple[str, str], Delivery] = field(default_factory=dict)
    down: bool = False

    def accept(self, delivery: Delivery) -> bool:
        if self.down:
            raise StoreUnavailable("disk full")
        key = (delivery.source, delivery.dedupe_key)
        return self.kept.setdefault(key, delivery) is delivery


class AsyncShelf(Shelf):
    """The same with a commit that is awaited."""

    async def accept(self, delivery: Delivery) -> bool:  # type: ignore[override] # either way
        return super().accept(delivery)


def body_of(kind: str) -> bytes:
    if kind == "salesforce-outbound":
        return outbound_message({"Id": "006A"})
    return json.dumps([hubspot_change("amount", "1", NOW)]).encode()


async def post(
    shelf: Shelf,
    kind: str,
    given: Request | None = None,
    *,
    source: str = "",
    noted: list[dict[str, Any]] | None = None,
    room: Room | None = None,
    **headers: str,
) -> httpx.Response:
    given = given or signed(kind, body_of(kind))
    sources = {f"the-{kind}": (kind, receiver) for kind, receiver in receivers().items()}
    endpoint = WebhookEndpoint(
        sources=sources,
        inbox=shelf,
        settings=Settings(max_body_bytes=100_000),
        clock=lambda: NOW,
        room=room or Room(),
    )
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    media_type = {"content-type": MEDIA_TYPES.get(kind, "application/json")}
    app = Starlette(routes=[webhook_route(endpoint)])

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        notes = scope.setdefault(NOTES, {})
        await app(scope, receive, send)
        if noted is not None:
            noted.append(notes)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(noting), base_url="http://redflare.example"
    ) as client:
        return await client.post(
            f"/webhooks/{source or f'the-{kind}'}?{given.query}",
            content=given.body,
            headers={**media_type, **given.headers, **named},
        )


pytestmark = pytest.mark.anyio  # of those that are awaited


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_no_source_can_say_that_redflare_fetched_what_it_sends() -> None:
    shelf = Shelf()
    answer = await post(shelf, "dynamics", x_redflare_fetched="1")

    assert answer.status_code == 200
    (delivery,) = shelf.kept.values()
    assert "x-redflare-fetched" not in delivery.headers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shelf_type", [Shelf, AsyncShelf])
async def test_a_verified_delivery_is_kept_once_and_acknowledged_each_time(
    kind: str, shelf_type: type[Shelf]
) -> None:
    shelf = shelf_type()
    answers = [await post(shelf, kind) for _ in range(2)]

    media_type, body = receivers()[kind].acknowledge()
    for answer in answers:
        assert (answer.status_code, answer.content) == (200, body)
        assert answer.headers["content-type"] == media_type
    [delivery] = shelf.kept.values()
    assert (delivery.kind, delivery.source, delivery.received_at) == (kind, f"the-{kind}", NOW)
    assert TOKEN not in repr(delivery)
    assert delivery.body == receivers()[kind].kept({}, body_of(kind))[1]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_not_verified_is_answered_alike_and_not_kept(kind: str) -> None:
    shelf = Shelf()
    why: list[dict[str, Any]] = []
    unknown = await post(shelf, kind, source="nobody", noted=why)
    unproved = await post(shelf, kind, request(body_of(kind)), noted=why)

    # Why is for the log alone, without anything of the request.
    assert why[0]["reason"] == "no source has that name"
    assert why[1]["reason"] != why[0]["reason"]
    assert TOKEN not in repr(why)

    assert unproved.status_code == unknown.status_code == 401
    assert unproved.json() == unknown.json() == UNVERIFIED
    assert shelf.kept == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/json; charset=utf-16"}, 415),
        ({"content_encoding": "gzip"}, 415),
    ],
)
async def test_another_type_or_coding_is_refused(
    kind: str, headers: dict[str, Any], status: int
) -> None:
    answer = await post(Shelf(), kind, **headers)

    assert answer.status_code == status, answer.text
    assert "expected" in answer.json()["detail"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("media", [{"content_type": "text/plain"}, {"content_encoding": "gzip"}])
async def test_who_proves_nothing_learns_of_no_source_by_its_media_type(
    kind: str, media: dict[str, Any]
) -> None:
    unproved = request(body_of(kind))
    known = await post(Shelf(), kind, unproved, **media)
    unknown = await post(Shelf(), kind, unproved, source="nobody", **media)

    assert known.status_code == unknown.status_code == 401
    assert known.json() == unknown.json() == UNVERIFIED


@pytest.mark.parametrize("size", [100_000, 100_001])
async def test_a_body_over_the_limit_is_refused_and_one_at_it_is_verified(size: int) -> None:
    body = b'{"a":"' + b"x" * (size - 8) + b'"}'
    answer = await post(Shelf(), "hubspot", signed("hubspot", body))

    assert answer.status_code == (200 if size == 100_000 else 413), answer.text


async def test_large_bodies_share_a_room_and_small_ones_need_none() -> None:
    room = Room(most=150_000)
    large = b'{"a":"' + b"x" * 90_000 + b'"}'
    with Body(room) as another:
        another.grow(90_000)
        refused = await post(Shelf(), "hubspot", signed("hubspot", large), room=room)
        small = await post(Shelf(), "hubspot", room=room)
        assert room.taken == 90_000

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "send it again in 5 s" in refused.json()["detail"]
    assert small.status_code == 200
    assert room.taken == 0
    assert (await post(Shelf(), "hubspot", signed("hubspot", large), room=room)).status_code == 200
    assert room.taken == 0


async def test_what_cannot_be_committed_is_to_be_sent_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = await post(Shelf(down=True), "hubspot")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["detail"].startswith("the database: expected one that answers")
    assert "disk full" in caplog.text  # which may name hosts and users, and is no stranger's


def test_every_answer_of_the_path_is_documented(scorer: Scorer) -> None:
    app: Any = create_app(scorer)
    operation = app.app.openapi()["paths"]["/webhooks/{source}"]["post"]

    answered = {"200", "401", "404", "408", "413", "415", "500", "503"}
    assert set(operation["responses"]) == answered
