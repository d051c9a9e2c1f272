"""The README's unit files and crontab are what systemd and cron take, and their commands exist."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from service.cli import COMMANDS, cli
from tests.conftest import BESIDE_PYTHON

UNITS = ("retrain.service", "retrain.timer", "monitor.service", "monitor.timer")


@pytest.fixture
def units(root: Path, tmp_path: Path) -> Path:
    page = (root / "README.md").read_text(encoding="utf-8")
    for name in UNITS:
        block = re.search(
            rf"<!-- test: file redflare-{re.escape(name)} -->\n```text\n(.*?)^```",
            page,
            re.S | re.M,
        )
        assert block is not None, name
        (tmp_path / f"redflare-{name}").write_text(block[1])
    return tmp_path


def test_systemd_takes_the_unit_files(units: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here; the next test reads the files all the same")
    for path in units.iterdir():
        # Where a reader installs the command is not where these tests have it.
        text = path.read_text().replace("/usr/local/bin/redflare", str(BESIDE_PYTHON / "redflare"))
        path.write_text(text)

    ran = subprocess.run(
        ["systemd-analyze", "verify", *sorted(map(str, units.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )

    assert [line for line in ran.stderr.splitlines() if "redflare" in line] == []
    assert ran.returncode == 0, ran.stderr


def checked(words: list[str]) -> None:
    """The command and its options are the command line's."""
    command = cli.get_command(click.Context(cli), words[0])
    assert words[0] in COMMANDS
    while isinstance(command, click.Group):
        words = words[1:]
        command = command.get_command(click.Context(command), words[0])
    assert command is not None
    command.make_context(words[0], words[1:], resilient_parsing=False)


def test_every_command_of_the_units_is_one_of_redflare_s(units: Path) -> None:
    for name in UNITS:
        if name.endswith(".timer"):
            timer = configparser.ConfigParser(strict=True, interpolation=None)
            timer.read(units / f"redflare-{name}")
            assert set(timer.sections()) == {"Unit", "Timer", "Install"}
            assert timer["Timer"]["Persistent"] == "true"
            continue
        text = (units / f"redflare-{name}").read_text()
        assert re.findall(r"^\[(\w+)\]$", text, re.M) == ["Unit", "Service"]
        assert "Type=oneshot" in text  # with several commands, one after the other
        for line in re.findall(r"^ExecStart=/usr/local/bin/redflare (.+)$", text, re.M):
            checked(shlex.split(line))


def test_cron_runs_the_same_commands_in_the_same_surroundings(
    units: Path, root: Path, tmp_path: Path
) -> None:
    page = (root / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^([\d*]+ +[\d*]+ +\* +\* +[\d*]) +redflare  (.+)$", page, re.M)
    units_say = "".join(path.read_text() for path in units.glob("*.service"))
    there = tmp_path / "there"
    there.mkdir()
    (there / "env").write_text("REDFLARE_DATABASE=sqlite:///redflare.db\n")
    stub = there / "redflare"
    stub.write_text('#!/bin/sh\necho "$REDFLARE_DATABASE in $(pwd): $@"\n')
    stub.chmod(0o755)
    assert "\nPATH=/usr/local/bin:/usr/bin:/bin\n" in page

    assert len(lines) == 2
    for _, line in lines:
        assert "%" not in line  # which cron takes for a new line
        *_, rest = line.partition("cd /var/lib/redflare && ")
        commands = rest.split(" && ")
        for command in commands:
            assert f"ExecStart=/usr/local/bin/{command}\n" in units_say
        moved = line.replace("/etc/redflare.env", str(there / "env"))
        ran = subprocess.run(
            ["/bin/sh", "-c", moved.replace("/var/lib/redflare", str(there))],
            env={"PATH": f"{there}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        without = moved.replace(str(there / "env"), str(there / "absent"))
        subprocess.run(
            ["/bin/sh", "-c", without.replace("/var/lib/redflare", str(there))],
            env={"PATH": f"{there}:/usr/bin:/bin"},
            capture_output=True,
            check=True,
        )
        given = [command.removeprefix("redflare ") for command in commands]
        assert ran.stdout.splitlines() == [
            f"sqlite:///redflare.db in {there}: {each}" for each in given
        ]
