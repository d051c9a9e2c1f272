"""The moments that a file asks for, deal by deal, and those of them that are not scored."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from model.errors import EventError, ScoreError
from model.events import from_microseconds, microseconds, parse_time

NAMED: Final = 3  # points of a reason that are named
Points = Mapping[str, list[int]]
"""By deal the moments asked for, microseconds since 1970 UTC."""


def pairs(points: Points) -> Iterator[tuple[str, int]]:
    """Each deal with each of its moments.

    Examples
    --------
    >>> list(pairs({"D-1": [5, 9]}))
    [('D-1', 5), ('D-1', 9)]
    """
    for deal_id, moments in points.items():
        for moment in moments:
            yield deal_id, moment


@dataclass(kw_only=True)
class Unscored:
    """Points that are not scored, by reason.

    Parameters
    ----------
    by_reason
        The points of each reason, as (deal_id, microseconds since 1970 UTC).
    """

    by_reason: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def add(self, reason: str, points: Iterable[tuple[str, int]]) -> None:
        """Note that points are not scored for a reason."""
        for point in points:
            self.by_reason.setdefault(reason, []).append(point)

    def lines(self) -> list[str]:
        """One line a reason: how many, why, and the first few.

        Examples
        --------
        >>> unscored = Unscored()
        >>> unscored.add("not open as known then", [("D-1", 0)])
        >>> unscored.lines()
        ['1 not open as known then: D-1 as of 1970-01-01']
        """
        told = []
        for reason, points in self.by_reason.items():
            named = [f"{deal_id} as of {_day(moment)}" for deal_id, moment in points[:NAMED]]
            more = f" and {len(points) - NAMED} more" if len(points) > NAMED else ""
            told.append(f"{len(points)} {reason}: {', '.join(named)}{more}")
        return told


def _day(moment: int) -> str:
    time = from_microseconds(moment)
    return time.date().isoformat() if time.time() == time.min.time() else time.isoformat()


def read_points(path: Path) -> dict[str, list[int]]:
    """The (deal_id, as_of) pairs of a CSV or Parquet file, by deal.

    Raises
    ------
    ScoreError
        If the file cannot be read, a column is missing, or a row lacks a value or a time.
    """
    table = _read_table(path)
    if table.num_rows == 0 and {"deal_id", "as_of"} <= set(table.column_names):
        raise ScoreError(f"--points {path}, without a row", "at least one point", "add some")
    for column in ("deal_id", "as_of"):
        if column not in table.column_names:
            raise ScoreError(
                f"--points {path} with columns {', '.join(table.column_names)}",
                "columns deal_id and as_of",
                "separate them by commas"
                if any(";" in name or "\t" in name for name in table.column_names)
                else "name the columns so",
            )
        if table[column].null_count:
            row = next(i for i, value in enumerate(table[column]) if not value.is_valid)
            raise ScoreError(
                f"{_place(path, row)}, column {column}", "a value in every row", "drop such rows"
            )
    points: dict[str, list[int]] = {}
    times = table["as_of"].to_pylist()
    deals = table["deal_id"].cast(pa.string()).to_pylist()
    for row, (deal_id, time) in enumerate(zip(deals, times, strict=True)):
        text = time.isoformat() if isinstance(time, date) else str(time)
        try:
            moment = microseconds(parse_time("as_of", text))
        except EventError as error:
            given = f"{_place(path, row)}: {error.given}"
            raise ScoreError(given, error.expected, error.remedy) from error
        points.setdefault(deal_id, []).append(moment)
    return points


def _place(path: Path, row: int) -> str:
    """A row of the file, by its line where it is text."""
    if path.suffix == ".parquet":
        return f"{path}, row {row + 1}"
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.reader(file)
        line, left = 1, row + 1  # the header is no row
        for values in reader:
            if values:
                if left == 0:
                    break
                left -= 1
            line = reader.line_num + 1
    return f"{path}, line {line}"


def _read_table(path: Path) -> pa.Table:
    if not path.is_file():
        what = "a directory" if path.is_dir() else "which is not there"
        raise ScoreError(f"--points {path}, {what}", "a CSV or Parquet file", "check the name")
    if path.stat().st_size == 0:
        raise ScoreError(f"{path}, an empty file", "columns deal_id and as_of", "check it")
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        text = {"deal_id": pa.string(), "as_of": pa.string()}
        return pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=text))
    except pa.ArrowInvalid as error:
        raise ScoreError(
            f"{path}", f"a readable CSV or Parquet file ({error})", "check what wrote it"
        ) from error
