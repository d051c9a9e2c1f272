"""The JSON of a what-if request, read into what the model takes.

It is a score request (`service.wire`) with what is supposed beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from model.errors import RedflareError
from model.events import Event
from model.feeds import Feed
from model.hypothetical import Hypothetical
from service.fields import FormError, read_count, read_date, read_list, read_number, read_text
from service.json_text import pointer, read_json, show
from service.problems import refused_by
from service.wire import (
    REQUEST_FIELDS,
    ScoreQuestion,
    check_date_asked,
    check_names,
    question_about,
    question_of,
    read_member,
    read_request,
)

MOST_SUPPOSED: Final = 20  # events
MOST_BEST: Final = 100  # more than there are actions
READERS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "kind": read_text,
    "name": read_text,
    "text": read_text,
    "number": read_number,
    "date": read_date,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class WhatIfQuestion:
    """What a what-if request asks.

    Parameters
    ----------
    score
        The deal, the moment and the date.
    supposed
        What is supposed, in order.
    best
        How many of the open actions to show.
    """

    score: ScoreQuestion
    supposed: list[Hypothetical]
    best: int


def read_what_if(body: bytes) -> WhatIfQuestion:
    """Read the body of a what-if request.

    Parameters
    ----------
    body
        JSON, UTF-8.

    Raises
    ------
    JsonTextError
        If it is no JSON.
    Refused
        If it is not of the documented form, or an event cannot be supposed of any deal.

    Examples
    --------
    >>> question = read_what_if(b'''{"days": 30, "deal_id": "D-1", "events": [
    ...     {"kind": "deal_opened", "occurred_at": "2026-01-05T09:30:00Z",
    ...      "source": "crm", "source_id": "D-1/1"}],
    ...     "hypothetical": [{"kind": "meeting_held", "name": "onsite"}]}''')
    >>> [event.notation for event in question.supposed]
    ['meeting_held onsite']
    """
    form = read_request(body, (*REQUEST_FIELDS, "hypothetical", "best"))
    return WhatIfQuestion(
        score=question_of(form),
        supposed=read_supposed(form),
        best=read_best(form),
    )


STORED_FIELDS: Final = ("close_by", "days", "drivers", "hypothetical", "best")


def read_supposition(body: bytes, events: list[Event], feeds: dict[str, Feed]) -> WhatIfQuestion:
    """Read the body of a what-if request about a deal that is kept.

    Parameters
    ----------
    body
        JSON, UTF-8: a what-if request without the deal.
    events
        Of the deal.
    feeds
        As they are known.

    Raises
    ------
    JsonTextError
        If it is no JSON.
    Refused
        If it is not of the documented form.
    """
    form: dict[str, Any] = read_json(body)
    try:
        if type(form) is not dict:
            raise FormError(show(form), "an object", "send one request a body")
        check_names(form, STORED_FIELDS)
        check_date_asked(form)
    except FormError as error:
        raise refused_by(error, "") from error
    return WhatIfQuestion(
        score=question_about(form, events, feeds),
        supposed=read_supposed(form),
        best=read_best(form),
    )


def read_supposed(form: dict[str, Any]) -> list[Hypothetical]:
    """What a form supposes.

    Raises
    ------
    Refused
        If it is not of the documented form.
    """
    return _supposed(read_member(form, "hypothetical", _read_rows, []))


def read_best(form: dict[str, Any]) -> int:
    """How many open actions a form asks for.

    Raises
    ------
    Refused
        If it is not of the documented form.
    """
    return read_member(form, "best", _read_best, 0)


def _read_best(name: str, value: Any) -> int:
    return read_count(name, value, MOST_BEST)


def _read_rows(name: str, value: Any) -> list[Any]:
    rows = read_list(name, value)
    if len(rows) > MOST_SUPPOSED:
        raise FormError(
            f"{len(rows)} hypothetical events", f"at most {MOST_SUPPOSED}", "suppose fewer"
        )
    return rows


def _supposed(rows: list[Any]) -> list[Hypothetical]:
    supposed = []
    for index, row in enumerate(rows):
        try:
            supposed.append(_read_event(row))
        except RedflareError as error:
            column = error.given.partition(" ")[0]
            inside = (column,) if type(row) is dict and column in row else ()
            path = pointer("hypothetical", index, *inside)
            raise refused_by(error, path, where=f"hypothetical[{index}]") from error
    return supposed


def _read_event(row: Any) -> Hypothetical:
    if type(row) is not dict:
        raise FormError(show(row), "an object", "send each event as one")
    check_names(row, tuple(READERS))
    if row.get("kind") is None:
        given = "kind null" if "kind" in row else "no kind"
        raise FormError(given, "a value", "give the kind of every event")
    values: dict[str, Any] = {
        name: None if row[name] is None else read(name, row[name])
        for name, read in READERS.items()
        if name in row
    }
    return Hypothetical(**values)
