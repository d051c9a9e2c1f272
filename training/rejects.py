"""Rejected rows: which line of which file, what stood there, and why it was not imported.

A file of rejects says of each imported file what its last import rejected, so that the import of
one file does not hide what became of another.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.places import PlaceError, whole_file
from training.csv_text import LONGEST_FIELD

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


def read_rejects(path: Path) -> list[Reject]:
    """What a file of rejects holds; nothing where there is none.

    Raises
    ------
    PlaceError
        If something else stands there, which is not to be overwritten.
    """
    if not path.exists():
        return []
    csv.field_size_limit(LONGEST_FIELD)
    with path.open(encoding="utf-8", newline="", errors="replace") as file:
        reader = csv.reader(file)
        try:
            if tuple(next(reader, COLUMNS)) != COLUMNS:
                raise ValueError
            return [
                Reject(file=name, line=int(line), column=column, value=value, reason=reason)
                for name, line, column, value, reason in reader
            ]
        except (ValueError, csv.Error) as error:
            raise PlaceError(
                f"--rejects {path}, which holds something else",
                f"a new file, or one with the columns {', '.join(COLUMNS)} alone",
                "name another, or move that file",
            ) from error


def rejected_rows(events: Path, named: Path | None = None) -> int | None:
    """How many rows the imports of an event log rejected; None where no file says.

    Parameters
    ----------
    named
        The file of rejects; ``rejects.csv`` beside the event log otherwise, if it is there.

    Raises
    ------
    PlaceError
        If the one named is not there.
    """
    place = named or events.with_name("rejects.csv")
    if place.is_file():
        return len(read_rejects(place))
    if named is not None:
        raise PlaceError(f"--rejects {named}", "a file that is there", "check the name")
    return None


def write_rejects(rejects: Sequence[Reject], path: Path) -> None:
    """Write rejects as CSV, in the order given, whole or not at all."""
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for reject in rejects:
            writer.writerow([getattr(reject, column) for column in COLUMNS])
