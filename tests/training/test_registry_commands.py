"""What `register`, `promote` and `rollback` say and leave, and what `retrain` ends with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.artifact import Artifact
from service.cli import main
from tests.training.desks import Desk
from training import retrain_command
from training.candidate import read_candidate
from training.registry import Registry
from training.version import RegistryAwayError

Make = Callable[..., Path]
BESIDE_1: Any = {"compared_with": "1", "summary": {"compared_with": "1"}}


@pytest.fixture
def desk(
    store: Path, tmp_path: Path, make_candidate: Make, capsys: pytest.CaptureFixture[str]
) -> Desk:
    """Of somebody whose version 1 is champion."""
    assert store == tmp_path / "registry"
    found = Desk(tmp_path, capsys)
    assert found.run("register", str(make_candidate("first")))[:2] == (0, "version 1 is champion\n")
    return found


def test_a_candidate_registered_again_after_a_rollback_is_not_promoted_again(
    desk: Desk, make_candidate: Make
) -> None:
    folder = str(make_candidate("better", **BESIDE_1))
    assert desk.run("versions")[1].startswith("1 version of redflare in ")
    assert "deals judged" not in desk.run("versions")[1]
    assert desk.run("register", folder)[:2] == (0, "version 2 is champion\n")
    assert "are each of the deals judged in that retraining" in desk.run("versions")[1]
    assert desk.run("register", folder)[:2] == (0, "version 2 is champion\n")
    assert desk.run("rollback", "--reason", "odd scores", "--by", "ann")[0] == 0

    status, said, _ = desk.run("register", folder)

    assert status == 0
    assert desk.champion() == "1"
    assert "version 2 was champion, until this, and is not promoted again:\n" in said
    assert "ann went back to 1 in place of 2: odd scores\n" in said
    again = said.splitlines()[-1]
    assert main(shlex.split(again)[1:]) == 0
    assert desk.champion() == "2"


@pytest.mark.parametrize("command", ["register", "promote", "rollback", "retrain"])
def test_what_is_promoted_but_not_handed_over_is_told_with_the_command_that_does_it(
    command: str, desk: Desk, make_candidate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise RegistryAwayError("registry x, which does not answer", "a server", "start it")

    assert desk.capsys is not None
    into, number = desk.folder / "in-force", "2"
    folder = make_candidate("better", **BESIDE_1)
    more: list[str] = []
    if command == "promote":
        assert desk.registry().register(folder).number == "2"
        more = ["2"]
    elif command == "rollback":
        assert desk.run("register", str(folder))[0] == 0
        number = "1"
    elif command == "register":
        more = [str(folder)]
    monkeypatch.setattr(Registry, "artifact", away)
    if command == "retrain":
        told = retrain_command._Told(said="why", as_json=True, values={"promoted": False})
        asked: dict[str, Any] = dict.fromkeys(("force", "reason", "keep")) | {"into": into}
        asked["as_json"] = True
        store, candidate = desk.registry(), read_candidate(folder)
        status = retrain_command._hand_over(store, folder, candidate, told, asked)
        said, err = desk.capsys.readouterr()
        assert json.loads(said) == {"promoted": True, "overruled": [], "version": "2"}
        assert not folder.exists()  # it is registered
    else:
        status, said, err = desk.run(command, *more, "--into", str(into))
        assert f"version {number} is champion" in said
    monkeypatch.undo()

    assert status == 1
    assert err.startswith("registry x, which does not answer")
    assert f"\nVersion {number} is champion, but is not written to {into}: do that with\n" in err
    again = shlex.split(err.splitlines()[-1])
    assert again[:3] == ["redflare", "promote", number]
    assert main(again[1:]) == 0
    version = desk.registry().version(number)
    assert Artifact.load(into).model_version == version.model_version
