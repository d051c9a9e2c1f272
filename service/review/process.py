"""The process that reviews are made in: started for the first one, ended with the service.

The present week's review is made ahead: soon after the start, and again when it no longer holds.

Scores are answered within a millisecond; a review takes seconds of arithmetic and drawing, which
threads of the same process would take from them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from multiprocessing import active_children, connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Final, NoReturn

from service.review.asking import Answer, Request, being_made
from service.review.review_settings import ReviewSettings

if TYPE_CHECKING:
    from service.review.desk import Desk

_DESK: dict[str, Desk] = {}
ONLY: Final = "only"
START_SECONDS: Final = 0.2  # waited for the process to start, before that is answered
WARM_AFTER_SECONDS: Final = 1.0  # from the start of the service, whose own start comes first
WARM_EVERY_SECONDS: Final = 60.0
DIED_SECONDS: Final = 3_600.0  # until it is warmed again where it died, lest it die all the time
LOG: Final = logging.getLogger("redflare.review")


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
        self._running: _Running | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()

    async def answer(self, request: Request) -> Answer | None:
        """What the desk there answers; while it starts, that a review is not ready yet."""
        running = self._started()
        try:
            if request.place != "login" and not await running.has_begun():
                return being_made() if request.patient else None
            return await asyncio.wrap_future(running.pool.submit(_answer, request))
        except BrokenProcessPool:
            self._forget(running)
            return await asyncio.wrap_future(self._started().pool.submit(_answer, request))

    def start_warming(self, has_deals: Callable[[], bool]) -> None:
        """Have the present week's review made ahead from now on, and again when that is due.

        Parameters
        ----------
        has_deals
            Whether there is anything to review; no process is started for nothing.
        """
        threading.Thread(target=self._warm, args=(has_deals,), daemon=True).start()

    def _warm(self, has_deals: Callable[[], bool]) -> None:
        seconds = WARM_AFTER_SECONDS
        while not self._closing.wait(seconds):
            seconds = WARM_EVERY_SECONDS
            try:
                if has_deals():
                    self.warm()
            except Exception as error:  # such as a database that does not answer for a while
                if self._closing.is_set():
                    return
                if isinstance(error, BrokenProcessPool):
                    seconds = DIED_SECONDS
                LOG.warning("a review cannot be made ahead", exc_info=error)

    def warm(self) -> None:
        """Have the present week's review made there, if it is not or no longer holds."""
        running = self._started()
        try:
            running.pool.submit(_warm).result()
        except BrokenProcessPool:
            self._forget(running)
            raise

    def _started(self) -> _Running:
        with self._lock:
            if self._closing.is_set():
                raise RuntimeError("the service ends")
            if self._running is None:
                before = active_children()
                pool = ProcessPoolExecutor(
                    max_workers=1,
                    mp_context=get_context("spawn"),
                    initializer=_begin,
                    initargs=(self._url, self._settings),
                )
                begun = pool.submit(os.getpid)
                children = [child for child in active_children() if child not in before]
                self._running = _Running(pool, begun, children)
            return self._running

    def _forget(self, running: _Running) -> None:
        with self._lock:
            if self._running is running:
                self._running = None

    def close(self) -> None:
        """End it, whatever it does: what it made is made again."""
        self._closing.set()
        with self._lock:
            if self._running is not None:
                self._running.end()


class _Running:
    """A process that was started.

    Parameters
    ----------
    pool
        What it answers through.
    begun
        Done once it answers.
    children
        The process itself.
    """

    def __init__(
        self, pool: ProcessPoolExecutor, begun: Future[int], children: list[BaseProcess]
    ) -> None:
        self.pool = pool
        self._begun = begun
        self._children = children

    async def has_begun(self) -> bool:
        """Whether it answers, waited for a little."""
        if not self._begun.done():
            await asyncio.sleep(START_SECONDS)
        return self._begun.done()

    def end(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.terminate()


def _begin(url: str, settings: ReviewSettings) -> None:
    from service.review.desk import Desk
    from service.storage.database import open_database

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service ends it
    signal.signal(signal.SIGTERM, _end)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    _DESK[ONLY] = Desk(open_database(url), settings, _utc_now)


def _end_with(sentinel: int) -> None:
    """End this process when its parent has ended, however it did."""
    connection.wait([sentinel])
    os._exit(0)


def _end(_number: int, _frame: object) -> NoReturn:
    """End in good order: what lies in a folder for a while is cleared away."""
    sys.exit(0)


def _warm() -> None:
    _DESK[ONLY].warm()


def _answer(request: Request) -> Answer | None:
    return _DESK[ONLY].answer(request)


def _utc_now() -> datetime:
    return datetime.now(UTC)
