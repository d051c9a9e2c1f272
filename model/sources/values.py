"""What became of each value of a column, and numbers as people write them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.events import EARLIEST, LATEST

Longs = npt.NDArray[np.int64]
Marks = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

NUMBER: Final = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
ENDLESS: Final = r"^[+-]?(?:nan|inf|infinity)$"


class Mark(IntEnum):
    """What became of a value."""

    GOOD = 0
    MISSING = 1
    UNREADABLE = 2
    ZONELESS = 3
    OUT_OF_RANGE = 4
    NOT_FINITE = 5


REASONS: Final = {
    Mark.MISSING: "nothing where a value is needed",
    Mark.UNREADABLE: "not readable as {what}",
    Mark.ZONELESS: "a time without its UTC offset, and the mapping states no time_zone",
    Mark.OUT_OF_RANGE: f"outside {EARLIEST.year} to {LATEST.year - 1}",
    Mark.NOT_FINITE: "not a finite number",
}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a mapping's values are written.

    Parameters
    ----------
    zone
        The time zone of times without an offset; None refuses them.
    formats
        strptime formats, ``epoch_s`` or ``epoch_ms``, tried in turn after ISO 8601.
    decimal
        The decimal mark of numbers, ``.`` or ``,``.
    thousands
        The mark between thousands, removed before reading; empty for none.
    """

    zone: str | None = None
    formats: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str = ""


def read_numbers(values: pa.Array, reading: Reading) -> tuple[npt.NDArray[np.float64], Marks]:
    """Every value as a number, and what became of it.

    NaN in a column of numbers is a missing value; NaN or infinity written out as text is not.

    Examples
    --------
    >>> read_numbers(pa.array(["1.234,5", "NaN", "many"]), Reading(decimal=",", thousands="."))
    (array([1234.5, nan, nan]), array([0, 5, 2], dtype=int8))
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    written = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    marks = np.zeros(len(values), np.int8)
    marks[np.asarray(values.is_null())] = Mark.MISSING
    if written:
        if reading.thousands:
            values = pc.replace_substring(values, reading.thousands, "")
        if reading.decimal != ".":
            values = pc.replace_substring(values, reading.decimal, ".")
        values = pc.utf8_trim_whitespace(values)
    try:
        numbers = values.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        texts = values.cast(pa.string())
        plain = pc.fill_null(pc.match_substring_regex(texts, NUMBER), fill_value=False)
        words = pc.utf8_lower(texts)
        odd = pc.fill_null(pc.match_substring_regex(words, ENDLESS), fill_value=False)
        marks[(marks == 0) & ~np.asarray(plain)] = Mark.UNREADABLE
        marks[np.asarray(odd)] = Mark.NOT_FINITE
        numbers = pc.if_else(plain, texts, pa.scalar(None, pa.string())).cast(pa.float64())
    read = np.array(numbers.fill_null(np.nan), dtype=np.float64)
    endless = (marks == Mark.GOOD) & ~np.isfinite(read)
    if not written:
        marks[endless & np.isnan(read)] = Mark.MISSING
        endless &= ~np.isnan(read)
    marks[endless] = Mark.NOT_FINITE
    read[marks != Mark.GOOD] = np.nan
    return read, marks


def describe(mark: int, what: str) -> str:
    """Why a value was refused.

    Examples
    --------
    >>> describe(Mark.UNREADABLE, "a time")
    'not readable as a time'
    """
    return REASONS[Mark(mark)].format(what=what)


def filled(values: pa.Array) -> tuple[Longs, Marks]:
    """Whole numbers with zero for missing ones, and their marks."""
    marks = np.zeros(len(values), np.int8)
    marks[np.asarray(values.is_null())] = Mark.MISSING
    return np.array(values.fill_null(0), dtype=np.int64), marks
