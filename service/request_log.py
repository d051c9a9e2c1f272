"""One line for each request: what was asked for, how it was answered, how long it took."""

from __future__ import annotations

import logging
import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG: Final = logging.getLogger("redflare.requests")
GONE: Final = "-"  # the status where the client went away before the answer
LONGEST_PATH: Final = 200  # characters of it that are logged


class RequestLog:
    """Logs each request without its query, headers and body.

    Parameters
    ----------
    app
        Answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it when it is answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status: int | str = GONE
        began = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            took_ms = (time.perf_counter() - began) * 1e3
            LOG.info("%s %s %s %.1f ms", scope["method"], path_of(scope), status, took_ms)


def path_of(scope: Scope) -> str:
    r"""The path as it was sent, escapes and all, so that it cannot break out of its line.

    Examples
    --------
    >>> path_of({"path": "/a\\nb", "raw_path": b"/a%0Ab"})
    '/a%0Ab'
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode("unicode_escape")
    return raw[:LONGEST_PATH].decode("ascii", "backslashreplace")
