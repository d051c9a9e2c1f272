"""Tables, bars and points on a terminal."""

from __future__ import annotations

import pytest

from service.tables import text_table


def test_a_table_aligns_numbers_right_and_wraps_its_last_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    shown = text_table(
        ("deal", "P(won)", "drivers"),
        [("D-1", "9%", "no real customer contact for 23 days; stage Offer"), ("D-22", "31%", "")],
        right=(1,),
    )

    assert shown.splitlines() == [
        "deal  P(won)  drivers",
        "D-1       9%  no real customer contact for 23",
        "              days; stage Offer",
        "D-22     31%",
    ]


def test_a_table_without_rows_is_its_header() -> None:
    assert text_table(("points", "driver"), [], right=(0,)) == "points  driver"
