"""The milestones of a deal as they stand, and what may be said of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

import numpy as np

from model.asof import AsOf
from model.events import Event, microseconds
from model.gates import Gate, find_gates
from model.history import History
from model.vocabulary import Vocabulary

State = Literal["open", "reached", "dropped", "missed"]
SET: Final = "milestone_set"
ACTS: Final = (
    SET,
    "milestone_moved",
    "milestone_reached",
    "milestone_dropped",
    "must_hit_declared",
    "must_hit_withdrawn",
)


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """One milestone of a deal.

    Parameters
    ----------
    name
        Tells it from the deal's others.
    state
        ``missed`` is a must-hit one alone; another whose date has passed is open.
    due
        None where no date is known.
    reached_at
        None until it is reached.
    gate
        How it gates the deal; None where it was never declared must-hit.
    """

    name: str
    state: State
    due: date | None
    reached_at: datetime | None
    gate: Gate | None

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        gate = None if self.gate is None or self.gate.state == "withdrawn" else self.gate
        return {
            "name": self.name,
            "state": self.state,
            "due": None if self.due is None else self.due.isoformat(),
            "reached_at": None if self.reached_at is None else self.reached_at.isoformat(),
            "must_hit": gate is not None,
            "declared_by": None if gate is None else gate.declared_by,
            "declared_at": None if gate is None else gate.declared_at,
        }


def milestones(events: Sequence[Event], now: datetime) -> list[Milestone]:
    """The milestones of a deal as known now, those due first first.

    Parameters
    ----------
    events
        Those of the deal that stand.
    now
        The present, UTC.
    """
    known = [event for event in events if (event.known_at or event.occurred_at) <= now]
    if not known:
        return []
    gates = {gate.name: gate for gate in _gates(known, now)}
    found: dict[str, Milestone] = {}
    for event in sorted(known, key=lambda each: each.occurred_at):
        if event.kind in ACTS:
            name = event.name or ""
            found[name] = _told(found.get(name) or _new(name, gates.get(name)), event)
    every = [_gated(each) for each in found.values()]
    return sorted(every, key=lambda each: (each.due is None, each.due or date.max, each.name))


def _new(name: str, gate: Gate | None) -> Milestone:
    return Milestone(name=name, state="open", due=None, reached_at=None, gate=gate)


def _told(before: Milestone, event: Event) -> Milestone:
    """A milestone after one more event."""
    state, due, reached_at = before.state, before.due, before.reached_at
    if event.kind == SET:
        state, due, reached_at = "open", event.date, None
    elif event.kind == "milestone_moved":
        due = event.date
    elif event.kind == "milestone_reached":
        state, reached_at = "reached", event.occurred_at
    elif event.kind == "milestone_dropped":
        state = "dropped"
    return Milestone(
        name=before.name, state=state, due=due, reached_at=reached_at, gate=before.gate
    )


def _gated(told: Milestone) -> Milestone:
    """A must-hit milestone as its gate says: a missed one is not made good by moving it."""
    gate = told.gate
    if gate is None or gate.state == "withdrawn":
        return told
    return Milestone(
        name=told.name,
        state=gate.state,
        due=told.due if gate.due is None else date.fromisoformat(gate.due),
        reached_at=told.reached_at,
        gate=gate,
    )


def _gates(events: Sequence[Event], now: datetime) -> tuple[Gate, ...]:
    history, vocabulary = History.from_events(events), Vocabulary()
    moment = np.array([microseconds(now)])
    codes = vocabulary.codes(history)
    snapshot = AsOf(history, vocabulary, codes, np.array([0]), moment, None).snapshots[0]
    return find_gates(snapshot)
