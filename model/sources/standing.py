"""Of all that was told of deals, what stands: the same in whatever order it was told.

Webhooks tell late, twice and out of order, and some tell only how a deal stands. What they tell is
kept as it was told; what stands is worked out from all of it, each time anew. Whatever an import
has settled already is left as it is.

What was known to stand is never undone by what became known later, lest a score as of an earlier
moment change. So it is worked out moment by moment of what became known: what stands already stays,
and of all else that is known by then what says something new beside it stands from that moment on.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Final

from model.events import FIRST_IN_A_MOMENT, Event
from model.sources.carriers import CARRIERS
from model.sources.moments import OTHERS_RANK, RANKS

SEEN: Final = "/seen"  # ends the id of a value that was seen, whether or not it changed
EXPORTED: Final = (
    "/as exported"  # ends the id of a closing that only a deal's row in an export tells
)
GONE: Final = "/gone"  # ends the id of the loss that a deletion or merge in the CRM is
BACK: Final = "/back"  # ends the id of the reopening that its undoing is
STAGE: Final = "stage_changed"
STATUSES: Final = ("deal_won", "deal_lost", "deal_reopened")
REOPENED: Final = "deal_reopened"

Place = tuple[datetime, int, str, str]  # in the order of time; see `model.sources.moments`
Line = list[tuple[Place, Event]]  # events in that order


def standing_events(told: Iterable[Event], as_of: datetime | None = None) -> list[Event]:
    """What stands of all that was told of some deals.

    A value seen is an event where it differs from the one before. Of several openings the first
    counts. A deal is closed until it is reopened, and reopened only when it was closed; a closing
    that only an export's row tells counts only where none of a history was known by then, and of a
    loss and a win in one moment the win. A deal deleted in its CRM is lost if it was open, and what
    restores it reopens nothing else.

    Parameters
    ----------
    told
        All events of the deals, in any order, each once or oftener.
    as_of
        Look only at what was known then; None looks at all.

    Returns
    -------
    list of Event
        In the order of `model.event_table.sort_events`.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> def seen(day: int, stage: str) -> Event:
    ...     time = datetime(2026, 1, day, tzinfo=UTC)
    ...     return Event(deal_id="D-1", kind="stage_changed", occurred_at=time, name=stage,
    ...                  source="crm", source_id=f"D-1/stage_changed/{time}/seen")
    >>> [event.occurred_at.day for event in standing_events([seen(7, "offer"), seen(5, "offer")])]
    [5]
    """
    if as_of is not None:
        told = [event for event in told if _known(event) <= as_of]
    once: dict[tuple[str, str], Event] = {}
    for event in sorted(told, key=lambda event: (_known(event), repr(event))):
        once.setdefault((event.source, event.source_id), event)
    deals: defaultdict[str, list[Event]] = defaultdict(list)
    for event in once.values():
        deals[event.deal_id].append(event)
    standing = [event for of_deal in deals.values() for event in _of_deal(of_deal)]
    return sorted(standing, key=_final_order)


def may_not_stand(kinds: Iterable[str], source_ids: Iterable[str]) -> bool:
    """Whether of one deal's events, by kind and id, some may not stand: most deals need no look.

    Examples
    --------
    >>> may_not_stand(["deal_opened", "deal_won"], ["1", "2"])
    False
    """
    if any(source_id.endswith((SEEN, EXPORTED)) for source_id in source_ids):
        return True
    counted = Counter(kinds)
    closings = counted["deal_won"] + counted["deal_lost"]
    return closings > 1 or counted["deal_opened"] > 1 or counted[REOPENED] > 0


def _known(event: Event) -> datetime:
    return event.occurred_at if event.known_at is None else event.known_at


def _final_order(event: Event) -> tuple[object, ...]:
    follows = event.kind != FIRST_IN_A_MOMENT
    return event.deal_id, event.occurred_at, _known(event), follows, event.source, event.source_id


def _placed(event: Event) -> tuple[Place, Event]:
    rank = RANKS.get(event.kind, OTHERS_RANK)
    return (event.occurred_at, rank, event.source_id, event.source), event


def _place(placed: tuple[Place, Event]) -> Place:
    return placed[0]


def _before(line: Line, place: Place) -> Event | None:
    """The last event of a line before a place."""
    found = bisect(line, place, key=_place)
    return line[found - 1][1] if found else None


def _of_deal(told: list[Event]) -> Iterator[Event]:
    """What stands of one deal's events, given in the order in which they became known."""
    values: defaultdict[tuple[str, str, str | None], list[Event]] = defaultdict(list)
    openings: Line = []
    for event in told:
        if event.kind == "deal_opened":
            insort(openings, _placed(event), key=_place)
        elif event.kind in CARRIERS:
            field = event.name if event.kind == "field_changed" else None
            values[event.source, event.kind, field].append(event)
        elif event.kind not in STATUSES:
            yield event
    first: datetime | None = None  # when an opening that stands was first known
    for _, event in openings:
        if first is None or _known(event) < first:
            first = _known(event)
            yield event
    for of_field in values.values():
        yield from _changes_of(of_field)
    yield from _statuses([event for event in told if event.kind in (*STATUSES, STAGE)])


