"""Read whole columns of times, dates and numbers, telling for each value what is wrong with it.

A column is first tried as one ISO 8601 cast; only where a value resists is each distinct value
taken apart, so that one bad row costs little and hides no good one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.events import DAY_US, EARLIEST, LATEST, microseconds

Longs = npt.NDArray[np.int64]
Marks = npt.NDArray[np.int8]
DayEdge = Literal["start", "end"]

EARLIEST_US: Final = microseconds(EARLIEST)
LATEST_US: Final = microseconds(LATEST)
EPOCHS: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000}  # microseconds in a unit
HOUR_US: Final = 3_600_000_000
MINUTE_US: Final = 60_000_000
SECOND_US: Final = 1_000_000
MONTHS: Final = tuple("jan feb mar apr may jun jul aug sep oct nov dec".split())
ZONE: Final = r"(?P<z>[Zz]|UTC|[+-]\d{2}(?::?\d{2})?)"
ISO: Final = (
    r"^(?P<Y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"
    r"(?:[Tt ](?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    rf"\s*{ZONE}?)?$"
)
NUMBER: Final = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
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
SHORTEST_TIME: Final = len("2026-01-05T09:30")
DATE_LENGTH: Final = len("2026-01-05")


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


def read_times(values: pa.Array, reading: Reading, day: DayEdge = "end") -> tuple[Longs, Marks]:
    """Microseconds since 1970 UTC of every value, and what became of it.

    Parameters
    ----------
    values
        Text, timestamps, dates or numbers. Shape (N,).
    reading
        How they are written.
    day
        Whether a bare date stands for the start of its day or for its last microsecond. The
        end is the safe reading: a fact of that day is then never known before it happened.

    Returns
    -------
    tuple
        Microseconds (N,), zero where not good, and a `Mark` for each (N,).

    Examples
    --------
    >>> us, marks = read_times(pa.array(["1970-01-01T00:00:01Z", "soon", None]), Reading())
    >>> us.tolist(), marks.tolist()
    ([1000000, 0, 0], [0, 2, 1])
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_timestamp(kind):
        us, marks = _of_stamps(values, reading)
    elif pa.types.is_date(kind):
        us, marks = _of_dates(values.cast(pa.date32()), reading, day)
    else:
        us, marks = _of_texts(values.cast(pa.string()), reading, day)
    outside = (marks == Mark.GOOD) & ((us < EARLIEST_US) | (us >= LATEST_US))
    marks[outside] = Mark.OUT_OF_RANGE
    us[marks != Mark.GOOD] = 0
    return us, marks


