"""Gates: the milestones somebody declared must be hit, and what a missed one does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal

from model.events import DAY_US, EPOCH_DAY, KIND_CODES
from model.history import History

State = Literal["open", "reached", "missed", "withdrawn"]
_SET, _MOVED, _REACHED, _DECLARED, _WITHDRAWN = (
    KIND_CODES[kind]
    for kind in (
        "milestone_set",
        "milestone_moved",
        "milestone_reached",
        "must_hit_declared",
        "must_hit_withdrawn",
    )
)
_FOLLOWED: Final = frozenset({_SET, _MOVED, _REACHED, _DECLARED, _WITHDRAWN})


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """One must-hit milestone as known at a moment.

    Parameters
    ----------
    name
        The milestone.
    due
        Its due date, ISO 8601; None where none is known.
    days_left
        To the end of that date in UTC, negative after it; None without a date.
    declared_by
        The source that declared it, since a history keeps no person's name.
    declared_at_us
        When, in microseconds since 1970 UTC.
    state
        How it stands.
    """

    name: str
    due: str | None
    days_left: float | None
    declared_by: str
    declared_at_us: int
    state: State


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
        Zero while one is missed, else the model's own.
    probability_if_missed
        Zero by declaration.
    """

    next: Gate | None
    missed: tuple[Gate, ...]
    gated_probability: float
    probability_if_missed: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Story:
    due_day: int | None = None
    reached: bool = False
    withdrawn: bool = False
    declared: tuple[str, int] | None = None


def find_gates(history: History, deal: int, as_of_us: int) -> tuple[Gate, ...]:
    """Every milestone of a deal ever declared must-hit, by name.

    A gate is missed when its due date has ended in UTC. Moving it later than that, setting it
    anew or dropping it leaves it missed: only reaching it or withdrawing the declaration clears it.

    Parameters
    ----------
    history
        Holding the deal; what is known only after `as_of_us` is not read.
    deal
        Its place in `history.deal_ids`.
    as_of_us
        Microseconds since 1970 UTC.
    """
    stories: dict[str, _Story] = {}
    for i in range(int(history.start[deal]), int(history.start[deal + 1])):
        code, at = int(history.kind[i]), int(history.occurred[i])
        if code not in _FOLLOWED or max(at, int(history.known[i])) > as_of_us:
            continue
        name = history.names[int(history.name[i])]
        story = stories.get(name, _Story())
        stories[name] = _after(story, code, at, history, i)
    gates = (_gate(name, story, as_of_us) for name, story in sorted(stories.items()))
    return tuple(gate for gate in gates if gate is not None)


def gate(gates: tuple[Gate, ...], probability: float) -> Gates | None:
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
    )


def _after(story: _Story, code: int, at: int, history: History, i: int) -> _Story:
    if code == _REACHED:
        return replace(story, reached=True)
    if code == _WITHDRAWN:
        return replace(story, withdrawn=True)
    if code == _DECLARED:
        source = history.sources[int(history.source[i])]
        return replace(story, withdrawn=False, declared=(source, at))
    stands = story.declared is not None and not story.withdrawn and not story.reached
    if stands and story.due_day is not None and at >= _end(story.due_day):
        return story  # it was missed by then, and a new date does not undo that
    return replace(story, due_day=int(history.date[i]))


def _gate(name: str, story: _Story, as_of_us: int) -> Gate | None:
    if story.declared is None:
        return None
    left = None if story.due_day is None else (_end(story.due_day) - as_of_us) / DAY_US
    state: State = "open"
    if story.withdrawn:
        state = "withdrawn"
    elif story.reached:
        state = "reached"
    elif left is not None and left <= 0:
        state = "missed"
    day = None if story.due_day is None else EPOCH_DAY + timedelta(days=story.due_day)
    return Gate(
        name=name,
        due=None if day is None else day.isoformat(),
        days_left=left,
        declared_by=story.declared[0],
        declared_at_us=story.declared[1],
        state=state,
    )


def _end(day: int) -> int:
    """The end of a day since 1970, in microseconds since 1970 UTC."""
    return (day + 1) * DAY_US
