"""Where a page begins, as a text that clients hand back without looking into it."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

import orjson

from service.problems import INVALID, Refused, refused

LONGEST: Final = 2_000  # characters


def cursor_of(*place: str | float | None) -> str:
    """The cursor of a place.

    Examples
    --------
    >>> cursor_of("D-1", 0.25)
    'WyJELTEiLDAuMjVd'
    """
    return urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def place_of(cursor: str, *kinds: type | tuple[type, ...]) -> Sequence[object]:
    """The place of a cursor.

    Parameters
    ----------
    cursor
        As `cursor_of` answered it.
    kinds
        Of the place's parts.

    Raises
    ------
    Refused
        If it is of another list, or none.

    Examples
    --------
    >>> place_of("WyJELTEiLDAuMjVd", str, float)
    ['D-1', 0.25]
    """
    try:
        if len(cursor) > LONGEST:
            raise ValueError(cursor)
        padded = cursor + "=" * (-len(cursor) % 4)
        place = orjson.loads(urlsafe_b64decode(padded.encode("ascii")))
        if type(place) is not list or len(place) != len(kinds):
            raise ValueError(cursor)
        if not all(isinstance(part, kind) for part, kind in zip(place, kinds, strict=True)):
            raise ValueError(cursor)
        if not all(_is_stored(part) for part in place):
            raise ValueError(cursor)
    except (ValueError, binascii.Error) as error:  # JSON and ASCII errors are of the former
        raise no_cursor(cursor) from error
    return list(place)


def _is_stored(part: object) -> bool:
    """Whether a database can hold it."""
    if isinstance(part, bool):  # which is an int to Python
        return False
    if isinstance(part, int):
        return abs(part) < 2**63
    return not isinstance(part, str) or "\0" not in part


def no_cursor(cursor: str) -> Refused:
    """The refusal of a text that is no cursor of the list."""
    return refused(
        INVALID,
        f"after {cursor!r}",
        "what the answer of the page before calls next",
        "leave it out for the first page",
    )
