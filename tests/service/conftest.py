"""A served artifact, its scorer, and open deals to score."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from model.artifact import Artifact
from model.event_table import event_from_row
from model.events import Event, microseconds
from model.history import History
from model.scorer import Scorer
from tests.service.requests import AS_OF, serving
from training.simulate import Simulation


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
