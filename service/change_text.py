"""Why a probability moved, as text for a terminal."""

from __future__ import annotations

from typing import Final

from model.change import Change, Step
from service.parts import change_parts
from service.tables import points_text, text_table

MOST_SHIFTS: Final = 3  # features named for each step


def change_text(change: Change) -> str:
    """The steps as a table, from the probability then to the probability now."""
    rows = [(f"{change.before * 100:.1f}", "", f"the score as of {change.since[:10]}")]
    for step, points in change_parts(change):
        when = "" if step.known_at is None else step.known_at[:10]
        rows.append((points_text(points), when, _line(step)))
    rows.append((f"{change.after * 100:.1f}", "", f"the score as of {change.as_of[:10]}"))
    title = f"Why it moved since {change.since[:10]} (P(won) by {change.close_by}):\n\n"
    return title + text_table(("points", "known", "why"), rows, right=(0,))


def _line(step: Step) -> str:
    shifts = [
        f"{shift.phrase} ({points_text(shift.points)})" for shift in step.shifts[:MOST_SHIFTS]
    ]
    return f"{step.phrase}: {'; '.join(shifts)}" if shifts else step.phrase
