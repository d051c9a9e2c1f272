from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from model.errors import ArtifactError
from training.candidate import CandidateError, read_candidate
from training.registry import CHALLENGER, CHAMPION, Registry
from training.version import Act, RegistryError

Make = Callable[..., Path]


def act(version: str, replaced: str | None, what: str = "promote") -> Act:
    at = "2026-01-12T07:00:00+00:00"
    return Act(at=at, who="ann", why="the gate", what=what, version=version, replaced=replaced)


def test_a_candidate_becomes_a_version_with_all_that_is_known_of_it(
    store: Path, make_candidate: Make
) -> None:
    registry = Registry(str(store))
    folder = make_candidate()

    version = registry.register(folder)

    assert version.number == "1"
    assert version.aliases == (CHALLENGER,)
    assert version.tags["deals"] == "600"
    assert version.tags["verdict"] == "held: it is better"
    run = registry._client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"log_loss/within_30_days": 0.31, "log_loss/stage/R_D": 0.3}
    assert run.data.params["trees"] == "[40, 40]"
    assert run.data.tags["redflare.code_digest"] == "89ab"
    assert run.inputs.dataset_inputs[0].dataset.digest == "0123abcd"
    logged = {each.path for each in registry._client.list_artifacts(version.run_id)}
    assert logged == {"artifact", "candidate.json", "model", "plots", "report"}
    assert registry.artifact(version).model_version == read_candidate(folder).model_version


def test_a_candidate_registered_twice_is_one_version(store: Path, make_candidate: Make) -> None:
    registry = Registry(str(store))
    folder = make_candidate()

    assert registry.register(folder) == registry.register(folder)
    assert len(registry.versions()) == 1


def test_promotions_and_rollbacks_move_the_champion_and_are_audited(
    store: Path, make_candidate: Make
) -> None:
    registry = Registry(str(store))
    assert registry.champion() is None
    first, second = (registry.register(make_candidate(name)) for name in ("a", "b"))

    registry.promote(registry.version("1"), act("1", None))
    registry.promote(registry.version("2"), act("2", "1"))

    champion = registry.champion()
    assert champion is not None
    assert champion.model_version == second.model_version
    assert CHALLENGER not in champion.aliases
    assert champion.tags["promote_by"] == "ann"
    before = registry.before(champion)
    assert before.model_version == first.model_version

    registry.promote(before, act("1", "2", "rollback"))

    assert [each.number for each in registry.versions() if CHAMPION in each.aliases] == ["1"]
    assert registry.audit() == [act("1", None), act("2", "1"), act("1", "2", "rollback")]
    with pytest.raises(RegistryError, match="champion 1, which replaced none"):
        registry.before(registry.version("1"))


def test_a_champion_changed_meanwhile_is_not_overwritten(store: Path, make_candidate: Make) -> None:
    registry = Registry(str(store))
    for name in "ab":
        registry.register(make_candidate(name))
    registry.promote(registry.version("1"), act("1", None))

    with pytest.raises(RegistryError, match="champion of now, 1"):
        registry.promote(registry.version("2"), act("2", None))

    champion = registry.champion()
    assert champion is not None
    assert champion.number == "1"


def test_killed_between_audit_and_alias_the_champion_stays(
    store: Path, make_candidate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(str(store))
    for name in "ab":
        registry.register(make_candidate(name))
    registry.promote(registry.version("1"), act("1", None))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry._client, "set_registered_model_alias", killed)
    with pytest.raises(KeyboardInterrupt):
        registry.promote(registry.version("2"), act("2", "1"))
    monkeypatch.undo()

    champion = registry.champion()
    assert champion is not None
    assert champion.number == "1"
    with pytest.raises(RegistryError, match="which replaced none"):
        registry.before(champion)


def test_a_version_that_holds_another_artifact_is_refused(
    store: Path, make_candidate: Make
) -> None:
    registry = Registry(str(store))
    version = registry.register(make_candidate())

    with pytest.raises(RegistryError, match="version 1 that holds m-"):
        registry.artifact(replace(version, tags={"model_version": "m-0"}))
    stored = store / "artifacts" / version.run_id / "artifacts" / "artifact"
    (stored / "manifest.json").write_text("{}")
    with pytest.raises(ArtifactError, match="changed content"):
        registry.artifact(version)


def test_what_is_not_there_is_said(store: Path, make_candidate: Make, tmp_path: Path) -> None:
    registry = Registry(str(store))

    with pytest.raises(RegistryError, match="version '3' of 'redflare': expected one of none yet"):
        registry.version("3")
    with pytest.raises(CandidateError, match=r"without candidate\.json"):
        registry.register(tmp_path)
    folder = make_candidate()
    document = json.loads((folder / "candidate.json").read_text())
    (folder / "candidate.json").write_text(json.dumps(document | {"model_version": "m-1"}))
    with pytest.raises(CandidateError, match="model m-1"):
        registry.register(folder)


def test_no_command_line_loads_mlflow(loaded_by: Callable[[str], set[str]]) -> None:
    loaded = loaded_by("import service.cli, service.commands, training.cli, training.registry")

    assert not loaded & {"mlflow", "pandera"}
