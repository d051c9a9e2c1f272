"""Options that take several numbers."""

from __future__ import annotations

import pytest

from service.arguments import spread


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["--within", "7"], ["--within", "7"]),
        (
            ["--within", "7", "14", "30", "--json"],
            ["--within", "7", "--within", "14", "--within", "30", "--json"],
        ),
        (["--edges", "7", "1e2", "x"], ["--edges", "7", "--edges", "1e2", "x"]),
        (["--riskiest", "3", "4"], ["--riskiest", "3", "4"]),
        (["--within", "7", "--edges", "8", "9"], ["--within", "7", "--edges", "8", "--edges", "9"]),
        (["--within", "7", "-1"], ["--within", "7", "--within", "-1"]),
        (["--within"], ["--within"]),
        ([], []),
    ],
)
def test_an_option_of_several_numbers_is_repeated_for_each(
    given: list[str], read: list[str]
) -> None:
    assert spread(given) == read
