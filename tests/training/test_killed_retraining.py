from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.artifact import Artifact
from service.cli import main
from tests.training.companies import deals_table
from tests.training.desks import DEALS, FIRST, LATER, Desk, quick
from tests.training.killed import is_killed
from training import retrain, retrain_command
from training.logged_run import HOST, PROCESS
from training.registry import Registry

MLFLOW = "mlflow:MlflowClient"
STEPS = [
    ("training.retrain:learn", 1),  # the refit, once the judged model is learned
    ("pathlib:Path.rename", 2),  # of the artifact, and then of the candidate that holds it
    (f"{MLFLOW}.set_registered_model_alias", 1),  # as challenger
    (f"{MLFLOW}.set_registered_model_alias", 2),  # as champion, after the audit's entry
    (f"{MLFLOW}.log_artifacts", 2),
]


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    with quick():
        yield


def left_in(desk: Desk) -> set[str]:
    """What lies where candidates are kept, and beside what is handed over."""
    kept = desk.folder / "registry" / retrain_command.KEPT
    return {path.name for place in (kept, desk.folder) for path in place.iterdir()}


def statuses(registry: Registry) -> list[str]:
    found = registry._client.search_runs([registry._experiment()])
    return sorted(str(run.info.status) for run in found)


def test_a_retraining_killed_at_any_step_leaves_the_champion_and_the_next_one_is_clean(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store == tmp_path / "registry"
    desk = Desk(tmp_path, capsys)
    desk.write(deals_table(DEALS))
    into = tmp_path / "in-force"
    desk_again = desk.retraining(LATER, "--into", str(into))
    run, known = retrain.retrain, list[retrain.Retraining]()

    def keeping(*asked: Any) -> retrain.Retraining:
        known.append(run(*asked))
        return known[0]

    with monkeypatch.context() as patch:
        patch.setattr(retrain, "retrain", keeping)
        assert desk.retrain(FIRST, "--into", str(into))[1]["promoted"]
    [done] = known
    first, clean = Artifact.load(into).model_version, left_in(desk)
    artifact = replace(done.artifact, facts=done.artifact.facts | {"note": "later"})
    later = replace(done, artifact=artifact)

    for step, calls in STEPS:
        trained = None if step.startswith("training.") else later
        assert is_killed(desk_again, step, calls, trained), step
        assert desk.champion() == "1", step
        assert Artifact.load(into).model_version == first, step

    assert "RUNNING" in statuses(desk.registry())
    monkeypatch.setattr(retrain, "retrain", lambda *_: later)
    assert main(desk_again) == 0
    registry = desk.registry()
    champion = registry.champion()
    assert champion is not None
    assert champion.model_version == Artifact.load(into).model_version != first
    assert [act.version for act in registry.audit()][-1] == champion.number
    assert left_in(desk) == clean
    assert set(statuses(registry)) == {"FINISHED", "KILLED"}


def test_a_run_that_another_process_or_machine_may_still_be_logging_is_left(store: Path) -> None:
    registry = Registry(str(store))
    client, experiment = registry._client, registry._experiment()
    client.create_run(experiment, tags={HOST: "elsewhere.example", PROCESS: "999999999"})
    client.create_run(experiment, tags={HOST: socket.gethostname(), PROCESS: str(os.getppid())})
    client.create_run(experiment)

    registry.end_dead_runs()

    assert statuses(registry) == ["RUNNING"] * 3