def read_dates(values: pa.Array, reading: Reading) -> tuple[Longs, Marks]:
    """Days since 1970 of every value, as the calendar date that is written, and its `Mark`.

    Examples
    --------
    >>> days, marks = read_dates(pa.array(["1970-01-03", "1970-01-02T23:00:00Z", "9999-12-31"]),
    ...                          Reading())
    >>> days.tolist(), marks.tolist()
    ([2, 1, 0], [0, 0, 4])
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("us"))  # drops the zone: the date as written in UTC
    elif not pa.types.is_date(values.type):
        text = values.cast(pa.string())
        us, marks = _as_written(text, reading)
        days = us // DAY_US
        outside = (marks == Mark.GOOD) & ((us < EARLIEST_US) | (us >= LATEST_US))
        marks[outside] = Mark.OUT_OF_RANGE
        days[marks != Mark.GOOD] = 0
        return days, marks
    us, marks = _filled(values.cast(pa.timestamp("us"), safe=False).cast(pa.int64()))
    outside = (marks == Mark.GOOD) & ((us < EARLIEST_US) | (us >= LATEST_US))
    marks[outside] = Mark.OUT_OF_RANGE
    days = us // DAY_US
    days[marks != Mark.GOOD] = 0
    return days, marks


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
        odd = pc.fill_null(pc.match_substring_regex(words, r"^[+-]?(?:nan|inf|infinity)$"), False)
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


def _filled(values: pa.Array) -> tuple[Longs, Marks]:
    marks = np.zeros(len(values), np.int8)
    marks[np.asarray(values.is_null())] = Mark.MISSING
    return np.array(values.fill_null(0), dtype=np.int64), marks


def _of_stamps(values: pa.Array, reading: Reading) -> tuple[Longs, Marks]:
    values = values.cast(pa.timestamp("us", values.type.tz), safe=False)
    us, marks = _filled(values.cast(pa.int64()))
    if values.type.tz is None:
        good = marks == Mark.GOOD
        us, marks[good] = _in_zone(us, good, reading)
    return us, marks


def _of_dates(values: pa.Array, reading: Reading, day: DayEdge) -> tuple[Longs, Marks]:
    days, marks = _filled(values.cast(pa.int32()).cast(pa.int64()))
    return _whole_days(days * DAY_US, marks, marks == Mark.GOOD, reading, day)


def _whole_days(
    us: Longs, marks: Marks, bare: npt.NDArray[np.bool_], reading: Reading, day: DayEdge
) -> tuple[Longs, Marks]:
    """Move bare dates to the edge of their day in the stated zone."""
    shifted = np.where(bare & (day == "end"), us + DAY_US, us)
    local, mark = _in_zone(shifted, bare, reading)
    us = np.where(bare, local - (1 if day == "end" else 0), us)
    marks[bare] = np.where(marks[bare] == Mark.GOOD, mark, marks[bare])
    return us, marks


def _in_zone(us: Longs, where: npt.NDArray[np.bool_], reading: Reading) -> tuple[Longs, Mark]:
    """UTC of the local times at `where`; of an hour that occurs twice the later one."""
    if reading.zone is None:
        return us, Mark.ZONELESS
    if reading.zone == "UTC" or not where.any():
        return us, Mark.GOOD
    inside = where & (us >= EARLIEST_US) & (us < LATEST_US)  # other years are refused later
    local = pa.array(np.where(inside, us, 0)).cast(pa.timestamp("us"))
    aware = pc.assume_timezone(local, reading.zone, ambiguous="latest", nonexistent="latest")
    return np.where(inside, np.asarray(aware.cast(pa.int64())), us), Mark.GOOD


def _of_texts(values: pa.Array, reading: Reading, day: DayEdge) -> tuple[Longs, Marks]:
    lengths = pc.min_max(pc.binary_length(values))
    shortest = lengths["min"].as_py()
    if shortest is not None and shortest >= SHORTEST_TIME:
        quick = _cast_times(values, reading)
        if quick is not None:
            return quick
    elif shortest == DATE_LENGTH == lengths["max"].as_py():
        try:
            return _of_dates(values.cast(pa.date32()), reading, day)
        except pa.ArrowInvalid:
            pass
    coded = values.dictionary_encode()
    us, marks, zoned, bare = _take_apart(coded.dictionary, reading)
    good = marks == Mark.GOOD
    us, marks = _whole_days(us, marks, good & bare, reading, day)
    naive = good & ~bare & ~zoned
    local, mark = _in_zone(us, naive, reading)
    us = np.where(naive, local, us)
    marks[naive] = mark
    return _spread(coded, us, marks)


def _as_written(values: pa.Array, reading: Reading) -> tuple[Longs, Marks]:
    """Microseconds of the local clock as written, offsets ignored."""
    coded = values.dictionary_encode()
    us, marks, _, _ = _take_apart(coded.dictionary, reading, shift=False)
    return _spread(coded, us, marks)


def _spread(coded: pa.DictionaryArray, us: Longs, marks: Marks) -> tuple[Longs, Marks]:
    """What was found for the distinct values, for every row."""
    index = np.asarray(coded.indices.fill_null(len(us)))
    return np.append(us, 0)[index], np.append(marks, np.int8(Mark.MISSING))[index]


def _cast_times(values: pa.Array, reading: Reading) -> tuple[Longs, Marks] | None:
    """All values by one cast, or None if any of them is not ISO 8601 or they are mixed."""
    try:
        return _filled(values.cast(pa.timestamp("us", "UTC")).cast(pa.int64()))
    except pa.ArrowInvalid:
        pass
    try:
        return _of_stamps(values.cast(pa.timestamp("us")), reading)
    except pa.ArrowInvalid:
        return None


def _take_apart(
    values: pa.Array, reading: Reading, *, shift: bool = True
) -> tuple[Longs, Marks, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Local microseconds, marks, whether an offset was written, whether it is a bare date."""
    count = len(values)
    us = np.zeros(count, np.int64)
    marks = np.full(count, Mark.UNREADABLE, np.int8)
    zoned = np.zeros(count, np.bool_)
    bare = np.zeros(count, np.bool_)
    texts = pc.utf8_trim_whitespace(values)
    for form in ("iso", *reading.formats):
        left = np.flatnonzero(marks == Mark.UNREADABLE)
        if not left.size:
            break
        rest = texts.take(pa.array(left))
        if form in EPOCHS:
            found, fits = _epochs(rest, EPOCHS[form])
            zoned[left[fits]] = True
        else:
            parts = pc.extract_regex(rest, ISO if form == "iso" else pattern_of(form))
            found, fits, with_zone, bare_date = _compose(parts, shift=shift)
            zoned[left[fits]] = with_zone[fits]
            bare[left[fits]] = bare_date[fits]
        us[left[fits]] = found[fits]
        marks[left[fits]] = Mark.GOOD
    return us, marks, zoned, bare


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


