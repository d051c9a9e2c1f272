"""Drafts: what single rows say, before rows are seen together.

A draft is an event without its final id. Most become events as they are; the others wait for
what only all rows together can tell: whether a value changed, what it was at the opening,
whether a better source knows the closing.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
import pyarrow as pa

from model.sources.values import Longs


class Origin(IntEnum):
    """What a draft must still pass."""

    FACT = 0  # an event as it stands
    STATE = 1  # an event only where the value differs from the deal's value before
    EXPORT = 2  # true when exported: stands for the opening only if a history knows no better
    CLOSING = 3  # a closing told by the deal's row: stands only if no history tells one
    FORMER = 4  # no event: what a value was before the change in the same row


class Identity(IntEnum):
    """What makes a draft's id."""

    FACT = 0  # deal, kind and time: the same fact from whatever record
    RECORD = 1  # the record's own id
    CONTENT = 2  # the row's content: once in its file


UNKNOWN: Final = -1  # a known_at that nothing states
ROWS_OF_A_FILE: Final = 1 << 40  # more than any file has
SHARED: Final = pa.dictionary(pa.int32(), pa.string())  # values that many drafts share
DRAFT_SCHEMA: Final = pa.schema(
    [
        pa.field("deal_id", SHARED),
        pa.field("kind", pa.int8()),  # a code of KIND_CODES
        pa.field("occurred_at", pa.int64()),  # microseconds since 1970 UTC
        pa.field("known_at", pa.int64()),  # or UNKNOWN
        pa.field("name", pa.string()),
        pa.field("text", pa.string()),
        pa.field("number", pa.float64()),
        pa.field("date", pa.date32()),
        pa.field("person", SHARED),  # not hashed yet
        pa.field("thread", pa.string()),
        pa.field("span", pa.float64()),  # days
        pa.field("row_id", pa.string()),  # None for Identity.FACT
        pa.field("row", pa.int64()),  # file number * ROWS_OF_A_FILE + row in the file
        pa.field("origin", pa.int8()),  # an Origin
        pa.field("identity", pa.int8()),  # an Identity
    ]
)


def drafts_of(columns: dict[str, pa.Array], count: int) -> pa.Table:
    """A table of drafts from some of its columns; the others are missing.

    Examples
    --------
    >>> drafts_of({"deal_id": pa.array(["D-1"])}, 1)["text"].null_count
    1
    """
    arrays = [
        columns[field.name] if field.name in columns else pa.nulls(count, field.type)
        for field in DRAFT_SCHEMA
    ]
    return pa.table(arrays, schema=DRAFT_SCHEMA)


def repeat(value: int, count: int) -> pa.Array:
    """One code for all drafts."""
    return pa.array(np.full(count, value, np.int8))


def keys(row: Longs, file: int) -> pa.Array:
    """Rows of a file as numbers that no other file's rows have."""
    return pa.array(row + file * ROWS_OF_A_FILE)
