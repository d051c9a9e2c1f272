"""Gates: the milestones somebody declared must be hit, and what a missed one does.

A gate is missed at the end of its due date in the deal's time zone, both as known then. Only
reaching the milestone or withdrawing the declaration clears it: a move, a dropping, a new setting
or another time zone that became known after that end does not, whatever time it is dated to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final, Literal
from zoneinfo import ZoneInfo

from model.asof import Snapshot
from model.events import DAY_US, EPOCH_DAY, KIND_CODES, from_microseconds, microseconds
from model.history import NONE

State = Literal["open", "reached", "missed", "withdrawn"]
_SET, _MOVED, _REACHED, _DECLARED, _WITHDRAWN = _CODES = tuple(
    KIND_CODES[kind]
    for kind in (
        "milestone_set",
        "milestone_moved",
        "milestone_reached",
        "must_hit_declared",
        "must_hit_withdrawn",
    )
)
TIME_ZONE: Final = "time_zone"  # the field that names a deal's time zone, as IANA does


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One must-hit milestone as known at a moment.

    Parameters
    ----------
    name
        The milestone.
    state
        How it stands.
    due
        Its due date, ISO 8601; None where none is known.
    days_left
        To the end of that date, negative after it; None without a date.
    declared_by
        Who declared it, or the source that told of it where it does not say.
    declared_at
        When, ISO 8601 UTC.
    """

    name: str
    state: State
    due: str | None
    days_left: float | None
    declared_by: str
    declared_at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Gates:
    """What a deal's gates make of its probability.

    Parameters
    ----------
    next
        The open gate due first.
    missed
        Those that are missed, the first due first.
    gated_probability
        Zero while one is missed, else the model's own; None where the model gives none.
    probability_if_missed
        Once `next` is missed: zero by declaration. None where no gate lies ahead.
    """

    next: Gate | None
    missed: tuple[Gate, ...]
    gated_probability: float | None
    probability_if_missed: float | None


@dataclass(slots=True)
class _Story:
    """One milestone as its rows came to be known; positions are in the order of occurrence."""

    due_day: int | None = None
    due_place: int = -1
    reached_place: int = -1
    withdrawn_place: int = -1
    declared_place: int = -1
    declared: tuple[str, int] | None = None
    reached: bool = False
    missed: bool = False

    @property
    def stands(self) -> bool:
        return self.declared is not None and self.declared_place > self.withdrawn_place


def find_gates(snapshot: Snapshot) -> tuple[Gate, ...]:
    """Every milestone of a deal ever declared must-hit, by name.

    Parameters
    ----------
    snapshot
        The deal as known at a time.
    """
    if _DECLARED not in snapshot.by_code:
        return ()
    deal = snapshot.deal
    zones = _zone_rows(snapshot)
    rows = [i for code in _CODES for i in snapshot.by_code.get(code, ())]
    zone: tzinfo = UTC
    zone_place = -1
    stories: dict[int, _Story] = {}
    # As the facts came to be known: a date moved before anybody knew it passed is no miss.
    for i in sorted([*rows, *zones], key=lambda row: (deal.known[row], row)):
        for story in stories.values():
            _pass(story, deal.known[i], zone)
        if i in zones:
            if i > zone_place:
                zone, zone_place = zones[i], i
        else:
            _tell(stories.setdefault(deal.name[i], _Story()), snapshot, i)
    found = sorted((deal.names[name], story) for name, story in stories.items() if story.declared)
    for _, story in found:
        _pass(story, snapshot.as_of, zone)
    return tuple(_gate(name, story, snapshot.as_of, zone) for name, story in found)


def unknown_time_zone(snapshot: Snapshot) -> str | None:
    """What a gated deal last said of its time zone, where it is none; its days end in UTC then."""
    rows = _zone_texts(snapshot) if _DECLARED in snapshot.by_code else []
    if not rows:
        return None
    name = snapshot.deal.texts[snapshot.deal.text[rows[-1]]]
    return None if _zone(name) is not None else name


def gate(gates: tuple[Gate, ...], probability: float | None) -> Gates | None:
    """Gate the model's probability; None where no milestone was ever declared must-hit."""
    if not gates:
        return None
    by_due = sorted(gates, key=lambda one: (one.due is None, one.due or "", one.name))
    missed = tuple(one for one in by_due if one.state == "missed")
    ahead = [one for one in by_due if one.state == "open"]
    return Gates(
        next=ahead[0] if ahead else None,
        missed=missed,
        gated_probability=0.0 if missed else probability,
        probability_if_missed=0.0 if ahead else None,
    )


def _pass(story: _Story, until: int, zone: tzinfo) -> None:
    """Let the time pass up to a moment: a due date that ended meanwhile is missed."""
    due = story.due_day
    if story.stands and not story.reached and due is not None and _end(due, zone) <= until:
        story.missed = True


def _tell(story: _Story, snapshot: Snapshot, i: int) -> None:
    """Let one row come to be known."""
    deal, code = snapshot.deal, snapshot.deal.code[i]
    if code == _REACHED:
        story.reached_place = max(story.reached_place, i)
        story.reached, story.missed = True, False
    elif code == _WITHDRAWN:
        story.withdrawn_place = max(story.withdrawn_place, i)
        story.missed = story.missed and story.stands
    elif code == _DECLARED:
        if i > story.declared_place:
            said = deal.text[i]
            by = deal.sources[deal.source[i]] if said == NONE else deal.texts[said]
            story.declared, story.declared_place = (by, deal.occurred[i]), i
    elif i > story.due_place and not story.missed:
        story.due_day, story.due_place = int(deal.date[i]), i
        if code == _SET and i > story.reached_place:
            story.reached = False  # set anew, it is to be reached again


def _gate(name: str, story: _Story, as_of_us: int, zone: tzinfo) -> Gate:
    by, declared_us = story.declared or ("", 0)
    due = story.due_day
    state: State = "open"
    if not story.stands:
        state = "withdrawn"
    elif story.reached:
        state = "reached"
    elif story.missed:
        state = "missed"
    return Gate(
        name=name,
        state=state,
        due=None if due is None else (EPOCH_DAY + timedelta(days=due)).isoformat(),
        days_left=None if due is None else (_end(due, zone) - as_of_us) / DAY_US,
        declared_by=by,
        declared_at=from_microseconds(declared_us).isoformat(),
    )


def _zone_rows(snapshot: Snapshot) -> dict[int, tzinfo]:
    """The time zone that each row of the field says; UTC where it is none."""
    deal = snapshot.deal
    return {i: _zone(deal.texts[deal.text[i]]) or UTC for i in _zone_texts(snapshot)}


def _zone_texts(snapshot: Snapshot) -> list[int]:
    deal = snapshot.deal
    return [
        i
        for i in snapshot.rows
        if deal.text[i] != NONE
        and deal.code[i] != _DECLARED
        and deal.names[deal.name[i]] == TIME_ZONE
    ]


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # no such zone, or no name of a file
        return None


def _end(day: int, zone: tzinfo) -> int:
    """The end of a day since 1970 in a zone, in microseconds since 1970 UTC."""
    if zone is UTC:
        return (day + 1) * DAY_US
    return microseconds(
        datetime.combine(EPOCH_DAY + timedelta(days=day + 1), time.min, tzinfo=zone)
    )