def _epochs(texts: pa.Array, unit_us: int) -> tuple[Longs, npt.NDArray[np.bool_]]:
    fits = np.asarray(pc.match_substring_regex(texts, r"^\d{6,14}$"))
    whole = pc.if_else(pa.array(fits), texts, "0").cast(pa.int64())
    return np.asarray(whole) * unit_us, fits


def _compose(
    parts: pa.StructArray, *, shift: bool
) -> tuple[Longs, npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Microseconds from the groups of a pattern; calendar by Hinnant's days_from_civil."""
    names = {field.name for field in parts.type}
    fits = ~np.asarray(parts.is_null())

    def text(name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(parts, name), "") if name in names else None

    def whole(name: str) -> Longs:
        if name not in names:
            return np.zeros(len(parts), np.int64)
        digits = text(name)
        return np.asarray(pc.if_else(pc.equal(digits, ""), "0", digits).cast(pa.int64()))

    year, month, day = whole("Y"), whole("m"), whole("d")
    if "y" in names:
        year = 2000 + whole("y")
    if "b" in names:
        short = pc.utf8_slice_codeunits(pc.utf8_lower(text("b")), 0, 3)
        known = pc.index_in(short, value_set=pa.array(MONTHS)).fill_null(-1)
        month = np.asarray(known).astype(np.int64) + 1
    hour, minute, second = whole("H"), whole("M"), whole("S")
    if "I" in names:
        hour = whole("I") % 12 + 12 * np.asarray(pc.equal(pc.utf8_lower(text("p")), "p"))
    fraction = np.zeros(len(parts), np.int64)
    if "f" in names:
        padded = pc.utf8_slice_codeunits(pc.utf8_rpad(text("f"), 6, "0"), 0, 6)
        fraction = np.asarray(padded.cast(pa.int64()))
    fits &= (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    fits &= day <= _month_lengths(year, np.clip(month, 1, 12))
    us = _days_from_civil(year, month, day) * DAY_US
    us += hour * HOUR_US + minute * MINUTE_US + second * SECOND_US + fraction
    zoned = np.zeros(len(parts), np.bool_)
    if "z" in names:
        offset, zoned = _offsets(text("z"))
        us = us - offset if shift else us
    clock = text("H") if "H" in names else text("I")
    bare = np.ones(len(parts), np.bool_) if clock is None else np.asarray(pc.equal(clock, ""))
    return us, fits, zoned, bare


def _offsets(zones: pa.Array) -> tuple[Longs, npt.NDArray[np.bool_]]:
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
    lengths = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)[month - 1]
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


def describe(mark: int, what: str) -> str:
    """Why a value was refused.

    Examples
    --------
    >>> describe(Mark.UNREADABLE, "a time")
    'not readable as a time'
    """
    return REASONS[Mark(mark)].format(what=what)
