"""One limit over all that is done with a connection, however slowly its other end answers.

The time-outs of sockets are for each read, and a server that sends a byte now and then meets all of
them. Here the connection is shut down when the time is over, which ends whatever waits for it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class TimeLimit:
    """Shuts connections down when a time is over.

    Parameters
    ----------
    seconds
        From the beginning of the block on.
    """

    def __init__(self, seconds: float) -> None:
        self._watched: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_over = False
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._is_over

    def watch(self, connection: socket.socket) -> None:
        """Shut this one down too; at once where the time is over."""
        # A handle of our own: that of the connection moves to another object as TLS begins.
        own = connection.dup()
        with self._lock:
            self._watched.append(own)
            if self._is_over:
                _shut_down(own)

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
            for each in self._watched:
                _shut_down(each)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for each in self._watched:
                each.close()
            self._watched.clear()


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other end was first
        connection.shutdown(socket.SHUT_RDWR)
