"""Which of the given files is what, by their names and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from model.sources.mapping import Column, Lookup, Mapping, Record
from model.sources.needs import needed_columns
from model.sources.rows import Header, plain
from training.mailbox import MAIL_SUFFIXES, open_mails
from training.reading import (
    CSV_SUFFIXES,
    JSON_SUFFIXES,
    PARQUET_SUFFIXES,
    InputError,
    Source,
    open_source,
)

READABLE: Final = (*CSV_SUFFIXES, *PARQUET_SUFFIXES, *JSON_SUFFIXES, *MAIL_SUFFIXES)


@dataclass(frozen=True, kw_only=True)
class Input:
    """One file and what the mapping makes of it.

    Parameters
    ----------
    number
        Its place among the files.
    source, header
        The file and its columns.
    records, lookups
        What it is; one file may be several, and one that is nothing is left alone.
    """

    number: int
    source: Source
    header: Header
    records: list[Record]
    lookups: list[Lookup]

    @property
    def path(self) -> Path:
        """The file."""
        return self.source.path

    @property
    def ignored(self) -> bool:
        """Whether the mapping leaves the file alone."""
        return not self.records and not self.lookups


def open_inputs(mapping: Mapping, paths: Sequence[Path]) -> list[Input]:
    """Look into all files and say what each is.

    Parameters
    ----------
    mapping
        Its records and lookups say which files they read.
    paths
        The files.

    Raises
    ------
    InputError
        If a file cannot be read or is nothing that the mapping knows, or none has records.
    """
    inputs = [_open(mapping, number, path) for number, path in enumerate(paths)]
    if not any(record.rows != "stage" for given in inputs for record in given.records):
        names = ", ".join(str(path) for path in paths)
        titles = ", ".join(record.title for record in mapping.records if record.rows != "stage")
        raise InputError(
            f"{names} with mapping {mapping.given}",
            f"at least one file with events: {titles}",
            "add such a file, or check the files' names and columns",
        )
    return inputs


def _open(mapping: Mapping, number: int, path: Path) -> Input:
    if path.is_dir():
        held = {file.suffix.lower() for file in path.iterdir()}
        named = [f"{path}/*{suffix}" for suffix in READABLE if suffix in held]
        none = f"none ends in {', '.join(READABLE)}"
        remedy = "name the files in it: " + (" ".join(named) or none)
        raise InputError(f"{path}, a directory", "a file", remedy)
    if path.suffix.lower() in MAIL_SUFFIXES and path.is_file():
        source: Source = open_mails(path, mapping.mail)
    else:
        source = open_source(path, delimiter=mapping.delimiter, encoding=mapping.encoding)
    header = Header(source.names, mapping.prefixes)
    given = Input(
        number=number,
        source=source,
        header=header,
        records=[record for record in mapping.records if _fits(mapping, record, source, header)],
        lookups=[lookup for lookup in mapping.lookups if _fits(mapping, lookup, source, header)],
    )
    if given.ignored and not _named(path, mapping.ignore):
        raise _unknown(mapping, mapping.records + mapping.lookups, source, header)
    _refuse_namesake(mapping, given)
    return given


def _refuse_namesake(mapping: Mapping, given: Input) -> None:
    """Refuse a file that is no events only because the record of its name lacks a column."""
    if any(record.rows != "stage" for record in given.records):
        return
    for record in mapping.records:
        other = any(given.header.find(column) for column in record.without)
        if record.rows != "stage" and _is_namesake(record, given.path) and not other:
            raise _unknown(mapping, [record], given.source, given.header)


def _is_namesake(part: Record | Lookup, path: Path) -> bool:
    """Whether a file is called like a record or lookup, whatever stands around the name."""
    return plain(part.title) in (plain(path.stem), plain(path.stem).removesuffix("s"))


def _fits(mapping: Mapping, part: Record | Lookup, source: Source, header: Header) -> bool:
    if part.files and not _named(source.path, part.files):
        return False
    if any(header.find(column) for column in part.without):
        return False
    lacking = header.lacking(needed_of(part))
    if lacking and part.files:
        raise _unknown(mapping, [part], source, header)
    return not lacking


def _named(path: Path, globs: Sequence[str]) -> bool:
    return any(fnmatch(path.name.lower(), glob.lower()) for glob in globs)


def needed_of(part: Record | Lookup) -> list[Column]:
    """The columns without which a file is nothing of a record or lookup."""
    if isinstance(part, Record):
        return needed_columns(part)
    names = [*part.columns, *(name for name, _ in part.where if not name.endswith("?"))]
    return [*(Column(names=(name,)) for name in names), part.key]


def _unknown(
    mapping: Mapping, parts: Sequence[Record | Lookup], source: Source, header: Header
) -> InputError:
    """The error of a file without the columns that the nearest of some parts needs.

    Nearest is the part that the file is called like, else the one that lacks the fewest columns.
    """

    def distance(part: Record | Lookup) -> tuple[bool, int, bool]:
        lacking = len(header.lacking(needed_of(part)))
        events = isinstance(part, Record) and part.rows != "stage"
        return not _is_namesake(part, source.path), lacking, not events

    nearest = min(parts, key=distance)
    lacking = list(dict.fromkeys(header.lacking(needed_of(nearest))))
    missing = "the column " if len(lacking) == 1 else "the columns "
    expected = missing + ", ".join(lacking) if lacking else "a file name of its records"
    return InputError(
        f"{source.path} with the columns {', '.join(header.names)}",
        f"{expected} for {nearest.title!r} of mapping {mapping.given}",
        "name the file's own columns in the mapping, or leave the file out",
    )
