"""The keys of a mapping's tables, each asked for and checked, so that an error can name it."""

from __future__ import annotations

from collections.abc import Mapping as Table
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from model.errors import MappingError
from model.sources.mapping import Column, Filter


class Keys:
    """A table of a mapping, whose every key must be asked for by `close`.

    Each answer is checked for its type, so that an error names the file, the key and what was
    expected there.
    """

    def __init__(self, table: Table[str, Any], given: str, place: str = "") -> None:
        self.table = table
        self.given = given
        self.place = place
        self.asked: set[str] = set()

    def error(self, key: str, expected: str, remedy: str) -> MappingError:
        """The error of a key of this table."""
        where = f"{self.place}.{key}" if self.place else key
        value = f" = {self.table[key]!r}" if key in self.table else ""
        return MappingError(f"{self.given}, key {where}{value}", expected, remedy)

    def take(self, key: str) -> Any:
        """The value of a key, None where it is absent."""
        self.asked.add(key)
        return self.table.get(key)

    def text(self, key: str, default: str = "", choices: Sequence[str] = ()) -> str:
        """One text, of the choices if there are any."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, str) or (choices and value not in choices):
            expected = "one of " + ", ".join(choices) if choices else "a text"
            raise self.error(key, expected, "correct the entry")
        return value

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """One text or a list of them."""
        value = self.take(key)
        if value is None:
            return default
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "a text or a list of texts", "correct the entry")
        return tuple(value)

    def column(self, key: str, *, needed: bool = False) -> Column | None:
        """A column, or several of which the first with a value counts."""
        names = self.texts(key)
        if needed and not names:
            raise self.error(key, "a column", f"name the column that holds the {key}")
        return column_of(names) if names else None

    def needed_column(self, key: str) -> Column:
        """The same where there must be one."""
        column = self.column(key, needed=True)
        return Column(names=()) if column is None else column

    def tables(self, key: str) -> list[Keys]:
        """A list of tables."""
        value = self.take(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, f"tables written [[{key}]]", "correct the entry")
        place = f"{self.place}.{key}" if self.place else key
        return [
            Keys(item, self.given, f"{place}[{number}]") for number, item in enumerate(value, 1)
        ]

    def inner(self, key: str) -> Keys:
        """A table of this one, empty where it is absent."""
        value = self.take(key)
        if value is not None and not isinstance(value, dict):
            raise self.error(key, "a table", "write it as { name = value }")
        return Keys(value or {}, self.given, f"{self.place}.{key}" if self.place else key)

    def filter(self, key: str) -> Filter:
        """Columns with the patterns they may match."""
        keys = self.inner(key)
        return tuple((column, keys.texts(column)) for column in keys.table)

    def close(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self.table:
            if key not in self.asked:
                near = get_close_matches(key, self.asked, 1)
                meant = f"did you mean {near[0]}?" if near else "remove it"
                raise self.error(key, "one of " + ", ".join(sorted(self.asked)), meant)


def column_of(names: Sequence[str]) -> Column:
    """Columns as a mapping writes them; a question mark says that the file may lack it.

    Examples
    --------
    >>> column_of(["Id", "CaseId?"])
    Column(names=('Id', 'CaseId'), optional=True)
    """
    optional = any(name.endswith("?") for name in names)
    return Column(names=tuple(name.removesuffix("?") for name in names), optional=optional)
