"""What would be known of a deal if hypothetical events happened now.

They are appended, in the order given, to a copy of what is known of the deal; the copy is of this
deal alone, and the history stays as it is. They happen at the moment of the score and not later:
what else happens until a later moment is not known, and to suppose that nothing does would be a
second supposition, and a poor one.

``milestone_missed`` is no kind of event, because missing is what time does: it stands for "as if
the due date had passed". In the copy every date that the milestone was ever promised for is put
so many days earlier that the last one ended, unreached, at the last midnight UTC that lies 12
hours back, when it had ended in every time zone. How far it was moved stays as it is, and a
must-hit milestone is missed then (`model.gates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan
from typing import Any, Final

import numpy as np

from model.asof import AsOf, Snapshot
from model.catalogue.promises import SET, milestone_stories
from model.errors import WhatIfError
from model.events import DAY_US, KIND_CODES, KINDS, Event, from_microseconds
from model.features import FeatureSet
from model.feeds import Feeds
from model.gates import find_gates
from model.history import NONE, History
from model.hypothetical import MISSED, TAKES, Hypothetical
from model.vocabulary import OTHER

CATEGORY_OF: Final = {
    "stage_changed": "stage",
    "pipeline_changed": "pipeline",
    "forecast_category_changed": "forecast_category",
    "currency_changed": "currency",
}
_OF_MILESTONE: Final = (
    "milestone_moved", "milestone_dropped", "must_hit_declared", MISSED,
)  # fmt: skip
ANYWHERE_US: Final = DAY_US // 2  # by when a day that ended in UTC has ended everywhere
# What a gate is declared and cleared with works by itself: the model need not have met it.
_OF_GATES: Final = ("must_hit_declared", "must_hit_withdrawn")
_PROMISES: Final = (KIND_CODES["milestone_set"], KIND_CODES["milestone_moved"])
_COLUMNS: Final = (
    "kind", "occurred", "known", "name", "text", "number", "date", "person", "source",
)  # fmt: skip


def suppose(
    history: History,
    deal: int,
    as_of: int,
    events: Sequence[Hypothetical],
    features: FeatureSet,
    feeds: Feeds,
) -> History:
    """What would be known of an open deal if these events happened now, one after the other.

    Parameters
    ----------
    history
        Of the deal, perhaps with others; it is not changed.
    deal
        Index into ``history.deal_ids``.
    as_of
        Now, microseconds since 1970 UTC.
    events
        In the order in which they happen.
    features
        What the model looks at: names that it never met are refused, as it can say nothing of
        them.
    feeds
        What each source carries: a kind that none carries is refused for the same reason, but for
        what declares a milestone must-hit or withdraws that, which works by itself.

    Returns
    -------
    History
        Of this deal alone: what is known at `as_of`, and the events.

    Raises
    ------
    WhatIfError
        If an event cannot happen to the deal.
    """
    supposed = known_of(history, deal, as_of)
    for event in events:
        snapshot = snapshot_of(supposed, as_of, features, feeds)
        _check_values(event, as_of, features)
        _check_milestone(event, snapshot, as_of)
        if event.kind == MISSED:
            supposed = _with_due_date_passed(supposed, snapshot, str(event.name), as_of)
        else:
            source = _teller(event.kind, snapshot, supposed.sources, feeds)
            supposed = _with_event(supposed, _ordered(event, supposed), as_of, source)
    return supposed


def known_of(history: History, deal: int, as_of: int) -> History:
    """What is known of one deal at a moment, as a history of its own."""
    rows = np.arange(history.start[deal], history.start[deal + 1])
    rows = rows[history.known[rows] <= as_of]
    return replace(
        history,
        deal_ids=[history.deal_ids[deal]],
        start=np.array([0, rows.size], dtype=np.int64),
        **{column: getattr(history, column)[rows] for column in _COLUMNS},
    )


def snapshot_of(history: History, as_of: int, features: FeatureSet, feeds: Feeds) -> Snapshot:
    """The first deal of a history at a moment, microseconds since 1970 UTC."""
    vocabulary = features.vocabulary
    now = np.array([as_of], dtype=np.int64)
    codes = vocabulary.codes(history)
    return AsOf(history, vocabulary, codes, np.zeros(1, dtype=np.int64), now, feeds).snapshots[0]


def carried_kinds(snapshot: Snapshot) -> frozenset[str]:
    """The kinds that a source of the deal, or one that speaks for all deals, carries."""
    return frozenset(KINDS) if snapshot.coverage is None else snapshot.coverage.carried(snapshot)


def _teller(kind: str, snapshot: Snapshot, sources: Sequence[str], feeds: Feeds) -> str:
    """The source that would tell of the event: the deal's latest that carries its kind."""
    carried = carried_kinds(snapshot)
    clears = kind == "milestone_reached" and bool(snapshot.once(find_gates))
    if kind not in carried and kind not in _OF_GATES and not clears:
        raise WhatIfError(
            f"kind {kind!r}",
            "a kind that the sources of this deal carry: "
            + ", ".join(sorted(carried & set(TAKES))),
            "choose another; the model has learned nothing of this one",
        )
    own = [sources[snapshot.deal.source[i]] for i in reversed(snapshot.rows)]
    for name in own:
        if name in feeds and kind in feeds[name].kinds:
            return name
    as_of = snapshot.as_of
    for name, feed in sorted(feeds.items()):
        if feed.speaks_for_all(as_of) and feed.begins <= as_of and kind in feed.kinds:
            return name
    return own[0]


