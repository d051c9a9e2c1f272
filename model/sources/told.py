"""Facts told a few at a time, as a webhook tells them, by the mapping that reads exports.

The same translation as an import's, so that both make the same event, with the same id, of the
same fact. What only all of a deal's facts together show is left to `model.sources.standing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from model.errors import EventError
from model.event_table import EVENT_SCHEMA
from model.events import Event, from_microseconds
from model.sources.board import KIND_NAMES, REOPENED, STAGE
from model.sources.closings import CLOSING_KINDS, OPEN, Stages
from model.sources.contents import hexadecimal
from model.sources.drafts import DRAFT_SCHEMA, UNKNOWN, Origin
from model.sources.identity import source_ids
from model.sources.mapping import Mapping as SourceMapping
from model.sources.mapping import Record
from model.sources.persons import person_of
from model.sources.rows import Header, Rows
from model.sources.standing import SEEN
from model.sources.translate import Translator

VALUES: Final = tuple(
    name for name in DRAFT_SCHEMA.names if name in EVENT_SCHEMA.names and name != "kind"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row as an export would hold it.

    Parameters
    ----------
    record
        The title of the mapping's record that reads it.
    values
        By the columns that the record reads; None where there is nothing.
    """

    record: str
    values: Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What rows became.

    Parameters
    ----------
    events
        In the order of their rows, each known as soon as its source knew it.
    refused
        Why rows could not be read: column, value and reason.
    emptied
        How many rows emptied a value that only a new value can replace.
    """

    events: list[Event]
    refused: list[str]
    emptied: int


def tell(mapping: SourceMapping, rows: Sequence[Row], *, stages: Stages, person_key: bytes) -> Told:
    """The events of some rows.

    Parameters
    ----------
    mapping
        What the rows' columns mean.
    rows
        Of records without joins.
    stages
        Which stages close a deal, and their places, those of the mapping among them.
    person_key
        The key under which people are hashed, and texts in ids.

    Examples
    --------
    >>> from model.sources.ready import load_mapping
    >>> change = {"deal_id": "7", "name": "amount", "value": "1200", "timestamp": "1767605400000"}
    >>> told = tell(load_mapping("hubspot"), [Row(record="deal_property_history", values=change)],
    ...             stages=Stages(), person_key=b"key")
    >>> told.events[0].kind, told.events[0].number, told.events[0].source_id
    ('amount_changed', 1200.0, '7/amount_changed/2026-01-05 09:30:00.000000/1200')
    """
    events: list[tuple[int, Event]] = []
    refused: list[str] = []
    emptied = 0
    for record in mapping.records:
        numbers = [number for number, row in enumerate(rows) if row.record == record.title]
        if not numbers:
            continue
        drafts, problems, empty = _translate(mapping, record, rows, numbers)
        refused += problems
        emptied += empty
        for draft in _with_ids(drafts, stages, person_key):
            try:
                event = _event(draft, mapping.source, person_key)
            except EventError as error:
                refused.append(str(error))
            else:
                events.append((draft["row"], event))
    events.sort(key=lambda pair: pair[0])
    return Told(events=[event for _, event in events], refused=refused, emptied=emptied)


def _translate(
    mapping: SourceMapping, record: Record, rows: Sequence[Row], numbers: list[int]
) -> tuple[pa.Table, list[str], int]:
    names = tuple(dict.fromkeys(name for number in numbers for name in rows[number].values))
    columns = {
        name: pa.array([rows[number].values.get(name) for number in numbers], pa.string())
        for name in names
    }
    header = Header(names, mapping.prefixes)
    if record.opened_at is not None and record.rows == "state" and not header.has(record.opened_at):
        record = replace(record, opened_at=None)
    given = Rows(header=header, columns=columns, row=np.array(numbers), nulls=mapping.nulls)
    ids = None if record.source_id else hexadecimal(given.contents())
    found = Translator(mapping=mapping, record=record, file=0)(given, ids)
    problems = [
        f"{_place(record, rows[number])}, {refusal.column} {value!r}: {refusal.reason}"
        for refusal in found.refusals
        for number, value in zip(refusal.row.tolist(), refusal.values, strict=True)
    ]
    return found.drafts, problems, found.emptied


def _place(record: Record, row: Row) -> str:
    """Whose row it is, and of which field, for messages."""
    deal, field = (
        next((row.values[name] for name in column.names if row.values.get(name)), None)
        if column is not None
        else None
        for column in (record.deal_id, record.field)
    )
    return f"deal {deal!r}" if field is None else f"deal {deal!r}, {field}"


def _with_ids(drafts: pa.Table, stages: Stages, person_key: bytes) -> Iterator[dict[str, Any]]:
    """Drafts that are facts or states with their ids, and what their stages say of the deal."""
    drafts = drafts.filter(
        pa.array(np.isin(np.asarray(drafts["origin"]), (Origin.FACT, Origin.STATE)))
    )
    if not drafts.num_rows:
        return
    ids = source_ids(drafts, person_key).to_pylist()
    for draft, source_id in zip(drafts.to_pylist(), ids, strict=True):
        seen = SEEN if draft["origin"] == Origin.STATE else ""
        if draft["kind"] == STAGE and draft["number"] is None:
            draft["number"] = stages.orders.get(draft["name"])
        yield {**draft, "source_id": source_id + seen}
        if draft["kind"] == STAGE and (stages.won or stages.lost):
            yield _status(draft, stages)


def _status(draft: dict[str, Any], stages: Stages) -> dict[str, Any]:
    """What a stage says: that the deal is won, lost, or open (again, if it was not)."""
    status = stages.status(draft["name"])
    kind = REOPENED if status == OPEN else CLOSING_KINDS[status]
    time = pa.array([draft["occurred_at"]]).cast(pa.timestamp("us")).cast(pa.string())[0].as_py()
    return {
        **{name: draft[name] for name in ("deal_id", "occurred_at", "known_at", "row")},
        "kind": kind,
        "source_id": f"{draft['deal_id']}/{KIND_NAMES[kind]}/{time}",
    }


def _event(draft: dict[str, Any], source: str, person_key: bytes) -> Event:
    occurred, known = draft["occurred_at"], draft["known_at"]
    values = {name: draft[name] for name in VALUES if draft.get(name) is not None}
    if "person" in values:
        values["person"] = person_of(values["person"], person_key)
    return Event(
        **values
        | {
            "kind": KIND_NAMES[draft["kind"]],
            "occurred_at": from_microseconds(occurred),
            "known_at": from_microseconds(occurred if known == UNKNOWN else max(known, occurred)),
            "source": source,
            "source_id": draft["source_id"],
        }
    )
