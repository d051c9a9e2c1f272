"""Whose turn it is to write to a SQLite file, among the threads of all processes that use it.

One writes, one is next, and the others wait to be next. Whoever has written and wants to write
again waits to be next too, so that nobody is passed over for long: with one lock alone, a process
that writes again at once would take it before another, which looks now and then, finds it free.
"""

from __future__ import annotations

import fcntl
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from service.storage.errors import StorageError, StoreUnavailable

BUSY_SECONDS: Final = 10.0  # to wait for another's transaction
POLL_SECONDS: Final = 0.0005  # between looks whether another process has ended its turn
LOCK_SUFFIX: Final = "-turn"  # of the file beside a database that its writer locks
USED_SUFFIX: Final = "-used"  # of the file that services hold while they run
NEXT_SUFFIX: Final = "-next"  # of the file that who writes next locks


class Turn:
    """The turns of one process's threads.

    Parameters
    ----------
    path
        Of the database.
    """

    def __init__(self, path: Path) -> None:
        self._next = _Place(path.with_name(path.name + NEXT_SUFFIX))
        self._turn = _Place(path.with_name(path.name + LOCK_SUFFIX))
        self._owner: int | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Write meanwhile.

        Raises
        ------
        StoreUnavailable
            If it does not come to that in `BUSY_SECONDS`.
        """
        if self._owner == threading.get_ident():
            raise RuntimeError("a transaction that writes was begun within another")
        until = time.monotonic() + BUSY_SECONDS
        self._next.take(until)
        try:
            self._turn.take(until)
        finally:
            self._next.leave()
        self._owner = threading.get_ident()
        try:
            yield
        finally:
            self._owner = None
            self._turn.leave()

    def is_awaited(self) -> bool:
        """Whether somebody waits to write, in whatever process; for whoever writes to ask."""
        return not self._next.is_free()

    def close(self) -> None:
        """Let the files go."""
        self._next.close()
        self._turn.close()


@contextmanager
def used(path: Path, *, alone: bool) -> Iterator[None]:
    """Use a SQLite file together with others, or alone.

    Parameters
    ----------
    path
        Of the database.
    alone
        Whether nobody else may use it meanwhile.

    Raises
    ------
    StorageError
        If others use it and it is to be alone, or somebody has it alone.
    """
    lock = path.with_name(path.name + USED_SUFFIX)
    try:
        file = lock.open("a")
    except OSError as error:
        raise StoreUnavailable(f"{lock}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"database {str(path)!r}, which " + ("a service uses" if alone else "is restored"),
                "one that nobody uses" if alone else "one that is whole",
                "stop redflare serve and redflare worker before" if alone else "wait for its end",
            ) from error
        yield


class _Place:
    """A place that one thread of all processes has."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = threading.Lock()
        self._file: TextIO | None = None

    def take(self, until: float) -> None:
        if not self._thread.acquire(timeout=max(0.0, until - time.monotonic())):
            raise StoreUnavailable("another thread writes for too long")
        try:
            while not self._locked():
                if time.monotonic() > until:
                    raise StoreUnavailable("another process writes for too long")
                # Not in step with others that wait.
                time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        except BaseException:
            self._thread.release()
            raise

    def leave(self) -> None:
        self._unlock()
        self._thread.release()

    def is_free(self) -> bool:
        if not self._thread.acquire(blocking=False):
            return False
        try:
            is_free = self._locked()
            if is_free:
                self._unlock()
            return is_free
        finally:
            self._thread.release()

    def _unlock(self) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _locked(self) -> bool:
        if self._file is None:
            try:
                self._file = self._path.open("a")
            except OSError as error:
                raise StoreUnavailable(f"{self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:  # of a folder on a network that locks nothing
            raise StoreUnavailable(f"{self._path}: {error.strerror}") from error
        return True

    def close(self) -> None:
        with self._thread:
            if self._file is not None:
                self._file.close()
                self._file = None
