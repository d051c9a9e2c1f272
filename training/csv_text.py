"""A CSV file as text: where its rows begin, and whether its last quote is closed."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, TextIO

LONGEST_FIELD: Final = 2**31 - 1  # characters
CHUNK_BYTES: Final = 1 << 22
SHOWN: Final = 200  # characters of a row with an open quote: all that follows may be in it
END: Final = "end"  # of a file that is read for its last row


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
    with _open(path, encoding) as file:
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


def unclosed_quote(path: Path, *, delimiter: str, encoding: str) -> tuple[str, int] | None:
    """The start of the last row, if a quote in it is open at the end of the file; else None.

    Parameters
    ----------
    path
        A CSV file.
    delimiter, encoding
        How it is written.

    Returns
    -------
    tuple or None
        The row's first characters, and how many further lines the open quote took into it.
    """
    wide = "16" in encoding or "32" in encoding  # where a byte is no character
    if not wide and _quotes(path) % 2 == 0:
        return None
    last: list[str] = []
    with _open(path, encoding) as file:
        lines = (line if line.endswith(("\n", "\r")) else line + "\n" for line in file)
        for values in csv.reader(chain(lines, [END]), delimiter=delimiter):
            last = values
    if last == [END]:
        return None
    row = delimiter.join(last)[: -len(END)].rstrip()
    return row[:SHOWN], len(row.splitlines()) - 1


def check_text(path: Path, encoding: str) -> None:
    """Decode a whole file and keep none of it.

    Raises
    ------
    UnicodeDecodeError
        If a part of it is no text of that encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            decoder.decode(chunk)
    decoder.decode(b"", final=True)


def _quotes(path: Path) -> int:
    """How many quotes the file has: an even number, if all are closed."""

    def chunks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    return sum(chunk.count(b'"') for chunk in chunks())


def _open(path: Path, encoding: str) -> TextIO:
    csv.field_size_limit(LONGEST_FIELD)
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    return path.open(encoding=codec, errors="replace", newline="")
