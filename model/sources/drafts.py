"""Drafts: what single rows say, before rows are seen together.

A draft is an event without its final id. Most become events as they are; the others wait for
what only all rows together can tell: whether a value changed, what it was at the opening,
whether a better source knows the closing.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import pyarrow as pa


class Origin(IntEnum):
    """What a draft must still pass."""

    FACT = 0  # an event as it stands
    STATE = 1  # an event only where the value differs from the deal's value before
    EXPORT = 2  # true when exported: stands for the opening only if a history knows no better
    CLOSING = 3  # a closing told by the deal's row: stands only if no history tells one
    FORMER = 4  # no event: what a value was before the change in the same row


DRAFT_SCHEMA: Final = pa.schema(
    [
        pa.field("deal_id", pa.string()),
        pa.field("kind", pa.int8()),  # a code of KIND_CODES
        pa.field("occurred_at", pa.int64()),  # microseconds since 1970 UTC
        pa.field("known_at", pa.int64()),
        pa.field("name", pa.string()),
        pa.field("text", pa.string()),
        pa.field("number", pa.float64()),
        pa.field("date", pa.date32()),
        pa.field("person", pa.string()),
        pa.field("thread", pa.string()),
        pa.field("span", pa.float64()),  # days
        pa.field("row_id", pa.string()),  # None: the id is the fact's own
        pa.field("row", pa.int64()),  # file number * ROWS_OF_A_FILE + row in the file
        pa.field("origin", pa.int8()),  # an Origin
    ]
)
ROWS_OF_A_FILE: Final = 1 << 40  # more than any file has
