"""What every test may use: the project's place, its files, and the command as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from training.simulate import Simulation

ROOT = Path(__file__).parents[1]
BESIDE_PYTHON = Path(sys.executable).parent  # where the console script is installed

SMALL_KNOWN_BEFORE = datetime(2026, 1, 5, tzinfo=UTC)  # what the small artifact learned from

# A slow machine is no failure; on a server the same examples every time, so that red means new.
settings.register_profile("here", deadline=None, max_examples=50)
settings.register_profile("server", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("server" if "CI" in os.environ else "here")


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """The files of the project: those git has or would add; all there are in an unpacked copy."""
    if not (ROOT / ".git").exists():
        inside = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        return sorted(ROOT / path for path in inside if not path.parts[0].startswith("."))
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    paths = (ROOT / name for name in listed.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file())


@pytest.fixture(scope="session")
def user_environment() -> dict[str, str]:
    """The environment of somebody who has installed Redflare."""
    return {**os.environ, "PATH": f"{BESIDE_PYTHON}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def redflare(
    tmp_path: Path, user_environment: dict[str, str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command `redflare` in a folder of its own and answer what it printed."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BESIDE_PYTHON / "redflare", *arguments],
            cwd=tmp_path,
            env=user_environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def loaded_by() -> Callable[[str], set[str]]:
    """Name every module that a fresh interpreter has loaded after running some code."""

    def modules(code: str) -> set[str]:
        listing = "import sys; print('\\n'.join(sorted(sys.modules)), file=sys.__stderr__)"
        ran = subprocess.run(
            [sys.executable, "-c", f"{code}\n{listing}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return set(ran.stderr.split())

    return modules


@pytest.fixture(scope="session")
def small_company() -> Simulation:
    """A simulated company of a few hundred deals, without its truth."""
    from training.simulate import simulate

    return simulate(600, seed=1, truth=False)


@pytest.fixture(scope="session")
def small_artifact(small_company: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact trained on the small company in seconds: few trees, and nothing to choose."""
    from threadpoolctl import threadpool_limits

    from model.events import microseconds
    from training import fit
    from training.boosting import Settings
    from training.preparing import Options

    options = Options(edges_days=(7.0, 30.0, 90.0, 180.0), spacing_days=28.0, jobs=1)
    # So little work takes many times as long when threads on busy cores wait for each other.
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=20, trees=40)])
        artifact = fit.train(small_company.events, microseconds(SMALL_KNOWN_BEFORE), options)
    directory = tmp_path_factory.mktemp("small") / "artifact"
    artifact.save(directory)
    return directory
