from __future__ import annotations

import pytest

from training.expected_wins import Window, forecast_finding
from training.thresholds import read_thresholds


@pytest.mark.parametrize(
    ("days", "expected", "came", "state", "said"),
    [
        (["2025-07-07"], 30.0, 28, "well", "30.0 wins were expected in 1 span of 45 days"),
        (["2025-07-07", "2025-08-21"], 30.0, 5, "retrain", "60.0 wins were expected in 2 spans of"),
        (["2025-07-07"], 0.5, 0, "unknown", "0 wins in 1 span, where 0.5 were expected, are too"),
    ],
)
def test_wins_expected_are_told_beside_those_that_came(
    days: list[str], expected: float, came: int, state: str, said: str
) -> None:
    windows = [
        Window(
            day=day,
            days=45.0,
            deals=100,
            expected=expected,
            low=0.8 * expected,
            high=1.2 * expected,
            came=came,
        )
        for day in days
    ]

    found = forecast_finding(windows, 45.0, read_thresholds().monitor)

    assert (found.state, found.words.startswith(said)) == (state, True), found.words
