"""What stands of all that was told: the same in whatever order it came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.events import Event
from model.sources.standing import standing_events

START = datetime(2026, 1, 5, tzinfo=UTC)
NAMED = {"stage_changed", "owner_changed"}


def told(kind: str, day: int, value: str = "", ending: str = "", deal_id: str = "D-1") -> Event:
    time = START + timedelta(days=day)
    return Event(
        deal_id=deal_id,
        kind=kind,
        occurred_at=time,
        name=value if kind in NAMED else None,
        source="crm",
        source_id=f"{deal_id}/{kind}/{time:%Y-%m-%d}{ending}",
    )


ANYTHING = st.builds(
    told,
    st.sampled_from(["deal_opened", "deal_won", "deal_lost", "deal_reopened", *NAMED, "call_made"]),
    st.integers(0, 6),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["", "/seen", "/as exported"]),
    st.sampled_from(["D-1", "D-2"]),
)


@given(events=st.lists(ANYTHING, max_size=15), data=st.data())
def test_order_and_repetition_change_nothing(events: list[Event], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=3)) if events else []
    shuffled = data.draw(st.permutations(events + again))

    assert standing_events(shuffled) == standing_events(events)


@given(events=st.lists(ANYTHING, max_size=15))
def test_what_stands_stands_again(events: list[Event]) -> None:
    standing = standing_events(events)

    assert standing_events(standing) == standing


def late(event: Event, days: int) -> Event:
    return replace(event, known_at=event.occurred_at + timedelta(days=days))


LATE = st.builds(late, ANYTHING.filter(lambda e: "exported" not in e.source_id), st.integers(0, 5))


@given(events=st.lists(LATE, max_size=12), day=st.integers(0, 12))
def test_what_was_known_to_stand_is_never_undone_by_what_became_known_later(
    events: list[Event], day: int
) -> None:
    events = list({event.source_id: event for event in events}.values())
    then = START + timedelta(days=day)
    known = [
        event for event in standing_events(events) if event.known_at and event.known_at <= then
    ]

    assert {(each.source_id, each.known_at) for each in standing_events(events, then)} == {
        (each.source_id, each.known_at) for each in known
    }


def test_a_loss_told_late_leaves_the_win_that_was_known_before() -> None:
    won, lost = told("deal_won", 30), late(told("deal_lost", 25), 15)
    events = [told("deal_opened", 0), won, lost]

    assert won in standing_events(events)
    assert lost in standing_events(events)
    assert lost not in standing_events(events, START + timedelta(days=39))


def test_a_win_that_an_export_tells_stays_whatever_a_history_tells_later_of_another_closing() -> (
    None
):
    events = [
        told("deal_opened", 0),
        told("deal_won", 1, ending="/as exported"),
        told("deal_reopened", 5),
        told("deal_lost", 7),
    ]
    assert standing_events(events) == events
    # The same closing, of which the history alone knows the time.
    assert standing_events([*events[:2], told("deal_won", 2)]) == [events[0], told("deal_won", 2)]
    # One known before is what the row tells of, or an older one that the row does not undo.
    known = told("deal_lost", 1)
    row = told("deal_won", 3, ending="/as exported")
    assert standing_events([events[0], known, row]) == [events[0], known]


def test_a_closing_over_another_stands_since_the_move_of_its_stage_is_known() -> None:
    lost, won = told("deal_lost", 1), told("deal_won", 5)
    moved = late(told("stage_changed", 5, "won"), 1)

    standing = standing_events([lost, moved, won])
    assert [event.kind for event in standing if event.known_at == moved.known_at] == [
        *("deal_reopened", "deal_won", "stage_changed")
    ]
    assert standing_events([lost, moved, won], won.occurred_at) == [lost]


def test_a_value_seen_again_is_a_change_once_another_between_is_known() -> None:
    first, again = told("stage_changed", 1, "a"), told("stage_changed", 5, "a", "/seen")
    between = late(told("stage_changed", 3, "b"), 6)

    standing = standing_events([first, again, between])
    assert [(event.name, event.known_at) for event in standing] == [
        ("a", first.occurred_at),
        ("b", between.known_at),
        ("a", between.known_at),
    ]


@pytest.mark.parametrize(
    ("events", "days"),
    [
        ([("deal_opened", 2), ("deal_opened", 1)], [1]),
        ([("deal_reopened", 1)], []),
        ([("deal_won", 1), ("deal_won", 2), ("deal_reopened", 3), ("deal_lost", 4)], [1, 3, 4]),
        ([("deal_won", 1), ("deal_lost", 2)], [1]),
        ([("deal_won", 1, "", "/as exported"), ("deal_won", 2)], [2]),
        ([("deal_won", 1, "", "/as exported"), ("deal_reopened", 2)], [1, 2]),
        ([("stage_changed", 1, "a"), ("stage_changed", 2, "a")], [1, 2]),  # facts stay as told
        ([("stage_changed", 1, "a"), ("stage_changed", 2, "a", "/seen")], [1]),
        ([("stage_changed", 1, "a", "/seen"), ("stage_changed", 1, "a")], [1]),
        ([("stage_changed", 1, "b", "/seen"), ("stage_changed", 2, "a", "/seen")], [1, 2]),
        ([("call_made", 1), ("call_made", 1)], [1]),
    ],
)
def test_only_what_changes_a_deal_stands(
    events: list[tuple[str, int, str, str]], days: list[int]
) -> None:
    standing = standing_events(told(*event) for event in events)

    assert [(event.occurred_at - START).days for event in standing] == days
    assert not any(event.source_id.endswith("/seen") for event in standing)


def test_of_a_loss_and_a_win_in_one_moment_the_win_counts_unless_it_was_known_later() -> None:
    lost, won = told("deal_lost", 2), told("deal_won", 2)
    moved = told("stage_changed", 2, "won")
    assert standing_events([lost, moved, won]) == [won, moved]

    said_late = late(won, 3)
    kinds = [event.kind for event in standing_events([lost, moved, said_late])]
    assert kinds == ["deal_lost", "stage_changed", "deal_reopened", "deal_won"]


def test_from_one_closing_stage_to_another_a_deal_is_reopened_between() -> None:
    events = [told("deal_won", 1), told("stage_changed", 2, "lost"), told("deal_lost", 2)]

    assert [event.kind for event in standing_events(events)] == [
        *("deal_won", "deal_reopened", "deal_lost", "stage_changed")
    ]


def test_what_stands_is_asked_without_loading_what_imports_need(
    loaded_by: Callable[[str], set[str]],
) -> None:
    assert "pyarrow" not in loaded_by("import model.sources.standing")
