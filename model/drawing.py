"""How drawings look, on whichever page they stand, and how one becomes a plain SVG element."""

from __future__ import annotations

import re
import warnings
from html import escape
from io import StringIO
from typing import Any, Final, Protocol

INK: Final = "#1f2933"
QUIET: Final = "#697581"
SHADE: Final = "#c3ccd5"
DANGER: Final = "#b3261e"
STYLE: Final[dict[Any, Any]] = {  # settings of Matplotlib
    "svg.fonttype": "none",
    "svg.hashsalt": "redflare",
    "font.family": "sans-serif",
    "font.size": 8.0,
    "text.parse_math": False,  # a name with two dollar signs is a name
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


class Drawing(Protocol):
    """A figure of Matplotlib, which this package does not import."""

    def savefig(self, fname: Any, *, transparent: bool | None = None, **settings: Any) -> None:
        """Write the drawing."""


def svg_element(drawing: Drawing, key: str, label: str) -> str:
    """The drawing as an element to stand in a page, without scripts, styles or outside references.

    Parameters
    ----------
    drawing
        Drawn with `STYLE`.
    key
        Before every id inside, so that several stand in one page.
    label
        What a screen reader says.
    """
    out = StringIO()
    with warnings.catch_warnings():
        # The reader's own font draws the text: one that is lacking here only shifts its middle.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        drawing.savefig(out, format="svg", transparent=True, metadata=nothing)
    drawn = out.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r"<style.*?</style>", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace("xlink:href=", "href=")
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{key}-", drawn)
    box = re.search(r'viewBox="[^"]*"', drawn)
    named = f'class="drawing" role="img" aria-label="{escape(label)}"'
    opening = f"<svg {box[0] if box else ''} {named}>"
    return re.sub(r"<svg[^>]*>", lambda _: opening, drawn, count=1).strip()
