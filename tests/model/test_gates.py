"""Must-hit milestones: missed when their day ends, cleared only by reaching or withdrawing."""

from __future__ import annotations

from typing import Any

import pytest

from model.asof import DealRows, Snapshot
from model.events import Event
from model.gates import Gate, find_gates, gate, unknown_time_zone
from model.history import History
from model.vocabulary import Vocabulary
from tests.factories import date_of, day, day_us, deal_event

_MIDNIGHT = 15 / 24  # the tests' time starts at 9:00


def _milestone(kind: str, at: float, due: float | None = None, **more: Any) -> Event:
    date = None if due is None else date_of(due)
    return deal_event(kind, at, name="pilot", **({} if date is None else {"date": date}), **more)


def _gates(events: list[Event], at: float) -> tuple[Gate, ...]:
    history = History.from_events([deal_event(), *events])
    rows = DealRows(history, Vocabulary().codes(history), 0)
    return find_gates(Snapshot(rows, day_us(at)))


_SET = _milestone("milestone_set", 1, 10)
_DECLARED = _milestone("must_hit_declared", 2)
_REACHED = _milestone("milestone_reached", 8)
_WITHDRAWN = _milestone("must_hit_withdrawn", 4)
_DECLARED_AGAIN = _milestone("must_hit_declared", 6)


@pytest.mark.parametrize(
    ("what", "later", "at", "state", "due"),
    [
        ("before its due date", [], 5, "open", 10),
        ("in the last second of its due date", [], 10 + _MIDNIGHT - 1e-5, "open", 10),
        ("when its due date ends", [], 10 + _MIDNIGHT, "missed", 10),
        ("moved in time", [_milestone("milestone_moved", 9, 20)], 12, "open", 20),
        ("moved in time, then late", [_milestone("milestone_moved", 9, 11)], 13, "missed", 11),
        ("moved after its due date", [_milestone("milestone_moved", 11, 20)], 12, "missed", 10),
        ("set anew after its due date", [_milestone("milestone_set", 11, 20)], 12, "missed", 10),
        ("dropped", [_milestone("milestone_dropped", 9)], 12, "missed", 10),
        ("declared again", [_milestone("must_hit_declared", 11)], 12, "missed", 10),
        ("reached in time", [_milestone("milestone_reached", 9)], 12, "reached", 10),
        ("reached late", [_milestone("milestone_reached", 11)], 12, "reached", 10),
        (
            "reached, not known yet",
            [_milestone("milestone_reached", 9, known=13)],
            12,
            "missed",
            10,
        ),
        (
            "moved late, dated back",
            [_milestone("milestone_moved", 9, 20, known=11)],
            12,
            "missed",
            10,
        ),
        (
            "moved in time, and an older move known late",
            [_milestone("milestone_moved", 9, 20), _milestone("milestone_moved", 5, 8, known=12)],
            13,
            "open",
            20,
        ),
        (
            "moved to later, then in time known of an earlier set",
            [_milestone("milestone_set", 0.5, 3, known=6)],
            8,
            "open",
            10,
        ),
        ("withdrawn, then declared again in time", [_WITHDRAWN, _DECLARED_AGAIN], 9, "open", 10),
        ("reached, then set anew", [_REACHED, _milestone("milestone_set", 9, 20)], 12, "open", 20),
        ("withdrawn late", [_milestone("must_hit_withdrawn", 11)], 12, "withdrawn", 10),
    ],
)
def test_a_gate_stands_as_its_events_say(
    what: str, later: list[Event], at: float, state: str, due: float
) -> None:
    (found,) = _gates([_SET, _DECLARED, *later], at)
    assert (found.state, found.due) == (state, date_of(due).isoformat()), what
    held = gate((found,), 0.4)
    assert held is not None
    assert held.gated_probability == (0.0 if state == "missed" else 0.4)
    assert (held.next is not None) == (state == "open")


def test_a_milestone_nobody_declared_is_no_gate() -> None:
    assert _gates([_SET], 20) == ()
    assert gate((), 0.4) is None


def test_a_gate_without_a_date_is_never_missed() -> None:
    (found,) = _gates([_DECLARED], 400)
    assert (found.state, found.due, found.days_left) == ("open", None, None)


def test_a_gate_says_who_declared_it_and_when() -> None:
    (found,) = _gates([_SET, _DECLARED], 5)
    assert (found.declared_by, found.declared_at) == ("crm", day(2).isoformat())
    assert found.due == date_of(10).isoformat()
    (found,) = _gates([_SET, _milestone("must_hit_declared", 3, text="head of sales")], 5)
    assert (found.declared_by, found.declared_at) == ("head of sales", day(3).isoformat())


def test_a_date_moved_before_anybody_declared_it_must_hit_is_no_miss() -> None:
    declared = _milestone("must_hit_declared", 2, known=15)
    (found,) = _gates([_SET, _milestone("milestone_moved", 12, 40), declared], 16)
    assert (found.state, found.due) == ("open", date_of(40).isoformat())


def test_another_time_zone_told_after_the_day_ended_does_not_undo_a_miss() -> None:
    west = deal_event("field_changed", 11.1, name="time_zone", text="Pacific/Honolulu")
    assert _gates([_SET, _DECLARED, west], 11.2)[0].state == "missed"


@pytest.mark.parametrize(
    ("zone", "unknown"), [("Asia/Tokyo", None), ("Europe/Pariss", "Europe/Pariss"), ("", "")]
)
def test_a_time_zone_that_is_none_is_named(zone: str, unknown: str | None) -> None:
    told = deal_event("field_changed", 0.5, name="time_zone", text=zone)
    history = History.from_events([deal_event(), _DECLARED, told])
    snapshot = Snapshot(DealRows(history, Vocabulary().codes(history), 0), day_us(5))
    assert unknown_time_zone(snapshot) == unknown


@pytest.mark.parametrize(
    ("zone", "missed_after_hours"),
    [("Asia/Tokyo", 15), ("America/New_York", 29), ("Mars/Olympus", 24), ("../x", 24)],
)
def test_a_gate_is_missed_at_the_end_of_its_day_where_the_deal_is(
    zone: str, missed_after_hours: float
) -> None:
    told = deal_event("field_changed", 0.5, name="time_zone", text=zone)
    end = 10 - 9 / 24 + missed_after_hours / 24  # from midnight UTC of its due date
    assert [_gates([_SET, _DECLARED, told], end + h)[0].state for h in (-1e-5, 0)] == [
        "open",
        "missed",
    ]


def test_what_is_known_later_changes_no_gate() -> None:
    kinds = ("milestone_moved", "milestone_set", "milestone_reached", "must_hit_withdrawn")
    for kind in kinds:
        due = 30 if kind in ("milestone_moved", "milestone_set") else None
        later = _milestone(kind, 3, due, known=6)
        assert _gates([_SET, _DECLARED, later], 5) == _gates([_SET, _DECLARED], 5)
