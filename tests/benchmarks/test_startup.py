"""How long a user waits for help, and for a service that makes its database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

HELP_SECONDS = 0.5
SERVE_SECONDS = 3.0


def test_help_is_there_at_once(benchmark: BenchmarkFixture) -> None:
    command = [Path(sys.executable).with_name("redflare"), "--help"]

    benchmark.pedantic(
        lambda: subprocess.run(command, check=True, capture_output=True), rounds=10, warmup_rounds=1
    )

    assert benchmark.stats.stats.median <= HELP_SECONDS


def test_serving_from_an_empty_folder_begins_soon(
    benchmark: BenchmarkFixture, tmp_path_factory: pytest.TempPathFactory
) -> None:
    command = [Path(sys.executable).with_name("redflare"), "serve", "--port", "0"]

    def begin() -> None:
        with subprocess.Popen(
            command,
            cwd=tmp_path_factory.mktemp("empty"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.terminate()
        assert line.startswith("Serving without a model")

    benchmark.pedantic(begin, rounds=3, warmup_rounds=1)

    assert benchmark.stats.stats.median <= SERVE_SECONDS
