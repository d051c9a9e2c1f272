"""Single values of a JSON form: each is of its type, or refused with its name.

Every reader takes the field's name, for the error, and the decoded value.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from model.errors import RedflareError
from model.events import EARLIEST_DATE, IMPOSSIBLE_DAY, LATEST_DATE, check_time, parse_time
from service.json_text import show


class FormError(RedflareError):
    """A value is not of the documented form. Correct the value."""


def read_text(name: str, value: Any) -> str:
    """A text.

    Raises
    ------
    FormError
        If it is none.
    """
    if type(value) is not str:
        raise FormError(f"{name} {show(value)}", "a text", "send it in quotes")
    return value


def read_time(name: str, value: Any) -> datetime:
    """A time with its offset from UTC, as UTC.

    Raises
    ------
    FormError, EventError
        If it is no text, no time, a naive one, or one that cannot be a fact.

    Examples
    --------
    >>> read_time("as_of", "2026-01-05T10:30:00+01:00").isoformat()
    '2026-01-05T09:30:00+00:00'
    """
    text = read_text(name, value)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return parse_time(name, text)  # says what is wrong with it
    check_time(name, time)
    return time if time.tzinfo is UTC else time.astimezone(UTC)


def read_date(name: str, value: Any) -> date:
    """A calendar date.

    Raises
    ------
    FormError
        If it is not written as 2026-03-31.
    """
    text = read_text(name, value)
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        if IMPOSSIBLE_DAY.fullmatch(text):
            expected = f"a day of the calendar ({error})"
            raise FormError(f"{name} {text!r}", expected, "correct it") from error
        day = None
    if day is None or day.isoformat() != text:
        raise FormError(f"{name} {text!r}", "a date", "write it as 2026-03-31")
    return day


def read_near_date(name: str, value: Any) -> date:
    """A calendar date that can be a fact's or a plan's.

    Raises
    ------
    FormError
        If it is not written as 2026-03-31, or lies outside 1970 to 2199.
    """
    day = read_date(name, value)
    if not EARLIEST_DATE <= day < LATEST_DATE:
        raise FormError(f"{name} {day}", "a date from 1970 to 2199", "correct it")
    return day


def read_number(name: str, value: Any) -> float:
    """A number, not a truth value.

    Raises
    ------
    FormError
        If it is none, or larger than a float.
    """
    if type(value) is not float and type(value) is not int:
        raise FormError(f"{name} {show(value)}", "a number", "leave quotes out")
    try:
        return float(value)
    except OverflowError as error:
        raise FormError(f"{name} {show(value)}", "a smaller number", "round it") from error


def read_id(name: str, value: Any) -> str:
    """A text that is not empty.

    Raises
    ------
    FormError
        If it is none.
    """
    if not read_text(name, value):
        raise FormError(f"{name} ''", "a text that is not empty", f"give the {name}")
    return str(value)


def read_flag(name: str, value: Any) -> bool:
    """A truth value.

    Raises
    ------
    FormError
        If it is none.
    """
    if type(value) is not bool:
        raise FormError(f"{name} {show(value)}", "true or false", "leave quotes out")
    return value


def read_count(name: str, value: Any, most: int) -> int:
    """A whole number from 0 to `most`.

    Raises
    ------
    FormError
        If it is none.

    Examples
    --------
    >>> read_count("drivers", 5.0, 10)  # JSON has one kind of number
    5
    """
    number = read_number(name, value)
    if not (0 <= number <= most and number.is_integer()):
        given = f"{name} {show(value)}"
        raise FormError(given, f"a whole number from 0 to {most}", "correct it")
    return int(number)


def read_object(name: str, value: Any) -> dict[str, Any]:
    """A JSON object.

    Raises
    ------
    FormError
        If it is none.
    """
    if type(value) is not dict:
        raise FormError(f"{name} {show(value)}", "an object", "see the example in /openapi.json")
    return value


def read_list(name: str, value: Any) -> list[Any]:
    """A JSON array.

    Raises
    ------
    FormError
        If it is none.
    """
    if type(value) is not list:
        raise FormError(f"{name} {show(value)}", "a list", "see the example in /openapi.json")
    return value
