"""A section of a report: words, tables and charts, the same for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from click import unstyle

GAP: Final = "  "


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A text of a table that stands out.

    Parameters
    ----------
    text
        What it says.
    danger
        Marked by colour too; the text has a sign or words for it.
    strong
        Marked by weight, for the row that matters most.
    """

    text: str
    danger: bool = False
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of texts.

    Parameters
    ----------
    caption
        What it shows.
    header
        Of each column.
    rows
        Of as many texts, or `Cell` where one is to stand out.
    words
        How many columns from the left hold words; the others hold numbers, aligned right.
    on_terminal
        Whether it is printed too.
    wide
        Whether it takes the whole width of a page.
    note
        A line below the caption, of what the columns mean; empty for none.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    words: int = 1
    on_terminal: bool = True
    wide: bool = False
    note: str = ""

    @property
    def cells(self) -> list[list[Cell]]:
        """The rows, all as cells."""
        return [
            [each if isinstance(each, Cell) else Cell(text=each) for each in row]
            for row in self.rows
        ]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawing.

    Parameters
    ----------
    title
        Above it.
    svg
        An ``<svg>`` element, complete and without any reference outside itself.
    told
        What it shows, for those who do not see it.
    note
        A line below the title; empty for none.
    """

    title: str
    svg: str
    told: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of a report.

    Parameters
    ----------
    key
        Its name in ``report.json``; also the anchor on the page.
    title
        Its heading.
    words
        Paragraphs.
    tables, charts
        Shown in this order after the words: charts, then tables.
    figures
        Its part of ``report.json``: JSON alone.
    tidy
        Rows for the one CSV, each with the keys of `TIDY`.
    """

    key: str
    title: str
    words: Sequence[str] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    figures: Any = None
    tidy: Sequence[dict[str, Any]] = field(default_factory=list)


TIDY: Final = ("section", "part", "value", "horizon_days", "method", "figure", "number")


def text_of(table: Table) -> str:
    """A table for the terminal; control characters of names are left out.

    Examples
    --------
    >>> print(text_of(Table(caption="Deals", header=("stage", "won"), rows=[("Offer", "9 %")])))
    Deals
    stage  won
    Offer  9 %
    """
    rows = [[_plain(text) for text in table.header]]
    rows += [[_plain(cell.text) for cell in row] for row in table.cells]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [table.caption, table.note] if table.note else [table.caption]
    for row in rows:
        cells = [
            text.ljust(width) if column < table.words else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(GAP.join(cells).rstrip())
    return "\n".join(lines)


def section_text(section: Section) -> str:
    """All words and tables of a section for the terminal.

    Examples
    --------
    >>> print(section_text(Section(key="k", title="Early?", words=["Two flares."])))
    Early?
    <BLANKLINE>
    Two flares.
    """
    words = ["\n".join(_plain(paragraph) for paragraph in section.words)]
    return "\n\n".join([section.title, *words, *(text_of(table) for table in section.tables)])


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in unstyle(text))
