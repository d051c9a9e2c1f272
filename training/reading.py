"""Read CSV, Parquet and JSON Lines in batches of rows that remember where they came from."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from model.errors import RedflareError
from training.csv_text import check_text, lines_of, unclosed_quote

BATCH_BYTES: Final = 32 << 20  # of CSV text in one batch
BATCH_ROWS: Final = 262_144  # of Parquet or JSON Lines in one batch
SNIFFED_BYTES: Final = 1 << 16
DELIMITERS: Final = ",;\t"
CSV_SUFFIXES: Final = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")
JSON_SUFFIXES: Final = (".jsonl", ".ndjson", ".json")
FIRST_RECORD: Final = 2  # the header is record 1
Progress = Callable[[int], object]  # bytes read since the last call


class InputError(RedflareError):
    """A file cannot be read at all. Check the file, or the mapping's entry for such files."""


@dataclass(kw_only=True)
class BadRow:
    """A row that is no row of its file."""

    row: int
    value: str
    reason: str


@dataclass(kw_only=True)
class Source:
    """One file to read.

    Parameters
    ----------
    path
        The file.
    delimiter, encoding
        How CSV is written; an empty delimiter is found out.
    names
        Its columns.
    bad_rows
        Filled while reading.
    """

    path: Path
    delimiter: str = ""
    encoding: str = "utf-8"
    names: tuple[str, ...] = ()
    bad_rows: list[BadRow] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes to read."""
        return self.path.stat().st_size

    def batches(
        self, columns: list[str] | None, progress: Progress
    ) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int64]]]:
        """Read the file from the start.

        Parameters
        ----------
        columns
            The columns wanted; None for all.
        progress
            Called with the bytes read.

        Yields
        ------
        tuple
            A batch, and the number of each of its rows in the file, from zero, bad ones counted.
        """
        self.bad_rows.clear()
        suffix = self.path.suffix.lower()
        if suffix in PARQUET_SUFFIXES:
            yield from self._parquet(columns, progress)
        elif suffix in JSON_SUFFIXES:
            yield from self._json(columns, progress)
        else:
            yield from self._csv(columns, progress)

    def lines(self, rows: set[int]) -> dict[int, int]:
        """The line on which each of some rows begins, from one; in Parquet its row, from one."""
        if self.path.suffix.lower() in CSV_SUFFIXES:
            return lines_of(self.path, rows, delimiter=self.delimiter, encoding=self.encoding)
        return {row: row + 1 for row in rows}

    def _parquet(
        self, columns: list[str] | None, progress: Progress
    ) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int64]]]:
        first = 0
        with pq.ParquetFile(self.path) as file:
            share = self.size / max(1, file.metadata.num_rows)
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                progress(int(share * batch.num_rows))
                yield _plain(batch), np.arange(first, first + batch.num_rows)
                first += batch.num_rows

    def _csv(
        self, columns: list[str] | None, progress: Progress
    ) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int64]]]:
        skipped: list[int] = []

        def refuse(row: pa_csv.InvalidRow) -> str:
            number = int(row.number) - FIRST_RECORD
            few = row.actual_columns < row.expected_columns
            reason = f"{'fewer' if few else 'more'} values than the header has columns"
            skipped.append(number)
            self.bad_rows.append(BadRow(row=number, value=row.text, reason=reason))
            return "skip"

        # Only a single thread tells the number of an invalid row.
        read = pa_csv.ReadOptions(use_threads=False, block_size=BATCH_BYTES, encoding=self.encoding)
        parse = pa_csv.ParseOptions(
            delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=refuse
        )
        convert = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(self.names, pa.string()),
            include_columns=columns,
            strings_can_be_null=True,
            null_values=[""],
        )
        # Before Arrow looks: one of its threads may outlive an error and end the process with it.
        try:
            check_text(self.path, self.encoding)
        except UnicodeDecodeError as error:
            raise self.unusable(str(error)) from error
        after, left = 0, self.size
        unclosed = unclosed_quote(self.path, delimiter=self.delimiter, encoding=self.encoding)
        held: tuple[pa.RecordBatch, npt.NDArray[np.int64]] | None = None
        try:
            with pa_csv.open_csv(
                self.path, read_options=read, parse_options=parse, convert_options=convert
            ) as reader:
                for batch in reader:
                    rows = without(after, batch.num_rows, skipped)
                    after = int(rows[-1]) + 1 if rows.size else after
                    progress(min(BATCH_BYTES, left))
                    left -= min(BATCH_BYTES, left)
                    if held is not None:
                        yield held
                    held = batch, rows
                if held is not None:
                    yield held if unclosed is None else self._without_unclosed(*held, *unclosed)
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise self.unusable(str(error)) from error

    def _without_unclosed(
        self,
        batch: pa.RecordBatch,
        rows: npt.NDArray[np.int64],
        value: str,
        further: int,
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
        """Refuse the last row, whose quote runs to the end of the file, unless it is refused."""
        if not rows.size or any(bad.row > rows[-1] for bad in self.bad_rows):
            return batch, rows
        reason = "a quote that is opened in this row and never closed"
        if further:
            lines, were = ("1 line", "was") if further == 1 else (f"{further} lines", "were")
            reason += f": {lines} after it, up to the end of the file, {were} taken into it"
        self.bad_rows.append(BadRow(row=int(rows[-1]), value=value, reason=reason))
        return batch.slice(0, batch.num_rows - 1), rows[:-1]

    def unusable(self, reason: str) -> InputError:
        """The error of a file that breaks off in the middle."""
        if "UTF8" in reason or "UTF-8" in reason or "utf-8" in reason:
            line = first_undecodable_line(self.path)
            return InputError(
                f"{self.path}, line {line}",
                "UTF-8 text",
                'say what it is in the mapping, for instance encoding = "latin-1"',
            )
        return InputError(str(self.path), f"a readable file ({reason})", "check what wrote it")

    def _json(
        self, columns: list[str] | None, progress: Progress
    ) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int64]]]:
        names = list(columns if columns is not None else self.names)
        with self.path.open("rb") as file:
            held: list[list[str | None]] = []
            rows: list[int] = []
            read = 0
            for number, line in enumerate(file):
                read += len(line)
                if not line.strip():
                    continue
                values = self._json_row(line, number, names)
                if values is not None:
                    held.append(values)
                    rows.append(number)
                if len(held) == BATCH_ROWS:
                    progress(read)
                    read = 0
                    yield _text_batch(held, names), np.array(rows, np.int64)
                    held, rows = [], []
            progress(read)
            if held:
                yield _text_batch(held, names), np.array(rows, np.int64)

    def _json_row(self, line: bytes, number: int, names: list[str]) -> list[str | None] | None:
        """The values of a line as texts; None if it is refused."""
        try:
            record = json.loads(
                line.decode("utf-8-sig"), parse_int=str, parse_float=str, parse_constant=str
            )
            if isinstance(record, dict):
                values = [_text(record.get(name)) for name in names]
                "".join([*record, *(value for value in values if value)]).encode()
                return values
            reason = "no JSON object"
        except UnicodeDecodeError:
            raise self.unusable("UTF-8") from None
        except json.JSONDecodeError as error:
            reason = f"no JSON: {error.msg}"
        except RecursionError:
            reason = "nested too deeply"
        except UnicodeEncodeError:
            reason = "half a surrogate pair, which is no character"
        value = line.decode().rstrip("\r\n")
        self.bad_rows.append(BadRow(row=number, value=value, reason=reason))
        return None


def without(first: int, count: int, skipped: list[int]) -> npt.NDArray[np.int64]:
    """The next `count` row numbers from `first` on that were not skipped.

    Examples
    --------
    >>> without(2, 3, [3, 9]).tolist()
    [2, 4, 5]
    """
    rows = np.arange(first, first + count + len(skipped))
    return rows[~np.isin(rows, skipped)][:count]


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same with every column of texts, numbers, truths, dates or times; others as text."""
    return pa.RecordBatch.from_arrays([_plain_column(c) for c in batch.columns], batch.schema.names)


