"""What is shown of parts adds up as it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.rounding import rounded_parts, shown_change, shown_points, tenths

parts_of_points = st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=12)


def spoken(probability: float) -> int:
    """Tenths of a point in the text of one decimal."""
    return int(f"{100 * probability:.1f}".replace(".", ""))


@given(st.floats(0, 1), parts_of_points)
def test_points_as_shown_lead_from_one_probability_as_shown_to_the_other(
    before: float, parts: list[float]
) -> None:
    after = before + sum(parts)

    shown = shown_points(before, parts, after)

    assert spoken(before) + sum(map(spoken, shown)) == spoken(after)
    assert spoken(before) + spoken(shown_change(before, after)) == spoken(after)
    assert all(abs(part - exact) < 0.00151 for part, exact in zip(shown, parts, strict=True))


@given(st.lists(st.floats(-1e7, 1e7), min_size=1, max_size=8))
def test_amounts_as_shown_add_up_to_the_total_as_shown(parts: list[float]) -> None:
    total = round(sum(parts))

    shown = rounded_parts(parts, total)

    assert sum(shown) == total
    assert all(abs(part - exact) <= 1.0 for part, exact in zip(shown, parts, strict=True))


@pytest.mark.parametrize(
    ("parts", "total", "shown"),
    [
        ([], 0, []),
        ([1.0, 2.0], 3, [1, 2]),
        ([0.4, 0.3, 0.3], 1, [1, 0, 0]),
        ([0.6, 0.6, 0.0], 1, [0, 1, 0]),
        ([-0.6, -0.6, 0.0], -1, [0, -1, 0]),
        ([0.2, 3.0], 2, [0, 2]),
        ([-0.1, 5.0], 6, [0, 6]),
    ],
)
def test_the_largest_remainders_take_the_difference(
    parts: list[float], total: int, shown: list[int]
) -> None:
    assert rounded_parts(parts, total) == shown


def test_a_text_of_one_decimal_and_its_tenths_agree_at_a_tie() -> None:
    for place in range(1_000):
        probability = (place + 0.5) / 1_000
        assert tenths(probability) == spoken(probability)
