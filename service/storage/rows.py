"""Small things that every table's module needs."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

from model.errors import EventError

AnyRow = Row[*tuple[Any, ...]]
Insert = postgresql.Insert | sqlite.Insert


def insert_into(connection: Connection, table: Table) -> Insert:
    """An insertion that can say what to do on a conflict, which each database's own alone can."""
    return _insert(table, connection.dialect.name)


def _insert(table: Table, dialect: str) -> Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@cache
def insertion(table: Table, key: tuple[str, ...], dialect: str) -> Executable:
    """An insertion that leaves rows as they are whose key is there, and answers the keys it made.

    One statement for good: to make it anew takes as long as to execute it.

    Parameters
    ----------
    table
        The table.
    key
        Its columns of which no two rows have the same.
    dialect
        The database's, by name.
    """
    return (
        _insert(table, dialect)
        .on_conflict_do_nothing(index_elements=key)
        .returning(*(table.c[name] for name in key))
    )


def json_of(value: object) -> str:
    """One text for one value, in the order given."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def check_text(name: str, text: str) -> None:
    r"""Refuse a text that a database cannot hold.

    Raises
    ------
    EventError
        If it has a NUL character, or one that UTF-8 does not have.

    Examples
    --------
    >>> check_text("name", "a\0b")
    Traceback (most recent call last):
    model.errors.EventError: name with the character U+0000: expected ...
    """
    if text.isascii() and "\0" not in text:
        return
    for character in text:
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise EventError(
                f"{name} with the character U+{ord(character):04X}",
                "text that a database holds",
                "leave the character out",
            )


def check_length(name: str, text: str, most: int | None) -> None:
    """Refuse a text that is too long to be put in order.

    Parameters
    ----------
    name, text
        What it is called, and itself.
    most
        Bytes in UTF-8; None takes any.

    Raises
    ------
    EventError
        If it is longer.

    Examples
    --------
    >>> check_length("source_id", "call/1", 1_200)
    """
    if most is None or 4 * len(text) <= most:  # no character takes more
        return
    size = len(text.encode())
    if size > most:
        raise EventError(
            f"{name} of {size:,} bytes ({text[:40]!r}...)", f"at most {most:,}", "shorten it"
        )
