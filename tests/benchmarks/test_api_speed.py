"""How many deals a second one process scores over HTTP, drivers included."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from model.artifact import Artifact
from model.event_table import event_from_row
from model.events import microseconds
from model.history import History
from model.scorer import Scorer
from service.settings import REQUESTS_A_MINUTE
from service.storage import keys
from service.storage.database import open_database
from tests.service.requests import AS_OF, request_json, serving
from training.simulate import Simulation

CLIENTS = 8
REQUESTS = 2_000
REQUESTS_A_SECOND = 1_000
P99_SECONDS = 0.030


@pytest.fixture(scope="module", params=["nothing kept", "a database and a key"])
def served(
    request: pytest.FixtureRequest,
    small_artifact: Path,
    user_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, bytes]]:
    """Where it answers, and the line that carries the key, if any: the limit far away, but on."""
    folder = tmp_path_factory.mktemp("served")
    url = f"sqlite:///{folder / 'redflare.db'}"
    keeps = request.param != "nothing kept"
    options = ("--database", url) if keeps else ()
    environment = user_environment | {REQUESTS_A_MINUTE: "1000000"}
    with serving(small_artifact, environment, folder / "log", *options) as (_, where):
        line = b""
        if keeps:
            database = open_database(url)
            with database.writing() as connection:
                key = keys.make(connection, title="it", scopes=["read"], owners=None, at=1)
            database.close()
            line = f"Authorization: Bearer {key}\r\n".encode()
        yield where, line


@pytest.fixture(scope="module")
def bodies(small_artifact: Path, small_company: Simulation) -> list[bytes]:
    """Requests for open deals of about twenty events."""
    scorer = Scorer(Artifact.load(small_artifact))
    history = History.from_table(small_company.events)
    moments = np.full(history.deals, microseconds(AS_OF))
    is_open = scorer.score_many(history, np.arange(history.deals), moments, None).is_open
    twenty = is_open & (abs(np.diff(history.start) - 20) <= 3)
    wanted = {history.deal_ids[deal] for deal in np.flatnonzero(twenty)}
    rows = [row for row in small_company.events.to_pylist() if row["deal_id"] in wanted]
    return [
        json.dumps(
            request_json([event_from_row(row) for row in rows if row["deal_id"] == deal_id])
        ).encode()
        for deal_id in sorted(wanted)
    ]


async def client(
    host: str, port: int, bodies: list[bytes], seconds: list[float], key: bytes = b""
) -> None:
    """Ask again and again over one connection, noting how long each answer takes."""
    reader, writer = await asyncio.open_connection(host, port)
    for body in bodies:
        began = time.perf_counter()
        writer.write(
            b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"%bContent-Length: %d\r\n\r\n%b" % (key, len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
        seconds.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()


def test_deals_are_scored_over_http(
    served: tuple[str, bytes], bodies: list[bytes], benchmark: BenchmarkFixture
) -> None:
    url, key = served
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
    each = [bodies[number % len(bodies)] for number in range(REQUESTS // CLIENTS)]
    p99s = []

    async def load() -> None:
        seconds: list[float] = []
        await asyncio.gather(*(client(host, port, each, seconds, key) for _ in range(CLIENTS)))
        p99s.append(float(np.quantile(seconds, 0.99)))

    benchmark.pedantic(lambda: asyncio.run(load()), rounds=3, warmup_rounds=1)

    rate = REQUESTS / benchmark.stats.stats.min
    print(f"\n{rate:.0f} requests a second with drivers, p99 {min(p99s) * 1e3:.1f} ms")
    assert rate >= REQUESTS_A_SECOND
    assert min(p99s) <= P99_SECONDS
