"""How many deliveries a second are kept and acknowledged, each after its commit, by 16 clients.

A worker scores the deals meanwhile: in the same process, or in one of its own.

``python -m pytest tests/benchmarks/test_webhook_speed.py -s``
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from sqlalchemy import func, select
from standardwebhooks import Webhook

from model.events import Event, microseconds
from service.storage import deals, events, inbox
from service.storage.database import Database
from service.storage.schema import SCORES
from tests.service.conftest import (  # noqa: F401 - fixtures
    database,
    open_deals,
    postgresql,
    postgresql_template,
    scorer,
    sqlite_template,
    url,
)
from tests.service.requests import AS_OF

CLIENTS = 16
DELIVERIES = 16_000
ACKNOWLEDGEMENTS_A_SECOND = 1_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def requests(deal_ids: list[str], first: int, number: int) -> list[bytes]:
    """Signed requests that tell one event of an open deal each."""
    found = []
    now = datetime.now(UTC)
    for index in range(first, first + number):
        event = {
            "deal_id": deal_ids[index % len(deal_ids)],
            "kind": "call_made",
            "occurred_at": (AS_OF + timedelta(seconds=index)).isoformat(),
            "source": "crm",
            "source_id": f"call/{index}",
        }
        body = json.dumps(event)
        key = f"msg_{index}"
        signature = Webhook(SECRET).sign(key, now, body)
        found.append(
            b"POST /webhooks/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            + f"webhook-id: {key}\r\nwebhook-timestamp: {int(now.timestamp())}\r\n"
            f"webhook-signature: {signature}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        )
    return found


async def client(host: str, port: int, given: list[bytes], seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    for request in given:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
        seconds.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()


def busy_seconds(process: subprocess.Popen[str]) -> float:
    """What a process has had of a processor."""
    after_name = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS_A_SECOND


@pytest.mark.parametrize("apart", [False, True], ids=["one process", "a worker of its own"])
def test_deliveries_are_acknowledged_while_deals_are_scored(
    apart: bool,
    url: str,  # noqa: F811 - a fixture
    database: Database,  # noqa: F811 - a fixture
    small_artifact: Path,
    open_deals: list[list[Event]],  # noqa: F811 - a fixture
    user_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    environment = user_environment | {
        "REDFLARE_WEBHOOK_SECRETS": SECRET,
        "REDFLARE_PERSON_KEY": "k" * 32,
        "REDFLARE_DATABASE": url,
    }
    if not database.is_sqlite:  # the tests' server does without; here it counts
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as own:
            own.exec_driver_sql("ALTER SYSTEM SET fsync = on")
            own.exec_driver_sql("SELECT pg_reload_conf()")
    deal_ids = [deal[0].deal_id for deal in open_deals]
    with database.writing() as connection:
        told = [event for deal in open_deals for event in deal]
        events.append(connection, told, at=microseconds(AS_OF))
        deals.lock(connection, deal_ids)
    serve = ["redflare", "serve", "--port", "0", "--artifact", str(small_artifact)]
    with ExitStack() as ending:
        log = ending.enter_context((tmp_path / "log").open("w"))

        def start(*command: str) -> tuple[subprocess.Popen[str], str]:
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
            ending.enter_context(process)
            ending.callback(process.terminate)
            assert process.stdout is not None
            return process, process.stdout.readline()

        server, line = start(*serve, *(["--no-worker"] if apart else []))
        processes = [server, *([start("redflare", "worker")[0]] if apart else [])]
        where = urlsplit(line.split()[-1])
        each = DELIVERIES // CLIENTS
        given = [requests(deal_ids, number * each, each) for number in range(CLIENTS)]
        seconds: list[float] = []

        async def all_clients() -> None:
            host, port = where.hostname or "", where.port or 0
            await asyncio.gather(*(client(host, port, own, seconds) for own in given))

        busy = [-busy_seconds(process) for process in processes]
        began = time.perf_counter()
        asyncio.run(all_clients())
        took = time.perf_counter() - began
        busy = [own + busy_seconds(process) for own, process in zip(busy, processes, strict=True)]
        with database.reading() as connection:
            counts = inbox.counts(connection)
            scored = connection.execute(select(func.count()).select_from(SCORES)).scalar_one()
    assert sum(counts.values()) == DELIVERIES
    assert counts["failed"] == 0
    rate = DELIVERIES / took
    print(
        f"\n{database.url.get_backend_name()}, {'a worker apart' if apart else 'one process'}: "
        f"{rate:.0f} acknowledgements/s, p99 {1e3 * np.quantile(seconds, 0.99):.0f} ms; "
        f"meanwhile {scored / took:.0f} scores/s; processor seconds "
        f"{', '.join(f'{own:.1f}' for own in busy)} of {took:.1f}; "
        f"load average {os.getloadavg()[0]:.1f}"
    )
    assert scored > 0
    assert rate >= ACKNOWLEDGEMENTS_A_SECOND
