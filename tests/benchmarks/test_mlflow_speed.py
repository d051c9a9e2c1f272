"""Requests a second of ``POST /v1/score`` with drivers beside those of ``mlflow models serve``.

MLflow serves a plain model of boosted trees, without drivers, over as many features; both have one
process, and are asked one after the other by the same clients.

``python -m pytest tests/benchmarks/test_mlflow_speed.py -s``
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pandas as pd
import pytest

from model.scorer import Scorer
from tests.benchmarks.test_api_speed import bodies  # noqa: F401 - a fixture
from tests.service.conftest import scorer  # noqa: F401 - a fixture
from tests.service.requests import serving

CLIENTS = 8
ROUNDS = 3
OURS, THEIRS = 1_600, 160  # requests of a round
TIMES_AS_MANY = 10
ROWS = 5_000
START_SECONDS = 120.0


async def ask(address: tuple[str, int], path: str, given: list[bytes]) -> None:
    """Ask again and again over one connection."""
    reader, writer = await asyncio.open_connection(*address)
    for body in given:
        writer.write(
            b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
    writer.close()
    await writer.wait_closed()


def rate(where: str, path: str, given: list[bytes], requests: int) -> float:
    """Requests a second of all clients together."""
    address = urlsplit(where).hostname or "", urlsplit(where).port or 0
    each = [given[number % len(given)] for number in range(requests // CLIENTS)]

    async def load() -> None:
        await asyncio.gather(*(ask(address, path, each) for _ in range(CLIENTS)))

    began = time.perf_counter()
    asyncio.run(load())
    return requests / (time.perf_counter() - began)


@contextmanager
def plain_model(folder: Path, features: int, environment: dict[str, str]) -> Iterator[str]:
    """Boosted trees served by MLflow; where."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    random = np.random.default_rng(1)
    columns = [f"x{number}" for number in range(features)]
    frame = pd.DataFrame(random.normal(size=(ROWS, features)), columns=columns)
    trees = HistGradientBoostingClassifier(max_iter=150, random_state=1)
    trees.fit(frame, frame["x0"] + frame["x1"] + random.normal(size=ROWS) > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        import mlflow

        mlflow.sklearn.save_model(trees, folder / "trees", serialization_format="cloudpickle")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = f"http://127.0.0.1:{port}"
    command = [
        "mlflow",
        "models",
        "serve",
        "--model-uri",
        str(folder / "trees"),
        "--port",
        str(port),
    ]
    with (
        (folder / "mlflow.log").open("w") as log,
        subprocess.Popen(
            [*command, "--port", str(port), "--env-manager", "local", "--workers", "1"],
            env=environment | {"MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            until = time.monotonic() + START_SECONDS
            while time.monotonic() < until:
                try:
                    if httpx.get(f"{where}/ping").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.2)
            yield where
        finally:
            os.killpg(process.pid, 15)  # it has started others


def test_ours_answers_ten_times_as_many_as_mlflow_serving_plain_trees(
    small_artifact: Path,
    bodies: list[bytes],  # noqa: F811 - a fixture
    scorer: Scorer,  # noqa: F811 - a fixture
    user_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    pytest.importorskip("mlflow", reason="the extra registry has it")
    features = len(scorer.features.names)
    row = np.random.default_rng(2).normal(size=features).tolist()
    columns = [f"x{number}" for number in range(features)]
    asked = {"dataframe_split": {"columns": columns, "data": [row]}}
    theirs_body = json.dumps(asked).encode()
    with (
        plain_model(tmp_path, features, user_environment) as where,
        serving(small_artifact, user_environment, tmp_path / "log") as (_, url),
    ):
        rate(where, "/invocations", [theirs_body], CLIENTS)  # warm
        rate(url, "/v1/score", bodies, CLIENTS)
        pairs = [
            (
                rate(url, "/v1/score", bodies, OURS),
                rate(where, "/invocations", [theirs_body], THEIRS),
            )
            for _ in range(ROUNDS)
        ]
    ours, theirs = (max(each) for each in zip(*pairs, strict=True))
    times = float(np.median([a / b for a, b in pairs]))
    print(
        f"\n{ours:.0f} requests/s with drivers, {theirs:.0f} of plain trees by MLflow, best of "
        f"{ROUNDS}; {times:.1f} times as many, the median; load average {os.getloadavg()[0]:.1f}"
    )
    assert times >= TIMES_AS_MANY
