"""Read a mapping from TOML, key by key."""

from __future__ import annotations

from collections.abc import Mapping as Table
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from model.events import KINDS
from model.sources.carriers import CARRIERS
from model.sources.clock import EPOCHS, pattern_of
from model.sources.keys import Keys, column_of
from model.sources.mapping import (
    NAMED,
    OTHERS,
    SHAPES,
    SPAN_UNITS_DAYS,
    VALUES,
    Column,
    Constant,
    Emit,
    Join,
    Lookup,
    MailRules,
    Mapping,
    Record,
    Rule,
    Value,
)
from model.sources.values import Reading


def parse_mapping(table: Table[str, Any], given: str) -> Mapping:
    """Check a mapping that `tomllib` has read.

    Parameters
    ----------
    table
        The whole TOML document.
    given
        Its file or name, for messages.

    Returns
    -------
    Mapping
        The same, checked.

    Raises
    ------
    MappingError
        If an entry is missing, unknown or of the wrong form: file, key, what is expected.

    Examples
    --------
    >>> mapping = parse_mapping({"source": "crm", "record": [
    ...     {"rows": "event", "deal_id": "deal", "occurred_at": "at", "activity": "what",
    ...      "activities": {"mail in": "customer_replied"}}]}, "own.toml")
    >>> mapping.records[0].activities[0][1][0].kind
    'customer_replied'
    """
    keys = Keys(table, given)
    source = keys.text("source")
    if not source:
        raise keys.error("source", "the CRM's or mailbox's name", 'add source = "crm"')
    stages = keys.inner("stages")
    opens = keys.inner("opens")
    mail = keys.inner("mail")
    lookups = tuple(_lookup(item) for item in keys.tables("lookup"))
    records = tuple(
        _record(item, number, {lookup.title for lookup in lookups})
        for number, item in enumerate(keys.tables("record"), 1)
    )
    if not records:
        raise keys.error("record", "at least one [[record]]", "say what the rows of a file are")
    mapping = Mapping(
        given=given,
        source=source,
        reading=_reading(keys),
        delimiter=keys.text("delimiter"),
        encoding=keys.text("encoding", "utf-8"),
        nulls=tuple(dict.fromkeys(("", *keys.texts("nulls")))),
        prefixes=keys.texts("prefixes"),
        ignore=keys.texts("ignore"),
        opens=opens.text("first", "deal_opened", ("any", *KINDS)),
        won_stages=stages.texts("won"),
        lost_stages=stages.texts("lost"),
        mail=MailRules(our_domains=mail.texts("our_domains"), deal_header=mail.text("deal_header")),
        records=records,
        lookups=lookups,
    )
    for part in (stages, opens, mail, keys):
        part.close()
    return mapping


def _reading(keys: Keys) -> Reading:
    zone = keys.text("time_zone") or None
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise keys.error(
                "time_zone", "a time zone such as Europe/Berlin or UTC", "correct the entry"
            ) from error
    formats = keys.texts("formats")
    for form in formats:
        try:
            pattern_of(form if form not in EPOCHS else "")
        except ValueError as error:
            raise keys.error(
                "formats",
                f"formats of %Y %m %d %H %I %p %M %S %f %z %b %y, or {', '.join(EPOCHS)}",
                f"{error} is none of these",
            ) from error
    return Reading(
        zone=zone,
        formats=formats,
        decimal=keys.text("decimal", ".", (".", ",")),
        thousands=keys.text("thousands"),
    )


def _lookup(keys: Keys) -> Lookup:
    title = keys.text("title")
    if not title:
        raise keys.error("title", "the lookup's title", "name it, so that joins can refer to it")
    lookup = Lookup(
        title=title,
        files=keys.texts("files"),
        columns=keys.texts("columns"),
        without=keys.texts("without"),
        key=keys.needed_column("key"),
        where=keys.filter("where"),
        unless=keys.filter("unless"),
    )
    keys.close()
    return lookup


