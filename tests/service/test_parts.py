"""What adds up does so on a terminal as it stands there."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from model.change import Change, Step
from model.score import Interval
from model.what_if import Moved, WhatIf
from service.change_text import change_text
from service.what_if_text import what_if_text
from tests.service.review.test_words import told

added = st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=12)
NUMBER = re.compile(r"^ *([+-]?\d+\.\d)(?=  )", re.MULTILINE)


def adds_up(text: str) -> bool:
    before, *parts, after = map(float, NUMBER.findall(text))
    return round(before + sum(parts), 6) == after


@given(st.floats(0, 1), added)
def test_the_reasons_of_a_change_add_up_as_shown(before: float, parts: list[float]) -> None:
    steps = tuple(
        Step(reason="time", phrase="time passed", known_at=None, points=part, shifts=())
        for part in parts
    )
    change = Change(
        deal_id="D-1",
        since="2026-01-05T00:00:00+00:00",
        as_of="2026-01-12T00:00:00+00:00",
        close_by="2026-03-31",
        before=before,
        after=before + sum(parts),
        steps=steps,
    )

    assert adds_up(change_text(change))


@given(added, st.floats(-0.01, 0.01))
def test_the_drivers_of_a_what_if_add_up_as_shown(parts: list[float], other: float) -> None:
    supposed = what_if(parts, other)

    table = what_if_text(supposed).split("\n\n")[1]

    assert adds_up(table)


def what_if(parts: list[float], other: float) -> WhatIf:
    drivers = tuple(
        Moved(feature="silence_days", before=3.0, after=0.0, points=part, phrase="they replied")
        for part in parts
    )
    known = told(None, None)
    return replace(
        known,
        after=known.before + sum(parts) + other,
        drivers=drivers,
        other_points=other,
        interval_after=Interval(low=0.1, high=0.2),
    )
