"""Read whole columns of times and dates, telling for each value what is wrong with it.

A column is first tried as one ISO 8601 cast; only where a value resists is each distinct value
taken apart, so that one bad row costs little and hides no good one.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.events import DAY_US, EARLIEST, LATEST, microseconds
from model.sources.clock import take_apart
from model.sources.values import Flags, Longs, Mark, Marks, Reading, filled

DayEdge = Literal["start", "end", "end_in_utc"]

EARLIEST_US: Final = microseconds(EARLIEST)
LATEST_US: Final = microseconds(LATEST)
SHORTEST_TIME: Final = len("2026-01-05T09:30")
DATE_LENGTH: Final = len("2026-01-05")


def read_times(
    values: pa.Array, reading: Reading, day: DayEdge = "end", *, whole_days: bool = False
) -> tuple[Longs, Marks]:
    """Microseconds since 1970 UTC of every value, and what became of it.

    Parameters
    ----------
    values
        Text, timestamps, dates or numbers. Shape (N,).
    reading
        How they are written.
    day
        Whether a bare date stands for the start of its day or for its last microsecond. The
        end is the safe reading: a fact of that day is then never known before it happened. West
        of Greenwich a day ends when it is the next in UTC, in which periods are counted:
        ``end_in_utc`` is the last microsecond that is of the written date in both.
    whole_days
        Whether the values are dates, whatever time of day is written with them.

    Returns
    -------
    tuple
        Microseconds (N,), zero where not good, and a `Mark` for each (N,).

    Examples
    --------
    >>> us, marks = read_times(pa.array(["1970-01-01T00:00:01Z", "soon", None]), Reading())
    >>> us.tolist(), marks.tolist()
    ([1000000, 0, 0], [0, 2, 1])
    >>> there = Reading(zone="America/New_York")
    >>> for day in ("end", "end_in_utc"):
    ...     print(read_times(pa.array(["1970-01-01"]), there, day)[0].tolist())
    [104399999999]
    [86399999999]
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if whole_days:
        days, marks = read_dates(values, reading)
        us, marks = _whole_days(days * DAY_US, marks, marks == Mark.GOOD, reading, day)
    elif pa.types.is_timestamp(kind):
        us, marks = _of_stamps(values, reading)
    elif pa.types.is_date(kind):
        us, marks = _of_dates(values.cast(pa.date32()), reading, day)
    else:
        us, marks = _of_texts(values.cast(pa.string()), reading, day)
    _refuse_outside(us, marks)
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
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        us, marks = filled(values.cast(pa.timestamp("us"), safe=False).cast(pa.int64()))
    else:
        coded = values.cast(pa.string()).dictionary_encode()
        written = take_apart(coded.dictionary, reading, shift=False)
        us, marks = _spread(coded, written.us, written.marks)
    _refuse_outside(us, marks)
    return us // DAY_US, marks


def _refuse_outside(us: Longs, marks: Marks) -> None:
    """Mark years that cannot be facts, and leave zero where nothing is good."""
    outside = (marks == Mark.GOOD) & ((us < EARLIEST_US) | (us >= LATEST_US))
    marks[outside] = Mark.OUT_OF_RANGE
    us[marks != Mark.GOOD] = 0


def _of_stamps(values: pa.Array, reading: Reading) -> tuple[Longs, Marks]:
    values = values.cast(pa.timestamp("us", values.type.tz), safe=False)
    us, marks = filled(values.cast(pa.int64()))
    if values.type.tz is None:
        good = marks == Mark.GOOD
        us, marks[good] = _in_zone(us, good, reading)
    return us, marks


def _of_dates(values: pa.Array, reading: Reading, day: DayEdge) -> tuple[Longs, Marks]:
    days, marks = filled(values.cast(pa.int32()).cast(pa.int64()))
    return _whole_days(days * DAY_US, marks, marks == Mark.GOOD, reading, day)


def _whole_days(
    us: Longs, marks: Marks, bare: Flags, reading: Reading, day: DayEdge
) -> tuple[Longs, Marks]:
    """Move bare dates to the edge of their day in the stated zone."""
    edge = us if day == "start" else us + DAY_US
    local, mark = _in_zone(np.where(bare, edge, us), bare, reading)
    if day == "end_in_utc":
        local = np.minimum(local, edge)
    us = np.where(bare, local - (day != "start"), us)
    marks[bare] = np.where(marks[bare] == Mark.GOOD, mark, marks[bare])
    return us, marks


def _in_zone(us: Longs, where: Flags, reading: Reading) -> tuple[Longs, Mark]:
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
    us, marks, zoned, bare = take_apart(coded.dictionary, reading)
    good = marks == Mark.GOOD
    us, marks = _whole_days(us, marks, good & bare, reading, day)
    naive = good & ~bare & ~zoned
    local, mark = _in_zone(us, naive, reading)
    us = np.where(naive, local, us)
    marks[naive] = mark
    return _spread(coded, us, marks)


def _spread(coded: pa.DictionaryArray, us: Longs, marks: Marks) -> tuple[Longs, Marks]:
    """What was found for the distinct values, for every row."""
    index = np.asarray(coded.indices.fill_null(len(us)))
    return np.append(us, 0)[index], np.append(marks, np.int8(Mark.MISSING))[index]


def _cast_times(values: pa.Array, reading: Reading) -> tuple[Longs, Marks] | None:
    """All values by one cast, or None if any of them is not ISO 8601 or they are mixed."""
    try:
        return filled(values.cast(pa.timestamp("us", "UTC")).cast(pa.int64()))
    except pa.ArrowInvalid:
        pass
    try:
        return _of_stamps(values.cast(pa.timestamp("us")), reading)
    except pa.ArrowInvalid:
        return None