def _record(keys: Keys, number: int, lookups: set[str]) -> Record:
    if "rows" not in keys.table:
        raise keys.error("rows", "one of " + ", ".join(SHAPES), "say what one row is")
    rows = keys.text("rows", choices=SHAPES)
    other = keys.text("other", "field_changed" if rows == "field" else "reject", OTHERS)
    record = Record(
        title=keys.text("title", f"record {number}"),
        rows=rows,
        files=keys.texts("files"),
        columns=keys.texts("columns"),
        without=keys.texts("without"),
        where=keys.filter("where"),
        unless=keys.filter("unless"),
        joins=tuple(_join(item, lookups) for item in keys.tables("join")),
        deal_id=keys.column("deal_id", needed=rows != "stage"),
        occurred_at=keys.column("occurred_at", needed=rows in ("event", "field", "state")),
        known_at=keys.column("known_at"),
        source_id=keys.text("source_id"),
        values=_values(keys),
        span_unit=keys.text("span_unit", "days", tuple(SPAN_UNITS_DAYS)),
        activity=keys.texts("activity"),
        activities=_activities(keys.inner("activities")),
        rules=tuple(_rule(item) for item in keys.tables("rule")),
        other=other,
        field=keys.column("field", needed=rows == "field"),
        old=keys.column("old"),
        new=keys.column("new", needed=rows == "field"),
        fields=_fields(keys.inner("fields")),
        opened_at=keys.column("opened_at", needed=rows == "deal"),
        closed_at=keys.column("closed_at"),
        won=keys.filter("won"),
        lost=keys.filter("lost"),
        fixed=_carried(keys.inner("fixed")),
        current=_carried(keys.inner("current")),
        state=_carried(keys.inner("state")),
        export_only=keys.texts("export_only"),
        whole_days=keys.texts("whole_days"),
        subject=keys.column("subject"),
        headers=keys.column("headers"),
        stage=keys.column("stage", needed=rows == "stage"),
        order=keys.column("order"),
    )
    if rows == "event" and not (record.activity or record.rules):
        raise keys.error(
            "activity", "the column that says what happened", "name it, or write [[record.rule]]"
        )
    if rows == "deal" and (record.won or record.lost) and record.closed_at is None:
        raise keys.error("closed_at", "the column of the closing time", "name it")
    keys.close()
    return record


def _join(keys: Keys, lookups: set[str]) -> Join:
    lookup = keys.text("lookup")
    if lookup not in lookups:
        known = ", ".join(sorted(lookups)) or "none so far"
        raise keys.error("lookup", f"the title of a [[lookup]] ({known})", "correct the entry")
    on = keys.needed_column("on")
    needed = keys.take("needed")
    keys.close()
    return Join(lookup=lookup, on=on, needed=needed is not False)


def _values(keys: Keys) -> tuple[tuple[str, Value], ...]:
    found: list[tuple[str, Value]] = []
    for name in VALUES:
        given = keys.take(name)
        if given is None:
            continue
        if isinstance(given, dict):
            if set(given) != {"value"} or not isinstance(given["value"], str | int | float):
                raise keys.error(name, 'a column, or { value = "..." }', "correct the entry")
            found.append((name, Constant(value=str(given["value"]))))
        else:
            found.append((name, column_of(keys.texts(name))))
    return tuple(found)


def _emits(keys: Keys, key: str) -> tuple[Emit, ...]:
    """``"kind"``, ``["kind", ...]`` or ``{kind = "kind", name = {value = "onsite"}}``, or drop."""
    given = keys.take(key)
    emits = []
    for item in given if isinstance(given, list) else [given]:
        if isinstance(item, dict):
            inner = Keys(item, keys.given, f"{keys.place}.{key}" if keys.place else key)
            kind = inner.text("kind")
            values = _values(inner)
            inner.close()
        else:
            kind, values = item, ()
        if kind == "drop":
            continue
        if kind not in KINDS:
            near = get_close_matches(str(kind), KINDS, 1)
            meant = f"did you mean {near[0]}?" if near else "use activity_logged for any other"
            raise keys.error(key, "drop, or kinds among " + ", ".join(KINDS), meant)
        emits.append(Emit(kind=kind, values=values))
    kinds = [emit.kind for emit in emits if emit.kind not in NAMED]
    if len(set(kinds)) < len(kinds) or len(set(emits)) < len(emits):
        raise keys.error(key, "each kind once", "one row tells one event of a kind")
    return tuple(emits)


def _activities(keys: Keys) -> tuple[tuple[str, tuple[Emit, ...]], ...]:
    return tuple((activity, _emits(keys, activity)) for activity in keys.table)


def _rule(keys: Keys) -> Rule:
    rule = Rule(when=keys.filter("when"), emits=_emits(keys, "kinds"))
    keys.close()
    return rule


def _fields(keys: Keys) -> tuple[tuple[str, str], ...]:
    choices = (*CARRIERS, "deal_opened", "drop")
    return tuple((name, keys.text(name, choices=choices)) for name in keys.table)


def _carried(keys: Keys) -> tuple[tuple[str, str, Column], ...]:
    """``kind = column`` or ``field_changed = [columns]``: kind, the field's name, its column."""
    found: list[tuple[str, str, Column]] = []
    for kind in keys.table:
        if kind not in CARRIERS:
            raise keys.error(kind, "kinds among " + ", ".join(CARRIERS), "correct the entry")
        names = keys.texts(kind)
        if kind == "field_changed":
            found += [(kind, name.removesuffix("?"), column_of([name])) for name in names]
        else:
            found.append((kind, "", column_of(names)))
    return tuple(found)
