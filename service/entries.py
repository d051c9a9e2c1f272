"""Tables of a configuration file: sources of webhooks, and destinations of what is written back."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from model.errors import RedflareError

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
MOST_SECRETS: Final = 2  # the one in use, and the one it is exchanged for
LEAST_SECRET_BYTES: Final = 16  # a shorter one is a password to be guessed


class EntryError(RedflareError):
    """A configuration file cannot be used. Correct the named entry."""


def read_tables(path: Path, variable: str, what: str) -> dict[str, Any]:
    """The tables ``[what.NAME]`` of a TOML file, by name.

    Parameters
    ----------
    path
        The file.
    variable
        That named it.
    what
        ``sources`` or ``destinations``; there may be nothing else.

    Raises
    ------
    EntryError
        If the file cannot be read, or holds something else.
    """
    try:
        form = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise EntryError(
            f"{variable} {path}", f"a file that can be read ({error.strerror})", "correct it"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EntryError(f"{path}", f"TOML in UTF-8 ({error})", "correct that line") from error
    tables = form.pop(what, {})
    if form or type(tables) is not dict:
        name = next(iter(form), what)
        raise EntryError(f"{path}, key {name}", f"tables [{what}.NAME]", "write it as one")
    return tables


class Entries:
    """The entries of one table ``[sources.NAME]``, each checked, so that an error can name it.

    Parameters
    ----------
    what
        ``source`` or ``destination``.
    name
        The table's own.
    table
        As TOML has it.
    given
        The file, for messages.
    environment
        Where secrets may be.
    """

    def __init__(
        self, what: str, name: str, table: Any, given: str, environment: Mapping[str, str]
    ) -> None:
        self.place = f"{given}, {what} {name!r}"
        self.environment = environment
        if not NAME.fullmatch(name):
            raise EntryError(self.place, "small letters, digits and hyphens", "rename it")
        if type(table) is not dict:
            raise EntryError(self.place, f"a table [{what}s.{name}]", "write it as one")
        self.table = table

    def error(self, key: str, expected: str, remedy: str) -> EntryError:
        """The error of an entry; a secret's value is not told."""
        shown = key in self.table and key != "secrets"
        value = f" = {self.table[key]!r}" if shown else ""
        return EntryError(f"{self.place}, key {key}{value}", expected, remedy)

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self.table.get(key, default)
        if type(value) is not str or (not value and default is None):
            raise self.error(key, "a text", f'write {key} = "..."')
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.table.get(key, [])
        if type(value) is not list or not all(type(item) is str and item for item in value):
            raise self.error(key, "a list of texts", f'write {key} = ["..."]')
        return tuple(value)

    def numbers(self, key: str) -> tuple[tuple[str, float], ...]:
        """Numbers by name."""
        value = self.table.get(key, {})
        if type(value) is not dict or not all(type(n) in (int, float) for n in value.values()):
            raise self.error(key, "numbers by name", f"write {key} = {{ offer = 3 }}")
        return tuple((name, float(number)) for name, number in value.items())

    def whole(self, key: str, default: int, most: int) -> int:
        """A whole number from 1."""
        value = self.table.get(key, default)
        if type(value) is not int or not 1 <= value <= most:
            raise self.error(key, f"a whole number from 1 to {most}", f"write {key} = {default}")
        return value

    def secrets(self, least_bytes: int = LEAST_SECRET_BYTES) -> tuple[str, ...]:
        """One or two secrets, as they are or from the environment."""
        value = self.table.get("secrets")
        if type(value) is not list or not 1 <= len(value) <= MOST_SECRETS:
            raise self.error(
                "secrets",
                "one secret, or two while one is exchanged for the other",
                'write secrets = ["..."] or secrets = [{ variable = "NAME" }]',
            )
        return tuple(self._secret(item, least_bytes) for item in value)

    def _secret(self, item: Any, least_bytes: int) -> str:
        if type(item) is dict and item.keys() == {"variable"}:
            variable = item["variable"]
            item = self.environment.get(variable) if type(variable) is str else None
            if not item:
                raise self.error("secrets", f"a secret in the variable {variable}", "set it")
        if type(item) is not str or len(item.encode()) < least_bytes:
            raise self.error(
                "secrets", f"texts of at least {least_bytes} bytes", "make longer ones"
            )
        return item

    def check_names(self, known: tuple[str, ...]) -> None:
        """Refuse entries that nobody documented."""
        for key in self.table:
            if key not in known:
                near = get_close_matches(key, known, 1)
                meant = f"did you mean {near[0]}?" if near else "remove it"
                raise self.error(key, "one of " + ", ".join(known), meant)

    def names(self, key: str, known: tuple[str, ...]) -> dict[str, str]:
        """Names by name, of those known."""
        value = self.table.get(key)
        if type(value) is not dict or not value or not all(n in known for n in value.values()):
            raise self.error(
                key,
                "values by field, of " + ", ".join(known),
                f'write {key} = {{ field = "value" }}',
            )
        return value
