"""How many deliveries a second one process keeps and acknowledges, each after its commit.

``python -m pytest tests/benchmarks/test_webhook_speed.py -s``
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from standardwebhooks import Webhook

from service.storage import inbox
from service.storage.database import Database
from tests.service.conftest import (  # noqa: F401 - fixtures
    database,
    postgresql,
    postgresql_template,
    sqlite_template,
    url,
)

CLIENTS = 16
DELIVERIES = 8_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def requests(first: int, number: int) -> list[bytes]:
    """Signed requests that tell one event each."""
    found = []
    now = datetime.now(UTC)
    for index in range(first, first + number):
        event = {
            "deal_id": f"D-{index % 500}",
            "kind": "call_made",
            "occurred_at": "2026-01-05T09:30:00Z",
            "source": "crm",
            "source_id": str(index),
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


def test_deliveries_are_acknowledged_when_they_are_kept(
    url: str,  # noqa: F811 - a fixture
    database: Database,  # noqa: F811 - a fixture
    user_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    environment = user_environment | {
        "REDFLARE_WEBHOOK_SECRETS": SECRET,
        "REDFLARE_PERSON_KEY": "k" * 32,
    }
    if not database.is_sqlite:  # the tests' server does without; here it counts
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as own:
            own.exec_driver_sql("ALTER SYSTEM SET fsync = on")
            own.exec_driver_sql("SELECT pg_reload_conf()")
    log = (tmp_path / "log").open("w")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["redflare", "serve", "--port", "0", "--database", url, "--no-worker"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
    ) as process:
        assert process.stdout is not None
        where = urlsplit(process.stdout.readline().split()[-1])
        each = DELIVERIES // CLIENTS
        given = [requests(number * each, each) for number in range(CLIENTS)]
        seconds: list[float] = []

        async def all_clients() -> None:
            host, port = where.hostname or "", where.port or 0
            await asyncio.gather(*(client(host, port, own, seconds) for own in given))

        began = time.perf_counter()
        asyncio.run(all_clients())
        took = time.perf_counter() - began
        process.terminate()
    log.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with database.reading() as connection:
        assert inbox.counts(connection)["received"] == DELIVERIES
    print(
        f"{database.url.get_backend_name()}: {DELIVERIES / took:.0f} acknowledgements/s, "
        f"p99 {1e3 * np.quantile(seconds, 0.99):.0f} ms, "
        f"{1e3 * busy / DELIVERIES:.2f} ms of the service's processor each, its start included"
    )
