"""Rejected rows: which line of which file, what stood there, and why it was not imported."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for reject in rejects:
            writer.writerow([getattr(reject, column) for column in COLUMNS])
    part.replace(path)


def lines_of(path: Path, rows: Iterable[int], *, delimiter: str, encoding: str) -> dict[int, int]:
    """The line on which each row of a CSV file begins, quoted line breaks and blank lines counted.

    Parameters
    ----------
    path
        A CSV file with a header.
    rows
        Row numbers from zero, blank lines not counted.
    delimiter, encoding
        How it is written.

    Returns
    -------
    dict
        Line numbers from one, by row number.
    """
    wanted = set(rows)
    last = max(wanted, default=-1)
    found: dict[int, int] = {}
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    with path.open(encoding=codec, errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        row, line = -2, 1  # the header is no row
        for values in reader:
            row += bool(values)
            if values and row in wanted:
                found[row] = line
            if row >= last:
                break
            line = reader.line_num + 1
    return found
