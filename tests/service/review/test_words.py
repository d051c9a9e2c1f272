"""What a page says in words."""

from __future__ import annotations

import pytest

from model.score import Interval
from model.what_if import OpenAction, WhatIf
from service.review.labels import short_money
from service.review.words import MINUS, gain_words, supposed_words


def told(gated_before: float | None, gated_after: float | None, after: float = 0.13) -> WhatIf:
    """A deal of 12% whose pilot is supposed to be accepted."""
    return WhatIf(
        schema_version=1,
        deal_id="D-1",
        as_of="2026-03-01T00:00:00+00:00",
        close_by="2026-03-31",
        days=31.0,
        events=("milestone_reached pilot accepted",),
        phrases=("milestone reached: pilot accepted",),
        before=0.12,
        after=after,
        interval_before=Interval(low=0.1, high=0.2),
        interval_after=Interval(low=0.1, high=0.2),
        gated_before=gated_before,
        gated_after=gated_after,
        average_probability=0.2,
        drivers=(),
        other_points=0.0,
        curve=(),
        best=(),
        statement="",
        basis="model",
        model_version="m",
        hindsight=False,
    )


def action(gated_after: float | None) -> OpenAction:
    return OpenAction(
        action="milestone_reached",
        event="milestone_reached pilot accepted",
        phrase="milestone reached: pilot accepted",
        after=0.123,
        points=0.003,
        gated_after=gated_after,
        evidence=None,
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            None,
            None,
            "12% becomes 13%.",
        ),
        (
            0.12,
            0.13,
            "12% becomes 13%.",
        ),
        (
            0.0,
            0.13,
            (
                "0% becomes 13%, as nothing must-hit is "
                "missed then; by the model alone, 12% becomes 13%."
            ),
        ),
        (
            0.0,
            0.0,
            (
                "0% as before, since a must-hit milestone is "
                "missed; by the model alone, 12% becomes 13%."
            ),
        ),
        (
            0.12,
            0.0,
            ("12% becomes 0%, since a must-hit milestone is missed then."),
        ),
    ],
)
def test_what_is_supposed_is_told_with_what_the_gate_makes_of_it(
    before: float | None, after: float | None, said: str
) -> None:
    by = "Milestone reached: pilot accepted. To be won by 2026-03-31: "
    assert supposed_words(told(before, after)) == by + said


@pytest.mark.parametrize(
    ("gated_before", "gated_after", "said"),
    [
        (None, None, "+0.3 points by 2026-03-31"),
        (0.12, 0.123, "+0.3 points by 2026-03-31"),
        (0.0, 0.123, "0% to 12% by 2026-03-31, as nothing must-hit is missed then"),
        (0.0, 0.0, "+0.3 points by 2026-03-31 by the model alone, and still 0%"),
    ],
)
def test_an_action_that_clears_a_missed_gate_is_told_by_what_it_clears(
    gated_before: float | None, gated_after: float | None, said: str
) -> None:
    now = told(gated_before, gated_before)
    assert gain_words(now, action(gated_after)) == said


def test_short_amounts_of_drawings_have_the_minus_sign_of_the_page() -> None:
    for amount, size in ((-3e6, "3M"), (-182_586.36, "183k"), (-12.0, "12")):
        assert short_money(amount) == MINUS + size
