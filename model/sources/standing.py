"""Of all that was told of deals, what stands: the same in whatever order it was told.

Webhooks tell late, twice and out of order, and some tell only how a deal stands. What they tell is
kept as it was told; what stands is worked out from all of it, each time anew. Whatever an import
has settled already is left as it is.

What was known to stand is never undone by what became known later, lest a score as of an earlier
moment change: an event is left out only for another that was known no later. One that says
something new only beside what became known later becomes known with that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Final

from model.events import FIRST_IN_A_MOMENT, LATEST, Event
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


def standing_events(told: Iterable[Event], as_of: datetime | None = None) -> list[Event]:
    """What stands of all that was told of some deals.

    A value seen is an event where it differs from the one before. Of several openings the first
    counts. A deal is closed until it is reopened, and reopened only when it was closed; a closing
    told by a history counts before one that only an export's row tells, and of a loss and a win in
    one moment the win. A deal deleted in its CRM
    is lost if it was open, and what restores it reopens nothing else.

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
    once = {(event.source, event.source_id): event for event in sorted(told, key=repr)}
    events = sorted(once.values(), key=_order)
    standing: list[Event] = []
    for _, of_deal in groupby(events, key=lambda event: event.deal_id):
        standing += _of_deal(list(of_deal))
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


def _order(event: Event) -> tuple[str, object, int, str]:
    rank = RANKS.get(event.kind, OTHERS_RANK)
    return event.deal_id, event.occurred_at, rank, event.source_id


def _final_order(event: Event) -> tuple[object, ...]:
    follows = event.kind != FIRST_IN_A_MOMENT
    return event.deal_id, event.occurred_at, _known(event), follows, event.source, event.source_id


def _of_deal(events: list[Event]) -> Iterator[Event]:
    statuses = [event for event in events if event.kind in STATUSES]
    rest = [event for event in events if event.kind not in STATUSES]
    opened: datetime | None = None  # when an opening that stands was first known
    values: dict[tuple[str, str, str | None], list[tuple[object, datetime]]] = {}
    facts = {(event.source, event.source_id) for event in rest}
    seen = {
        (event.source, event.source_id.removesuffix(SEEN)): event
        for event in rest
        if event.source_id.endswith(SEEN)
    }
    for event in rest:
        if event.kind == "deal_opened":
            if opened is None or _known(event) < opened:
                opened = _known(event)
                yield event
        elif event.kind not in CARRIERS:
            yield event
        else:
            field = event.name if event.kind == "field_changed" else None
            before = values.setdefault((event.source, event.kind, field), [])
            plain = event.source_id.removesuffix(SEEN)
            if plain != event.source_id:
                known = _says_anew(event, before)
                if known is None or (event.source, plain) in facts:
                    continue
                event = replace(event, source_id=plain, known_at=known)  # noqa: PLW2901 - as it stands
            elif (twin := seen.get((event.source, plain))) is not None:
                since = _says_anew(twin, before)
                if since is not None and since < _known(event):
                    event = replace(event, known_at=since)  # noqa: PLW2901 - it stood before
            before.append((_value(event), _known(event)))
            yield event
    moved: dict[datetime, datetime] = {}
    for event in rest:
        if event.kind == STAGE:
            at = event.occurred_at
            moved[at] = min(_known(event), moved.get(at, _known(event)))
    yield from _statuses(statuses, moved)


def _says_anew(event: Event, before: list[tuple[object, datetime]]) -> datetime | None:
    """Since when a value seen is known to differ from the ones before it; None where it is not."""
    for known in _whenever_known(event, [at for _, at in before]):
        then = [value for value, at in before if at <= known]
        if not then or then[-1] != _value(event):
            return known
    return None


def _whenever_known(event: Event, others: Iterable[datetime]) -> list[datetime]:
    """When an event became known, and when others after it did beside which it may say more."""
    known = _known(event)
    return [known, *sorted({other for other in others if known < other < LATEST})]


def _value(event: Event) -> object:
    if event.kind == "field_changed":
        return event.text, event.number
    return getattr(event, CARRIERS[event.kind])


def _statuses(told: list[Event], moved: Mapping[datetime, datetime]) -> Iterator[Event]:
    """Closings and reopenings that change how a deal stands, in order of time.

    Parameters
    ----------
    told
        In order of time.
    moved
        When stages changed, and since when that is known.
    """
    histories = [event for event in told if not event.source_id.endswith(EXPORTED)]
    told = [
        event
        for event in told
        if not event.source_id.endswith(EXPORTED) or not _is_told_by(histories, event)
    ]
    standing: list[Event] = []
    for event in _beside_no_win(told):
        moved_at = moved.get(event.occurred_at, LATEST)
        for known in _whenever_known(event, [moved_at, *map(_known, standing)]):
            then = [each for each in standing if _known(each) <= known]
            if _changes(event, then, moved_at <= known):
                break
        else:
            continue
        closed = _closed(then)
        now = event if known == _known(event) else replace(event, known_at=known)
        if closed is not None and now.kind != REOPENED:
            # From one closing stage to another: an import calls that reopened and closed.
            ending = f"/{now.kind}/"
            standing.append(
                Event(
                    deal_id=now.deal_id,
                    kind=REOPENED,
                    occurred_at=now.occurred_at,
                    known_at=now.known_at,
                    source=now.source,
                    source_id=now.source_id.replace(ending, f"/{REOPENED}/"),
                )
            )
        standing.append(now)
    yield from standing


def _is_told_by(histories: list[Event], exported: Event) -> bool:
    """Whether histories tell of a closing that only an export's row tells.

    Any closing of theirs does that was known no later; of those known later the same one does
    alone, from which no reopening lies between.
    """
    for event in histories:
        if event.kind == REOPENED or event.source_id.endswith(GONE):
            continue
        if _known(event) <= _known(exported):
            return True
        first, last = sorted((event.occurred_at, exported.occurred_at))
        if event.kind == exported.kind and not any(
            each.kind == REOPENED and first < each.occurred_at <= last for each in histories
        ):
            return True
    return False


def _beside_no_win(told: list[Event]) -> list[Event]:
    """All but losses of a moment in which the deal is won, as was known no later."""
    known: dict[datetime, datetime] = {}
    for event in told:
        if event.kind == "deal_won":
            at = event.occurred_at
            known[at] = min(_known(event), known.get(at, _known(event)))
    return [
        event
        for event in told
        if event.kind != "deal_lost" or known.get(event.occurred_at, LATEST) > _known(event)
    ]


def _closed(standing: list[Event]) -> str | None:
    """How the deal is closed after these; None where it is open."""
    return standing[-1].kind if standing and standing[-1].kind != REOPENED else None


def _changes(event: Event, standing: list[Event], has_moved: bool) -> bool:
    """Whether an event changes how a deal stands, whose stage moved in that moment or did not."""
    closed = _closed(standing)
    if event.kind == REOPENED:
        is_undoing = event.source_id.endswith(BACK)
        return closed is not None and (not is_undoing or standing[-1].source_id.endswith(GONE))
    return closed is None or (closed != event.kind and has_moved)
