"""The commands `simulate` and `train` on real files, and the way from one to a score."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.artifact import Artifact
from model.event_table import EVENT_SCHEMA, read_events, table_of, write_events
from service import cli
from tests.training.companies import deals_table, late_stage_events
from training import fit
from training.boosting import Settings
from training.cli import show_progress
from training.simulate import simulate
from training.simulation.truth import TRUTH_SCHEMA

KNOWN_BEFORE = "2027-04-20"
TRAIN = ("--known-before", KNOWN_BEFORE, "--spacing", "10", "--jobs", "1")

Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def few_trees() -> Iterator[None]:
    """Let there be little to choose, so that a test trains in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=10, trees=20)])
        yield


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; its status, standard output and standard error."""

    def command(*arguments: object) -> Ran:
        capfd.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return status, out, err

    return command


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("company") / "events.parquet"
    write_events(deals_table(), path)
    return path


def refusal(ran: Ran) -> str:
    status, out, err = ran
    assert (status, out) == (cli.UNUSABLE, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    return err


def test_simulate_writes_events_and_truth_and_names_them(run: Run, tmp_path: Path) -> None:
    status, out, err = run("simulate", "--deals", 30, "--seed", 5, "--out", tmp_path / "c")

    assert (status, err) == (cli.DONE, "")
    assert out.splitlines() == [str(tmp_path / "c" / f"{n}.parquet") for n in ("events", "truth")]
    assert read_events(tmp_path / "c" / "events.parquet").equals(simulate(30, 5).events)
    assert pq.read_schema(tmp_path / "c" / "truth.parquet").names == TRUTH_SCHEMA.names


def test_simulate_without_truth_writes_the_events_alone(run: Run, tmp_path: Path) -> None:
    status, out, _ = run(
        "simulate", "--deals", 30, "--seed", 5, "--world", 2, "--no-truth", "--out", tmp_path
    )

    assert status == cli.DONE
    assert out == f"{tmp_path / 'events.parquet'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["events.parquet"]
    assert read_events(tmp_path / "events.parquet").equals(simulate(30, 5, 2).events)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--deals", "0"], "0 is not in the range x>=1"),
        (["--deals", "5", "--world", "3"], "3 is not in the range 1<=x<=2"),
        (["--deals", "5", "--seed", "-1"], "seed -1: expected 0 or more"),
        ([], "Missing option '--deals'"),
    ],
)
def test_a_company_that_cannot_be_made_is_refused(
    asked: list[str], told: str, run: Run, tmp_path: Path
) -> None:
    status, out, err = run("simulate", *asked, "--out", tmp_path / "c")

    assert (status, out) == (cli.UNUSABLE, "")
    assert told in err
    assert not (tmp_path / "c").exists()


def test_train_writes_an_artifact_and_reports_it(run: Run, events: Path, tmp_path: Path) -> None:
    out = tmp_path / "artifact"
    status, printed, err = run("train", events, *TRAIN, "--edges", 14, 45, "--out", out)

    assert (status, err) == (cli.DONE, "")
    artifact = Artifact.load(out)
    assert artifact.edges.tolist() == [0.0, 14.0, 45.0]
    first, second, third, _, header, *rows = printed.splitlines()
    assert first == f"{artifact.model_version} in {out}"
    assert second.startswith("150 deals (")
    assert second.endswith("edges [14.0, 45.0] days")
    assert third.startswith("chosen cross-fitting by deal: pairwise of sizes [")
    columns = ["days", "rows", "won", "log-loss", "constant", "AUC", "Brier", "ECE"]
    assert header.split() == columns
    assert [row.split()[0] for row in rows] == ["14", "45"]


def test_progress_is_shown_on_a_terminal_that_does_not_tell_its_width(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one in a container does not."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        step = show_progress("choosing", 2)
        step()
        step()
    shown = b""
    with suppress(OSError):  # that the other end is closed, once all is read
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)

    assert b"choosing: 100%" in shown


def test_what_learned_nothing_says_so(run: Run, tmp_path: Path) -> None:
    """Deals whose ends were drawn by lot among them."""
    events = deals_table()
    kind = np.array(events["kind"].to_pylist(), dtype=object)
    closing = np.flatnonzero((kind == "deal_won") | (kind == "deal_lost"))
    kind[closing] = np.random.default_rng(1).permutation(kind[closing])
    place = events.column_names.index("kind")
    events = events.set_column(place, events.schema.field("kind"), pa.array(kind.tolist()))
    write_events(events, tmp_path / "lots.parquet")
    asked = ("train", tmp_path / "lots.parquet", *TRAIN, "--edges", 45, "--out", tmp_path / "a")

    for more, remedy in (((), "or use --base-rate until then"), (("--base-rate",), "of each")):
        status, printed, err = run(*asked, *more)

        assert status == cli.DONE
        loss, constant = printed.splitlines()[-1].split()[3:5]
        assert float(loss) > float(constant)
        said = f"warning: within 45 days log-loss {loss} is no better than {constant}, that of say"
        assert err.startswith(said)
        assert err.endswith(f"{remedy}\n")
        assert err.count("\n") == 1


def test_the_report_as_json_is_what_the_artifact_keeps(
    run: Run, events: Path, tmp_path: Path
) -> None:
    out = tmp_path / "artifact"
    status, printed, err = run(
        "train", events, *TRAIN, "--edges", 30, "--within", 7, "--seed", 4, "--out", out, "--json"
    )
    report = json.loads(printed)
    artifact = Artifact.load(out)

    assert (status, err) == (cli.DONE, "")
    assert report["model_version"] == artifact.model_version
    assert report["edges_days"] == artifact.edges.tolist() == [0.0, 7.0, 30.0]
    assert report["features"] == len(artifact.grid)
    assert report["judged"] == artifact.facts["judged"]
    assert report["seed"] == 4
    assert {name: report[name] for name in artifact.facts["training"]} == artifact.facts["training"]


def test_dropped_features_are_not_in_the_artifact(run: Run, events: Path, tmp_path: Path) -> None:
    dropped = ("--drop", "stage", "--drop", "silence_days")
    status, *_ = run("train", events, *TRAIN, "--edges", 30, *dropped, "--out", tmp_path / "a")

    assert status == cli.DONE
    names = Artifact.load(tmp_path / "a").grid.names
    assert not {"stage", "silence_days"} & set(names)
    assert "deal_age_days" in names


def test_from_nothing_to_an_explained_score(run: Run, tmp_path: Path) -> None:
    company, artifact = tmp_path / "company", tmp_path / "artifact"
    events = company / "events.parquet"
    moment = ("--as-of", "2026-01-12", "--close-by", "2026-02-20", "--artifact", artifact)

    assert run("simulate", "--deals", 300, "--seed", 2, "--no-truth", "--out", company)[0] == 0
    status, _, err = run(
        "train", events, "--known-before", "2026-01-05", "--edges", 45, "--spacing", 21,
        "--jobs", 1, "--out", artifact,
    )  # fmt: skip
    assert (status, err) == (cli.DONE, "")
    status, out, err = run("score", events, *moment, "--jobs", 1, "--json")
    assert (status, err) == (cli.DONE, "")
    riskiest = json.loads(out)[0]
    status, out, err = run("explain", events, riskiest["deal_id"], *moment)
    assert (status, err) == (cli.DONE, "")
    gates = riskiest["gates"]
    shown = riskiest["probability"] if gates is None else gates["gated_probability"]
    assert f"{shown:.1%} to be won by 2026-02-20" in out
    assert riskiest["drivers"][0]["phrase"] in out


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--known-before", "NaN"), "--known-before 'NaN': expected an ISO 8601 time"),
        (("--known-before", "9999-01-01"), "expected a time from 1970 to 2199"),
        (("--known-before", "2020-01-01"), "no event known before 2020-01-01"),
        (("--known-before", "2026-04-01"), "of 29 opened deals known before 2026-04-01: expected"),
        ((*TRAIN, "--edges", "5000"), "an edge at 5000 days: expected less than the 4"),
        ((*TRAIN, "--within", "-1"), "within -1 days: expected days ahead above 0"),
        ((*TRAIN, "--within", "5000"), "an edge at 5000 days: expected less than the 4"),
        ((*TRAIN, "--edges", "-7"), "edges [-7.0, 0.0]: expected days that rise from 0"),
        ((*TRAIN, "--edges", "nan"), "expected days that rise from 0"),
        ((*TRAIN, "--drop", "silence"), "--drop 'silence': expected one of silence_days, "),
    ],
)
def test_what_cannot_be_trained_is_refused_and_nothing_is_written(
    asked: tuple[str, ...], told: str, run: Run, events: Path, tmp_path: Path
) -> None:
    assert told in refusal(run("train", events, *asked, "--out", tmp_path / "a"))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.parquet", None, "none.parquet, which is not there"),
        ("empty.csv", b"", "an empty file: expected events"),
        ("torn.parquet", b"PAR1", "expected a readable .parquet file"),
        ("deals.csv", b"deal,won\nD-1,yes\n", "run redflare import"),
    ],
)
def test_events_that_cannot_be_read_are_refused(
    name: str, content: bytes | None, told: str, run: Run, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    assert told in refusal(run("train", tmp_path / name, *TRAIN, "--out", tmp_path / "a"))


def test_a_file_without_an_event_is_refused(run: Run, tmp_path: Path) -> None:
    write_events(EVENT_SCHEMA.empty_table(), tmp_path / "e.parquet")

    err = refusal(run("train", tmp_path / "e.parquet", *TRAIN, "--out", tmp_path / "a"))
    assert f"no event known before {KNOWN_BEFORE}: expected a record of closed deals" in err


def test_an_artifact_never_replaces_other_files(run: Run, events: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    err = refusal(run("train", events, *TRAIN, "--edges", 30, "--out", tmp_path))

    assert "'notes.txt' is no part of an artifact" in err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_learned(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")

    err = refusal(run("train", tmp_path / "none.parquet", *TRAIN, "--out", tmp_path / "file" / "a"))

    assert "where nothing can be written" in err


def test_simulate_onto_a_file_is_refused_before_the_work(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")

    status, out, err = run("simulate", "--deals", 10**9, "--out", tmp_path / "mine")

    assert (status, out) == (cli.UNUSABLE, "")
    assert "mine, a file: expected a folder. Remedy: name another, or move the file" in err


@pytest.fixture(scope="module")
def leaky(events: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a field that was written at closing, exported as if always known."""
    table = read_events(events)
    closed = {
        row["deal_id"]: row["kind"]
        for row in table.to_pylist()
        if row["kind"] in ("deal_won", "deal_lost")
    }
    rows = [
        row | {"kind": "field_changed", "name": "end_code", "text": closed[row["deal_id"]][-3:]}
        | {"source_id": f"end/{row['deal_id']}"}
        for row in table.to_pylist()
        if row["kind"] == "deal_opened" and row["deal_id"] in closed
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("leaky") / "events.parquet"
    more = pa.Table.from_pylist(rows, schema=EVENT_SCHEMA)
    write_events(pa.concat_tables([table, more]), path)
    return path


def test_a_late_stage_is_noted_and_strict_training_goes_on(run: Run, tmp_path: Path) -> None:
    write_events(table_of(late_stage_events()), tmp_path / "e.parquet")
    asked = (*TRAIN, "--known-before", "2027-03-21", "--edges", 45, "--strict")
    status, _, err = run("train", tmp_path / "e.parquet", *asked, "--out", tmp_path / "a")

    assert status == cli.DONE
    assert "note: 'stage' tells won from lost an hour before the closing" in err
    assert "it may be a late stage, or a field filled at closing: check it" in err
    assert "warning: '" not in err


def test_a_leak_is_warned_of_refused_if_strict_and_gone_if_dropped(
    run: Run, leaky: Path, tmp_path: Path
) -> None:
    asked = ("train", leaky, *TRAIN, "--edges", 45)

    status, _, err = run(*asked, "--out", tmp_path / "a")
    assert status == cli.DONE
    assert err.startswith("warning: 'field:end_code' alone tells won from lost at the first")
    assert err.endswith("check it, or leave it out with --drop\n")

    err = refusal(run(*asked, "--strict", "--out", tmp_path / "b"))
    assert "'field:end_code' alone tells" in err
    assert not (tmp_path / "b").exists()

    status, _, err = run(*asked, "--strict", "--drop", "field:end_code", "--out", tmp_path / "c")
    assert (status, err) == (cli.DONE, "")
    assert "field:end_code" not in Artifact.load(tmp_path / "c").grid.names
