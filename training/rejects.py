"""Rejected rows: which line of which file, what stood there, and why it was not imported."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.places import part_of

COLUMNS: Final = ("file", "line", "column", "value", "reason")


@dataclass(frozen=True, kw_only=True)
class Reject:
    """One row that was not imported.

    Parameters
    ----------
    file, line
        Where it stands; the line on which the row begins, from one. In Parquet its row.
    column, value
        What could not be used; an empty column means the whole row.
    reason
        Why.
    """

    file: str
    line: int
    column: str
    value: str | None
    reason: str


def write_rejects(rejects: Sequence[Reject], path: Path) -> None:
    """Write rejects as CSV, in the order of file and line, whole or not at all."""
    part = part_of(path)
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for reject in rejects:
            writer.writerow([getattr(reject, column) for column in COLUMNS])
    part.replace(path)
