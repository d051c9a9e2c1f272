"""A simulated company in the service's database, and the desk that answers for its review."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pytest

from model.event_table import read_events, write_events
from model.events import Event, microseconds
from model.history import History
from model.pipeline import pipeline
from service.review.asking import Answer, Request
from service.review.desk import Desk
from service.review.review_settings import ReviewSettings
from service.storage import deals, events, feeds, models
from service.storage.database import Database, open_database
from service.storage.transfer import load
from service.storage.upgrade import upgrade

if TYPE_CHECKING:
    from training.simulate import Simulation

NOW = datetime(2026, 1, 14, 9, tzinfo=UTC)  # a Wednesday; the week's Monday is known whole
DEALS_BEFORE = 380  # of the small company, which are left out


@pytest.fixture(scope="session")
def reviewed_url(
    small_company: Simulation, small_artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A database with the latest deals of the small company, and its artifact in force."""
    folder = tmp_path_factory.mktemp("reviewed")
    table = small_company.events
    latest = pc.unique(table["deal_id"]).sort().slice(DEALS_BEFORE)
    write_events(table.filter(pc.is_in(table["deal_id"], latest)), folder / "e.parquet")
    url = f"sqlite:///{folder / 'redflare.db'}"
    database = open_database(url, create=True)
    upgrade(database)
    load(database, folder / "e.parquet")
    history = History.from_table(read_events(folder / "e.parquet"))
    own(database, {deal.deal_id: deal.owner for deal in pipeline(history, microseconds(NOW))})
    install(database, small_artifact)
    database.close()
    return url


def install(database: Database, artifact: Path, at: datetime = NOW) -> None:
    version, files = models.read_artifact(artifact)
    with database.writing() as connection:
        models.install(connection, version, files, at=microseconds(at))


def keep(database: Database, told: Iterable[Event]) -> None:
    with database.writing() as connection:
        feeds.add(connection, events.append(connection, told, at=microseconds(NOW)).new)


def made(desk: Desk, request: Request, seconds: float = 60.0) -> Answer:
    """What a desk answers once it is ready."""
    until = time.monotonic() + seconds
    while (found := desk.answer(request)) is None:
        assert time.monotonic() < until, "the review is not made"
        time.sleep(0.02)
    return found


def own(database: Database, owners: Mapping[str, str | None]) -> None:
    """Keep who owns deals now, as the worker does once it has looked at them."""
    with database.writing() as connection:
        deals.lock(connection, owners)
        for deal_id, owner in owners.items():
            standing = deals.Standing(
                is_open=True,
                owner=owner,
                account=None,
                pipeline=None,
                stage=None,
                currency=None,
                amount=None,
                close_date=None,
                opened_at=None,
                known_at=microseconds(NOW),
            )
            deals.stand(connection, deal_id, standing)


Asking = Callable[..., str]


@pytest.fixture(scope="session")
def desk(reviewed_url: str) -> Iterator[Desk]:
    database = open_database(reviewed_url)
    yield Desk(database, ReviewSettings(segment="industry", target=400_000.0), lambda: NOW)
    database.close()
