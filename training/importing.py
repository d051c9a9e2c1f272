"""Import files by a mapping: read, translate, assemble, and add to the event log that is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.event_table import EVENT_SCHEMA, read_events, write_events
from model.events import from_microseconds
from model.sources.assemble import Assembly, assemble
from model.sources.closings import Stages
from model.sources.contents import hexadecimal
from model.sources.drafts import DRAFT_SCHEMA, ROWS_OF_A_FILE
from model.sources.identity import repeats
from model.sources.joins import join
from model.sources.mapping import Lookup, Mapping, Record
from model.sources.needs import needs_person_key, used_columns
from model.sources.rows import Header, Rows, matches, plain
from model.sources.translate import Translator
from model.sources.values import read_numbers
from training.inputs import Input, open_inputs
from training.mailbox import MailSource, settle_places
from training.reading import InputError
from training.rejects import Reject
from training.summary import Summary

Longs = npt.NDArray[np.int64]
Progress = Callable[[int], object]
PersonKey = Callable[[], bytes]
CLOSINGS: Final = ("deal_won", "deal_lost")
ADDRESS_BOOK: Final = "deals"  # the lookup that says whose address is which deal's
Bad = tuple[int, int, str, str | None, str]  # file, row, column, value, reason


def import_files(
    mapping: Mapping,
    paths: Sequence[Path],
    out: Path,
    *,
    person_key: PersonKey,
    keep_rejects: Callable[[list[Reject]], object] = lambda _: None,
    progress: Progress = lambda _: None,
    now: int | None = None,
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
    keep_rejects
        Takes the rejected rows before the event log is written, so that none is ever lost.
    progress
        Called with the bytes read.
    now
        Microseconds since 1970 UTC; what the log says to be known later is counted.

    Returns
    -------
    tuple
        What became of the rows, and those rejected, in the order of file and line.

    Raises
    ------
    InputError
        If a file cannot be read, or is no file of this mapping.
    """
    if any(path.exists() and out.exists() and path.samefile(out) for path in paths):
        raise InputError(f"{out} as both input and --out", "two files", "name another --out")
    inputs = open_inputs(mapping, paths)
    reader = _Reader(mapping, inputs, person_key, progress)
    drafts = reader.read()
    existing = read_events(out) if out.exists() else EVENT_SCHEMA.empty_table()
    found = assemble(
        drafts,
        source=mapping.source,
        opens=mapping.opens,
        stages=reader.stages,
        existing=existing,
        person_key=reader.person_key,
        contents_once=reader.contents_once,
    )
    del drafts
    for refused in found.refused:
        for key, value in zip(refused.row.tolist(), refused.values, strict=True):
            file, row = divmod(key, ROWS_OF_A_FILE)
            reader.reject(file, row, refused.column, value, refused.reason)
    rejected = _rejects(inputs, reader.bad)
    keep_rejects(rejected)
    if found.events.num_rows or found.superseded.any():
        parts = [existing.filter(pa.array(~found.superseded))] if len(existing) else []
        write_events(pa.concat_tables([*parts, found.events]), out)
    standing = existing.filter(pa.array(~found.superseded))
    summary = _summary(reader, found, _kinds(standing) | _kinds(found.events))
    if now is not None:
        known = [
            table["known_at"].cast(pa.int64()).to_numpy() for table in (standing, found.events)
        ]
        later = np.concatenate([each[each > now] for each in known])
        summary.known_later = later.size
        if later.size:
            summary.latest_known = from_microseconds(int(later.max())).date().isoformat()
    return summary, rejected


def _kinds(events: pa.Table) -> set[str]:
    return set(pc.unique(events["kind"]).to_pylist())


