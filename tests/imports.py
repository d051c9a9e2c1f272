"""Import made-up files in a folder of a test's own, and read back what became of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from model.event_table import read_events
from model.sources.ready import load_mapping
from training.importing import import_files
from training.rejects import Reject
from training.summary import Summary

ROOT = Path(__file__).parents[1]
KEY = b"a key that is no secret"
LOG = """
source = "crm"
[[record]]
title = "log"
rows = "event"
deal_id = "deal"
occurred_at = "at"
activity = "what"
[record.activities]
opened = "deal_opened"
"mail in" = ["customer_replied", "activity_logged"]
call = "call_made"
won = "deal_won"
lost = "deal_lost"
reopened = "deal_reopened"
"""


def shared_data() -> Path:
    """The folder of real data that is not part of the project; skips the test without it."""
    place = Path(os.environ.get("REDFLARE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not place.is_dir():
        pytest.skip(f"no real data at {place}: set REDFLARE_SHARED_DATA to its folder")
    return place


class Folder:
    """A folder with a mapping and files, imported into one event log."""

    def __init__(self, path: Path, mapping: str = LOG) -> None:
        self.path = path
        self.out = path / "events.parquet"
        self.mapping = mapping
        if "\n" in mapping:
            (path / "mapping.toml").write_text(mapping, "utf-8")
            self.mapping = str(path / "mapping.toml")

    def write(self, name: str, content: str | bytes) -> Path:
        """A file of the folder."""
        file = self.path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def run(self, **files: str | bytes) -> tuple[Summary, list[Reject]]:
        """Write files (``log__csv`` is log.csv) and import them."""
        paths = [self.write(name.replace("__", "."), text) for name, text in files.items()]
        return self.add(*paths)

    def add(self, *paths: Path) -> tuple[Summary, list[Reject]]:
        """Import files that are there; of a new event log, once more, which must change nothing."""
        is_new = not self.out.exists()
        summary, rejects = self._import(paths)
        if is_new and summary.events_written:
            before = self.out.read_bytes()
            again, _ = self._import(paths)
            told = (again.events_written, again.events_there - summary.events_there)
            assert told == (0, summary.events_written)
            assert self.out.read_bytes() == before
        return summary, rejects

    def _import(self, paths: Sequence[Path]) -> tuple[Summary, list[Reject]]:
        return import_files(load_mapping(self.mapping), paths, self.out, person_key=lambda: KEY)

    def events(self, *columns: str) -> list[Any]:
        """The event log's rows in its order: tuples of the columns, or one column's values."""
        table = read_events(self.out)
        values = [table[column].to_pylist() for column in columns]
        return values[0] if len(columns) == 1 else list(zip(*values, strict=True))

    def table(self) -> pa.Table:
        """The event log."""
        return read_events(self.out)
