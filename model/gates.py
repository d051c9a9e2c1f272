"""Gates: the milestones somebody declared must be hit, and what a missed one does.

A gate is missed at the end of its due date in the deal's time zone. Only reaching the milestone
or withdrawing the declaration clears it: a move, a dropping or a new setting that became known
after that end does not, whatever time it is dated to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Story:
    due_day: int | None = None
    reached: bool = False
    withdrawn: bool = False
    declared: tuple[str, int] | None = None


def find_gates(snapshot: Snapshot) -> tuple[Gate, ...]:
    """Every milestone of a deal ever declared must-hit, by name.

    Parameters
    ----------
    snapshot
        The deal as known at a time.
    """
    if _DECLARED not in snapshot.by_code:
        return ()
    rows = sorted(i for code in _CODES for i in snapshot.by_code.get(code, ()))
    zone = _zone(snapshot)
    stories: dict[int, _Story] = {}
    for i in rows:
        name = snapshot.deal.name[i]
        stories[name] = _after(stories.get(name, _Story()), snapshot, i, zone)
    found = ((snapshot.deal.names[name], story) for name, story in stories.items())
    gates = (_gate(name, story, snapshot.as_of, zone) for name, story in sorted(found))
    return tuple(gate for gate in gates if gate is not None)


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


def _after(story: _Story, snapshot: Snapshot, i: int, zone: tzinfo) -> _Story:
    deal = snapshot.deal
    code = deal.code[i]
    if code == _REACHED:
        return replace(story, reached=True)
    if code == _WITHDRAWN:
        return replace(story, withdrawn=True)
    if code == _DECLARED:
        said = deal.text[i]
        by = deal.sources[deal.source[i]] if said == NONE else deal.texts[said]
        return replace(story, withdrawn=False, declared=(by, deal.occurred[i]))
    stands = story.declared is not None and not story.withdrawn and not story.reached
    if stands and story.due_day is not None and deal.known[i] >= _end(story.due_day, zone):
        return story  # it was missed by then, and a new date does not undo that
    reached = story.reached and code != _SET  # set anew, it is to be reached again
    return replace(story, due_day=int(deal.date[i]), reached=reached)


def _gate(name: str, story: _Story, as_of_us: int, zone: tzinfo) -> Gate | None:
    if story.declared is None:
        return None
    due = story.due_day
    left = None if due is None else (_end(due, zone) - as_of_us) / DAY_US
    state: State = "open"
    if story.withdrawn:
        state = "withdrawn"
    elif story.reached:
        state = "reached"
    elif left is not None and left <= 0:
        state = "missed"
    by, declared_us = story.declared
    return Gate(
        name=name,
        state=state,
        due=None if due is None else (EPOCH_DAY + timedelta(days=due)).isoformat(),
        days_left=left,
        declared_by=by,
        declared_at=from_microseconds(declared_us).isoformat(),
    )


def _zone(snapshot: Snapshot) -> tzinfo:
    """The deal's time zone as its field last said it; UTC where none is said, or no such zone."""
    deal = snapshot.deal
    for i in reversed(snapshot.rows):
        told = deal.text[i] != NONE and deal.code[i] != _DECLARED
        if told and deal.names[deal.name[i]] == TIME_ZONE:
            try:
                return ZoneInfo(deal.texts[deal.text[i]])
            except (KeyError, OSError, ValueError):  # no such zone, or no name of a file
                return UTC
    return UTC


def _end(day: int, zone: tzinfo) -> int:
    """The end of a day since 1970 in a zone, in microseconds since 1970 UTC."""
    if zone is UTC:
        return (day + 1) * DAY_US
    return microseconds(
        datetime.combine(EPOCH_DAY + timedelta(days=day + 1), time.min, tzinfo=zone)
    )
