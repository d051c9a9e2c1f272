"""Imports that run at the same time, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.event_table import read_events
from model.places import whole_file
from tests.imports import LOG, ROOT
from training.lock import LockedError, written_alone
from training.rejects import read_rejects

SEVERAL = range(4)


def importing(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", "import", "log.toml", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log.toml").write_text(LOG, "utf-8")
    for number in SEVERAL:
        rows = f"D-{number},2026-01-05T09:00:00Z,opened\nD-{number},soon,call\n"
        (tmp_path / f"{number}.csv").write_text("deal,at,what\n" + rows, "utf-8")
    return tmp_path


def test_imports_at_once_lose_neither_events_nor_rejects(folder: Path) -> None:
    started = [importing(folder, f"{number}.csv", "--out", "events.parquet") for number in SEVERAL]
    told = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [1, 1, 1, 1], told
    assert read_events(folder / "events.parquet")["deal_id"].to_pylist() == [
        f"D-{number}" for number in SEVERAL
    ]
    rejects = read_rejects(folder / "rejects.csv")
    assert sorted(reject.file for reject in rejects) == [f"{number}.csv" for number in SEVERAL]
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_imports_into_two_logs_share_one_list_of_rejects(folder: Path) -> None:
    started = [
        importing(folder, f"{number}.csv", "--out", f"{number}.parquet") for number in (0, 1)
    ]
    told = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [1, 1], told
    rejects = read_rejects(folder / "rejects.csv")
    assert sorted(reject.file for reject in rejects) == ["0.csv", "1.csv"]


def test_a_second_import_says_that_it_waits_and_at_last_refuses(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    said: list[str] = []
    who = f"another import, process {os.getpid()}, is writing {path}"
    with written_alone(path, said.append):
        with (
            pytest.raises(LockedError, match="one import at a time") as refused,
            written_alone(path, said.append, wait_seconds=0.1),
        ):
            pass
        assert str(refused.value).startswith(who)
    assert said == [f"{who}: waiting until it is done"]
    with written_alone(path, said.append, wait_seconds=0):
        assert len(said) == 1
    assert not list(tmp_path.iterdir())


def test_two_that_write_one_file_at_once_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    with whole_file(path) as one, whole_file(path) as other:
        one.write_text("one", "utf-8")
        other.write_text("other", "utf-8")
        assert not path.exists()
    assert path.read_text("utf-8") == "one"
    assert [each.name for each in tmp_path.iterdir()] == ["scores.csv"]


def test_what_a_killed_import_left_is_cleared_away(folder: Path) -> None:
    (folder / ".events.parquet.0.part").write_bytes(b"half")
    (folder / ".events.parquet.lock").write_text("1", "utf-8")
    process = importing(folder, "0.csv", "--out", "events.parquet")
    process.communicate()
    assert process.returncode == 1
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", ["events.csv", "../{folder}/events.csv"])
def test_rejects_in_the_event_log_are_refused(folder: Path, name: str) -> None:
    rejects = name.format(folder=folder.name)
    process = importing(folder, "0.csv", "--out", "events.csv", "--rejects", rejects)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err == (
        "Error: events.csv as both --out and --rejects: expected two files. "
        "Remedy: name another --rejects.\n"
    )
    assert not (folder / "events.csv").exists()
