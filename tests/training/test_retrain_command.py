from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from threadpoolctl import threadpool_limits

from model.artifact import Artifact
from model.event_table import table_of, write_events
from model.events import from_microseconds
from service.cli import main
from tests.factories import day_us
from tests.training.companies import deals_events, deals_table
from training import fit, retrain_command, retrain_files
from training.boosting import Settings
from training.candidate import read_candidate
from training.curves import learned_curves
from training.lock import only_one
from training.registry import Registry
from training.version import RegistryAwayError

DEALS = 320
FIRST, LATER, LATEST = (from_microseconds(day_us(day)).isoformat() for day in (700, 960, 962))
LIMITS = """
[promotion]
margin = 0.04
segment_margin = 0.2
fewest_deals = 30
fewest_won = 8
slope = [0.2, 5.0]
intercept = [-1.5, 1.5]
[data]
stale_days = [7, 3000]
"""


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Few trees, and few drawings."""
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=20, trees=30)])
        patch.setattr(retrain_files, "learned_curves", lambda *asked: learned_curves(*asked)[:1])
        yield


@pytest.fixture(scope="module")
def company() -> pa.Table:
    return deals_table(DEALS)


class Desk:
    """A user's folder, with the command at hand."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str] | None) -> None:
        self.folder = folder
        self.capsys = capsys
        (folder / "limits.toml").write_text(LIMITS)

    def write(self, events: pa.Table, name: str = "events.parquet") -> None:
        write_events(events, self.folder / name)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--registry", str(self.folder / "registry")])
        assert self.capsys is not None
        said = self.capsys.readouterr()
        return status, said.out, said.err

    def retraining(self, known_before: str, *more: str) -> list[str]:
        place = {name: str(self.folder / name) for name in ("events.parquet", "limits.toml")}
        return [
            *("retrain", place["events.parquet"], "--known-before", known_before),
            *("--registry", str(self.folder / "registry"), "--thresholds", place["limits.toml"]),
            *("--edges", "20", "--spacing", "7", "--jobs", "1", "--json", *more),
        ]

    def retrain(self, known_before: str, *more: str) -> tuple[int, Any, str]:
        assert self.capsys is not None
        status = main(self.retraining(known_before, *more))
        said = self.capsys.readouterr()
        return status, json.loads(said.out) if said.out else None, said.err

    def models(self) -> list[dict[str, Any]]:
        return list(json.loads(self.run("versions", "--json")[1]))

    def champion(self) -> str | None:
        found = Registry(str(self.folder / "registry")).champion()
        return None if found is None else found.number


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


def shuffled(events: pa.Table) -> pa.Table:
    """The same deals, each won or lost as another was."""
    kind = np.array(events["kind"].to_pylist(), dtype=object)
    closing = np.flatnonzero((kind == "deal_won") | (kind == "deal_lost"))
    kind[closing] = np.random.default_rng(0).permutation(kind[closing])
    place = events.column_names.index("kind")
    return events.set_column(place, events.schema.field("kind"), pa.array(kind.tolist()))


def test_a_first_model_is_promoted_if_it_beats_the_base_rate(
    first_store: tuple[Path, dict[str, Any]],
) -> None:
    folder, first = first_store

    assert first["promoted"], first["why"]
    assert any("no champion is in force" in words for words in first["why"])
    assert any("the refit on all data scores" in words for words in first["why"])
    assert Artifact.load(folder / "in-force").model_version == first["model_version"]


def test_a_company_retrains_promotes_and_goes_back(second: Desk) -> None:
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

    status, said, _ = desk.run("rollback", "--reason", "odd scores", "--into", str(out))

    assert status == 0
    assert "version 1 is champion again, in place of 2" in said
    assert Artifact.load(out).model_version == first["model_version"]
    assert desk.run("promote", "2")[0] == 0
    assert desk.champion() == "2"
    # What is known to the champion can be judged only later.
    status, third, _ = desk.retrain(LATEST, "--no-refit")
    assert not third["promoted"]
    assert third["why"][0].startswith("FAILED: 0 deals with 0 won")
    assert desk.champion() == "2"
    status, _, err = desk.run("promote", "3")
    assert status == 2
    assert "version 3, which the gate refused (0 deals" in err
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
        ("rollback", "1", "2", True),
        ("promote", "2", "1", False),
        ("promote", "3", "2", True),
    ]