def _changes_of(told: list[Event]) -> Iterator[Event]:
    """Of one field's values, all that were told as changes, and those seen that are changes."""
    standing: Line = []
    pending: Line = []  # seen, and so far no change
    ids: set[str] = set()
    for known, new in groupby(told, key=_known):
        looked_at = [*map(_placed, new)]
        # Those pending up to the next that stands are of one value: the first alone may change,
        # or the second, where the first tells the same fact as the new one.
        for place, _ in looked_at[:]:
            found = bisect(pending, place, key=_place)
            looked_at += pending[found : found + 2]
            del pending[found : found + 2]
        for place, event in sorted(looked_at, key=_place):
            plain = event.source_id.removesuffix(SEEN)
            if plain in ids:
                continue
            before = _before(standing, place)
            was_seen = plain != event.source_id
            if was_seen and before is not None and _value(before) == _value(event):
                insort(pending, (place, event), key=_place)
                continue
            ids.add(plain)
            now = replace(event, source_id=plain, known_at=known) if was_seen else event
            insort(standing, (place, now), key=_place)
    return (event for _, event in standing)


def _value(event: Event) -> object:
    if event.kind == "field_changed":
        return event.text, event.number
    return getattr(event, CARRIERS[event.kind])


def _statuses(told: list[Event]) -> Iterator[Event]:
    """Closings and reopenings that change how a deal stands; stage changes are looked at alone."""
    standing: Line = []
    pending: Line = []  # changing nothing so far
    moved: set[datetime] = set()  # when the stage was changed
    has_history = False
    for known, new in groupby(told, key=_known):
        for event in new:
            if event.kind == STAGE:
                moved.add(event.occurred_at)
                continue
            insort(pending, _placed(event), key=_place)
            has_history |= event.kind != REOPENED and not event.source_id.endswith((EXPORTED, GONE))
        if has_history:
            pending = [placed for placed in pending if not _is_of_a_row(placed[1])]
        won = {each.occurred_at for _, each in standing + pending if each.kind == "deal_won"}
        looked_at, pending = pending, []
        for place, event in looked_at:
            before = _before(standing, place)
            is_beside_a_win = event.kind == "deal_lost" and event.occurred_at in won
            if is_beside_a_win or not _changes(event, before, moved):
                pending.append((place, event))
                continue
            now = event if known == _known(event) else replace(event, known_at=known)
            if event.kind != REOPENED and before is not None and before.kind != REOPENED:
                # From one closing stage to another: an import calls that reopened and closed.
                insort(standing, (place, _reopening(now)), key=_place)
            insort(standing, (place, now), key=_place)
    ids: set[tuple[str, str]] = set()
    for _, event in sorted(standing, key=lambda placed: _known(placed[1])):
        if (event.source, event.source_id) not in ids:
            ids.add((event.source, event.source_id))
            yield event


def _is_of_a_row(event: Event) -> bool:
    """Whether only the row of a deal in an export tells of the closing."""
    return event.kind != REOPENED and event.source_id.endswith(EXPORTED)


def _reopening(closing: Event) -> Event:
    ending, own = f"/{closing.kind}/", closing.source_id
    return Event(
        deal_id=closing.deal_id,
        kind=REOPENED,
        occurred_at=closing.occurred_at,
        known_at=closing.known_at,
        source=closing.source,
        source_id=own.replace(ending, f"/{REOPENED}/") if ending in own else f"{own}/{REOPENED}",
    )


def _changes(event: Event, before: Event | None, moved: set[datetime]) -> bool:
    """Whether a closing or reopening changes how the deal stands after what came before."""
    if before is None or before.kind == REOPENED:
        return event.kind != REOPENED
    if event.kind == REOPENED:
        return not event.source_id.endswith(BACK) or before.source_id.endswith(GONE)
    return before.kind != event.kind and event.occurred_at in moved
