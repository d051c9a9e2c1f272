"""Which columns of a file a record of a mapping needs, and which it looks at."""

from __future__ import annotations

import re
from typing import Final

from model.sources.carriers import CARRIERS
from model.sources.mapping import Column, Emit, Filter, Record, Value

PLACES: Final = re.compile(r"{([^}]*)}")  # columns in the template of a source_id


def needed_columns(record: Record) -> list[Column]:
    """The columns without which a file cannot be this record's.

    Examples
    --------
    >>> needed_columns(Record(title="log", rows="event", deal_id=Column(names=("case",))))
    [Column(names=('case',), optional=False)]
    """
    named = [
        *(Column(names=(name,)) for name in record.columns),
        *own_columns(record),
        *(Column(names=(name,)) for name in _filtered(record) if not name.endswith("?")),
        *(Column(names=(name,)) for name in PLACES.findall(record.source_id)),
    ]
    own = [column for column in named if not any(_joined(record, name) for name in column.names)]
    return list(dict.fromkeys(own))


def used_columns(record: Record) -> list[str]:
    """The names of all columns that a record may look at."""
    columns = [*needed_columns(record), *own_columns(record)]
    names = [name for column in columns for name in column.names]
    names += [name.removesuffix("?") for name in _filtered(record)]
    return [name for name in dict.fromkeys(names) if not _joined(record, name)]


def _joined(record: Record, name: str) -> bool:
    """Whether a column is a lookup's."""
    return any(name.startswith(f"{join.lookup}.") for join in record.joins)


def all_values(record: Record) -> list[tuple[str, Value]]:
    """The event columns that a record fills beside the common ones, and from where."""
    return [*record.values, *(value for emit in _emits(record) for value in emit.values)]


def needs_person_key(record: Record) -> bool:
    """Whether a record tells of people, or may tell what one said, by a column or by an id.

    Examples
    --------
    >>> said = ("next_step_changed", "", Column(names=("Next step",)))
    >>> needs_person_key(Record(title="deals", rows="deal", current=(said,)))
    True
    >>> needs_person_key(Record(title="log", rows="event", other="activity_logged"))
    False
    """
    kinds = {kind for kind, _, _ in record.fixed + record.current + record.state}
    kinds |= {kind for _, kind in record.fields} | {record.other}
    kinds |= {emit.kind for emit in _emits(record)}
    people = any(name == "person" for name, _ in all_values(record))
    return people or any(CARRIERS.get(kind) == "text" for kind in kinds)


def _emits(record: Record) -> list[Emit]:
    emits = [emit for _, several in record.activities for emit in several]
    return emits + [emit for rule in record.rules for emit in rule.emits]


def own_columns(record: Record) -> list[Column]:
    """The columns that a record names as columns."""
    single = (
        *(record.deal_id, record.occurred_at, record.known_at, record.field, record.old),
        *(record.new, record.opened_at, record.closed_at, record.stage, record.order),
        *(record.subject, record.headers),
    )
    activity = [
        Column(names=(name.removesuffix("?"),), optional=name.endswith("?"))
        for name in record.activity
    ]
    return [
        *(column for column in single if column is not None),
        *activity,
        *(value for _, value in all_values(record) if isinstance(value, Column)),
        *(column for _, _, column in record.fixed + record.current + record.state),
        *(join.on for join in record.joins),
    ]


def _filtered(record: Record) -> list[str]:
    filters: list[Filter] = [record.where, record.unless, record.won, record.lost]
    filters += [rule.when for rule in record.rules]
    return [name for entries in filters for name, _ in entries]