def test_what_is_forced_at_its_training_says_what_was_overruled(second: Desk) -> None:
    forced = ("--no-refit", "--force", "--reason", "a trial", "--by", "ann")
    asked = [each for each in second.retraining(LATER, *forced) if each != "--json"]
    limits = (second.folder / "limits.toml").read_text()
    (second.folder / "limits.toml").write_text(limits.replace("deals = 30", "deals = 5000"))

    status = main([*asked, "--verbose"])

    assert status == 0
    assert second.capsys is not None
    said = second.capsys.readouterr()
    assert "The champion stays" not in said.out.splitlines()[-3:]
    told = said.out[said.out.index("version 2 is champion") :]
    assert "forced by ann: a trial; overruled" in told
    assert "at least 5,000 are needed" in told
    assert "at least 5,000 are needed" in second.models()[0]["promote_overruled"]
    assert "a trial (against the gate)" in second.run("versions")[1].replace("\n", " ")
    stages = [line.partition("Z ")[2] for line in said.err.splitlines()]
    assert stages[0] == "checking the data"
    assert stages[-2:] == ["asking the gate", "registering"]
    assert any(stage.endswith(" choosing") for stage in stages)


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
    assert main(["retrain", str(desk.folder / "none.parquet"), "--registry", str(place)]) == 2
    assert not place.exists()


