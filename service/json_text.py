"""JSON read strictly: no NaN, no name twice in an object, no half of a character.

References
----------
RFC 8259, The JavaScript Object Notation (JSON). RFC 6901, JSON Pointer.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from model.errors import RedflareError

PERHAPS_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")  # escapes one half of a surrogate pair


class JsonTextError(RedflareError):
    """A text is not JSON as it must be. Correct the text."""


def read_json(body: bytes) -> Any:
    """Decode a JSON text.

    Parameters
    ----------
    body
        UTF-8.

    Returns
    -------
    Any
        Dicts, lists, texts, numbers, booleans and None. A number too large for a float is inf.

    Raises
    ------
    JsonTextError
        If it is no JSON, or one whose meaning readers differ about.

    Examples
    --------
    >>> read_json(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    service.json_text.JsonTextError: 'a' twice in one object: expected each name once. \
Remedy: leave one out.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise JsonTextError(
            f"byte {body[error.start]:#04x} at {error.start}", "UTF-8", "encode the text as UTF-8"
        ) from error
    try:
        value = _DECODER.decode(text)
        if "\\" in text and PERHAPS_HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise JsonTextError(
            f"line {error.lineno}, column {error.colno}: {error.msg}", "JSON", "correct it there"
        ) from error
    except UnicodeEncodeError as error:
        raise JsonTextError(
            "an escaped half of a surrogate pair", "whole characters", "escape both halves"
        ) from error
    except RecursionError as error:
        raise JsonTextError("deeply nested JSON", "a few levels", "flatten it") from error
    except JsonTextError:
        raise
    except ValueError as error:  # Python refuses to read a whole number that long
        raise JsonTextError("a number of thousands of digits", "fewer", "round it") from error
    return value


def pointer(*steps: str | int) -> str:
    """The JSON pointer that leads through these members and indices.

    Examples
    --------
    >>> pointer("feeds", "crm/eu", 0)
    '/feeds/crm~1eu/0'
    """
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def show(value: object) -> str:
    """A JSON value as an error names it: scalars as they are, the rest by its type.

    Examples
    --------
    >>> [show(value) for value in (None, True, 7, "a", [1], {})]
    ['null', 'true', '7', "'a'", 'a list', 'an object']
    """
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) != len(members):
        seen: set[str] = set()
        for twice, _ in members:
            if twice in seen:
                break
            seen.add(twice)
        raise JsonTextError(f"{twice!r} twice in one object", "each name once", "leave one out")
    return unique


def _no_constant(name: str) -> NoReturn:
    raise JsonTextError(name, "a finite number", "leave unknown values out")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