def _check_values(event: Hypothetical, as_of: int, features: FeatureSet) -> None:
    """Refuse dates gone by and names that the model never met."""
    today = from_microseconds(as_of).date()
    if event.date is not None and event.date < today:
        raise WhatIfError(
            f"date {event.date} of {event.kind}",
            f"a date from {today} on, the day of the score",
            "choose a later date"
            + (f", or {MISSED} for one that passed" if "milestone" in event.kind else ""),
        )
    vocabulary = features.vocabulary
    known: Sequence[str] | None = None
    if event.kind == "activity_logged":
        known = vocabulary.activities
    elif event.kind == "field_changed":
        known = vocabulary.number_fields + vocabulary.text_fields
        if event.name in vocabulary.number_fields and event.number is None:
            raise WhatIfError(
                f"field {event.name!r} = {event.text!r}", "a number", "give its value as one"
            )
        if event.name in vocabulary.text_fields:
            _check_known("text", event.text, _values(features, f"field:{event.name}"))
    elif event.kind in CATEGORY_OF:
        known = _values(features, CATEGORY_OF[event.kind])
    _check_known("name", event.name, known)


def _values(features: FeatureSet, category: str) -> Sequence[str] | None:
    """Every value of a category that training met; None where it is no feature, or any will do."""
    vocabulary = features.vocabulary
    if category not in features.names or category in vocabulary.crowded:
        return None
    values = (*vocabulary.categories[category], *vocabulary.rare.get(category, ()))
    return [value for value in values if value != OTHER]


def _check_known(column: str, value: str | None, known: Sequence[str] | None) -> None:
    if known is not None and value not in known:
        raise WhatIfError(
            f"{column} {value!r}",
            "one that the model has met: " + (", ".join(sorted(known)) or "there is none"),
            "choose one of these",
        )


def _ordered(event: Hypothetical, supposed: History) -> Hypothetical:
    """A stage that the deal was in before has the order that it had; a new one needs its own."""
    if event.kind != "stage_changed" or event.number is not None:
        return event
    rows = np.flatnonzero(supposed.kind == KIND_CODES["stage_changed"]).tolist()
    orders = {supposed.names[supposed.name[i]]: float(supposed.number[i]) for i in rows}
    order = orders.get(str(event.name))
    if order is None and not all(isnan(each) for each in orders.values()):
        raise WhatIfError(
            f"stage {event.name!r} without its order",
            "its order among the stages",
            f"write it as stage_changed {event.name} = 4",
        )
    return event if order is None or isnan(order) else replace(event, number=order)


def _check_milestone(event: Hypothetical, snapshot: Snapshot, as_of: int) -> None:
    """Refuse what the milestone named cannot do as it stands."""
    stories = {
        snapshot.deal.names[code]: story for code, story in milestone_stories(snapshot).items()
    }
    still_open = sorted(name for name, story in stories.items() if story[0] == SET)
    gates = [gate.name for gate in find_gates(snapshot)]
    if event.kind == "must_hit_withdrawn":
        _check_among(event, gates, "a must-hit milestone of this deal")
    elif event.kind == "milestone_reached":  # a gate may be on one dropped, or never set
        names = sorted({*still_open, *gates})
        _check_among(event, names, "an open or a must-hit milestone of this deal")
    elif event.kind in _OF_MILESTONE:
        _check_among(event, still_open, "an open milestone of this deal")
    elif event.kind == "milestone_set" and event.name in still_open:
        raise WhatIfError(
            f"name {event.name!r} of {event.kind}",
            "a milestone that the deal does not have yet",
            "use milestone_moved for another date",
        )
    if event.kind == MISSED:
        due = stories[str(event.name)][2]
        if due is None or due < as_of:
            raise WhatIfError(
                f"name {event.name!r} of {MISSED}",
                "a milestone whose due date lies ahead",
                "leave it out: " + ("no date is known" if due is None else "it is overdue already"),
            )


def _check_among(event: Hypothetical, names: Sequence[str], expected: str) -> None:
    if event.name not in names:
        raise WhatIfError(
            f"name {event.name!r} of {event.kind}",
            f"{expected}: " + (", ".join(names) or "it has none"),
            "correct the name, or set the milestone first",
        )


def _with_event(history: History, event: Hypothetical, as_of: int, source: str) -> History:
    """The history with one more row, known as it happens, after all that is known."""
    told = Event(
        deal_id=history.deal_ids[0],
        kind=event.kind,
        occurred_at=from_microseconds(as_of),
        name=event.name,
        text=event.text,
        number=event.number,
        date=event.date,
        source=source,
        source_id="hypothetical",
    )
    one = History.from_events([told])
    names, name = _with_name(history.names, event.name)
    texts, text = _with_name(history.texts, event.text if event.kind == "field_changed" else None)
    sources, of_source = _with_name(history.sources, source)
    own = {"name": name, "text": text, "source": of_source}
    rows: dict[str, Any] = {
        column: np.append(getattr(history, column), own.get(column, getattr(one, column)[0]))
        for column in _COLUMNS
    }
    start = np.array([0, history.kind.size + 1], dtype=np.int64)
    return replace(history, start=start, names=names, texts=texts, sources=sources, **rows)


def _with_name(names: Sequence[str], name: str | None) -> tuple[Sequence[str], int]:
    """The list with a name in it, and its code."""
    if name is None:
        return names, NONE
    if name in names:
        return names, list(names).index(name)
    return [*names, name], len(names)


def _with_due_date_passed(history: History, snapshot: Snapshot, name: str, as_of: int) -> History:
    """The history with every date that a milestone was promised for put earlier alike."""
    code = list(history.names).index(name)
    due = milestone_stories(snapshot)[code][2]
    last_end = (as_of - ANYWHERE_US) // DAY_US  # days since 1970
    days_earlier = int(due or 0) // DAY_US - last_end
    promised = np.isin(history.kind, _PROMISES) & (history.name == code)
    return replace(history, date=history.date - np.where(promised, float(days_earlier), 0.0))