def _summary(reader: _Reader, found: Assembly, kinds: set[str]) -> Summary:
    files = Counter((found.never_opened // ROWS_OF_A_FILE).tolist())
    return Summary(
        mapping=reader.mapping.given,
        rows_read=reader.rows_read,
        events_written=found.events.num_rows,
        events_there=found.there,
        events_superseded=int(found.superseded.sum()),
        rejected=dict(Counter(reason for *_, reason in reader.bad)),
        left_out=dict(reader.left_out),
        never_opened={str(reader.inputs[file].path): count for file, count in files.items()},
        openings_repeated=found.opened_again,
        closings_repeated=found.repeated,
        values_emptied=reader.emptied,
        known_defaulted=found.known_defaulted,
        known_raised=found.known_raised,
        export_only=_export_only(reader.inputs, found.export_only),
        lacks_addresses=ADDRESS_BOOK not in reader.lookups
        and any(isinstance(given.source, MailSource) for given in reader.inputs),
        files_ignored=[given.path.name for given in reader.inputs if given.ignored],
        files_empty=[given.path.name for given in reader.inputs if given.number in reader.empty],
        tells_endings=not kinds.isdisjoint(CLOSINGS),
        tells_more_than_openings=kinds != {"deal_opened"},
    )


def _export_only(inputs: Sequence[Input], unknown: Sequence[str]) -> list[str]:
    """The files' own names of the columns that only say how things stand when exported."""
    columns: dict[str, None] = {}
    for given in inputs:
        for record in given.records:
            for kind, field, column in record.current:
                if (field or kind) in unknown and given.header.has(column):
                    columns |= {name: None for name in map(given.header.find, column.names) if name}
            columns |= {
                name: None
                for name in given.header.names
                if any(matches(plain(name), [pattern]) for pattern in record.export_only)
            }
    return list(columns)


def _rejects(inputs: Sequence[Input], bad: Sequence[Bad]) -> list[Reject]:
    """What was refused, with the line on which each row begins."""
    lines = {
        given.number: given.source.lines({row for file, row, *_ in bad if file == given.number})
        for given in inputs
        if any(file == given.number for file, *_ in bad)
    }
    return [
        Reject(
            file=str(inputs[file].path),
            line=lines[file][row],
            column=column,
            value=value,
            reason=reason,
        )
        for file, row, column, value, reason in sorted(bad, key=lambda item: item[:2])
    ]


class _Reader:
    """Reads all files into drafts, and counts what becomes of no draft."""

    def __init__(
        self,
        mapping: Mapping,
        inputs: Sequence[Input],
        person_key: PersonKey,
        progress: Progress,
    ) -> None:
        self.mapping = mapping
        self.inputs = inputs
        self.progress = progress
        self.stages = Stages(won=list(mapping.won_stages), lost=list(mapping.lost_stages))
        self.lookups: dict[str, Rows] = {}
        self.bad: list[Bad] = []
        self.refused: set[tuple[int, int]] = set()
        self.empty: set[int] = set()  # files without any row
        self.drafts: list[pa.Table] = []
        self.contents: list[npt.NDArray[np.uint64]] = []
        self.left_out: Counter[str] = Counter()  # rows, by file
        self.rows_read = self.emptied = 0
        records = [record for given in inputs for record in given.records]
        self.person_key = person_key() if any(map(needs_person_key, records)) else b""
        self.once = all(len(given.records) == 1 for given in inputs if given.records)
        self.once &= not any(record.joins for record in records)

    @property
    def contents_once(self) -> bool:
        """Whether no two rows of all files have the same content."""
        return self.once and not (len(self.contents) > 1 and repeats(self.contents).any())

    def read(self) -> pa.Table:
        """The drafts of all files, lookups and stages first."""
        for given in self.inputs:
            for lookup in given.lookups:
                self._read_lookup(given, lookup)
        mails = [given.source for given in self.inputs if isinstance(given.source, MailSource)]
        settle_places(mails, self.lookups.get(ADDRESS_BOOK), self.mapping.mail)
        for given in self.inputs:
            for record in given.records:
                if record.rows == "stage":
                    self._read_stages(given, record)
        for given in self.inputs:
            records = [record for record in given.records if record.rows != "stage"]
            if records:
                self._read_records(given, records)
        return pa.concat_tables([DRAFT_SCHEMA.empty_table(), *self.drafts])

    def reject(self, file: int, row: int, column: str, value: str | None, reason: str) -> None:
        """Note a row that is not imported; its first reason counts."""
        if (file, row) not in self.refused:
            self.refused.add((file, row))
            self.bad.append((file, row, column, value, reason))

    def _rows(self, given: Input, batch: pa.RecordBatch, row: Longs) -> Rows:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        return Rows(header=given.header, columns=columns, row=row, nulls=self.mapping.nulls)

    def _read_lookup(self, given: Input, lookup: Lookup) -> None:
        parts = [self.lookups[lookup.title]] if lookup.title in self.lookups else []
        for batch, row in given.source.batches(None, lambda _: None):
            rows = self._rows(given, batch, row)
            chosen = rows.matching(lookup.where)
            if lookup.unless:
                chosen &= ~rows.matching(lookup.unless)
            parts.append(rows.take(chosen))
        if parts:
            self.lookups[lookup.title] = _stacked(parts)

    def _read_stages(self, given: Input, record: Record) -> None:
        if record.stage is None:
            return
        for batch, row in given.source.batches(None, lambda _: None):
            rows = self._rows(given, batch, row)
            names = rows.text(record.stage)
            for wanted, found in ((record.won, self.stages.won), (record.lost, self.stages.lost)):
                if wanted:
                    own = pc.unique(names.filter(pa.array(rows.matching(wanted)))).drop_null()
                    found += [name for name in own.to_pylist() if name not in found]
            if record.order is not None:
                orders, _ = read_numbers(rows.raw(record.order), self.mapping.reading)
                for name, order in zip(names.to_pylist(), orders.tolist(), strict=True):
                    if name is not None and isfinite(order):
                        self.stages.orders.setdefault(name, order)

    def _read_records(self, given: Input, records: list[Record]) -> None:
        hashed = any(not record.source_id for record in records)
        columns = None if hashed else _columns_of(records, given.header)
        translators = [
            Translator(
                mapping=self.mapping,
                record=record,
                file=given.number,
                won_stages=self.stages.won,
                lost_stages=self.stages.lost,
            )
            for record in records
        ]
        first = len(self.drafts)
        contents: list[npt.NDArray[np.uint64]] = []
        numbers: list[Longs] = []
        before = self.rows_read
        for batch, row in given.source.batches(columns, self.progress):
            self.rows_read += batch.num_rows
            rows = self._rows(given, batch, row)
            ids = None
            if hashed:
                content = rows.contents()
                contents.append(content[:, 0])
                numbers.append(row)
                ids = hexadecimal(content)
            self._translate(given, translators, rows, ids)
        if contents:
            self._number_repeats(given, contents, np.concatenate(numbers), first)
        self.rows_read += len(given.source.bad_rows)
        if self.rows_read == before:
            self.empty.add(given.number)
        for bad in given.source.bad_rows:
            self.reject(given.number, bad.row, "", bad.value, bad.reason)

    def _translate(
        self, given: Input, translators: list[Translator], rows: Rows, ids: pa.Array | None
    ) -> None:
        left = np.ones(len(rows), np.bool_)
        for translator in translators:
            joined, own_ids, unjoined = self._join(translator.record, rows, ids)
            found = translator(joined, None if translator.record.source_id else own_ids)
            self.drafts.append(found.drafts)
            out = np.zeros(len(rows), np.bool_)
            out[np.searchsorted(rows.row, np.concatenate([unjoined, found.left_out]))] = True
            left &= out
            for refusal in found.refusals:
                for row, value in zip(refusal.row.tolist(), refusal.values, strict=True):
                    self.reject(given.number, row, refusal.column, value, refusal.reason)
            self.emptied += found.emptied
        if left.any():
            self.left_out[str(given.path)] += int(left.sum())

    def _join(
        self, record: Record, rows: Rows, ids: pa.Array | None
    ) -> tuple[Rows, pa.Array | None, Longs]:
        """The rows with the columns of their lookups, and the numbers of those without any."""
        unjoined = np.zeros(0, np.int64)
        for how in record.joins:
            if how.lookup not in self.lookups:
                if how.needed:
                    return rows.take(np.zeros(0, np.intp)), None, rows.row
                continue
            lookup = next(item for item in self.mapping.lookups if item.title == how.lookup)
            before = rows.row
            rows, left = join(rows, how, self.lookups[how.lookup], lookup.key)
            unjoined = np.concatenate([unjoined, left])
            if ids is not None:
                ids = ids.take(pa.array(np.searchsorted(before, rows.row)))
        return rows, ids, unjoined

    def _number_repeats(
        self,
        given: Input,
        contents: list[npt.NDArray[np.uint64]],
        numbers: Longs,
        first: int,
    ) -> None:
        """Rows of the same content in one file are different facts, told apart by number."""
        together = np.concatenate(contents)
        again = repeats([together])
        self.contents.append(together)
        if not again.any():
            return
        nth: Counter[int] = Counter()
        suffixes = []
        for content in together[again].tolist():
            nth[content] += 1
            suffixes.append(f"~{nth[content] + 1}")
        keys = pa.array(numbers[again] + given.number * ROWS_OF_A_FILE)
        place = DRAFT_SCHEMA.get_field_index("row_id")
        for spot in range(first, len(self.drafts)):
            drafts = self.drafts[spot]
            suffix = pc.take(
                pa.array(suffixes), pc.index_in(drafts["row"], value_set=keys).combine_chunks()
            )
            ids = pc.binary_join_element_wise(drafts["row_id"], pc.fill_null(suffix, ""), "")
            self.drafts[spot] = drafts.set_column(place, DRAFT_SCHEMA.field(place), ids)


def _columns_of(records: Sequence[Record], header: Header) -> list[str]:
    names = [name for record in records for name in used_columns(record)]
    found = [header.find(name) for name in names]
    return list(dict.fromkeys(name for name in found if name is not None))


def _stacked(parts: list[Rows]) -> Rows:
    names = set.intersection(*(set(part.columns) for part in parts))
    header = Header(
        tuple(name for name in parts[0].header.names if name in names), parts[0].header.prefixes
    )
    columns = {
        name: pa.chunked_array([part.columns[name] for part in parts]).combine_chunks()
        for name in names
    }
    row = np.concatenate([part.row for part in parts])
    return Rows(header=header, columns=columns, row=row, nulls=parts[0].nulls)
