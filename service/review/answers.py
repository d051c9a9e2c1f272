"""Answers as a browser gets them: a page, a drawing, or a message in a page of its own."""

from __future__ import annotations

from typing import Any, Final

from service.review.asking import Answer
from service.review.links import PATH
from service.review.page import render

SVG: Final = "image/svg+xml"


def html(text: str, status: int = 200) -> Answer:
    """A page."""
    return Answer(body=text.encode(), status=status)


def drawing(element: str) -> Answer:
    """A drawing as a file; where it is empty, a page that says so."""
    if not element:
        return message("No such drawing", "It may have been of another week.", status=404)
    named = element.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return Answer(body=named.encode(), media_type=SVG)


def message(
    title: str,
    *sentences: str,
    status: int = 200,
    back: str = "",
    to: str = PATH,
) -> Answer:
    """A page that says something, with a link back where that has a text."""
    told: dict[str, Any] = {"title": title, "sentences": sentences}
    return html(
        render("message.html", served=True, back=to if back else "", back_text=back, **told),
        status,
    )
