"""What stands of all that was told: the same in whatever order it came."""

from __future__ import annotations

from collections.abc import Callable
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


def test_from_one_closing_stage_to_another_a_deal_is_reopened_between() -> None:
    events = [told("deal_won", 1), told("stage_changed", 2, "lost"), told("deal_lost", 2)]

    assert [event.kind for event in standing_events(events)] == [
        *("deal_won", "deal_lost", "deal_reopened", "stage_changed")
    ]


def test_what_stands_is_asked_without_loading_what_imports_need(
    loaded_by: Callable[[str], set[str]],
) -> None:
    assert "pyarrow" not in loaded_by("import model.sources.standing")
