"""The process that reviews are made in: started for the first one, ended with the service.

Scores are answered within a millisecond; a review takes seconds of arithmetic and drawing, which
threads of the same process would take from them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from multiprocessing import connection, get_context, parent_process
from typing import TYPE_CHECKING, Final

from service.review.asking import Answer, Request
from service.review.review_settings import ReviewSettings

if TYPE_CHECKING:
    from service.review.desk import Desk

_DESK: dict[str, Desk] = {}
ONLY: Final = "only"


class ReviewProcess:
    """A process that answers requests for reviews; another one follows if it dies.

    Parameters
    ----------
    url
        Of the database.
    settings
        How the company is read.
    """

    def __init__(self, url: str, settings: ReviewSettings) -> None:
        self._url = url
        self._settings = settings
        self._pool: ProcessPoolExecutor | None = None

    async def answer(self, request: Request) -> Answer | None:
        """What the desk there answers."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._started(), _answer, request)
        except BrokenProcessPool:
            self._pool = None
            return await loop.run_in_executor(self._started(), _answer, request)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                max_workers=1,
                mp_context=get_context("spawn"),
                initializer=_begin,
                initargs=(self._url, self._settings),
            )
        return self._pool

    def close(self) -> None:
        """End it."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _begin(url: str, settings: ReviewSettings) -> None:
    from service.review.desk import Desk
    from service.storage.database import open_database

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _DESK[ONLY] = Desk(open_database(url), settings, _utc_now)


def _end_with(sentinel: int) -> None:
    """End this process when its parent has ended, however it did."""
    connection.wait([sentinel])
    os._exit(0)


def _answer(request: Request) -> Answer | None:
    return _DESK[ONLY].answer(request)


def _utc_now() -> datetime:
    return datetime.now(UTC)
