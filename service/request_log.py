"""One line for each request, and a count: what was asked, how it was answered, how long it took."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs import fields
from service.metrics import Metrics

LOG: Final = logging.getLogger("redflare.requests")
GONE: Final = "-"  # the status where the client went away before the answer
LONGEST_PATH: Final = 200  # characters of it that are logged
REQUEST_ID: Final = b"x-request-id"
TAKEN_ID: Final = re.compile(rb"[0-9A-Za-z._-]{1,64}")  # of a proxy's ids
ID_BYTES: Final = 8
NOTES: Final = "redflare.notes"  # of the scope: what an endpoint has to say of a request
TIMED: Final = ("/v1/score", "/v1/what-if")


class RequestLog:
    """Logs each request without its query, headers and body.

    Parameters
    ----------
    app
        Answers the requests.
    metrics
        Counts them.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics | None = None) -> None:
        self.app = app
        self.metrics = metrics or Metrics()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it when it is answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status: int | str = GONE
        began = time.perf_counter()
        request_id = identified(scope)
        notes: dict[str, Any] = scope.setdefault(NOTES, {})
        answered_id = (REQUEST_ID, request_id)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), answered_id]}
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            took = time.perf_counter() - began
            path = path_of(scope)
            self._count(path, status, notes, took)
            LOG.info(
                "%s %s %s",
                scope["method"],
                path,
                status,
                extra=fields(
                    request_id=request_id.decode(), milliseconds=round(took * 1e3, 1), **notes
                ),
            )

    def _count(self, path: str, status: int | str, notes: dict[str, Any], took: float) -> None:
        self.metrics.requests.labels(status).inc()
        if "outcome" in notes:
            self.metrics.deliveries.labels(notes["source"], notes["outcome"]).inc()
        if path in TIMED and status == 200:
            self.metrics.score_seconds.labels("request").observe(took)


def identified(scope: Scope) -> bytes:
    """The id of a request, its proxy's if that is harmless; the scope's headers have it alone then.

    Examples
    --------
    >>> identified({"headers": [(b"x-request-id", b"7f-3")]})
    b'7f-3'
    """
    given = (bytes(value) for name, value in scope["headers"] if name == REQUEST_ID)
    own = secrets.token_hex(ID_BYTES).encode()
    found = next(filter(TAKEN_ID.fullmatch, given), own)
    others = [each for each in scope["headers"] if each[0] != REQUEST_ID]
    scope["headers"] = [*others, (REQUEST_ID, found)]
    return found


def note(scope: Scope, **values: object) -> None:
    """Have something of a request in its line of the log."""
    scope.setdefault(NOTES, {}).update(values)


def path_of(scope: Scope) -> str:
    r"""The path as it was sent, escapes and all, so that it cannot break out of its line.

    Examples
    --------
    >>> path_of({"path": "/a\\nb", "raw_path": b"/a%0Ab"})
    '/a%0Ab'
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode("unicode_escape")
    return raw[:LONGEST_PATH].decode("ascii", "backslashreplace")
