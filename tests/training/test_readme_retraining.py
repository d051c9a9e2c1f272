"""The README's way from a first model to a rollback, by its own commands, under load."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from model.event_table import write_events
from service.cli import main
from tests.service.webhooks.test_readme import block
from tests.training.servers import QUICK_SERVER, free_port
from training import fit, retrain_files
from training.boosting import Settings
from training.curves import learned_curves
from training.registry import Registry
from training.simulate import Simulation

PATIENCE_SECONDS = 180.0


class Reader:
    """Somebody at a shell, in a folder: what runs beside is theirs to stop."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.ports = {"8000": str(free_port()), "5000": str(free_port())}
        self.beside: dict[str, subprocess.Popen[bytes]] = {}

    def shell(self, line: str) -> subprocess.Popen[bytes]:
        for usual, port in self.ports.items():
            line = line.replace(f":{usual}", f":{port}")
        line = line.replace("redflare serve", f"redflare serve --port {self.ports['8000']}")
        line = line.replace("mlflow ui", f"mlflow ui --port {self.ports['5000']}")
        return subprocess.Popen(
            ["sh", "-e", "-c", line],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def begin(self, line: str) -> None:
        text, _, name = line.rpartition(" & ")
        self.beside[name.removesuffix("=$!")] = self.shell(text)

    def done(self, line: str) -> str:
        ran = self.shell(line)
        said, _ = ran.communicate(timeout=PATIENCE_SECONDS)
        assert ran.returncode == 0, line
        return said.decode()

    def answers(self) -> list[str]:
        return (self.folder / "company" / "answers").read_text().splitlines()

    def until_answered_by(self, version: str) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while [version in each for each in self.answers()[-2:]] != [True, True]:
            assert time.monotonic() < until, f"{version}: {self.said()}"
            time.sleep(0.05)

    def said(self) -> str:
        """What was answered, and the end of the service's log."""
        log = (self.folder / "company" / "serve.log").read_text()
        counts = [f"{len(list(each))} {text}" for text, each in groupby(self.answers())]
        return "\n".join([*counts, log[-3000:]])

    def asks(self, path: str, **body: Any) -> Any:
        """Of MLflow's server, once it answers."""
        url = f"http://127.0.0.1:{self.ports['5000']}/api/2.0/mlflow/{path}"
        data, headers = json.dumps(body).encode(), {"content-type": "application/json"}
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                request = urllib.request.Request(url, data, headers)
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return json.load(answer)
            except OSError:
                assert time.monotonic() < until, url
                time.sleep(0.1)

    def stop(self, *names: str) -> None:
        for name in names or tuple(self.beside):
            process = self.beside.pop(name)
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=PATIENCE_SECONDS)


@pytest.fixture
def reader(
    tmp_path: Path,
    small_company: Simulation,
    empty_store: Path,
    user_environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Reader]:
    """A reader who has simulated the company of the README; trees are few."""
    if shutil.which("curl") is None:
        pytest.skip("the README's commands need curl, which is not here")
    (tmp_path / "company").mkdir()
    write_events(small_company.events, tmp_path / "company" / "events.parquet")
    (tmp_path / "company" / "deal.json").write_text(block("json", '"deal_id": "D-1", "as_of"'))
    shutil.copytree(empty_store, tmp_path / "company" / "registry")  # it takes seconds to make
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=20, trees=20)])
    monkeypatch.setattr(retrain_files, "learned_curves", lambda *asked: learned_curves(*asked)[:1])
    found = Reader(tmp_path, {**user_environment, **QUICK_SERVER})
    try:
        with threadpool_limits(1):
            yield found
    finally:
        found.stop()


@pytest.mark.slow
def test_a_company_retrains_promotes_and_goes_back_while_it_is_served(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = re.split(r"^\$ ", block("console", "company/answers"), flags=re.MULTILINE)[1:]
    before: list[str] = []  # the model installed, each time

    for line in map(str.strip, lines):
        command, _, then = line.partition(" && ")
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            monkeypatch.setenv(name, value)
            reader.environment[name] = value
        elif line.endswith("=$!"):
            reader.begin(line)
        elif line.startswith("kill "):
            [run] = reader.asks("runs/search", experiment_ids=["1"], max_results=1)["runs"]
            assert run["info"]["status"] == "FINISHED"
            reader.stop(*re.findall(r"\$(\w+)", line))
            assert reader.beside == {}
        elif command.startswith("redflare "):
            assert main(shlex.split(command)[1:]) == 0
            told = capsys.readouterr().out
            if "--force" in command:
                assert "overruled, of the conditions of the gate:\n  " in told
                assert "at least 200 are needed, 30 of them won" in told
            if "redflare versions" in command:
                assert "the first model (against the gate)" in " ".join(told.split())
            if "model install" in command:
                champion = Registry("company/registry").champion()
                assert champion is not None
                before.append(champion.model_version)
            if then:
                assert then.startswith("sleep")
                reader.until_answered_by(before[-1])
        else:
            said = reader.done(line)

    assert before == [before[0], before[1], before[0]]
    seen = [each.split() for each in said.splitlines()]
    answered = [version for _, version in seen]
    assert answered == [f'"model_version":"{each}"' for each in before], reader.said()
    assert min(int(count) for count, _ in seen) > 1, reader.said()
