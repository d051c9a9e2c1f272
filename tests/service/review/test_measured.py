"""What stands on the page as measured is what the README states."""

from __future__ import annotations

import re
from pathlib import Path

from service.review.measured import COVERAGE, COVERAGE_QUARTERS

README = Path(__file__).parents[3] / "README.md"


def test_the_coverage_on_the_page_is_the_one_that_the_readme_states() -> None:
    text = README.read_text(encoding="utf-8")
    passage = text[text.index("should hold what comes in eight quarters of ten") :]
    stated = re.findall(r"^\| (\d+) \| ([\d.]+) % \|", passage, flags=re.MULTILINE)[: len(COVERAGE)]

    assert f"Measured on {COVERAGE_QUARTERS}" in passage
    assert [(int(week), float(share) / 100) for week, share in stated] == list(COVERAGE)
