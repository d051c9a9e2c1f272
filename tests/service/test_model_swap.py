"""A model is exchanged for another under load: no request is dropped, none fails."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from model.artifact import Artifact
from model.events import Event
from service import cli
from service.storage import scores
from service.storage.database import open_database
from service.storage.schema import MODEL_FILES, MODELS_IN_FORCE
from tests.service.requests import request_json
from tests.service.test_serve_database import post, serve, waited  # noqa: F401 - a fixture

CLIENTS = 4
PAUSE_SECONDS = 0.01  # of each, that the commands beside may have their turn


class Load:
    """Clients that ask for scores without end, and the model's version in each answer."""

    def __init__(self, url: str, deals: list[list[Event]]) -> None:
        self.url = url
        self.bodies = [request_json(deal) for deal in deals]
        self.versions: list[list[str]] = [[] for _ in range(CLIENTS)]
        self.failed: list[str] = []
        self.ending = threading.Event()
        self.threads = [
            threading.Thread(target=self.ask, args=(number,)) for number in range(CLIENTS)
        ]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def ask(self, number: int) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self.ending.wait(PAUSE_SECONDS):
                body = self.bodies[(len(self.versions[number]) + number) % len(self.bodies)]
                try:
                    answer = client.post("/v1/score", json=body)
                    self.versions[number].append(answer.json()["model_version"])
                except (httpx.HTTPError, KeyError) as error:
                    self.failed.append(repr(error))

    def until_all_have(self, version: str) -> None:
        seen = [len(own) for own in self.versions]
        end = time.monotonic() + 30
        while time.monotonic() < end and not all(
            version in own[before:] for own, before in zip(self.versions, seen, strict=True)
        ):
            time.sleep(0.05)


@pytest.fixture
def another(small_artifact: Path, tmp_path: Path) -> Path:
    """An artifact of another version that scores alike."""
    loaded = Artifact.load(small_artifact)
    replace(loaded, facts={**loaded.facts, "note": "again"}).save(tmp_path / "another")
    return tmp_path / "another"


def test_models_are_exchanged_under_load_without_a_request_dropped_or_failed(
    serve: Callable[..., Any],  # noqa: F811 - a fixture
    capfd: pytest.CaptureFixture[str],
    open_deals: list[list[Event]],
    small_artifact: Path,
    another: Path,
    tmp_path: Path,
) -> None:
    shutil.copytree(another, tmp_path / "damaged")
    (tmp_path / "damaged" / "tables.npz").write_bytes(b"no tables")
    old, new = (Artifact.load(each).model_version for each in (small_artifact, another))
    where = "sqlite:///redflare.db"
    _, _, url = serve("--artifact", str(small_artifact), "--database", where, "--without-keys")
    log = tmp_path / "log"
    database = open_database(f"sqlite:///{tmp_path / 'redflare.db'}")

    def install(directory: Path) -> int:
        return cli.main(["model", "install", str(directory), "--database", str(database.url)])

    with Load(url, open_deals) as load:
        load.until_all_have(old)
        assert install(tmp_path / "damaged") == cli.UNUSABLE
        assert "tables.npz" in capfd.readouterr().err
        assert install(another) == cli.DONE
        load.until_all_have(new)
        assert post(url, open_deals[0], "msg_1").status_code == 200  # the worker has it too
        told = waited(database, lambda own: scores.latest(own, open_deals[0][0].deal_id))

        # Damaged where it is kept and put in force, the first is refused; installed again, mended.
        with database.writing() as connection:
            tables = (MODEL_FILES.c.version == old) & (MODEL_FILES.c.name == "tables.npz")
            connection.execute(update(MODEL_FILES).where(tables).values(content=b"x"))
            connection.execute(MODELS_IN_FORCE.insert().values(version=old, since=0))
        assert waited(database, lambda _: f"model {old} is not put in force" in log.read_text())
        load.until_all_have(new)
        assert install(small_artifact) == cli.DONE
        load.until_all_have(old)
    database.close()

    assert load.failed == []
    assert told.model_version == new
    for own in load.versions:  # each client sees the first, the second, the first, and never back
        assert [version for version, _ in groupby(own)] == [old, new, old]
    assert "Traceback" not in log.read_text()
