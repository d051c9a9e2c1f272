"""Connections that send no whole request in time are closed, so that they hold up no others."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


def deadline_protocol(seconds: float) -> type[HttpToolsProtocol]:
    """The server's protocol, with a deadline for the line and the headers of each request.

    Of the body `service.exchange` sees to itself.

    Parameters
    ----------
    seconds
        From the connection, or from the first byte of a later request.
    """

    class DeadlineProtocol(HttpToolsProtocol):
        deadline: asyncio.TimerHandle | None = None

        def connection_made(  # type: ignore[override] # as the class above has it
            self, transport: asyncio.Transport
        ) -> None:
            super().connection_made(transport)
            self.start()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.start()

        def on_headers_complete(self) -> None:
            self.stop()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self.stop()
            super().connection_lost(exc)

        def start(self) -> None:
            self.stop()
            self.deadline = self.loop.call_later(seconds, self.transport.close)

        def stop(self) -> None:
            if self.deadline is not None:
                self.deadline.cancel()
                self.deadline = None

    return DeadlineProtocol
