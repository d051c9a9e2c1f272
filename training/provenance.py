"""What a training came from: a digest of its events, the code, the installed packages."""

from __future__ import annotations

import hashlib
import subprocess
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from model.event_table import sort_events

ROOT = Path(__file__).parents[1]


def events_digest(events: pa.Table) -> str:
    """The same 32 characters for the same events, in whatever file, order or chunks they lie.

    Examples
    --------
    >>> table = pa.table({"deal_id": ["B", "A"], "kind": ["deal_opened", "deal_opened"],
    ...                   "occurred_at": [1, 2], "known_at": [1, 2],
    ...                   "source": ["crm", "crm"], "source_id": ["1", "2"]})
    >>> events_digest(table) == events_digest(table.take([1, 0]))
    True
    """
    sink = _Digest()
    pa_csv.write_csv(sort_events(events), pa.PythonFile(sink, mode="w"))
    return sink.digest.hexdigest()[:32]


class _Digest:
    """A file that keeps nothing but the digest of what is written to it."""

    closed = False

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return len(content)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""


def code_version() -> dict[str, str]:
    """Redflare's version, a digest of its code, and the commit where it lies in a repository."""
    sources = hashlib.sha256()
    for package in ("model", "training"):
        for path in sorted((ROOT / package).rglob("*.py")):
            sources.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    found = {"digest": sources.hexdigest()[:16]}
    try:
        found["version"] = version("redflare")
    except PackageNotFoundError:
        found["version"] = "not installed"
    if (ROOT / ".git").exists():
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git the user has
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode == 0:
            found["commit"] = asked.stdout.strip()
    return found


def installed_packages() -> str:
    """Every installed package with its version, a line each."""
    lines = {f"{each.metadata['Name']}=={each.version}" for each in distributions()}
    return "\n".join(sorted(lines, key=str.lower)) + "\n"


def lock_file() -> dict[str, str]:
    """The lock file that Redflare was installed by, by name; nothing where none lies beside it."""
    path = ROOT / "requirements.lock"
    return {path.name: path.read_text(encoding="utf-8")} if path.is_file() else {}
