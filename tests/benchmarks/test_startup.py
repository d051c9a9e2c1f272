"""How long a user waits for help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

HELP_SECONDS = 0.5


def test_help_is_there_at_once(benchmark: BenchmarkFixture) -> None:
    command = [Path(sys.executable).with_name("redflare"), "--help"]

    benchmark.pedantic(
        lambda: subprocess.run(command, check=True, capture_output=True), rounds=10, warmup_rounds=1
    )

    assert benchmark.stats.stats.median <= HELP_SECONDS
