from __future__ import annotations

import io
import json
import os
import pwd
import shlex
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from model.artifact import Artifact
from model.events import from_microseconds
from service.cli import main
from tests.factories import day_us
from tests.training.companies import deals_table
from tests.training.desks import DEALS, FIRST, LATER, LATEST, Desk, quick
from training import retrain_command
from training.candidate import check_place, read_candidate
from training.lock import only_one
from training.promoting import me
from training.registry import Registry
from training.version import RegistryAwayError, RegistryError


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with quick():
        yield


@pytest.fixture(scope="module")
def company() -> pa.Table:
    return deals_table(DEALS)


@pytest.fixture
def desk(
    store: Path, tmp_path: Path, company: pa.Table, capsys: pytest.CaptureFixture[str]
) -> Desk:
    assert store == tmp_path / "registry"
    found = Desk(tmp_path, capsys)
    found.write(company)
    return found


@pytest.fixture(scope="module")
def first_store(
    empty_store: Path, company: pa.Table, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A registry with a first champion, and what its retraining answered."""
    folder = tmp_path_factory.mktemp("first")
    shutil.copytree(empty_store, folder / "registry")
    out = io.StringIO()
    with redirect_stdout(out):
        desk = Desk(folder, None)
        desk.write(company)
        assert main(desk.retraining(FIRST, "--into", str(folder / "in-force"))) == 0
    return folder, json.loads(out.getvalue())


@pytest.fixture
def second(
    first_store: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    company: pa.Table,
    capsys: pytest.CaptureFixture[str],
) -> Desk:
    """The desk of somebody who has a champion."""
    shutil.copytree(first_store[0] / "registry", tmp_path / "registry")
    found = Desk(tmp_path, capsys)
    found.write(company)
    return found


def test_a_first_model_is_promoted_if_it_beats_the_base_rate(
    first_store: tuple[Path, dict[str, Any]],
) -> None:
    folder, first = first_store

    assert first["promoted"], first["why"]
    assert any("no champion was in force" in words for words in first["why"])
    assert any("the refit on all data scores" in words for words in first["why"])
    assert Artifact.load(folder / "in-force").model_version == first["model_version"]


def test_a_company_retrains_promotes_and_goes_back(second: Desk, company: pa.Table) -> None:
    desk = second
    out = desk.folder / "in-force"
    first = desk.models()[0]

    status, found, err = desk.retrain(LATER, "--reason", "weekly", "--by", "ann")

    assert (status, err) == (0, "")
    assert found["promoted"], found["why"]
    assert found["champion_before"] == "1"
    assert found["model_version"] != first["model_version"]
    newest, oldest = desk.models()
    assert newest["aliases"] == ["champion"]
    assert (newest["promote_by"], newest["promote_why"]) == ("ann", "weekly")
    assert newest["compared_with"] == "1"
    assert oldest["aliases"] == []
    assert int(newest["events"]) > int(oldest["events"])
    status, table, _ = desk.run("versions")
    assert "ann: weekly" in table
    assert "Z ann promoted 2 in place of 1: weekly" in table.splitlines()[-1]
    assert " promoted 1 as the first: the gate let it pass" in table.splitlines()[-2]

    status, said, _ = desk.run("rollback", "--reason", "odd scores", "--into", str(out))

    assert status == 0
    assert "version 1 is champion again, in place of 2" in said
    assert Artifact.load(out).model_version == first["model_version"]
    assert desk.run("promote", "2")[0] == 0
    assert desk.champion() == "2"
    # What is known to the champion can be judged only later.
    status, third, _ = desk.retrain(LATEST, "--no-refit", "--into", str(out))
    assert not third["promoted"]
    # The folder held what somebody had gone back to; now it holds what is in force.
    assert Artifact.load(out).model_version == newest["model_version"]
    assert third["why"][0].startswith("FAILED: 0 deals with 0 won")
    assert desk.champion() == "2"
    status, _, err = desk.run("promote", "3")
    assert status == 2
    assert "version 3, which the gate refused (0 deals" in err
    # The judged model knows less than the record holds, and is to find no more again.
    until = datetime.fromisoformat(desk.models()[0]["known_before"])
    known = pc.less(company["known_at"], pa.scalar(until, company["known_at"].type))
    assert int(desk.models()[0]["events"]) == pc.sum(known).as_py()
    assert desk.run("promote", "3", "--force")[0] == 2
    status, said, _ = desk.run(
        *("promote", "3", "--force", "--reason", "the board asks", "--by", "ann")
    )
    assert status == 0
    overruled = third["why"][0].removeprefix("FAILED: ")
    assert "forced by ann: the board asks; overruled, of the conditions of the gate:" in said
    assert f"\n  {overruled}\n" in said
    assert overruled in desk.models()[0]["promote_overruled"]
    assert desk.models()[1]["promote_overruled"] == ""
    acts = Registry(str(desk.folder / "registry")).audit()
    assert overruled in acts[-1].overruled
    assert [(a.what, a.version, a.replaced, a.forced) for a in acts] == [
        ("promote", "1", None, False),
        ("promote", "2", "1", False),
        ("rollback", "1", "2", False),
        ("promote", "2", "1", False),
        ("promote", "3", "2", True),
    ]


def test_a_mistyped_registry_is_refused_and_nothing_made(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    place = desk.folder / "mistyped"
    events = str(desk.folder / "events.parquet")
    commands = [["versions"], ["promote", "1"], ["rollback"], ["monitor", events]]
    for command in commands:
        for registry in (str(place), f"sqlite:///{place / 'mlflow.db'}"):
            assert main([*command, "--registry", registry]) == 2
            said = capsys.readouterr().err
            assert f"registry {registry}, where there is no mlflow.db: expected" in said
            assert "check the name; redflare retrain makes a new one" in said
    assert main(["versions", "--registry", "htp://foo"]) == 2
    assert "htp://foo: expected a folder, or an address that begins" in capsys.readouterr().err
    assert main(["retrain", str(desk.folder / "none.parquet"), "--registry", str(place)]) == 2
    assert not place.exists()


def test_a_mistyped_name_is_refused_where_there_are_others(second: Desk) -> None:
    assert second.capsys is not None
    mistyped = ["--registry", str(second.folder / "registry"), "--name", "redflair"]
    for command in (["versions"], ["promote", "1"], ["rollback"], ["monitor", "events.parquet"]):
        assert main([*command, *mistyped]) == 2
        said = second.capsys.readouterr().err
        assert "model 'redflair' in registry" in said
        assert "expected one of redflare. Remedy: check --name" in said


def test_of_two_machines_that_retrain_at_once_the_later_promotion_is_refused(
    second: Desk, make_candidate: Callable[..., Path]
) -> None:
    """The lock is of one machine: another promotes between our comparison and our promotion."""
    assert second.capsys is not None
    assert second.run("register", str(make_candidate("theirs", compared_with="1")))[0] == 0
    ours = make_candidate("ours", compared_with="1")
    told = retrain_command._Told(said="why", as_json=True, values={"promoted": False})
    asked: dict[str, Any] = dict.fromkeys(("force", "reason", "into", "keep"))
    store = Registry(str(second.folder / "registry"))

    with pytest.raises(RegistryError, match="champion 1: expected the champion of now, 2"):
        retrain_command._hand_over(store, ours, read_candidate(ours), told, asked)

    assert json.loads(second.capsys.readouterr().out) == {"promoted": False, "version": "3"}
    assert second.champion() == "2"
    assert [each["aliases"] for each in second.models()] == [["challenger"], ["champion"], []]


def test_a_dry_run_changes_nothing(second: Desk) -> None:
    kept = second.folder / "kept"

    more = ("--no-refit", "--dry-run", "--keep", str(kept), "--verbose")
    status, found, err = second.retrain(LATER, *more)

    assert status == 0
    stages = [line.partition("Z ")[2] for line in err.splitlines()]
    assert (stages[0], stages[-1]) == ("checking the data", "asking the gate")
    assert any(stage.endswith(" choosing") for stage in stages)
    assert (found["passed"], found["promoted"]) == (True, False)
    assert len(second.models()) == 1
    assert read_candidate(kept).model_version == found["model_version"]
    check_place(kept)  # all that is there is known, so that the next one may replace it
    page = (kept / "report" / "report.html").read_text()
    assert "May it be promoted?" in page
    assert "Open deals that the change of models moves most" in page
    moved = (kept / "report" / "movers.csv").read_text().splitlines()
    assert moved[0] == "deal_id,before,after,shift"
    assert len(moved) > 5
    assert (kept / "plots" / "reliability-01.svg").exists()


def test_where_the_registry_goes_away_the_candidate_is_kept_and_registered_later(
    second: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise RegistryAwayError("registry x, which does not answer", "a server", "start it")

    limits = (second.folder / "limits.toml").read_text()
    (second.folder / "limits.toml").write_text(limits.replace("deals = 30", "deals = 5000"))
    monkeypatch.setattr(Registry, "_log", away)
    forced = ("--force", "--reason", "a trial")
    status, found, err = second.retrain(LATER, "--no-refit", *forced)
    monkeypatch.undo()

    assert status == 1
    assert "does not answer" in err
    told = [shlex.split(line) for line in err.splitlines() if line.startswith("  redflare ")]
    register, promote = told
    assert len(second.models()) == 1
    assert second.capsys is not None
    assert main(register[1:]) == 0
    assert second.capsys.readouterr().out == "version 2 is challenger\n"
    assert main(["2" if word == "VERSION" else word for word in promote[1:]]) == 0
    assert "forced by" in second.capsys.readouterr().out
    assert second.models()[0]["model_version"] == found["model_version"]
    assert second.models()[0]["promote_why"] == "a trial"
    assert second.champion() == "2"


def test_places_that_hold_something_else_are_refused_before_anything_is_done(
    desk: Desk, make_candidate: Callable[..., Path]
) -> None:
    place = desk.folder / "company"
    place.mkdir()
    (place / "deals.csv").write_text("mine")
    apart = ("--keep", str(desk.folder / "one" / "two"), "--into", str(desk.folder / "one"))
    refusals = {
        ("--keep", str(place), "--dry-run"): "'deals.csv' is no part of a candidate",
        ("--into", str(place)): "'deals.csv' is no part of an artifact",
        apart: "expected two folders apart",
    }
    for more, said in refusals.items():
        status, _, err = desk.retrain(FIRST, *more)
        assert status == 2
        assert said in err
    candidate = str(make_candidate())
    for command in (("register", candidate), ("promote", "1"), ("rollback",)):
        status, _, err = desk.run(*command, "--into", str(place))
        assert status == 2
        assert "'deals.csv' is no part of an artifact" in err
    assert desk.models() == []
    assert (place / "deals.csv").read_text() == "mine"


def test_killed_while_registering_the_champion_stays_and_the_next_time_is_clean(
    second: Desk, make_candidate: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = str(make_candidate(compared_with="1"))
    for name in ("_log", "_add_version", "promote"):
        with monkeypatch.context() as patch:
            patch.setattr(Registry, name, killed)
            assert second.run("register", folder)[0] == 130
        assert second.champion() == "1"

    assert second.run("register", folder)[:2] == (0, "version 2 is champion\n")
    assert second.champion() == "2"


def test_two_at_once_are_told_apart(desk: Desk) -> None:
    kept = desk.folder / "registry" / retrain_command.KEPT
    with only_one(kept, "ann@desk", "2026-01-12T06:00:00+00:00"):
        status, _, err = desk.retrain(FIRST)

    assert status == 2
    assert "where ann@desk, process" in err
    assert "is retraining: expected one retraining at a time" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("retrain", "none.parquet", "--force"), "--force without --reason"),
        (("promote", "9"), "'9' of 'redflare': expected one that redflare retrain registered"),
        (("rollback",), "no champion"),
    ],
)
def test_what_cannot_be_done_is_told(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    status, _, err = desk.run(*arguments)

    assert status == 2
    assert said in err


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the user of a container is."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)

    assert me() == f"user {os.getuid()}@{socket.gethostname()}"


def test_stale_and_contradicting_data_stop_the_job(desk: Desk, company: pa.Table) -> None:
    (desk.folder / "limits.toml").write_text("[data]\nstale_days = [7, 21]\n")
    status, _, err = desk.retrain(from_microseconds(day_us(1300)).isoformat())
    assert status == 2
    assert "the last event became known on" in err

    desk.write(pa.concat_tables([company, company.slice(0, 1)]))
    status, _, err = desk.retrain(LATER)
    assert status == 2
    assert "the same source_id twice" in err