def _plain_column(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_string(kind) or (pa.types.is_primitive(kind) and not pa.types.is_time(kind)):
        return column
    if pa.types.is_large_string(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    texts = [None if value is None else str(value) for value in column.to_pylist()]
    return pa.array(texts, pa.string())


def _text_batch(rows: list[list[str | None]], names: list[str]) -> pa.RecordBatch:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def open_source(path: Path, *, delimiter: str = "", encoding: str = "utf-8") -> Source:
    """Look into a file for its columns.

    Parameters
    ----------
    path
        A file ending in .csv, .tsv, .txt, .parquet, .jsonl or .ndjson.
    delimiter, encoding
        How CSV is written; an empty delimiter is found out.

    Raises
    ------
    InputError
        If the file is missing, empty, of another kind or not decodable.
    """
    if not path.is_file():
        raise InputError(f"{path}", "a file", "check its name; there is none of this name")
    if path.stat().st_size == 0:
        raise InputError(f"{path}, an empty file", "a file with rows", "export it again")
    suffix = path.suffix.lower()
    if suffix in PARQUET_SUFFIXES:
        try:
            with pq.ParquetFile(path) as file:
                names = tuple(file.schema_arrow.names)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{path}", f"Parquet ({error})", "check what wrote it") from error
        _refuse_twins(path, names)
        return Source(path=path, names=names)
    if suffix in JSON_SUFFIXES:
        return Source(path=path, names=_json_names(path))
    if suffix not in CSV_SUFFIXES:
        known = ", ".join(CSV_SUFFIXES + PARQUET_SUFFIXES + JSON_SUFFIXES)
        raise InputError(f"{path}", f"a file ending in {known}", "convert or rename it")
    header = _first_line(path, encoding)
    if not header.strip():
        raise InputError(f"{path}, line 1, which is empty", "the columns' names", "export it again")
    if not delimiter:
        delimiter = max(DELIMITERS, key=header.count)
    names = tuple(next(csv.reader([header], delimiter=delimiter)))
    _refuse_twins(path, names)
    return Source(path=path, delimiter=delimiter, encoding=encoding, names=names)


def _refuse_twins(path: Path, names: tuple[str, ...]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}, column {twice[0]!r} twice", "columns named once", "rename one")


def _first_line(path: Path, encoding: str) -> str:
    with path.open("rb") as file:
        start = file.read(SNIFFED_BYTES)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and "16" not in encoding:
        raise InputError(
            f"{path}, which is UTF-16 text", "UTF-8 text", 'add encoding = "utf-16" to the mapping'
        )
    line = start.removeprefix(codecs.BOM_UTF8)
    line = line if "16" in encoding else line.split(b"\n", 1)[0]
    try:
        return line.decode(encoding).split("\n", 1)[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line 1", "UTF-8 text", 'add encoding = "latin-1" to the mapping'
        ) from error
    except LookupError as error:
        raise InputError(
            f"encoding {encoding!r}", "an encoding such as utf-8 or latin-1", "correct the mapping"
        ) from error


def _json_names(path: Path) -> tuple[str, ...]:
    """The keys of all objects, in the order in which they first occur."""
    names: dict[str, None] = {}
    with path.open("rb") as file:
        if file.read(SNIFFED_BYTES).lstrip().startswith(b"["):
            raise InputError(
                f"{path}, one JSON array", "JSON Lines: one object a line", "write it as such"
            )
        file.seek(0)
        for line in file:
            try:
                record = json.loads(line)
                "".join(record).encode()
            except (TypeError, ValueError, RecursionError):
                continue  # refused when it is read
            if isinstance(record, dict):
                names.update(dict.fromkeys(record))
    return tuple(names)


def first_undecodable_line(path: Path) -> int:
    """The number of the first line that is not UTF-8, from one; zero if all are."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0
