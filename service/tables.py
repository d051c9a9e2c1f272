"""Tables and bars of text for the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from typing import Final

BAR_WIDTH: Final = 30  # characters of a certain win
GAP: Final = "  "


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> str:
    """Columns aligned, the last one wrapped to the terminal.

    Parameters
    ----------
    header, rows
        Of as many texts each.
    right
        Columns of numbers, aligned right.

    Examples
    --------
    >>> print(text_table(("deal", "P"), [("D-1", "9%"), ("D-22", "31%")], right=(1,)))
    deal    P
    D-1    9%
    D-22  31%
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    before = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    room = max(shutil.get_terminal_size().columns - before, 30)
    lines = []
    for row in (header, *rows):
        cells = [
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        last = cells[-1] if len(row) - 1 in right else row[-1]
        wrapped = textwrap.wrap(last, room, break_on_hyphens=False) or [""]
        lines.append(GAP.join([*cells[:-1], wrapped[0]]).rstrip())
        lines.extend(" " * before + part for part in wrapped[1:])
    return "\n".join(lines)


def bar(share: float) -> str:
    """A bar as long as the share of `BAR_WIDTH`.

    Examples
    --------
    >>> bar(0.1)
    '###'
    """
    return "#" * round(share * BAR_WIDTH)


def points_text(points: float) -> str:
    """Percentage points with their sign.

    Examples
    --------
    >>> points_text(-0.0342)
    '-3.4'
    """
    return f"{points * 100:+.1f}"
