"""One at a time: a retraining or promotion of a registry, an import into an event log."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from model.errors import RedflareError

LOCK: Final = "retrain.lock"
WAIT_SECONDS: Final = 300.0  # for another import; one of four million rows takes less than a minute
LOOK_SECONDS: Final = 0.05


class LockedError(RedflareError):
    """Another retraining, promotion or import is under way. Wait for it, or stop it."""


@contextmanager
def only_one(folder: Path, who: str, since: str) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when the process ends, however it ends.

    Parameters
    ----------
    folder
        Of the registry, or where candidates are kept; made if need be.
    who, since
        Who holds it since when, for the next one's message.

    Raises
    ------
    LockedError
        If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LockedError(
                f"{folder}, where {file.read().strip() or 'another process'} is retraining",
                "one retraining at a time",
                "wait until it is done",
            ) from error
        file.truncate(0)
        file.write(f"{who}, process {os.getpid()} since {since},")
        file.flush()
        yield


@contextmanager
def written_alone(
    path: Path,
    waits: Callable[[str], object],
    *,
    wait_seconds: float = WAIT_SECONDS,
    tell_seconds: float = 0.0,
    work: str = "import",
) -> Iterator[None]:
    """Be the only one that reads, adds to and writes a file, from start to end.

    The lock is a file beside it, held by the process: the system lets go of it however that ends.

    Parameters
    ----------
    path
        The file, which need not be there.
    waits
        Told in words, once, where another has it and this process waits.
    wait_seconds
        How long.
    tell_seconds
        After which it is told; what takes less is not worth a word.
    work
        What is done one at a time, for the message.

    Raises
    ------
    LockedError
        If another process has it for longer.
    """
    real = path.resolve()
    lock = real.with_name(f".{real.name}.lock")
    begun = time.monotonic()
    told = False
    while (held := _taken(lock)) is None:
        who = f"another {work}, process {_holder(lock)}, is writing {path}"
        waited = time.monotonic() - begun
        if waited >= wait_seconds:
            raise LockedError(who, f"one {work} at a time", "wait until it is done, or stop it")
        if not told and waited >= tell_seconds:
            waits(f"{who}: waiting until it is done")
            told = True
        time.sleep(LOOK_SECONDS)
    try:
        yield
    finally:
        lock.unlink()  # by its holder alone, so that whoever waits looks for a new one
        os.close(held)


def _taken(lock: Path) -> int | None:
    """A handle that holds the lock; None while another process does."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not lock.exists() or not os.path.samestat(os.fstat(handle), lock.stat()):
            raise BlockingIOError  # its holder is done and took it away: begin anew
    except (FileNotFoundError, BlockingIOError):
        os.close(handle)
        return None
    os.ftruncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())
    return handle


def _holder(lock: Path) -> str:
    try:
        return lock.read_text(encoding="ascii") or "unknown"
    except FileNotFoundError:
        return "unknown"
