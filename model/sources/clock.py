"""Take written times apart: ISO 8601 and strptime formats as patterns, calendar by arithmetic."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.events import DAY_US
from model.sources.values import Flags, Longs, Mark, Marks, Reading

EPOCHS: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000}  # microseconds in a unit
EPOCH_DIGITS: Final = {"epoch_s": r"^\d{5,11}$", "epoch_ms": r"^\d{8,14}$"}
HOUR_US: Final = 3_600_000_000
MINUTE_US: Final = 60_000_000
SECOND_US: Final = 1_000_000
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH_DAYS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
ZONE: Final = r"(?P<z>[Zz]|UTC|[+-]\d{2}(?::?\d{2})?)"
ISO: Final = (
    r"^(?P<Y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"
    r"(?:[Tt ](?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    rf"\s*{ZONE}?)?$"
)
DIRECTIVES: Final = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "b": r"(?P<b>[A-Za-z]{3,9})\.?",
    "B": r"(?P<b>[A-Za-z]{3,9})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<I>\d{1,2})",
    "M": r"(?P<M>\d{2})",
    "S": r"(?P<S>\d{2})",
    "f": r"(?P<f>\d{1,9})",
    "p": r"(?P<p>[AaPp])\.?[Mm]\.?",
    "z": ZONE,
    "%": "%",
}


class Written(NamedTuple):
    """Times as written.

    Parameters
    ----------
    us
        Microseconds since 1970: of UTC where an offset is written, else of the local clock.
    marks
        What became of each value.
    zoned, bare
        Whether an offset is written, and whether it is a date alone.
    """

    us: Longs
    marks: Marks
    zoned: Flags
    bare: Flags


def pattern_of(form: str) -> str:
    r"""The pattern that reads a strptime format.

    Raises
    ------
    ValueError
        If the format holds a directive that is not known here.

    Examples
    --------
    >>> pattern_of("%d.%m.%Y")
    '^(?P<d>\\d{1,2})\\.(?P<m>\\d{1,2})\\.(?P<Y>\\d{4})$'
    """
    parts: list[str] = []
    pieces = re.split(r"%(.)", form)
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            parts.append(re.sub(r"([^\w\s])", r"\\\1", piece))
        elif piece in DIRECTIVES:
            parts.append(DIRECTIVES[piece])
        else:
            raise ValueError(f"%{piece} in {form!r}")
    return f"^{''.join(parts)}$"


def take_apart(values: pa.Array, reading: Reading, *, shift: bool = True) -> Written:
    """Read distinct texts as times.

    Parameters
    ----------
    values
        Texts without missing ones. Shape (N,).
    reading
        How they are written; its formats are tried in turn after ISO 8601.
    shift
        Whether a written offset is taken off, for UTC.

    Examples
    --------
    >>> take_apart(pa.array(["1970-01-01 01:00+01", "1970-01-02"]), Reading()).us.tolist()
    [0, 86400000000]
    """
    count = len(values)
    written = Written(
        us=np.zeros(count, np.int64),
        marks=np.full(count, Mark.UNREADABLE, np.int8),
        zoned=np.zeros(count, np.bool_),
        bare=np.zeros(count, np.bool_),
    )
    texts = pc.utf8_trim_whitespace(values)
    for form in ("iso", *reading.formats):
        left = np.flatnonzero(written.marks == Mark.UNREADABLE)
        if not left.size:
            break
        rest = texts.take(pa.array(left))
        if form in EPOCHS:
            found = _epochs(rest, form)
        else:
            parts = pc.extract_regex(rest, ISO if form == "iso" else pattern_of(form))
            found = _compose(_Parts(parts), shift=shift)
        fits = found.marks == Mark.GOOD
        written.us[left[fits]] = found.us[fits]
        written.marks[left[fits]] = Mark.GOOD
        written.zoned[left[fits]] = found.zoned[fits]
        written.bare[left[fits]] = found.bare[fits]
    return written


def _epochs(texts: pa.Array, form: str) -> Written:
    fits = np.asarray(pc.match_substring_regex(texts, EPOCH_DIGITS[form]))
    whole = pc.if_else(pa.array(fits), texts, "0").cast(pa.int64())
    return Written(
        us=np.asarray(whole) * EPOCHS[form],
        marks=np.where(fits, Mark.GOOD, Mark.UNREADABLE).astype(np.int8),
        zoned=fits,
        bare=np.zeros(len(texts), np.bool_),
    )


class _Parts:
    """The groups of a pattern, empty where a text has none of them."""

    def __init__(self, parts: pa.StructArray) -> None:
        self.parts = parts
        self.names = {field.name for field in parts.type}

    def text(self, name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(self.parts, name), "")

    def whole(self, name: str) -> Longs:
        if name not in self.names:
            return np.zeros(len(self.parts), np.int64)
        digits = self.text(name)
        return np.asarray(pc.if_else(pc.equal(digits, ""), "0", digits).cast(pa.int64()))

    def year(self) -> Longs:
        return 2000 + self.whole("y") if "y" in self.names else self.whole("Y")

    def month(self) -> Longs:
        if "b" not in self.names:
            return self.whole("m")
        short = pc.utf8_slice_codeunits(pc.utf8_lower(self.text("b")), 0, 3)
        known = pc.index_in(short, value_set=pa.array(MONTHS)).fill_null(-1)
        return np.asarray(known).astype(np.int64) + 1

    def hour(self) -> Longs:
        if "I" not in self.names:
            return self.whole("H")
        half = self.whole("I")
        late = np.asarray(pc.equal(pc.utf8_lower(self.text("p")), "p")) if "p" in self.names else 0
        return np.where((half >= 1) & (half <= 12), half % 12 + 12 * late, 24)

    def fraction_us(self) -> Longs:
        if "f" not in self.names:
            return self.whole("f")
        padded = pc.utf8_slice_codeunits(pc.utf8_rpad(self.text("f"), 6, "0"), 0, 6)
        return np.asarray(padded.cast(pa.int64()))

    def bare(self) -> Flags:
        clocks = [name for name in ("H", "I") if name in self.names]
        if not clocks:
            return np.ones(len(self.parts), np.bool_)
        return np.asarray(pc.equal(self.text(clocks[0]), ""))


def _compose(parts: _Parts, *, shift: bool) -> Written:
    """Microseconds from the groups of a pattern."""
    year, month, day = parts.year(), parts.month(), parts.whole("d")
    hour, minute, second = parts.hour(), parts.whole("M"), parts.whole("S")
    fits = ~np.asarray(parts.parts.is_null())
    fits &= (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    fits &= day <= _month_lengths(year, np.clip(month, 1, 12))
    us = _days_from_civil(year, month, day) * DAY_US
    us = us + hour * HOUR_US + minute * MINUTE_US + second * SECOND_US + parts.fraction_us()
    zoned = np.zeros(us.size, np.bool_)
    if "z" in parts.names:
        offset, zoned = _offsets(parts.text("z"))
        us = us - offset if shift else us
    marks = np.where(fits, Mark.GOOD, Mark.UNREADABLE).astype(np.int8)
    return Written(us=us, marks=marks, zoned=zoned, bare=parts.bare())


def _offsets(zones: pa.Array) -> tuple[Longs, Flags]:
    coded = zones.dictionary_encode()
    offsets = [_offset_us(zone) for zone in coded.dictionary.to_pylist()]
    index = np.asarray(coded.indices)
    written = np.asarray(pc.not_equal(zones, ""))
    return np.array(offsets or [0], np.int64)[index], written


def _offset_us(zone: str) -> int:
    digits = zone.lstrip("+-").replace(":", "")
    if not digits.isdigit():
        return 0
    sign = -1 if zone.startswith("-") else 1
    return sign * (int(digits[:2]) * HOUR_US + int(digits[2:] or 0) * MINUTE_US)


def _month_lengths(year: Longs, month: Longs) -> Longs:
    lengths = MONTH_DAYS[month - 1]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return np.where((month == 2) & leap, lengths + 1, lengths)


def _days_from_civil(year: Longs, month: Longs, day: Longs) -> Longs:
    """Days since 1970-01-01 of the proleptic Gregorian calendar.

    Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    """
    year = year - (month <= 2)
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    of_era_days = of_era * 365 + of_era // 4 - of_era // 100 + of_year
    return np.asarray(era * 146_097 + of_era_days - 719_468, np.int64)
