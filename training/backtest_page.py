"""The backtest as one page that needs nothing beside itself: no script, no other file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from training.section import Section

TEMPLATE: Final = "backtest_page.html"
TITLE: Final = "Can these probabilities be believed?"


def page(sections: Sequence[Section], lead: str) -> str:
    """The whole page.

    Parameters
    ----------
    sections
        In the order of the page; every text in them is escaped but the drawings.
    lead
        One sentence below the title.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
    )
    environment.filters["unbroken"] = _unbroken
    return environment.get_template(TEMPLATE).render(title=TITLE, lead=lead, sections=sections)


def _unbroken(text: str) -> str:
    """No line ends between a number and its per cent."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")
