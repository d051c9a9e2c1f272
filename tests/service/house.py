"""A service around a database, its clock at `AS_OF`, asked in this process or over a socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import uvicorn
from anyio import run
from starlette.types import ASGIApp

from model.events import Event
from model.scorer import Scorer
from service.access import Guard
from service.app import create_app
from service.limiting import Limiter
from service.model_in_force import ModelInForce
from service.processing import Processor
from service.rescoring import Policy
from service.settings import Settings
from service.storage import keys
from service.storage.database import Database
from service.storage.group_commit import InboxWriter
from service.storage.keys import Scope
from service.taking import SOURCE as API
from service.webhooks.routes import WebhookEndpoint
from service.webhooks.sources import Sources
from tests.service.deliveries import RECEIVER, SOURCE, delivery, give, work_all
from tests.service.requests import AS_OF

Ask = Callable[..., httpx.Response]


class House:
    """A service, and who works in it.

    Parameters
    ----------
    database
        With the schema of this release.
    scorer
        Of the model in force; None without one.
    sources
        Who may post webhooks.
    """

    def __init__(
        self, database: Database, scorer: Scorer | None, sources: Sources | None = None
    ) -> None:
        self.now = AS_OF
        self.database = database
        self.models = ModelInForce(scorer=scorer)
        self.writer = InboxWriter(database)
        self.processor = Processor(
            database, {SOURCE: RECEIVER, API: RECEIVER}, self.models, Policy(), self.clock
        )
        settings = Settings()
        self.app: ASGIApp = create_app(
            scorer if scorer is not None else _no_model,
            settings,
            self.clock,
            webhooks=WebhookEndpoint(
                sources=sources or {SOURCE: ("standard", RECEIVER)},
                inbox=self.writer,
                settings=settings,
                clock=self.clock,
            ),
            database=database,
            guard=Guard(database, Limiter(10_000_000), self.clock),
            writer=self.writer,
            person=str,
        )

    def clock(self) -> datetime:
        """The present."""
        return self.now

    def key(self, *scopes: Scope, owners: Sequence[str] | None = None) -> dict[str, str]:
        """The header of a new key."""
        with self.database.writing() as connection:
            made = keys.make(
                connection, title="Ann's own", scopes=scopes or ("read",), owners=owners, at=1
            )
        return {"authorization": f"Bearer {made}"}

    def tell(self, *deals: list[Event]) -> None:
        """Have deals delivered and worked on."""
        for number, deal in enumerate(deals):
            key = f"{deal[0].deal_id}/{number}"
            give(self.database, delivery(*deal, key=key, at=AS_OF))
        self.work()

    def work(self) -> None:
        """Work on what waits."""
        work_all(self.processor)

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Ask in this process."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as own:
                return await own.request(method, path, **given)

        return run(send)

    def close(self) -> None:
        """End what runs."""
        self.writer.close()


def _no_model() -> Scorer:
    from service.problems import NO_MODEL, refused

    raise refused(NO_MODEL, "no model in force", "one", "install one")


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """Where an application answers over a socket."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
