"""How many bytes of large bodies there may be in memory at a time, whoever sent them."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from service.problems import UNAVAILABLE, refused
from service.storage.errors import RETRY_SECONDS

SMALL_BYTES: Final = 2**16  # of a body that needs no room: as many as there are connections
MOST_BYTES: Final = 64 * 2**20


class Room:
    """Bytes that the bodies under way share.

    Small bodies take none, so that large ones, perhaps of nobody who is known, keep no ordinary
    delivery out.

    Parameters
    ----------
    most
        Bytes.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self.taken = 0


class Body:
    """One body that grows, and takes of a room what it needs until it is let go.

    Parameters
    ----------
    room
        Shared with others.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0
        self._taken = 0

    def grow(self, more: int) -> None:
        """Make room for so many bytes more.

        Raises
        ------
        Refused
            With status 503 if there is none.
        """
        self._size += more
        wanted = 0 if self._size <= SMALL_BYTES else self._size - self._taken
        if self._room.taken + wanted > self._room.most:
            raise refused(
                UNAVAILABLE,
                f"a body of more than {SMALL_BYTES} bytes beside {self._room.taken} of others",
                f"at most {self._room.most} at a time",
                f"send it again in {RETRY_SECONDS} s",
                headers=(("Retry-After", str(RETRY_SECONDS)),),
            )
        self._room.taken += wanted
        self._taken += wanted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._room.taken -= self._taken
        self._taken = 0
