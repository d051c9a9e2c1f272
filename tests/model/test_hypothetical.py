"""Events supposed: how people write them, and what cannot be supposed."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import WhatIfError
from model.events import KINDS
from model.hypothetical import CLOSINGS, MISSED, TAKES, Hypothetical, parse_hypothetical

WRITTEN = {
    "customer_replied": Hypothetical(kind="customer_replied"),
    "meeting_held": Hypothetical(kind="meeting_held"),
    "meeting_held onsite": Hypothetical(kind="meeting_held", name="onsite"),
    "milestone_reached security review": Hypothetical(
        kind="milestone_reached", name="security review"
    ),
    "milestone_missed security review": Hypothetical(kind=MISSED, name="security review"),
    "milestone_moved security review 2026-04-15": Hypothetical(
        kind="milestone_moved", name="security review", date=date(2026, 4, 15)
    ),
    "close_date_changed 2026-06-30": Hypothetical(
        kind="close_date_changed", date=date(2026, 6, 30)
    ),
    "amount_changed 48000.5": Hypothetical(kind="amount_changed", number=48000.5),
    "amount_changed 0": Hypothetical(kind="amount_changed", number=0.0),
    "stage_changed Proposal": Hypothetical(kind="stage_changed", name="Proposal"),
    "stage_changed Proposal = 4": Hypothetical(kind="stage_changed", name="Proposal", number=4.0),
    "field_changed region = north west": Hypothetical(
        kind="field_changed", name="region", text="north west"
    ),
    "field_changed seats = 40": Hypothetical(
        kind="field_changed", name="seats", text="40", number=40.0
    ),
    "next_step_changed call Ann = today": Hypothetical(
        kind="next_step_changed", text="call Ann = today"
    ),
    "next_step_changed": Hypothetical(kind="next_step_changed"),
    "competitor_named": Hypothetical(kind="competitor_named"),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_an_event_is_written_as_its_kind_and_what_it_says(text: str) -> None:
    assert parse_hypothetical(f"  {text} ") == WRITTEN[text]
    assert WRITTEN[text].notation == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("customer_repled", "kind 'customer_repled': expected one of pipeline_changed, "),
        ("", "kind '': expected one of"),
        ("deal_won", "kind 'deal_won': expected something that leaves an open deal open"),
        ("deal_lost price", "kind 'deal_lost': expected something that leaves an open deal open"),
        ("deal_reopened", "kind 'deal_reopened'"),
        ("milestone_reached", "milestone_reached without name: expected milestone_reached NAME"),
        ("milestone_missed", "milestone_missed without name"),
        ("milestone_moved 2026-04-15", "milestone_moved without name: expected milestone_moved N"),
        ("milestone_moved review", "date 'review' of milestone_moved: expected milestone_moved NA"),
        ("close_date_changed", "date '' of close_date_changed"),
        ("close_date_changed 2026-02-30", "Remedy: write the date last, as 2026-03-31"),
        ("close_date_changed 2500-01-01", "expected one from 1970-01-01 to 2199-12-31"),
        ("close_date_changed soon 2026-03-31", "name 'soon' of close_date_changed"),
        ("amount_changed", "amount_changed without number: expected amount_changed NUMBER"),
        ("amount_changed much", "number 'much' of amount_changed"),
        ("amount_changed nan", "number nan: expected a finite number"),
        ("amount_changed -5", "amount -5: expected 0 or more. Remedy: give the whole amount"),
        ("stage_changed Proposal = late", "number 'late' of stage_changed: expected stage_chan"),
        ("stage_changed", "stage_changed without name"),
        ("meeting_held Berlin", "name 'Berlin' of a meeting: expected onsite or remote"),
        ("customer_replied gladly", "customer_replied with 'gladly': expected customer_replied"),
    ],
)
def test_what_cannot_be_supposed_is_refused_with_what_could_be(text: str, said: str) -> None:
    with pytest.raises(WhatIfError) as refusal:
        parse_hypothetical(text)
    assert said in str(refusal.value)


def test_a_value_that_the_kind_does_not_take_is_refused() -> None:
    with pytest.raises(WhatIfError, match="number '3' of customer_replied: expected customer_rep"):
        Hypothetical(kind="customer_replied", number=3.0)


def test_every_kind_that_leaves_a_deal_open_can_be_supposed() -> None:
    assert set(TAKES) == set(KINDS) - set(CLOSINGS) | {MISSED}


NAMES = st.text("abc -", min_size=1, max_size=12).map(str.strip).filter(bool)
NUMBERS = st.integers(-(10**9), 10**9).map(float)


@given(
    kind=st.sampled_from(sorted(set(TAKES) - {"field_changed", "meeting_held"})),
    name=NAMES,
    number=NUMBERS,
    day=st.dates(date(1971, 1, 1), date(2199, 12, 31)),
)
def test_what_is_written_is_read_as_it_was(kind: str, name: str, number: float, day: date) -> None:
    number = abs(number) if kind == "amount_changed" else number
    values = {"name": name, "text": name, "number": number, "date": day}
    event = Hypothetical(kind=kind, **{column: values[column] for column in TAKES[kind]})  # type: ignore[arg-type] # of each column's type

    assert parse_hypothetical(event.notation) == event
