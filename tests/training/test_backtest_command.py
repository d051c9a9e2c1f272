"""The command `backtest` on real files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from model.event_table import write_events
from model.events import parse_time
from service import cli
from tests.training.companies import deals_table
from training import fit, preparing
from training.boosting import Settings
from training.simulate import Simulation

NAMES = {"report.json", "figures.csv", "report.html"}
ASKED = ("--origin", "2025-05-01", "--edges", 14, 45, "--every", 28, "--smallest", 20)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def few_trees() -> Iterator[None]:
    """Let there be little to choose, so that a test trains in seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=20, trees=10)])
        patch.setattr(preparing, "default_spacing_days", lambda *_: 28.0)
        yield


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; its status, standard output and standard error."""

    def command(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return status, out, err

    return command


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory, small_company: Simulation) -> Path:
    """The small company, one of whose owners has a name that would run in a careless page."""
    table = small_company.events
    names = pc.replace_substring(table["name"], "O-00003", "<script>alert(3)</script>")
    place = table.column_names.index("name")
    path = tmp_path_factory.mktemp("company") / "events.parquet"
    write_events(table.set_column(place, table.schema.field("name"), names), path)
    return path


def test_a_backtest_writes_page_csv_and_json_that_agree(
    run: Run, events: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "report"
    status, printed, err = run("backtest", events, *ASKED, "--jobs", 1, "--out", out)

    assert (status, err) == (cli.DONE, "")
    assert {path.name for path in out.iterdir()} == NAMES
    assert printed.splitlines()[-3:] == [
        str(out / name) for name in ("report.json", "figures.csv", "report.html")
    ]
    assert "Redflare went back to 2025-05-01" in printed

    document = json.loads((out / "report.json").read_text())
    assert document["summary"]["horizons_days"] == [14.0, 45.0]
    rows: list[dict[str, Any]] = list(
        csv.DictReader((out / "figures.csv").read_text().splitlines())
    )
    figures = {
        (row["part"], row["value"], float(row["horizon_days"])): float(row["number"])
        for row in rows
        if row["section"] == "figures" and row["figure"] == "log_loss"
    }
    assert figures == {
        (row["part"], row["value"], row["horizon_days"]): row["log_loss"]
        for row in document["figures"]
    }
    methods = {row["method"] for row in rows if row["section"] == "baselines"}
    assert methods == {"base_rate", "logistic_regression", "frequencies", "rep_forecast"}
    assert {row["section"] for row in rows} == {
        "reliability",
        "baselines",
        "figures",
        "curves",
        "early",
    }
    rules = {row["rule"]: row["flares"] for row in document["early"]["rules"]}
    assert rules == {
        row["value"]: float(row["number"])
        for row in rows
        if (row["section"], row["part"], row["figure"]) == ("early", "rule", "flares")
    }
    assert list(document)[-1] == "early"
    assert all(rule in printed for rule in rules)

    html = (out / "report.html").read_text()
    assert html.index('<h2 id="curves">') < html.index('<h2 id="early">')
    assert html.index('<h2 id="early">') < html.index('<h2 id="method">')
    owners = {row["value"] for row in document["figures"] if row["part"] == "owner"}
    assert "<script>alert(3)</script>" in owners
    assert "<script" not in html
    assert "&lt;script&gt;alert(3)&lt;/script&gt;" in html


def test_the_report_as_json_says_what_was_left_out_and_why(run: Run, tmp_path: Path) -> None:
    write_events(deals_table(), tmp_path / "e.parquet")
    origins = ("--origin", "2026-12-01", "--origin", "2026-03-01")
    status, printed, err = run(
        "backtest", tmp_path / "e.parquet", *origins, "--within", 14, "--jobs", 1, "--json"
    )

    assert (status, err) == (cli.DONE_IN_PART, "")
    summary = json.loads(printed)["summary"]
    assert summary["horizons_days"] == [14.0]
    assert [origin["known_before"] for origin in summary["origins"]] == ["2026-12-01"]
    (left,) = summary["left_out"]
    assert left["known_before"] == "2026-03-01"
    assert "expected at least 40 won and 40 lost" in left["reason"]


def test_a_horizon_at_which_nothing_could_be_judged_is_said_and_left_out(
    run: Run, tmp_path: Path
) -> None:
    table = deals_table()
    known = pc.less(table["known_at"], parse_time("", "2027-03-01"))
    write_events(table.filter(known), tmp_path / "e.parquet")
    asked = ("--origin", "2027-02-12", "--within", 7, "--within", 30, "--every", 1, "--jobs", 1)
    status, printed, err = run("backtest", tmp_path / "e.parquet", *asked, "--out", tmp_path / "r")

    assert (status, err) == (cli.DONE, "")
    assert "At 30 days ahead nothing could be judged" in printed
    assert "Within 7 days, " in printed
    document = json.loads((tmp_path / "r" / "report.json").read_text())
    assert document["summary"]["horizons_days"] == [7.0, 30.0]
    assert document["summary"]["horizons_not_judged_days"] == [30.0]
    assert {row["horizon_days"] for row in document["figures"]} == {7.0}


def test_a_record_without_a_loss_to_warn_of_says_so(run: Run, tmp_path: Path) -> None:
    table = deals_table()
    losses = table.filter(pc.equal(table["kind"].cast("string"), "deal_lost"))
    late = losses.filter(pc.greater(losses["known_at"], parse_time("", "2026-12-01")))["deal_id"]
    write_events(table.filter(pc.invert(pc.is_in(table["deal_id"], late))), tmp_path / "e.parquet")
    asked = ("--origin", "2026-12-01", "--within", 14, "--jobs", 1, "--out", tmp_path / "r")
    status, printed, err = run("backtest", tmp_path / "e.parquet", *asked)

    assert (status, err) == (cli.DONE, "")
    assert "with no loss to warn of, nothing can be said of how early they were" in printed
    early = json.loads((tmp_path / "r" / "report.json").read_text())["early"]
    assert early["lost_deals"] == 0
    assert {rule["early_deal_share"] for rule in early["rules"]} == {None}
    assert "with no loss to warn of" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--origins", 2, "--origin", "2025-05-01"), "--origins and --origin: expected one"),
        (("--origin", "May"), "--origin 'May': expected an ISO 8601 time"),
        (("--origin", "2030-01-01"), "--origin 2030-01-01: expected a day after 2023-10-02"),
        (("--within", 5000), "a horizon of 5000 days after a first origin on"),
        (("--within", 0), "within 0 days: expected days ahead above 0. Remedy: correct --within"),
        (("--every", 0), "0.0 is not in the range x>=0.25"),
        (("--origins", 0), "0 is not in the range x>=1"),
        (("--drop", "silence"), "--drop 'silence': expected one of"),
    ],
)
def test_what_cannot_be_tested_is_refused_and_nothing_is_written(
    asked: tuple[object, ...], told: str, run: Run, events: Path, tmp_path: Path
) -> None:
    status, out, err = run("backtest", events, *asked, "--jobs", 1, "--out", tmp_path / "r")

    assert (status, out) == (cli.UNUSABLE, "")
    assert told in err
    assert not (tmp_path / "r").exists() or not any((tmp_path / "r").iterdir())


def test_a_record_too_short_is_refused(run: Run, tmp_path: Path) -> None:
    write_events(deals_table(40), tmp_path / "e.parquet")
    status, _, err = run("backtest", tmp_path / "e.parquet")

    assert status == cli.UNUSABLE
    assert "won deals, in a record from" in err
    assert "at least 40 won and 40 lost deals before an origin" in err


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    status, _, err = run("backtest", tmp_path / "none.parquet", "--out", tmp_path / "file")

    assert status == cli.UNUSABLE
    assert f"--out {tmp_path / 'file'}, a file: expected a folder" in err
    assert (tmp_path / "file").read_text() == "mine"
