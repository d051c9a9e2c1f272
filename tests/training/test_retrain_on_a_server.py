"""Who is promoted and who is refused, on a real store behind a real tracking server's process."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from model.event_table import table_of
from model.events import from_microseconds
from service.cli import main
from tests.factories import day_us
from tests.training.companies import deals_events, deals_table
from tests.training.desks import DEALS, FIRST, LATER, LIMITS, Desk, quick
from tests.training.servers import served, stop
from training.registry import Registry

Server = tuple[str, subprocess.Popen[bytes]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Server]:
    store = shutil.copytree(empty_store, tmp_path_factory.mktemp("served") / "registry")
    # A server has no folder: what is kept beside it is kept where the command is run.
    with pytest.MonkeyPatch.context() as patch, served(Path(store)) as found, quick():
        patch.chdir(tmp_path_factory.mktemp("run"))
        yield found


@pytest.fixture(scope="module")
def company() -> pa.Table:
    return deals_table(DEALS)


@pytest.fixture(scope="module")
def first(server: Server, company: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A candidate that its gate let pass when there was no champion."""
    desk = Desk(tmp_path_factory.mktemp("first"), None, server[0], "first")
    desk.write(company)
    kept = desk.folder / "kept"
    assert main(desk.retraining(FIRST, "--keep", str(kept))) == 0
    assert desk.champion() == "1"
    return kept


@pytest.fixture
def second(
    server: Server,
    first: Path,
    tmp_path: Path,
    company: pa.Table,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Desk:
    """The desk of somebody whose model of its own name has a champion."""
    desk = Desk(tmp_path, capsys, server[0], request.node.name)
    desk.write(company)
    assert desk.run("register", str(first))[:2] == (0, "version 1 is champion\n")
    return desk


def shuffled(events: pa.Table) -> pa.Table:
    """The same deals, each won or lost as another was."""
    kind = np.array(events["kind"].to_pylist(), dtype=object)
    closing = np.flatnonzero((kind == "deal_won") | (kind == "deal_lost"))
    kind[closing] = np.random.default_rng(0).permutation(kind[closing])
    place = events.column_names.index("kind")
    return events.set_column(place, events.schema.field("kind"), pa.array(kind.tolist()))


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
        for seed in (1, 2, 3)
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
    kept = second.registry()
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
    # Whoever lets that pass is told that a tenth is too little to learn from.
    (desk.folder / "limits.toml").write_text(f"{LIMITS}\nfewer_events = [0.0, 0.0]\n")
    status, _, err = desk.retrain(LATER)
    assert status == 2
    assert "at least 40 won and 40 lost" in err
    assert len(desk.models()) == 1


def test_a_server_that_stops_in_the_middle_is_told_and_what_was_trained_is_kept(
    second: Desk, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the run is logged, before the version is. The last test, as the server is gone."""
    address, process = server
    held = second.registry().champion()
    assert held is not None
    assert second.registry().artifact(held).model_version == held.model_version
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.chdir(second.folder)
    log = Registry._log

    def stops(self: Registry, *given: Any) -> str:
        run_id = log(self, *given)
        stop(process)
        return run_id

    monkeypatch.setattr(Registry, "_log", stops)
    status, found, err = second.retrain(LATER, "--no-refit")

    assert status == 1
    assert f"registry {address}, which does not answer" in err
    assert found["version"] is None
    command = err.strip().splitlines()[-1].split()
    assert command == ["redflare", "register", found["kept"], *second.place]
    assert second.run("versions")[0] == 2
