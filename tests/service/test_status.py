"""Whether the service is ready, what it measures, and what its log says and keeps to itself."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from model.events import Event
from model.scorer import Scorer
from service.app import create_app
from service.logs import JsonLines, TextLines, fields
from service.metrics import Metrics
from service.request_log import REQUEST_ID, identified
from service.sending import Sending
from service.settings import Settings
from service.storage.database import Database, open_database
from service.storage.group_commit import InboxWriter
from service.webhooks.routes import WebhookEndpoint
from service.webhooks.signing import sign
from service.writeback.entry import Refused, Retry, Sent
from tests.service.deliveries import RECEIVER, SOURCE, delivery, give, processor, work_all
from tests.service.requests import AS_OF, request_json
from tests.service.test_sending import Destination, queue

NOW = AS_OF + timedelta(days=1)
Ask = Callable[..., httpx.Response]


def ask(
    database: Database | None,
    scorer: Scorer | None,
    path: str,
    *,
    at: datetime = NOW,
    metrics: Metrics | None = None,
) -> httpx.Response:
    """One request to an application around a database."""

    def in_force() -> Scorer:
        if scorer is None:
            from service.problems import NO_MODEL, refused

            raise refused(NO_MODEL, "none", "one", "install one")
        return scorer

    app = create_app(in_force, clock=lambda: at, database=database, metrics=metrics)

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get(path)

    return asyncio.run(get())


def measured(exposed: str) -> dict[str, float]:
    """The samples, by name and labels."""
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): float(
            sample.value
        )
        for family in text_string_to_metric_families(exposed)
        for sample in family.samples
    }


def test_a_service_with_all_that_it_needs_is_ready(database: Database, scorer: Scorer) -> None:
    give(database, delivery(key="a", at=NOW))
    answer = ask(database, scorer, "/readyz", at=NOW + timedelta(seconds=300))

    assert answer.status_code == 200
    names = ["database", "migrations", "queue", "model"]
    assert answer.json() == {
        "status": "ready",
        "checks": [{"name": name, "ok": True, "reason": None} for name in names],
    }
    assert [each["name"] for each in ask(None, scorer, "/readyz").json()["checks"]] == ["model"]


def test_a_service_that_is_not_ready_says_why(database: Database, scorer: Scorer) -> None:
    give(database, delivery(key="a", at=NOW))
    late = ask(database, None, "/readyz", at=NOW + timedelta(seconds=301))

    assert late.status_code == 503
    assert late.headers["content-type"] == "application/problem+json"
    assert late.json()["type"] == "urn:redflare:problem:not-ready"
    assert late.json()["detail"] == (
        "queue: a delivery waits for 301 s, where 300 are allowed; model: none is in force. "
        "Remedy: run redflare doctor."
    )
    assert [each["ok"] for each in late.json()["checks"]] == [True, True, False, False]

    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    old = {
        each["name"]: each["reason"] for each in ask(database, scorer, "/readyz").json()["checks"]
    }
    assert old["migrations"].startswith("revision 0000, where this release has ")


def test_a_database_out_of_reach_is_told_without_its_place(scorer: Scorer) -> None:
    gone = open_database("postgresql://ann:hush@127.0.0.1:1/name")
    answer = ask(gone, scorer, "/readyz")

    assert answer.status_code == 503
    assert "database: the database does not answer" in answer.json()["detail"]
    assert not {"ann", "hush", "127.0.0.1"} & set(answer.text.split('"'))
    found = measured(ask(gone, scorer, "/metrics").text)
    assert found["redflare_database_up"] == 0
    assert "redflare_parked" not in found
    gone.close()


def test_what_waits_what_failed_and_the_model_are_measured(
    database: Database, scorer: Scorer
) -> None:
    give(database, delivery(key="a", at=NOW - timedelta(seconds=40)), delivery(key="b", at=NOW))
    queue(database, "due")
    queue(database, "other", "crm")
    parking = Sending(database, {"crm": Destination(Refused(reason="no"))}, lambda: NOW)
    parking.send()
    found = measured(ask(database, scorer, "/metrics").text)

    assert (found["redflare_queue_depth inbox"], found["redflare_queue_depth outbox"]) == (2, 1)
    assert found["redflare_queue_age_seconds inbox"] == 40
    assert (found["redflare_parked"], found["redflare_failed"]) == (1, 0)
    assert found["redflare_retrying"] == 0
    away = Sending(database, {"crm": Destination(Retry(reason="away"))}, lambda: NOW)
    assert away.send()
    assert measured(ask(database, scorer, "/metrics").text)["redflare_retrying"] == 1
    assert found[f"redflare_model {scorer.artifact.model_version}"] == 1
    assert found["redflare_model_age_seconds"] == timedelta(days=8).total_seconds()


def test_deliveries_scores_and_write_backs_are_counted(
    database: Database, scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    metrics = Metrics()
    give(
        database,
        delivery(*open_deals[0], key="good", at=NOW),
        delivery(key="odd", at=NOW, body=b"{"),
    )
    work_all(processor(database, scorer, now=lambda: NOW, metrics=metrics))
    outcomes = Sent(status=200), Refused(reason="status 404: no such deal")
    sending = Sending(database, {"crm": Destination(*outcomes)}, lambda: NOW, metrics=metrics)
    queue(database, "more")
    while sending.send():
        pass
    found = measured(metrics.exposed().decode())

    assert found["redflare_deliveries_worked_total done events"] == 1
    assert found["redflare_deliveries_worked_total failed events"] == 1
    assert found["redflare_score_seconds_count delivery"] == 1
    assert found["redflare_write_backs_total crm sent"] >= 1
    assert found["redflare_write_backs_total crm parked"] == 1


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """The lines that Redflare logged, as JSON has them."""
    caplog.set_level("INFO")
    form = JsonLines()
    return lambda: [
        json.loads(form.format(record))
        for record in caplog.records
        if record.name.startswith("redflare")
    ]


def test_one_delivery_is_followed_by_its_ids_from_the_request_to_the_write_back(
    database: Database,
    scorer: Scorer,
    open_deals: list[list[Event]],
    log: Callable[[], list[dict[str, Any]]],
) -> None:
    metrics = Metrics()
    writer = InboxWriter(database)
    sources = {SOURCE: ("standard", RECEIVER)}
    endpoint = WebhookEndpoint(
        sources=sources, inbox=writer, settings=Settings(), clock=lambda: NOW
    )
    app = create_app(scorer, clock=lambda: NOW, webhooks=endpoint, metrics=metrics)
    body = delivery(*open_deals[0], key="a", at=NOW).body

    async def post() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            given = {
                "content-type": "application/json",
                "webhook-id": "msg_1",
                "webhook-timestamp": str(int(NOW.timestamp())),
                "webhook-signature": sign(b"k" * 32, "msg_1", NOW, body),
            }
            own = {**given, "x-request-id": "proxy-7"}
            return [
                await client.post("/webhooks/events?a=hush", content=body, headers=own),
                await client.post("/webhooks/events", content=body, headers=given),
                await client.post("/webhooks/events", content=body + b" ", headers=given),
                await client.post("/webhooks/nobody", content=body, headers=given),
                await client.post("/v1/score", json=request_json(open_deals[0])),
            ]

    answers = asyncio.run(post())
    writer.close()
    assert [each.status_code for each in answers] == [200, 200, 401, 401, 200]
    assert answers[0].headers["x-request-id"] == "proxy-7"
    work_all(processor(database, scorer, now=lambda: NOW, metrics=metrics))
    Sending(database, {"crm": Destination()}, lambda: NOW).send()
    lines = log()

    first, again = lines[0], lines[1]
    assert (first["request_id"], first["level"], first["logger"]) == (
        "proxy-7",
        "info",
        "redflare.requests",
    )
    assert again["delivery_id"] == first["delivery_id"]
    assert again["request_id"] == answers[1].headers["x-request-id"] != "proxy-7"
    worked = next(line for line in lines if line["logger"] == "redflare.worker")
    assert (worked["request_id"], worked["delivery_id"]) == ("proxy-7", first["delivery_id"])
    sent = next(line for line in lines if line["logger"] == "redflare.writeback")
    assert (sent["delivery_id"], sent["attempt"]) == (first["delivery_id"], 1)
    whole = json.dumps(lines)
    assert "hush" not in whole
    assert open_deals[0][0].source_id not in whole
    assert open_deals[0][0].deal_id not in whole
    found = measured(metrics.exposed().decode())
    counted = {
        name.removeprefix("redflare_deliveries_total "): value
        for name, value in found.items()
        if name.startswith("redflare_deliveries_total ")
    }
    assert counted == {
        "kept events": 1,
        "repeated events": 1,
        "unverified events": 1,
        "unverified unknown": 1,
    }
    assert found["redflare_score_seconds_count request"] == 1
    assert found["redflare_requests_total 200"] == 3


def test_a_line_of_text_ends_with_its_fields_and_a_fault_keeps_to_one_of_json() -> None:
    try:
        raise ZeroDivisionError("oh")
    except ZeroDivisionError as error:
        fault = (type(error), error, error.__traceback__)
    given = {"name": "redflare", "msg": "it\nis %s", "args": ("so",), "levelno": logging.ERROR}
    record = logging.makeLogRecord({**given, "exc_info": fault, **fields(delivery_id="a", b=None)})

    assert "redflare it\nis so delivery_id=a\nTraceback" in TextLines().format(record)
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ZeroDivisionError: oh")


def test_a_worker_of_its_own_is_measured_and_logs_json(
    small_artifact: Path, user_environment: dict[str, str], tmp_path: Path
) -> None:
    given = user_environment | {"REDFLARE_DATABASE": f"sqlite:///{tmp_path / 'redflare.db'}"}
    for command in (["db", "upgrade"], ["model", "install", str(small_artifact)]):
        subprocess.run(["redflare", *command], env=given, check=True, capture_output=True)
    with subprocess.Popen(
        ["redflare", "worker", "--metrics-port", "0", "--log-format", "json"],
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        where = process.stdout.readline().split()[-1]
        found = measured(httpx.get(where).text)
        process.terminate()
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]

    assert found["redflare_queue_depth inbox"] == 0
    assert [line["logger"] for line in lines] == ["redflare.model"]


def test_of_several_ids_of_a_request_the_harmless_one_is_kept_alone() -> None:
    given = [(REQUEST_ID, each) for each in (b"a b", b"7f-3", b"other")]
    scope: dict[str, Any] = {"headers": given}

    assert identified(scope) == b"7f-3"
    assert scope["headers"] == [(REQUEST_ID, b"7f-3")]
