"""Many small deliveries, one flush to the disk.

One thread writes all that waits in one transaction, and whoever gave a delivery has the answer
after its commit. While one batch is being written the next one gathers, so that the flushes'
length, and not the deliveries' number, sets the pace.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from service.storage import arrivals
from service.storage.database import Database
from service.storage.errors import StoreUnavailable
from service.webhooks.delivery import Delivery

LOG: Final = logging.getLogger("redflare.inbox")
MOST_AT_ONCE: Final = 256  # deliveries of one transaction
MOST_BYTES_AT_ONCE: Final = 16 * 2**20
MOST_WAITING: Final = 10_000  # deliveries that wait; more are refused at once
_Waiting = tuple[Delivery, "Future[bool]"]


class InboxWriter:
    """Writes deliveries into the inbox, several at a time.

    Parameters
    ----------
    database
        Open, and up to date.
    stored
        Called after each commit that brought something new, in the writer's own thread.
    """

    def __init__(self, database: Database, stored: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._stored = stored
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(MOST_WAITING)
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="inbox writer", daemon=True)
        self._thread.start()

    def submit(self, delivery: Delivery) -> Future[bool]:
        """Keep a delivery.

        Returns
        -------
        Future
            After the commit: whether the delivery is new, and not one that came before. Its error
            is a `StoreUnavailable` where the delivery is not kept; it may be sent again.
        """
        answer: Future[bool] = Future()
        answer.set_running_or_notify_cancel()  # what is given is written, whoever went away
        with self._closing:
            try:
                if self._closed:
                    raise StoreUnavailable("the service is stopping")
                self._queue.put_nowait((delivery, answer))
            except queue.Full:
                answer.set_exception(StoreUnavailable("too many deliveries wait to be written"))
            except StoreUnavailable as error:
                answer.set_exception(error)
        return answer

    async def accept(self, delivery: Delivery) -> bool:
        """Keep a delivery, and answer after its commit: see `submit`.

        Raises
        ------
        StoreUnavailable
            If it is not kept, and may be sent again.
        """
        return await asyncio.wrap_future(self.submit(delivery))

    def close(self) -> None:
        """Write what waits, and stop."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            batch, last = self._gather()
            if batch:
                self._write(batch)
            if last:
                return

    def _gather(self) -> tuple[list[_Waiting], bool]:
        """All that waits, up to so much; and whether it is the last."""
        batch: list[_Waiting] = []
        size = 0
        try:
            while len(batch) < MOST_AT_ONCE and size < MOST_BYTES_AT_ONCE:
                waiting = self._queue.get(block=not batch)
                if waiting is None:
                    return batch, True
                batch.append(waiting)
                size += len(waiting[0].body)
        except queue.Empty:
            pass
        return batch, False

    def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            with self._database.writing() as connection:
                answers = arrivals.add(connection, [delivery for delivery, _ in batch])
        except StoreUnavailable as error:
            LOG.error("%d deliveries are not kept: %s", len(batch), error.reason)
            for _, answer in batch:
                answer.set_exception(error)
        except Exception as error:  # one that ends this thread would leave all later ones waiting
            if len(batch) > 1:  # one of them that cannot be kept is no reason to refuse the others
                for waiting in batch:
                    self._write([waiting])
                return
            LOG.exception("a delivery of %r cannot be kept", batch[0][0].source)
            failed = StoreUnavailable("it cannot keep this delivery")
            failed.__cause__ = error
            batch[0][1].set_exception(failed)
        else:
            for (_, answer), is_new in zip(batch, answers, strict=True):
                answer.set_result(is_new)
            if any(answers):
                self._tell()

    def _tell(self) -> None:
        try:
            self._stored()
        except Exception:  # what is kept is found by looking, too
            LOG.exception("nobody could be told of new deliveries")
