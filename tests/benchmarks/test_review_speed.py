"""How long the served review takes, how large its page is, and what its making needs."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from model.artifact import Artifact
from model.events import microseconds
from model.history import History
from model.scorer import Scorer
from service.review.asking import Request
from service.review.desk import Desk
from service.review.review_settings import ReviewSettings
from service.storage import feeds, models
from service.storage.database import open_database
from service.storage.events import to_row
from service.storage.schema import EVENTS
from service.storage.upgrade import upgrade
from tests.service.requests import AS_OF
from tests.service.review.conftest import NOW, made

if TYPE_CHECKING:
    from training.simulate import Simulation

PAGE_SECONDS = 1.0
PAGE_BYTES = 2_000_000


def copies(company: pa.Table, artifact: Path, opened: int) -> pa.Table:
    """The company's open deals again and again under other names, with its closed ones once."""
    history = History.from_table(company)
    scorer = Scorer(Artifact.load(artifact))
    moments = np.full(history.deals, microseconds(AS_OF))
    is_open = scorer.score_many(history, np.arange(history.deals), moments, None).is_open
    ids = [name for name, each in zip(history.deal_ids, is_open, strict=True) if each]
    mine = company.filter(pc.is_in(company["deal_id"], pa.array(ids)))
    tables = [company]
    for copy in range(1, -(-opened // len(ids))):
        named = mine
        for column in ("deal_id", "source_id"):
            place = named.schema.get_field_index(column)
            told = pc.binary_join_element_wise(named[column], f"{copy:04d}", "-")
            named = named.set_column(place, named.schema.field(column), told)
        tables.append(named)
    return pa.concat_tables(tables)


def stored(table: pa.Table, url: str, artifact: Path) -> None:
    """A database with these events, stored as quickly as can be."""
    database = open_database(url, create=True)
    upgrade(database)
    version, files = models.read_artifact(artifact)
    from model.event_table import event_from_row

    with database.writing() as connection:
        for batch in table.to_batches(20_000):
            rows = [{**to_row(event_from_row(row)), "stored_at": 0} for row in batch.to_pylist()]
            connection.execute(EVENTS.insert(), rows)
        models.install(connection, version, files, at=microseconds(NOW))
        told = [event_from_row(row) for row in table.slice(0, 20_000).to_pylist()]
        feeds.add(connection, told)
    database.close()


@pytest.mark.parametrize("opened", [5_000, 100_000])
def test_the_review_of_many_open_deals(
    opened: int, small_company: Simulation, small_artifact: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'redflare.db'}"
    stored(copies(small_company.events, small_artifact, opened), url, small_artifact)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    database = open_database(url)
    desk = Desk(database, ReviewSettings(), lambda: NOW)

    begun = time.perf_counter()
    request = Request(place="review", patient=False)
    made(desk, request, seconds=3600)
    making = time.perf_counter() - begun
    begun = time.perf_counter()
    answer = desk.answer(request)
    warm = time.perf_counter() - begun
    begun = time.perf_counter()
    desk.answer(Request(place="review", query={"sort": "owner", "page": "7"}, patient=False))
    other = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert answer is not None
    print(
        f"\n{opened:,} open deals: made in {making:.1f} s, again in {warm:.2f} s, "
        f"sorted in {other:.2f} s, {len(answer.body):,} bytes, "
        f"peak {peak / 2**20:.2f} GiB ({before / 2**20:.2f} before)"
    )
    assert warm <= PAGE_SECONDS
    assert other <= PAGE_SECONDS
    assert len(answer.body) <= PAGE_BYTES
    database.close()
