"""`redflare serve` with a database: from an empty folder to a scored webhook."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from model.events import Event
from model.scorer import Scorer
from service.storage import inbox, outbox, scores
from service.storage.database import Database, open_database
from tests.service.deliveries import delivery
from tests.service.requests import AS_OF, request_json

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DEFAULT = "sqlite:///redflare.db"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def serve(
    tmp_path: Path, user_environment: dict[str, str]
) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str, str]]]:
    """Start `redflare serve` in the folder; the process, its first line, and where it answers."""
    started: list[subprocess.Popen[str]] = []
    log = (tmp_path / "log").open("w")

    def start(*options: str, **environment: str) -> tuple[subprocess.Popen[str], str, str]:
        process = subprocess.Popen(
            ["redflare", "serve", "--port", "0", *options],
            cwd=tmp_path,
            env=user_environment | {"REDFLARE_WEBHOOK_SECRETS": SECRET} | environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Serving "), (tmp_path / "log").read_text()
        return process, line, line.split()[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
    log.close()


def post(url: str, events: list[Event], key: str) -> httpx.Response:
    body = delivery(*events, key=key, at=AS_OF).body.decode()
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(key, now, body),
    }
    return httpx.post(f"{url}/webhooks/events", content=body, headers=headers, timeout=30)


def made_key(redflare: Run, *options: str) -> dict[str, str]:
    """The header that carries a new key of the database in the folder."""
    made = redflare("keys", "create", "test", *options)
    assert made.returncode == 0, made.stderr
    return {"authorization": f"Bearer {made.stdout.strip()}"}


def waited(database: Database, ready: Callable[[Any], Any], seconds: float = 20.0) -> Any:
    until = time.monotonic() + seconds
    while True:
        with database.reading() as connection:
            found = ready(connection)
        if found or time.monotonic() > until:
            return found
        time.sleep(0.05)


def test_from_an_empty_folder_to_a_scored_webhook(
    serve: Callable[..., Any],
    redflare: Run,
    open_deals: list[list[Event]],
    small_artifact: Path,
    tmp_path: Path,
    scorer: Scorer,
) -> None:
    deal = open_deals[0]
    process, line, url = serve()
    assert line.startswith("Serving without a model on http://")
    assert (tmp_path / "redflare.db").is_file()
    noted = (tmp_path / "log").read_text()
    assert "Nothing is scored yet: redflare model install DIRECTORY" in noted
    assert "Nobody may ask yet: redflare keys create TITLE" in noted
    assert httpx.get(f"{url}/v1/model").status_code == 401
    home = httpx.get(url)
    assert (home.status_code, home.headers["location"]) == (303, "/review")
    assert redflare("backup", "copy.db").returncode == 0
    assert "which a service uses" in redflare("restore", "copy.db", "--replace").stderr
    key = made_key(redflare)
    asked = httpx.post(f"{url}/v1/score", json=request_json(deal), headers=key)
    assert (asked.status_code, asked.json()["title"]) == (503, "No model is in force")
    assert httpx.get(f"{url}/v1/model", headers=key).status_code == 503
    assert post(url, deal, "msg_1").status_code == 200
    assert post(url, deal, "msg_1").status_code == 200
    assert httpx.post(f"{url}/webhooks/events", json={}).status_code == 401

    assert redflare("model", "install", str(small_artifact)).returncode == 0
    until = time.monotonic() + 20
    client = httpx.Client(base_url=url, headers=key)
    while client.get("/v1/model").status_code != 200 and time.monotonic() < until:
        time.sleep(0.1)
    assert client.get("/v1/model").json()["model_version"] == scorer.artifact.model_version
    assert client.post("/v1/score", json=request_json(deal)).status_code == 200
    client.close()

    assert post(url, open_deals[1], "msg_2").status_code == 200
    database = open_database(f"sqlite:///{tmp_path / 'redflare.db'}")
    score = waited(database, lambda own: scores.latest(own, open_deals[1][0].deal_id))
    assert score is not None
    assert score.model_version == scorer.artifact.model_version
    process.terminate()
    assert process.wait(20) == 0
    with database.reading() as connection:
        assert inbox.counts(connection) == {"received": 0, "done": 2, "failed": 0, "superseded": 0}
    database.close()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_one_process_receives_and_another_works(
    url: str,
    database: Database,
    serve: Callable[..., Any],
    small_artifact: Path,
    open_deals: list[list[Event]],
    tmp_path: Path,
    user_environment: dict[str, str],
) -> None:
    destinations = tmp_path / "destinations.toml"
    destinations.write_text(
        '[destinations.hook]\nkind = "callback"\nurl = "https://127.0.0.1:9/"\n'
        f'secrets = ["{SECRET}"]\n'
    )
    named = {
        "REDFLARE_DATABASE": url,
        "REDFLARE_PERSON_KEY": "k" * 32,
        "REDFLARE_DESTINATIONS": str(destinations),
    }
    _, _, where = serve("--no-worker", "--artifact", str(small_artifact), **named)
    assert post(where, open_deals[0], "msg_1").status_code == 200
    with database.reading() as connection:
        assert inbox.counts(connection)["received"] == 1
    worker = subprocess.Popen(
        ["redflare", "worker"],
        env=user_environment | named | {"REDFLARE_WEBHOOK_SECRETS": SECRET},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert waited(database, lambda own: inbox.counts(own)["done"]) == 1
        kept = waited(database, lambda own: outbox.listed(own, "parked") or None)
        assert kept, "a private address is refused"
    finally:
        worker.terminate()
        printed, _ = worker.communicate(timeout=20)
    assert worker.returncode == 0
    assert "secret" not in printed
    assert printed.startswith("Working on ")


def test_without_keys_whoever_uses_the_machine_is_answered(
    serve: Callable[..., Any], redflare: Run, small_artifact: Path, tmp_path: Path
) -> None:
    _, _, url = serve("--without-keys", "--artifact", str(small_artifact), "--database", DEFAULT)
    assert "No keys are asked for" in (tmp_path / "log").read_text()

    assert httpx.get(f"{url}/v1/model").status_code == 200
    elsewhere = httpx.get(f"{url}/v1/model", headers={"host": "pages.example.com"})
    assert (elsewhere.status_code, elsewhere.json()["title"]) == (403, "The key does not open this")
    refused = redflare("serve", "--without-keys", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    assert "--without-keys with --host 0.0.0.0: expected an address of this" in refused.stderr


def test_a_database_of_a_later_release_is_not_served(
    url: str, database: Database, redflare: Run
) -> None:
    from sqlalchemy import text

    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    refused = redflare("serve", "--port", "0", "--database", url)

    assert refused.returncode == 2
    assert "a later release made it" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_with_a_server_and_a_crm_the_key_that_hashes_people_is_asked_for_at_the_start(
    url: str,
    database: Database,
    tmp_path: Path,
    user_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    redflare: Run,
    serve: Callable[..., tuple[subprocess.Popen[str], str, str]],
) -> None:
    sources = tmp_path / "sources.toml"
    sources.write_text(
        '[sources.deals]\nkind = "pipedrive"\nuser = "ada"\nsecrets = ["a long password of it"]\n'
    )
    monkeypatch.setitem(user_environment, "REDFLARE_DATABASE", url)
    monkeypatch.setitem(user_environment, "REDFLARE_WEBHOOKS", str(sources))

    if database.is_sqlite:  # it is in a file beside it
        serve()
    else:
        refused = redflare("serve", "--port", "0")
        assert refused.returncode == 2
        assert "no REDFLARE_PERSON_KEY" in refused.stderr


def test_serving_with_a_database_loads_nothing_of_learning(
    loaded_by: Callable[[str], set[str]],
) -> None:
    loaded = loaded_by("import service.serving, service.worker_command")

    assert not loaded & {"training", "mlflow", "sklearn", "matplotlib", "pandas", "pyarrow"}
