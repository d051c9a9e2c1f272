"""One retraining at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from model.errors import RedflareError

LOCK: Final = "retrain.lock"


class LockedError(RedflareError):
    """Another retraining is under way. Wait for it, or stop it."""


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