def test_of_two_machines_that_retrain_at_once_the_later_promotion_is_refused(
    second: Desk, make_candidate: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is of one machine: another promotes between our comparison and our promotion."""
    theirs = make_candidate(compared_with="1")
    register = Registry.register

    def meanwhile(self: Registry, folder: Path) -> Any:
        monkeypatch.setattr(Registry, "register", register)
        assert main(["register", str(theirs), "--registry", self.given]) == 0
        return register(self, folder)

    monkeypatch.setattr(Registry, "register", meanwhile)
    assert second.capsys is not None
    status = main(second.retraining(LATER, "--no-refit"))

    said = second.capsys.readouterr()
    assert status == 2
    assert "compared with champion 1: expected the champion of now, 2" in said.err
    assert json.loads(said.out.splitlines()[-1])["promoted"] is False
    assert second.champion() == "2"
    assert [each["aliases"] for each in second.models()] == [["challenger"], ["champion"], []]


def test_a_challenger_of_shuffled_outcomes_is_refused(second: Desk, company: pa.Table) -> None:
    desk = second
    known = company["known_at"].cast(pa.int64())
    early = pc.less(known, day_us(880))
    mixed = [shuffled(company.filter(early)), company.filter(pc.invert(early))]
    desk.write(pa.concat_tables(mixed))

    origin = from_microseconds(day_us(880)).isoformat()
    status, found, _ = desk.retrain(LATER, "--no-refit", "--origin", origin)

    assert status == 0
    assert not found["promoted"]
    assert any(w.startswith("FAILED: over all deals, log-loss") for w in found["why"]), found["why"]
    assert desk.champion() == "1"
    assert [each["aliases"] for each in desk.models()] == [["challenger"], ["champion"]]


def test_a_challenger_that_knows_the_outcome_is_refused_however_well_it_does(
    second: Desk, company: pa.Table
) -> None:
    """A field that was filled at the closing, but exported as known from the opening."""
    rows = company.to_pylist()
    won = {row["deal_id"] for row in rows if row["kind"] == "deal_won"}
    filled = [
        row
        | {
            "kind": "field_changed",
            "name": "contract",
            "text": "signed" if row["deal_id"] in won else "none",
            "source_id": f"contract/{row['deal_id']}",
        }
        for row in rows
        if row["kind"] == "deal_opened"
    ]
    leaked = pa.Table.from_pylist([*rows, *filled], schema=company.schema)
    second.write(leaked)

    status, found, _ = second.retrain(LATER, "--no-refit")

    assert status == 0
    assert not found["promoted"]
    failed = [words for words in found["why"] if words.startswith("FAILED: ")]
    assert any("features seem to know the outcome: 'field:contract'" in words for words in failed)
    assert any(w.startswith("held: over all deals, log-loss") for w in found["why"])
    assert second.champion() == "1"


def changed(events: pa.Table, day: float) -> pa.Table:
    """The same, but most deals that close after a day, and would be won, are lost."""
    kind = np.array(events["kind"].to_pylist(), dtype=object)
    late = np.array(events["known_at"].cast(pa.int64())) >= day_us(day)
    won = np.flatnonzero(late & (kind == "deal_won"))
    kind[won[np.random.default_rng(1).random(len(won)) < 0.75]] = "deal_lost"
    place = events.column_names.index("kind")
    return events.set_column(place, events.schema.field("kind"), pa.array(kind.tolist()))


def test_where_the_law_of_the_deals_has_changed_the_old_is_forgotten_and_the_new_promoted(
    second: Desk, company: pa.Table
) -> None:
    """A champion of before the change promises too much; so does a mixture of both times."""
    other = [
        replace(each, deal_id=f"{seed}{each.deal_id}", source_id=f"{seed}{each.source_id}")
        for seed in (1, 2)
        for each in deals_events(DEALS, seed=seed)
    ]
    second.write(changed(pa.concat_tables([company, table_of(other)]), 700.0))

    # So few are won now that the others' limit is not reached in the time that is judged.
    (second.folder / "limits.toml").write_text(LIMITS.replace("fewest_won = 8", "fewest_won = 5"))

    status, found, _ = second.retrain(LATER)

    assert status == 0
    forgotten = [words for words in found["why"] if words.startswith("the share won moved")]
    assert len(forgotten) == 1
    assert "rows count half after" in forgotten[0]
    assert found["promoted"], found["why"]
    assert second.champion() == "2"
    kept = Registry(str(second.folder / "registry"))
    run = kept._client.get_run(kept.version("2").run_id)
    assert float(run.data.params["half_life_days"]) <= 180.0


def test_a_tenth_of_the_data_stops_the_job(second: Desk, company: pa.Table) -> None:
    desk = second
    few = [f"D-{number:04d}" for number in range(0, DEALS, 10)]
    desk.write(company.filter(pc.is_in(company["deal_id"], pa.array(few))))

    status, _, err = desk.retrain(LATER)

    assert status == 2
    assert "data that is broken" in err
    assert "events are there" in err
    assert len(desk.models()) == 1


def test_a_dry_run_changes_nothing(second: Desk) -> None:
    kept = second.folder / "kept"

    status, found, _ = second.retrain(LATER, "--no-refit", "--dry-run", "--keep", str(kept))

    assert status == 0
    assert (found["passed"], found["promoted"]) == (True, False)
    assert len(second.models()) == 1
    assert read_candidate(kept).model_version == found["model_version"]
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

    monkeypatch.setattr(Registry, "_log", away)
    status, found, err = second.retrain(LATER, "--no-refit")
    monkeypatch.undo()

    assert status == 1
    assert "does not answer" in err
    command = err.strip().splitlines()[-1].split()
    assert command[:2] == ["redflare", "register"]
    assert len(second.models()) == 1
    assert second.run(*command[1:3])[:2] == (0, "version 2 is champion\n")
    assert second.models()[0]["model_version"] == found["model_version"]
    assert second.champion() == "2"


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
        (("promote", "9"), "version '9' of 'redflare': expected one of none yet"),
        (("rollback",), "no champion"),
    ],
)
def test_what_cannot_be_done_is_told(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    status, _, err = desk.run(*arguments)

    assert status == 2
    assert said in err


def test_stale_and_contradicting_data_stop_the_job(desk: Desk, company: pa.Table) -> None:
    (desk.folder / "limits.toml").write_text("[data]\nstale_days = [7, 21]\n")
    status, _, err = desk.retrain(from_microseconds(day_us(1300)).isoformat())
    assert status == 2
    assert "the last event became known on" in err

    desk.write(pa.concat_tables([company, company.slice(0, 1)]))
    status, _, err = desk.retrain(LATER)
    assert status == 2
    assert "the same source_id twice" in err
