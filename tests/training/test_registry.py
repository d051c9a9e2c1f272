from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import numpy as np
import pytest

from model.errors import ArtifactError
from model.events import DAY_US, microseconds
from tests.training.desks import act
from training.candidate import CandidateError, read_candidate
from training.monitor_command import _in_force
from training.registry import CHALLENGER, CHAMPION, Registry
from training.version import RegistryAwayError, RegistryError

Make = Callable[..., Path]
JANUARY_13 = datetime(2026, 1, 13, 12, tzinfo=UTC)


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
    assert run.data.metrics == {
        "log_loss/within_30_days": 0.31,
        "log_loss/stage/R_D": 0.3,
        "log_loss/stage/N/A/_": 0.2,
        "log_loss/owner/_": 0.1,
    }
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


def test_a_registration_killed_anywhere_is_whole_the_next_time(
    store: Path, make_candidate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    registry = Registry(str(store))
    client, folder = registry._client, make_candidate()
    for name in ("log_artifacts", "set_registered_model_alias"):
        with monkeypatch.context() as patch:
            patch.setattr(client, name, killed)
            with pytest.raises(KeyboardInterrupt):
                registry.register(folder)

    version = registry.register(folder)

    assert (version.number, version.aliases) == ("1", (CHALLENGER,))
    runs = client.search_runs([registry._experiment()])
    assert sorted(run.info.status for run in runs) == ["FINISHED", "KILLED"]
    registry.promote(version, act("1", None))
    registry.register(make_candidate("later"))
    registry.promote(registry.version("2"), act("2", "1"))
    registry.promote(version, act("1", "2", "rollback"))
    # What was in force before is no challenger again.
    assert registry.register(folder).aliases == (CHAMPION,)
    assert registry.register(make_candidate("later")).aliases == ()


def test_promotions_and_rollbacks_move_the_champion_and_are_audited(
    store: Path, make_candidate: Make
) -> None:
    registry = Registry(str(store))
    assert registry.champion() is None
    first, second = (registry.register(make_candidate(name)) for name in ("a", "b"))

    # As read when it still was challenger.
    registry.promote(first, act("1", None))
    assert registry.version("2").aliases == (CHALLENGER,)
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


def test_monitoring_is_told_which_version_was_in_force_when(
    store: Path, make_candidate: Make
) -> None:
    """Gone back to after three days; a promotion that was killed before it came does not count."""
    registry = Registry(str(store))
    first, second = (registry.register(make_candidate(name)) for name in ("a", "b"))
    told = [("1", None, "promote"), ("2", "1", "promote"), ("1", "2", "rollback")]
    for day, (version, replaced, what) in enumerate(told, 12):
        at = f"2026-01-{day}T07:00:00+00:00"
        registry.promote(registry.version(version), replace(act(version, replaced, what), at=at))
        if day == 12:
            registry._audit.write(replace(act("2", "1"), at=at))  # killed before the alias
    registry._audit.write(act("2", "1"))

    models, since, _ = _in_force(str(store), registry.name, (), 0)
    recent, _, _ = _in_force(str(store), registry.name, (), microseconds(JANUARY_13))

    assert [each.model_version for each in models] == [
        each.model_version for each in (first, second, first)
    ]
    assert since is not None
    assert np.diff(since).tolist() == [DAY_US, DAY_US]
    assert [each.model_version for each in recent] == [
        each.model_version for each in (second, first)
    ]


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


def test_an_entry_of_the_audit_fits_a_tag_of_any_database(
    store: Path, make_candidate: Make
) -> None:
    registry = Registry(str(store))
    version = registry.register(make_candidate())
    overruled = tuple(f"in segment {number}, {'worse ' * 20}" for number in range(100))

    registry.promote(version, replace(act("1", None), overruled=overruled))

    assert all(len(tag) <= 5000 for tag in registry._audit_tags().values())
    (entry,) = registry.audit()
    assert entry.overruled[:10] == overruled[:10]
    assert entry.overruled[-1] == f"and {100 - len(entry.overruled) + 1} more"
    assert registry.version("1").tags["promote_overruled"].splitlines() == list(overruled)


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


def test_a_folder_moved_away_is_refused_with_the_link_that_mends_it(
    store: Path, make_candidate: Make
) -> None:
    version = Registry(str(store)).register(make_candidate())
    moved = store.rename(store.with_name("elsewhere"))

    with pytest.raises(RegistryError, match=f"made in {store}: expected .* ln -s {moved} {store}"):
        Registry(str(moved))

    store.symlink_to(moved)
    assert Registry(str(moved)).artifact(version).model_version == version.model_version
    assert Registry(str(store)).artifact(version).model_version == version.model_version


def test_what_is_not_there_is_said(store: Path, make_candidate: Make, tmp_path: Path) -> None:
    registry = Registry(str(store))

    with pytest.raises(
        RegistryError, match="version '3' of 'redflare': expected one that redflare retrain"
    ):
        registry.version("3")
    with pytest.raises(CandidateError, match=r"without candidate\.json"):
        registry.register(tmp_path)
    folder = make_candidate()
    document = json.loads((folder / "candidate.json").read_text())
    (folder / "candidate.json").write_text(json.dumps(document | {"model_version": "m-1"}))
    with pytest.raises(CandidateError, match="model m-1"):
        registry.register(folder)


class Answers(BaseHTTPRequestHandler):
    """Another server than MLflow's, which answers everything with one status and text."""

    answer: ClassVar[tuple[int, str]]

    def do_GET(self) -> None:
        status, text = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_GET  # noqa: N815 - the name is the standard library's

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ((401, "who are you?"), RegistryError, "set MLFLOW_TRACKING_USERNAME"),
        ((403, '{"error_code": "PERMISSION_DENIED"}'), RegistryError, "an account that may read"),
        ((404, "<p>no such page"), RegistryError, "the address of an MLflow server"),
        ((400, '{"error_code": "BAD_REQUEST", "message": "odd"}'), RegistryError, "odd.*mend what"),
        ((500, "{}"), RegistryAwayError, "each time with error 500: expected an MLflow server"),
        ((501, '{"error_code": "INTERNAL_ERROR", "message": "disk"}'), RegistryAwayError, "disk"),
    ],
)
def test_a_registry_that_answers_with_an_error_is_told_by_what_it_is(
    answer: tuple[int, str],
    kind: type[RegistryError],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    handler = type("Handler", (Answers,), {"answer": answer})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()

    with pytest.raises(RegistryError, match=said) as raised:
        Registry(f"http://127.0.0.1:{server.server_port}")

    assert raised.type is kind
    server.shutdown()
    server.server_close()


def test_no_command_line_loads_mlflow(loaded_by: Callable[[str], set[str]]) -> None:
    loaded = loaded_by("import service.cli, service.commands, training.cli, training.registry")

    assert not loaded & {"mlflow", "pandera"}
