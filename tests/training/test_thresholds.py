from __future__ import annotations

from pathlib import Path

import pytest

from training.thresholds import ThresholdError, read_thresholds


def test_a_file_replaces_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[promotion]\nmargin = -0.01\nslope = [0.8, 1.25]\n")

    mine, usual = read_thresholds(path), read_thresholds()

    assert mine.promotion.margin == -0.01  # it must be better by so much
    assert mine.promotion.slope == (0.8, 1.25)
    assert mine.promotion.segment_margin == usual.promotion.segment_margin
    assert mine.data == usual.data


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[promotion]\nmargins = 1", r"promotion\.margins: expected one of margin, segment_margin"),
        ("[promotoin]\nmargin = 1", r"\[promotoin\]: expected one of promotion, data"),
        ("promotion = 1", r"\[promotion\]"),
        ("[promotion]\nslope = 1", "two numbers in brackets"),
        ("[promotion]\nslope = [1, 2, 3]", "two numbers in brackets"),
        ("[promotion]\nmargin = 'small'", "expected a number"),
        ("[promotion]\nmargin = true", "expected a number"),
        ("[promotion", "expected a TOML file"),
        ("[promotion]\nmargin = nan", r"promotion\.margin = nan: expected a finite number"),
        ("[promotion]\nslope = [0.7, inf]", "expected a finite number"),
        ("[promotion]\nlevel = 5", "expected a share above 0 and below 1"),
        ("[data]\npsi_level = 0", "expected a share above 0 and below 1"),
        ("[promotion]\nfewest_deals = -1", "expected a whole number of at least 1"),
        ("[monitor]\nopen_deals = 2.5", "expected a whole number of at least 1"),
        ("[promotion]\nrefit_mean = -0.1", "expected nothing below 0"),
        ("[promotion]\nintercept = [0.3, -0.3]", "expected the two the other way round"),
        ("[data]\nfewer_events = [0.5, 0.95]", "expected the two the other way round"),
        ("[monitor]\nspacing_days = 0", "expected a number above 0"),
    ],
)
def test_an_entry_that_cannot_be_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)

    with pytest.raises(ThresholdError, match=said):
        read_thresholds(path)
