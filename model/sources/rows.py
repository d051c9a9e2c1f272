"""Rows of somebody's file, by the column names of a mapping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import MappingError
from model.sources.contents import contents
from model.sources.mapping import Column, Filter
from model.sources.values import Flags, Longs

BETWEEN: Final = "\x1f"  # ASCII unit separator: no export holds it inside a value


def plain(name: str) -> str:
    """A column's name without case, blanks and underscores, so CloseDate meets close_date.

    Examples
    --------
    >>> plain("Close_Date") == plain("close date") == plain("CloseDate")
    True
    """
    return name.casefold().replace("_", "").replace(" ", "")


@dataclass(frozen=True)
class Header:
    """The columns of a file, found by the names that a mapping uses.

    Parameters
    ----------
    names
        The columns.
    prefixes
        Beginnings that a mapping may leave out.

    Examples
    --------
    >>> Header(("deal_id", "property_closedate"), ("property_",)).find("CloseDate")
    'property_closedate'
    """

    names: tuple[str, ...]
    prefixes: tuple[str, ...] = ()
    found: dict[str, str | None] = field(default_factory=dict, compare=False)

    def find(self, name: str) -> str | None:
        """The file's own name of a column, None where it has none."""
        name = name.removesuffix("?")
        if name not in self.found:
            self.found[name] = self._search(name)
        return self.found[name]

    def _search(self, name: str) -> str | None:
        if name in self.names:
            return name
        for prefix in ("", *self.prefixes):
            meant = [own for own in self.names if plain(own) == plain(prefix + name)]
            if len(meant) > 1:
                raise MappingError(
                    f"column {name!r}, which may be {' or '.join(meant)}",
                    "the exact name of one column",
                    "write it in the mapping as the file does",
                )
            if meant:
                return meant[0]
        return None

    def has(self, column: Column) -> bool:
        """Whether any of the alternatives is there."""
        return any(self.find(name) is not None for name in column.names)

    def lacking(self, columns: Iterable[Column]) -> list[str]:
        """The columns that are needed and not there, the nearest of the file's beside them."""
        missing = []
        for column in columns:
            if column.optional or self.has(column):
                continue
            near = get_close_matches(column.names[0], self.names, 1, 0.7)
            meant = f" (there is {near[0]})" if near else ""
            missing.append(" or ".join(column.names) + meant)
        return missing


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Some rows of one file.

    Parameters
    ----------
    header
        The columns' names.
    columns
        Their values, each of shape (N,).
    row
        The number of each row in its file, from zero. Shape (N,).
    nulls
        Texts that stand for nothing.
    """

    header: Header
    columns: dict[str, pa.Array]
    row: Longs
    nulls: tuple[str, ...] = ("",)

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: npt.NDArray[np.intp] | Flags) -> Rows:
        """Only the rows of an index or mask."""
        if index.dtype == np.bool_:
            if index.all():
                return self
            index = np.flatnonzero(index)
        where = pa.array(index)
        return Rows(
            header=self.header,
            columns={name: values.take(where) for name, values in self.columns.items()},
            row=self.row[index],
            nulls=self.nulls,
        )

    def raw(self, column: Column) -> pa.Array:
        """The values as the file types them; of alternatives the first with a value."""
        names = [own for own in map(self.header.find, column.names) if own in self.columns]
        if not names:
            return pa.nulls(len(self), pa.string())
        if len(names) == 1:
            return self._known(self.columns[names[0]])
        return pc.coalesce(*(self.text(Column(names=(name,))) for name in names))

    def _known(self, values: pa.Array) -> pa.Array:
        if pa.types.is_null(values.type):
            return values.cast(pa.string())
        if not pa.types.is_string(values.type):
            return values
        nothing = pc.is_in(values, value_set=pa.array(self.nulls))
        if pc.any(nothing).as_py():
            return pc.if_else(nothing, pa.scalar(None, pa.string()), values)
        return values

    def text(self, column: Column) -> pa.Array:
        """The values as text without blanks around, missing where there is nothing."""
        values = self.raw(column)
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        trimmed = pc.utf8_trim_whitespace(values.cast(pa.string()))
        return self._known(trimmed)

    def joined(self, names: Sequence[str]) -> pa.Array:
        """Several columns as one text with blanks between; missing where all are."""
        texts = [self.text(Column(names=(name,))) for name in names]
        if len(texts) == 1:
            return texts[0]
        text = pc.binary_join_element_wise(*texts, " ", null_handling="skip")
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)

    def matching(self, wanted: Filter) -> Flags:
        """Which rows satisfy every entry of a filter. Shape (N,)."""
        flags = np.ones(len(self), np.bool_)
        for name, patterns in wanted:
            coded = self.text(Column(names=(name.removesuffix("?"),))).dictionary_encode()
            fits = [matches(value, patterns) for value in coded.dictionary.to_pylist()]
            fits.append("" in patterns)  # a missing value
            index = np.asarray(coded.indices.fill_null(len(fits) - 1))
            flags &= np.array(fits, np.bool_)[index]
        return flags

    def contents(self) -> npt.NDArray[np.uint64]:
        """Two numbers for each row's content, whatever the order of the columns. Shape (N, 2)."""
        texts = [
            pc.coalesce(self.columns[name].cast(pa.string()), "") for name in sorted(self.columns)
        ]
        return contents(pc.binary_join_element_wise(*texts, BETWEEN))


def matches(value: str, patterns: Sequence[str]) -> bool:
    """Whether a text is one of the patterns, where * and ? stand for anything.

    Examples
    --------
    >>> matches("Closed Won", ["closed*"]), matches("Open", ["closed*", "won"])
    (True, False)
    """
    return any(_compiled(pattern).fullmatch(value) for pattern in patterns)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(wild, re.IGNORECASE | re.DOTALL)
