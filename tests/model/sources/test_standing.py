"""What stands of all that was told: the same in whatever order it came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.events import Event
from model.sources.standing import may_not_stand, standing_events

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


ON_TIME = st.builds(
    told,
    st.sampled_from(["deal_opened", "deal_won", "deal_lost", "deal_reopened", *NAMED, "call_made"]),
    st.integers(0, 6),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["", "/seen", "/as exported", "/gone", "/back"]),
    st.sampled_from(["D-1", "D-2"]),
)


def late(event: Event, days: int) -> Event:
    return replace(event, known_at=event.occurred_at + timedelta(days=days))


ANYTHING = st.builds(late, ON_TIME, st.sampled_from([0, 0, 1, 2, 3, 5]))


@given(events=st.lists(ANYTHING, max_size=15), data=st.data())
def test_order_and_repetition_change_nothing(events: list[Event], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=3)) if events else []
    shuffled = data.draw(st.permutations(events + again))

    assert standing_events(shuffled) == standing_events(events)


@given(events=st.lists(ANYTHING, max_size=15))
def test_what_stands_stands_again(events: list[Event]) -> None:
    standing = standing_events(events)

    assert standing_events(standing) == standing


@given(events=st.lists(ANYTHING, max_size=12), day=st.integers(0, 12))
def test_what_becomes_known_later_undoes_nothing_and_adds_nothing_known_before(
    events: list[Event], day: int
) -> None:
    then = START + timedelta(days=day)
    known = [
        event for event in standing_events(events) if event.known_at and event.known_at <= then
    ]

    assert standing_events(events, then) == known


@given(events=st.lists(ANYTHING, max_size=8))
def test_where_no_look_is_needed_all_that_was_told_stands(events: list[Event]) -> None:
    told_once = {event.source_id: event for event in events if event.deal_id == "D-1"}
    events = list(told_once.values())
    if not may_not_stand([event.kind for event in events], list(told_once)):
        assert set(told_once) == {event.source_id for event in standing_events(events)}


def test_a_loss_told_late_leaves_the_win_that_was_known_before() -> None:
    won, lost = told("deal_won", 30), late(told("deal_lost", 25), 15)
    events = [told("deal_opened", 0), won, lost]

    assert won in standing_events(events)
    assert lost in standing_events(events)
    assert lost not in standing_events(events, START + timedelta(days=39))


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
        ([("deal_won", 1, "", "/as exported"), ("deal_won", 2)], [1]),  # as was known on day 1
        ([("deal_won", 1), ("deal_reopened", 2), ("deal_lost", 3, "", "/as exported")], [1, 2]),
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


def test_a_reopening_between_two_closings_of_own_ids_has_an_id_of_its_own() -> None:
    won, moved, lost = told("deal_won", 1), told("stage_changed", 2, "x"), told("deal_lost", 2)
    standing = standing_events([replace(won, source_id="16"), moved, replace(lost, source_id="17")])

    assert [event.source_id for event in standing if event.kind != "stage_changed"] == [
        *("16", "17/deal_reopened", "17")
    ]


def test_a_win_that_an_export_told_stays_when_a_history_tells_later_of_another_closing() -> None:
    won = told("deal_won", 1, ending="/as exported")
    events = [told("deal_opened", 0), won, told("deal_reopened", 5), told("deal_lost", 7)]

    assert standing_events(events) == events


def test_a_win_over_a_loss_becomes_known_with_the_change_of_stage_that_says_so() -> None:
    lost, won = told("deal_lost", 2), late(told("deal_won", 4), 1)
    moved = late(told("stage_changed", 4, "won"), 2)

    assert standing_events([lost, won, moved], START + timedelta(days=5)) == [lost]
    wins = [event for event in standing_events([lost, won, moved]) if event.kind == "deal_won"]
    assert [event.known_at for event in wins] == [moved.known_at]


def test_what_stands_is_asked_without_loading_what_imports_need(
    loaded_by: Callable[[str], set[str]],
) -> None:
    assert "pyarrow" not in loaded_by("import model.sources.standing")
