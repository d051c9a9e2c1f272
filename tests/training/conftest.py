"""A real MLflow store for the tests that need one: made once, copied for each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.artifact import Artifact
from model.feature_rows import decode
from model.history import History
from model.scorer import Scorer
from training.candidate import Candidate, write_candidate
from training.registry import Registry
from training.simulate import Simulation


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MLflow's empty database, which takes seconds to make."""
    folder = tmp_path_factory.mktemp("store") / "registry"
    Registry(str(folder), create=True)
    return folder


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Path:
    """A registry of a test's own."""
    return Path(shutil.copytree(empty_store, tmp_path / "registry"))


@pytest.fixture
def make_candidate(
    small_company: Simulation, small_artifact: Path, tmp_path: Path
) -> Callable[..., Path]:
    """Write a candidate of the small artifact, `facts` telling it from others."""

    def make(name: str = "candidate", **overrides: Any) -> Path:
        artifact = Artifact.load(small_artifact)
        # Another content, another version.
        artifact = replace(artifact, facts=artifact.facts | {"note": name})
        scorer = Scorer(artifact)
        history = History.from_table(small_company.events)
        deals = np.arange(history.deals)
        moment = np.full(history.deals, scorer.known_before)
        scored = scorer.score_many(history, deals, moment, None)
        values: dict[str, Any] = {
            "model_version": artifact.model_version,
            "created_at": "2026-01-12T06:00:00+00:00",
            "created_by": "ann",
            "parameters": {"seed": 0, "trees": [40, 40]},
            "metrics": {
                "log_loss/within_30_days": 0.31,
                "log_loss/stage/R&D": 0.3,
                "log_loss/stage/N/A/": 0.2,
                "log_loss/owner/..": 0.1,
            },
            "dataset": {
                "name": "events.parquet",
                "digest": "0123abcd",
                "source": "events.parquet",
                "profile": {"deals": 600, "events": 14130},
            },
            "summary": {"known_before": "2026-01-05", "deals": 600, "log_loss": 0.31},
            "code": {"version": "0.1.0", "digest": "89ab"},
            "passed": True,
            "why": ["held: it is better"],
            "compared_with": None,
            "example": decode(scorer.features, scored.x[np.flatnonzero(scored.is_open)[:2]]),
        }
        folder = tmp_path / name
        files = {"report/report.html": "<p>", "plots/reliability.svg": "<svg/>"}
        write_candidate(folder, Candidate(**(values | overrides)), artifact, files)
        return folder

    return make
