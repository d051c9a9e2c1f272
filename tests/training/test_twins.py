"""Twins: deals that repeat each other never stand on both sides of a division."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.event_table import table_of
from model.events import Event
from model.history import History
from tests.factories import day_us, deal_event
from tests.training.companies import deals_events
from training.judging import deal_share, divide
from training.preparing import Options, prepare
from training.twins import MOST_TWINS, division_share, twins

STORY = [
    ("deal_opened", 0.0, {}),
    ("stage_changed", 1.0, {"name": "offer", "number": 1.0}),
    ("field_changed", 2.0, {"name": "budget", "text": "large"}),
]


def told(deal_id: str, opened: float, *changes: tuple[str, float, dict[str, Any]]) -> list[Event]:
    """The story of a deal, with more events after it."""
    return [
        deal_event(kind, opened + at, deal_id=deal_id, source_id=f"{deal_id}/{n}", **values)
        for n, (kind, at, values) in enumerate([*STORY, *changes])
    ]


def groups(*deals: list[Event]) -> list[int]:
    """The group of each deal, in the order given."""
    history = History.from_events([event for deal in deals for event in deal])
    group = dict(zip(history.deal_ids, twins(history).tolist(), strict=True))
    return [group[deal[0].deal_id] for deal in deals]


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ((), True),
        ((("deal_won", 9.0, {}),), True),
        ((("message_sent", 3.0, {}),), False),
        ((("field_changed", 2.0, {"name": "budget", "text": "small"}),), False),
    ],
    ids=["the same at another time", "another end", "one more event", "another value"],
)
def test_twins_say_the_same_but_for_their_end(
    change: tuple[tuple[str, float, dict[str, Any]], ...], *, alike: bool
) -> None:
    one, other = groups(told("A", 0.0, ("deal_lost", 5.0, {})), told("B", 40.25, *change))

    assert (one == other) == alike


def test_the_day_at_which_something_was_said_tells_deals_apart() -> None:
    early, late, later_that_day = groups(
        told("A", 0.0, ("message_sent", 3.0, {})),
        told("B", 0.0, ("message_sent", 5.0, {})),
        told("C", 0.0, ("message_sent", 5.4, {})),
    )

    assert early != late == later_that_day


def test_many_deals_that_are_alike_are_no_twins() -> None:
    assert len(set(groups(*(told(f"D-{n}", n) for n in range(MOST_TWINS))))) == 1
    assert len(set(groups(*(told(f"D-{n}", n) for n in range(MOST_TWINS + 1))))) == MOST_TWINS + 1


def test_identical_deals_never_stand_on_both_sides() -> None:
    events = deals_events()
    opened = [event for event in events if event.kind == "deal_opened"]
    events += [
        replace(event, kind="amount_changed", number=float(n), source_id=f"amount/{n}")
        for n, event in enumerate(opened)
    ]
    copies = [
        deal_event(
            event.kind,
            (event.occurred_at - events[0].occurred_at).total_seconds() / 86_400 + 0.5,
            deal_id=f"copy of {event.deal_id}",
            source_id=f"copy of {event.source_id}",
            name=event.name,
            number=event.number,
            person=event.person,
        )
        for event in events
    ]
    learning = prepare(table_of([*events, *copies]), day_us(470), Options(edges_days=(30.0,)))
    history = learning.history
    share = dict(zip(history.deal_ids, division_share(history).tolist(), strict=True))

    for event in opened:
        one, other = share[event.deal_id], share[f"copy of {event.deal_id}"]
        assert one == other
        assert one in deal_share([event.deal_id, f"copy of {event.deal_id}"])
    division = divide(learning.data, learning.edges, division_share(history))
    deal = learning.data.deal
    original = np.array([name.removeprefix("copy of ") for name in history.deal_ids])[deal]
    assert len(set(original[division.rounds[0][1]].tolist())) > 10
    for fitting, judging in division.rounds:
        assert not set(original[fitting.any(axis=1)]) & set(original[judging])
