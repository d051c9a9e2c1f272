"""An endpoint that takes a body: read within bounds, answered in one shape, problems too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from anyio import CapacityLimiter, to_thread
from starlette.types import Receive, Scope, Send

from service.exchange import (
    JSON,
    Disconnected,
    check_media_type,
    read_body,
    send_body,
    send_refusal,
)
from service.problems import Refused
from service.settings import Settings

INLINE_BYTES: Final = 2**16  # a longer body is answered in a thread, not to hold up the others


@dataclass(frozen=True, kw_only=True, eq=False)
class Endpoint:
    """An ASGI application that takes JSON and answers JSON.

    A framework's reading, validating and writing of a body takes as long as scoring it.

    Parameters
    ----------
    settings
        Of the service.
    long_ones
        How many long bodies are answered at a time.
    """

    settings: Settings
    long_ones: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    status = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            self.check(scope)
            length = check_media_type(scope)
            body = await read_body(
                receive, length, self.settings.max_body_bytes, self.settings.request_seconds
            )
            answer = await self.respond(scope, body)
        except Refused as refusal:
            await send_refusal(receive, send, refusal.problem)
        except Disconnected:
            return
        else:
            await send_body(send, JSON, answer, self.status)

    def check(self, scope: Scope) -> None:
        """Refuse a request by its head.

        Raises
        ------
        Refused
            If the caller may not ask.
        """

    async def respond(self, scope: Scope, body: bytes) -> bytes:
        """The JSON that answers the JSON of a request.

        Raises
        ------
        Refused
            If it cannot be answered.
        """
        raise NotImplementedError

    async def in_thread_if_long(self, answer: Callable[[bytes], bytes], body: bytes) -> bytes:
        """Answer at once, or in a thread where the body is long."""
        if len(body) <= INLINE_BYTES:
            return answer(body)
        return await to_thread.run_sync(answer, body, limiter=self.long_ones)
