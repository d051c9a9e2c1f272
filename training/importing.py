"""Import files by a mapping: read, translate, assemble, merge, and say what became of each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.event_table import EVENT_SCHEMA, read_events, write_events
from model.sources.assemble import Stages, assemble
from model.sources.drafts import DRAFT_SCHEMA, ROWS_OF_A_FILE
from model.sources.joins import join
from model.sources.mapping import Column, Lookup, Mapping, Record
from model.sources.rows import Header, Rows
from model.sources.translate import Refusal, Translator, needed_columns, used_columns, value_names
from training.reading import CSV_SUFFIXES, InputError, Source, open_source
from training.rejects import Reject, lines_of

Longs = npt.NDArray[np.int64]
Progress = Callable[[int], None]
PersonKey = Callable[[], bytes]


@dataclass(kw_only=True)
class Summary:
    """What became of the rows.

    Parameters
    ----------
    rows_read
        Rows of all files.
    events_written, events_there, events_superseded
        New events, events that were there already, and those that a better source replaced.
    rejected
        Rows rejected, by reason.
    left_out
        Rows that the mapping leaves out: other lifecycles, deleted records, dropped activities.
    never_opened
        Rows of deals that were never opened.
    closings_repeated
        Closings after the one that stands.
    values_emptied
        Changes to nothing, which no event can say.
    known_defaulted
        Rows without a known_at of their own: occurred_at stands for it.
    known_raised
        Events whose known_at lay before occurred_at and was raised to it.
    export_only
        Columns that say only how things stood when exported: left out.
    files_ignored
        Files that the mapping leaves alone.
    """

    rows_read: int = 0
    events_written: int = 0
    events_there: int = 0
    events_superseded: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    never_opened: int = 0
    closings_repeated: int = 0
    values_emptied: int = 0
    known_defaulted: int = 0
    known_raised: int = 0
    export_only: list[str] = field(default_factory=list)
    files_ignored: list[str] = field(default_factory=list)

    @property
    def rows_rejected(self) -> int:
        """Rows rejected for any reason."""
        return sum(self.rejected.values())

    def as_json(self) -> dict[str, Any]:
        """All counts, for programs."""
        return {**asdict(self), "rows_rejected": self.rows_rejected}


def import_files(
    mapping: Mapping,
    paths: Sequence[Path],
    out: Path,
    *,
    person_key: PersonKey,
    progress: Progress = lambda _: None,
) -> tuple[Summary, list[Reject]]:
    """Add the events of files to an event log, whole or not at all.

    Parameters
    ----------
    mapping
        What the files' columns mean.
    paths
        The files.
    out
        The event log; events that it holds stay.
    person_key
        Answers the key under which people are hashed; asked only if there are people.
    progress
        Called with the bytes read.

    Returns
    -------
    tuple
        What became of the rows, and those rejected.

    Raises
    ------
    InputError
        If a file cannot be read, or is no file of this mapping.
    """
    return _Import(mapping, paths, out, person_key, progress).run()


@dataclass(kw_only=True)
class _File:
    """One file and what the mapping makes of it."""

    number: int
    source: Source
    header: Header
    records: list[Record]
    lookups: list[Lookup]


class _Import:
    def __init__(
        self,
        mapping: Mapping,
        paths: Sequence[Path],
        out: Path,
        person_key: PersonKey,
        progress: Progress,
    ) -> None:
        self.mapping = mapping
        self.out = out
        self.person_key = person_key
        self.progress = progress
        self.summary = Summary()
        self.found_bad: list[tuple[int, int, str, str | None, str]] = []
        self.stages = Stages(won=list(mapping.won_stages), lost=list(mapping.lost_stages))
        self.lookups: dict[str, list[Rows]] = {}
        self.drafts: list[pa.Table] = []
        self.refused: dict[int, set[int]] = {}
        self.files = [self._open(number, path) for number, path in enumerate(paths)]
        if not any(file.records for file in self.files):
            names = ", ".join(str(path) for path in paths)
            raise InputError(
                f"{names} with mapping {mapping.given}",
                "at least one file of one of its records",
                "check the files' names and columns",
            )

    # Which file is what

    def _open(self, number: int, path: Path) -> _File:
        mapping = self.mapping
        source = open_source(path, delimiter=mapping.delimiter, encoding=mapping.encoding)
        header = Header(source.names, mapping.prefixes)
        records = [record for record in mapping.records if self._fits(record, source, header)]
        lookups = [lookup for lookup in mapping.lookups if self._fits(lookup, source, header)]
        file = _File(number=number, source=source, header=header, records=records, lookups=lookups)
        if not records and not lookups:
            if not any(fnmatch(path.name.lower(), glob.lower()) for glob in mapping.ignore):
                raise self._unknown_file(source, header)
            self.summary.files_ignored.append(path.name)
        return file

    def _fits(self, part: Record | Lookup, source: Source, header: Header) -> bool:
        name = source.path.name.lower()
        named = any(fnmatch(name, glob.lower()) for glob in part.files)
        if part.files and not named:
            return False
        if any(header.find(column) for column in part.without):
            return False
        lacking = header.lacking(_needed(part))
        if lacking and named:
            raise self._unknown_file(source, header)
        return not lacking

    def _unknown_file(self, source: Source, header: Header) -> InputError:
        """The error of a file without the columns that the nearest record needs."""
        parts = [*self.mapping.records, *self.mapping.lookups]
        nearest = min(parts, key=lambda part: len(header.lacking(_needed(part))))
        missing = ", ".join(header.lacking(_needed(nearest))) or "a file name of its records"
        return InputError(
            f"{source.path} with the columns {', '.join(header.names)}",
            f"for {nearest.name!r} of mapping {self.mapping.given} also {missing}",
            "name the columns of the file in the mapping, or leave the file out",
        )

    # Reading

    def run(self) -> tuple[Summary, list[Reject]]:
        for file in self.files:
            for lookup in file.lookups:
                self._read_lookup(file, lookup)
        for file in self.files:
            for record in file.records:
                if record.rows == "stage":
                    self._read_stages(file, record)
        for file in self.files:
            self._read_records(file)
        self._assemble()
        return self.summary, self._rejects()

    def _rows(self, file: _File, batch: pa.RecordBatch, row: Longs) -> Rows:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        return Rows(header=file.header, columns=columns, row=row, nulls=self.mapping.nulls)

    def _read_lookup(self, file: _File, lookup: Lookup) -> None:
        for batch, row in file.source.batches(None, lambda _: None):
            rows = self._rows(file, batch, row)
            chosen = rows.matching(lookup.where)
            if lookup.unless:
                chosen &= ~rows.matching(lookup.unless)
            self.lookups.setdefault(lookup.name, []).append(rows.take(chosen))

    def _read_stages(self, file: _File, record: Record) -> None:
        assert record.stage is not None
        for batch, row in file.source.batches(None, lambda _: None):
            rows = self._rows(file, batch, row)
            names = rows.text(record.stage)
            for wanted, found in ((record.won, self.stages.won), (record.lost, self.stages.lost)):
                if wanted:
                    own = pc.unique(names.filter(pa.array(rows.matching(wanted)))).drop_null()
                    found += [name for name in own.to_pylist() if name not in found]
            if record.order is not None:
                orders = rows.text(record.order).to_pylist()
                for name, order in zip(names.to_pylist(), orders, strict=True):
                    if name is not None and order is not None:
                        self.stages.orders.setdefault(name, float(order))

    def _read_records(self, file: _File) -> None:
        records = [record for record in file.records if record.rows != "stage"]
        if not records:
            return
        named = any(name == "person" for record in records for name in value_names(record))
        key = self.person_key() if named else b""
        hashed = any(not record.source_id for record in records)
        columns = None if hashed else _columns_of(records, file.header)
        translators = [
            Translator(
                mapping=self.mapping,
                record=record,
                file=file.number,
                person_key=key,
                won_stages=self.stages.won,
                lost_stages=self.stages.lost,
            )
            for record in records
        ]
        seen: list[npt.NDArray[np.uint64]] = []
        for batch, row in file.source.batches(columns, self.progress):
            self.summary.rows_read += batch.num_rows
            rows = self._rows(file, batch, row)
            ids = rows.content_ids() if hashed else None
            self._translate(file, translators, rows, ids)
        self.summary.rows_read += len(file.source.bad_rows)
        for bad in file.source.bad_rows:
            self._reject(file, bad.row, "", bad.value, bad.reason)

    def _translate(
        self, file: _File, translators: list[Translator], rows: Rows, ids: pa.Array | None
    ) -> None:
        left: Longs | None = None
        for translator in translators:
            joined, own_ids, unjoined = self._join(translator.record, rows, ids)
            found = translator(joined, None if translator.record.source_id else own_ids)
            self.drafts.append(found.drafts)
            out = np.concatenate([unjoined, found.left_out])
            left = out if left is None else np.intersect1d(left, out)
            for refusal in found.refusals:
                self._refuse(file, refusal)
            self.summary.known_defaulted += found.known_defaulted
            self.summary.known_raised += found.known_raised
            self.summary.values_emptied += found.emptied
        assert left is not None
        self.summary.left_out += len(left)

    def _join(
        self, record: Record, rows: Rows, ids: pa.Array | None
    ) -> tuple[Rows, pa.Array | None, Longs]:
        unjoined = np.zeros(0, np.int64)
        for how in record.joins:
            lookup = next(item for item in self.mapping.lookups if item.name == how.lookup)
            other = _stacked(self.lookups.get(how.lookup, []))
            if other is None:
                if how.needed:
                    return rows.take(np.zeros(0, np.intp)), None, rows.row
                continue
            before = rows.row
            rows, left = join(rows, how, other, lookup.key)
            unjoined = np.concatenate([unjoined, left])
            if ids is not None:
                ids = ids.take(pa.array(np.searchsorted(before, rows.row)))
        return rows, ids, unjoined

    def _refuse(self, file: _File, refusal: Refusal) -> None:
        for row, value in zip(refusal.row.tolist(), refusal.values, strict=True):
            self._reject(file, row, refusal.column, value, refusal.reason)

    def _reject(self, file: _File, row: int, column: str, value: str | None, reason: str) -> None:
        refused = self.refused.setdefault(file.number, set())
        if row in refused:
            return
        refused.add(row)
        self.found_bad.append((file.number, row, column, value, reason))

    def _rejects(self) -> list[Reject]:
        """What was refused, with the line on which each row begins."""
        rejects = []
        by_file: dict[int, dict[int, int]] = {}
        for file in self.files:
            rows = self.refused.get(file.number)
            if rows:
                by_file[file.number] = _lines(file.source, rows)
        for number, row, column, value, reason in sorted(self.found_bad, key=lambda b: b[:2]):
            place = str(self.files[number].source.path)
            line = by_file[number][row]
            rejects.append(Reject(file=place, line=line, column=column, value=value, reason=reason))
        return rejects

    # Together

    def _assemble(self) -> None:
        drafts = pa.concat_tables([DRAFT_SCHEMA.empty_table(), *self.drafts])
        self.drafts.clear()
        existing = read_events(self.out) if self.out.exists() else EVENT_SCHEMA.empty_table()
        found = assemble(
            drafts,
            source=self.mapping.source,
            opens=self.mapping.opens,
            stages=self.stages,
            existing=existing,
        )
        for rows, column, values, reason in found.refused:
            for key, value in zip(rows.tolist(), values, strict=True):
                file = self.files[key // ROWS_OF_A_FILE]
                self._reject(file, key % ROWS_OF_A_FILE, column, value, reason)
        summary = self.summary
        summary.events_written = found.events.num_rows
        summary.events_there = found.already
        summary.events_superseded = int(found.superseded.sum())
        summary.never_opened = len(found.skipped)
        summary.closings_repeated = found.repeated
        summary.export_only = found.unknown_at_opening
        summary.rejected = dict(Counter(reason for *_, reason in self.found_bad))
        if found.events.num_rows or found.superseded.any() or not self.out.exists():
            standing = existing.filter(pa.array(~found.superseded))
            write_events(pa.concat_tables([standing, found.events]), self.out)


def _needed(part: Record | Lookup) -> list[Column]:
    if isinstance(part, Record):
        return needed_columns(part)
    names = [Column(names=(name,)) for name in part.columns]
    return [*names, part.key, *(Column(names=(name,)) for name, _ in part.where)]


def _columns_of(records: Sequence[Record], header: Header) -> list[str]:
    names = [name for record in records for name in used_columns(record)]
    found = [header.find(name) for name in names]
    return list(dict.fromkeys(name for name in found if name is not None))


def _stacked(parts: list[Rows]) -> Rows | None:
    if not parts:
        return None
    names = set.intersection(*(set(part.columns) for part in parts))
    return Rows(
        header=Header(
            tuple(n for n in parts[0].header.names if n in names), parts[0].header.prefixes
        ),
        columns={
            name: pa.chunked_array([part.columns[name] for part in parts]).combine_chunks()
            for name in names
        },
        row=np.concatenate([part.row for part in parts]),
        nulls=parts[0].nulls,
    )


def _lines(source: Source, rows: set[int]) -> dict[int, int]:
    if source.path.suffix.lower() in CSV_SUFFIXES:
        return lines_of(source.path, rows, delimiter=source.delimiter, encoding=source.encoding)
    return {row: row + 1 for row in rows}


def summary_lines(summary: Summary, rejects: Path) -> list[str]:
    """The summary for people: what was read, what was written, and what was not, by reason.

    Examples
    --------
    >>> print(summary_lines(Summary(rows_read=3, events_written=3), Path("rejects.csv"))[0])
    3 rows read, 3 events written
    """
    lines = [
        f"{_count(summary.rows_read, 'row')} read, {_count(summary.events_written, 'event')} written"
    ]
    told = (
        (summary.events_there, "event", "already there"),
        (summary.events_superseded, "event", "replaced by what a history knows better"),
        (summary.left_out, "row", "left out as the mapping says"),
        (summary.never_opened, "row", "skipped: the deal was never opened"),
        (summary.closings_repeated, "closing", "after the one that stands left out"),
        (summary.values_emptied, "change", "to nothing left out"),
        (summary.known_defaulted, "row", "without a known_at: occurred_at stands for it"),
        (summary.known_raised, "event", "known before it occurred: known_at raised to occurred_at"),
    )
    lines += [f"{_count(number, what)} {text}" for number, what, text in told if number]
    if summary.export_only:
        lines.append(
            "point-in-time training is not possible on "
            + ", ".join(summary.export_only)
            + ": known only as exported, with no history of them, and left out"
        )
    if summary.files_ignored:
        lines.append("left alone: " + ", ".join(summary.files_ignored))
    if summary.rejected:
        lines.append(f"{_count(summary.rows_rejected, 'row')} rejected, listed in {rejects}:")
        ordered = sorted(summary.rejected.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"  {number:,} {reason}" for reason, number in ordered]
    return lines


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
