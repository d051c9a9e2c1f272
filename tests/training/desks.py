"""A user's desk, from which a made-up company is retrained in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from threadpoolctl import threadpool_limits

from model.event_table import write_events
from model.events import from_microseconds
from service.cli import main
from tests.factories import day_us
from training import fit, retrain_files
from training.boosting import Settings
from training.curves import learned_curves
from training.registry import Registry
from training.version import Act

DEALS = 320
FIRST, LATER, LATEST = (from_microseconds(day_us(day)).isoformat() for day in (700, 960, 962))
LIMITS = """
[promotion]
margin = 0.04
segment_margin = 0.2
fewest_deals = 30
fewest_won = 8
refit_deals = 5
slope = [0.2, 5.0]
intercept = [-1.5, 1.5]
[data]
stale_days = [7, 3000]
"""


def act(version: str, replaced: str | None, what: str = "promote") -> Act:
    at = "2026-01-12T07:00:00+00:00"
    return Act(at=at, who="ann", why="the gate", what=what, version=version, replaced=replaced)


@contextmanager
def quick() -> Iterator[None]:
    """Few trees, and few drawings."""
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=20, trees=30)])
        patch.setattr(retrain_files, "learned_curves", lambda *asked: learned_curves(*asked)[:1])
        yield


class Desk:
    """A user's folder, with the command at hand."""

    def __init__(
        self,
        folder: Path,
        capsys: pytest.CaptureFixture[str] | None,
        registry: str | None = None,
        name: str = "redflare",
    ) -> None:
        self.folder = folder
        self.capsys = capsys
        self.place = ["--registry", registry or str(folder / "registry"), "--name", name]
        (folder / "limits.toml").write_text(LIMITS)

    def write(self, events: pa.Table, name: str = "events.parquet") -> None:
        write_events(events, self.folder / name)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, *self.place])
        assert self.capsys is not None
        said = self.capsys.readouterr()
        return status, said.out, said.err

    def retraining(self, known_before: str, *more: str) -> list[str]:
        place = {name: str(self.folder / name) for name in ("events.parquet", "limits.toml")}
        return [
            *("retrain", place["events.parquet"], "--known-before", known_before),
            *(*self.place, "--thresholds", place["limits.toml"]),
            *("--edges", "20", "--spacing", "7", "--jobs", "1", "--json", *more),
        ]

    def retrain(self, known_before: str, *more: str) -> tuple[int, Any, str]:
        assert self.capsys is not None
        status = main(self.retraining(known_before, *more))
        said = self.capsys.readouterr()
        return status, json.loads(said.out) if said.out else None, said.err

    def registry(self) -> Registry:
        return Registry(self.place[1], self.place[3])

    def models(self) -> list[dict[str, Any]]:
        return list(json.loads(self.run("versions", "--json")[1]))

    def champion(self) -> str | None:
        found = self.registry().champion()
        return None if found is None else found.number
