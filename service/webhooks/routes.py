"""``POST /webhooks/{source}``: verified, committed, and only then acknowledged."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from anyio import CapacityLimiter, to_thread
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.exchange import (
    Disconnected,
    read_body,
    send_body,
    send_problem,
    send_refusal,
)
from service.problems import (
    MEDIA,
    UNVERIFIED,
    Problem,
    Refused,
    refused,
)
from service.request_log import note
from service.room import Body, Room
from service.settings import Settings
from service.storage.errors import StoreUnavailable
from service.unavailable import unavailable
from service.webhooks.delivery import Delivery, Receiver, Request, Unverified
from service.webhooks.fetched import FETCHED
from service.webhooks.sources import Sources

PATH: Final = "/webhooks/{source}"
NO_SOURCE: Final = "unknown"  # a name that no source has, whatever it is: labels are few
INLINE_BYTES: Final = 2**16  # a longer body is verified in a thread, not to hold up the others
THREADS: Final = 64  # that wait for the inbox at a time
XML: Final = ("text/xml", "application/xml", "application/soap+xml")
JSON: Final = ("application/json",)
MEDIA_TYPES: Final = {"salesforce-outbound": XML}  # of a kind; JSON of any other
UTF_8: Final = ("", "charset=utf-8", 'charset="utf-8"')
NOT_VERIFIED: Final = Problem(kind=UNVERIFIED, detail="The request is not verified.")


class Inbox(Protocol):
    """Keeps deliveries."""

    def accept(self, delivery: Delivery) -> object:
        """Commit a delivery, once for each source and dedupe key, or answer an awaitable that does.

        It answers whether the delivery is new.

        Raises
        ------
        StoreUnavailable
            If it is not committed, and may be sent again.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class WebhookEndpoint:
    """Takes deliveries of all sources. An ASGI application, as the other endpoints are.

    Parameters
    ----------
    sources
        By name, with the kind of each.
    inbox
        Where deliveries are kept.
    settings
        Of the service.
    clock
        Tells the present, UTC.
    long_ones, waiting
        Threads that verify long bodies, and that wait for the inbox.
    room
        For large bodies, those of everybody together.
    """

    sources: Sources
    inbox: Inbox
    settings: Settings
    clock: Callable[[], datetime]
    long_ones: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    room: Room = field(default_factory=Room)
    waiting: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(THREADS))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one delivery."""
        source: str = scope["path_params"]["source"]
        note(scope, source=source if source in self.sources else NO_SOURCE, outcome="refused")
        try:
            media_type, body = await self._take(scope, receive)
        except Refused as refusal:
            await send_refusal(receive, send, refusal.problem)
        except Unverified as error:
            note(scope, outcome="unverified", reason=error.reason)
            await send_problem(send, NOT_VERIFIED)
        except StoreUnavailable as error:
            note(scope, outcome="unavailable")
            await send_problem(send, unavailable(error).problem)
        except Disconnected:
            return
        else:
            await send_body(send, media_type, body)

    async def _take(self, scope: Scope, receive: Receive) -> tuple[str, bytes]:
        """Commit a delivery, and answer what acknowledges it."""
        name: str = scope["path_params"]["source"]
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        headers.pop(FETCHED, None)  # ours alone to say
        kind, receiver = self.sources.get(name, ("", None))
        with Body(self.room) as growing:
            return await self._kept(scope, receive, headers, (kind, receiver), growing)

    async def _kept(
        self,
        scope: Scope,
        receive: Receive,
        headers: dict[str, str],
        source: tuple[str, Receiver | None],
        growing: Body,
    ) -> tuple[str, bytes]:
        name: str = scope["path_params"]["source"]
        kind, receiver = source
        length = headers.get("content-length")
        body = await read_body(
            receive,
            None if length is None else int(length),
            self.settings.max_body_bytes,
            self.settings.request_seconds,
            growing.grow,
        )
        if receiver is None:  # refused as late as others, not to tell which sources there are
            raise Unverified("no source has that name")
        request = Request(
            method=scope["method"],
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
        )
        if len(body) <= INLINE_BYTES:
            delivery = self.verified(name, kind, receiver, request)
        else:
            delivery = await to_thread.run_sync(
                self.verified, name, kind, receiver, request, limiter=self.long_ones
            )
        note(scope, delivery_id=delivery.id)
        if inspect.iscoroutinefunction(self.inbox.accept):
            is_new = await self.inbox.accept(delivery)
        else:
            is_new = await to_thread.run_sync(self.inbox.accept, delivery, limiter=self.waiting)
        note(scope, outcome="kept" if is_new else "repeated")
        return receiver.acknowledge()

    def verified(self, name: str, kind: str, receiver: Receiver, request: Request) -> Delivery:
        """The delivery that a request proves to be.

        Raises
        ------
        Unverified
            If it proves none.
        Refused
            If it proves one that is of another media type.
        """
        now = self.clock()
        receiver.verify(request, now)
        # As late as that, not to tell strangers which sources there are, and of what kind.
        check_media_type(request.headers, MEDIA_TYPES.get(kind, JSON))
        headers, body = receiver.kept(request.headers, request.body)
        return Delivery(
            source=name,
            kind=kind,
            dedupe_key=receiver.dedupe_key(request.headers, request.body),
            received_at=now,
            headers=headers,
            body=body,
        )


def check_media_type(headers: Mapping[str, str], expected: tuple[str, ...]) -> None:
    """Refuse a body of another media type, character set or content coding.

    Raises
    ------
    Refused
        Naming what was given.
    """
    media_type = headers.get("content-type", "")
    essence, _, parameters = media_type.partition(";")
    charset = "".join(parameters.lower().split())
    if essence.strip().lower() not in expected or charset not in UTF_8:
        given = f"Content-Type {media_type!r}" if media_type else "no Content-Type"
        raise refused(MEDIA, given, f"{expected[0]} in UTF-8", "send that, and say so")
    coding = headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        given = f"Content-Encoding {coding!r}"
        raise refused(MEDIA, given, "a body as it is", "send it without compression")


def webhook_route(endpoint: WebhookEndpoint) -> Route:
    """The route of all sources, for the application to hold."""
    return Route(PATH, endpoint, methods=["POST"])
