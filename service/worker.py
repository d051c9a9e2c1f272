"""The work behind the service: deliveries scored, deals ticked, write-backs sent, in threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from service.logs import fault_of
from service.model_in_force import ModelInForce
from service.processing import Processor
from service.sending import Sending
from service.storage.errors import StoreUnavailable

LOG: Final = logging.getLogger("redflare.worker")
LOOK_SECONDS: Final = 0.5  # between looks at an empty inbox, which another process may have filled
MODEL_SECONDS: Final = 2.0  # between looks for another model, and for deals that were loaded
TICK_SECONDS: Final = 300.0  # between looks for deals that only time has changed
STOP_SECONDS: Final = 10.0  # for what is worked on when asked to stop
UNAVAILABLE_SECONDS: Final = 2.0  # before a database that did not answer is asked again


class Worker:
    """Works until it is stopped.

    Parameters
    ----------
    processor
        Works on deliveries and ticks.
    sending
        Sends what is told, each destination in a thread of its own: one that answers late or never
        holds up no other.
    models
        Looked after here.
    """

    def __init__(self, processor: Processor, sending: Sending, models: ModelInForce) -> None:
        self._processor = processor
        self._models = models
        self._stop = threading.Event()
        self._inbox, model, self._ticks = (threading.Event() for _ in range(3))
        self._outboxes = {name: threading.Event() for name in sending.destinations}
        self._pauses = [self._inbox, model, self._ticks, *self._outboxes.values()]
        self._threads = [
            threading.Thread(target=self._run, args=job, name=name, daemon=True)
            for name, job in {
                "deliveries": (self._work, LOOK_SECONDS, self._inbox),
                "model": (self._refresh, MODEL_SECONDS, model),
                "ticks": (self._tick, TICK_SECONDS, self._ticks),
                **{
                    f"write-backs to {name}": (partial(sending.send, name), LOOK_SECONDS, awaited)
                    for name, awaited in self._outboxes.items()
                },
            }.items()
        ]

    def start(self) -> None:
        """Begin to work, in threads of its own."""
        for thread in self._threads:
            thread.start()

    def start_watching(self) -> None:
        """Look for another model alone: the work is another process's."""
        for thread in self._threads:
            if thread.name == "model":
                thread.start()

    def wake(self) -> None:
        """Look at the inbox at once: something came."""
        self._inbox.set()

    def stop(self) -> None:
        """End when what is worked on is done."""
        self._stop.set()
        for pause in self._pauses:
            pause.set()
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))

    def _run(
        self, work: Callable[[], bool], pause_seconds: float, awaited: threading.Event
    ) -> None:
        while not self._stop.is_set():
            pause = pause_seconds
            awaited.clear()
            try:
                while work() and not self._stop.is_set():
                    pass
            except StoreUnavailable as error:
                LOG.error("work waits for the database: %s", error.reason)  # its words suffice
                pause = UNAVAILABLE_SECONDS
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread goes on
                LOG.error("a fault of Redflare; the work goes on: %s", fault_of(error))
                pause = UNAVAILABLE_SECONDS
            awaited.wait(pause)

    def _work(self) -> bool:
        if not self._processor.work():
            return False
        self._wake_senders()
        return True

    def _wake_senders(self) -> None:
        for awaited in self._outboxes.values():
            awaited.set()

    def _refresh(self) -> bool:
        self._models.refresh()
        if self._processor.is_any_loaded():
            self._ticks.set()
        return False

    def _tick(self) -> bool:
        if self._processor.tick():
            self._wake_senders()
        return False
