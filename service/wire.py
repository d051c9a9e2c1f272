"""The JSON of a score request, read into what the model takes.

The schema that clients read is `service.forms`; here it is applied by hand, because a framework
that validates twenty events takes as long as scoring them. Tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeVar

import numpy as np

from model.errors import RedflareError
from model.events import COLUMNS, Event, microseconds
from model.feeds import Feed
from model.scorer import MAIN_DRIVERS
from service.fields import (
    FormError,
    read_count,
    read_date,
    read_flag,
    read_id,
    read_list,
    read_number,
    read_object,
    read_text,
    read_time,
)
from service.json_text import pointer, read_json, show
from service.problems import INVALID, refused_by

T = TypeVar("T")

MOST_EVENTS: Final = 20_000  # of one deal
MOST_DRIVERS: Final = 1_000  # more than any model has features
REQUEST_FIELDS: Final = (
    "deal_id",
    "events",
    "as_of",
    "close_by",
    "days",
    "feeds",
    "hindsight",
    "drivers",
)
FEED_FIELDS: Final = ("kinds", "heard")
REQUIRED: Final = ("deal_id", "kind", "occurred_at", "source", "source_id")  # of an event


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreQuestion:
    """What a score request asks.

    Parameters
    ----------
    events
        All of one deal.
    as_of
        None asks for the present.
    close_by, days
        Exactly one of them.
    since
        Explain too why the probability by `close_by` moved since then.
    feeds
        What each source carries and when it was heard; None takes those of training as running.
    hindsight
        Allow an `as_of` before the model's cut-off.
    drivers
        How many to name.
    """

    events: list[Event]
    as_of: datetime | None
    close_by: date | None
    days: float | None
    since: datetime | None
    feeds: dict[str, Feed] | None
    hindsight: bool
    drivers: int


def read_question(body: bytes) -> ScoreQuestion:
    """Read the body of a score request.

    Parameters
    ----------
    body
        JSON, UTF-8.

    Raises
    ------
    JsonTextError
        If it is no JSON.
    Refused
        If it is not of the documented form.

    Examples
    --------
    >>> question = read_question(b'''{"days": 30, "deal_id": "D-1", "events": [
    ...     {"kind": "deal_opened", "occurred_at": "2026-01-05T09:30:00Z",
    ...      "source": "crm", "source_id": "D-1/1"}]}''')
    >>> question.days, len(question.events)
    (30.0, 1)
    """
    return question_of(read_request(body, (*REQUEST_FIELDS, "since")))


def read_request(body: bytes, known: tuple[str, ...]) -> dict[str, Any]:
    """Read a body that asks about one deal and one date, its members as they are.

    Parameters
    ----------
    body
        JSON, UTF-8.
    known
        The members that there may be, those of `REQUEST_FIELDS` among them.

    Raises
    ------
    JsonTextError
        If it is no JSON.
    Refused
        If members lack, are unknown or contradict each other.
    """
    form: dict[str, Any] = read_json(body)
    try:
        _check_form(form, known)
    except FormError as error:
        raise refused_by(error, "") from error
    return form


def question_of(form: dict[str, Any]) -> ScoreQuestion:
    """The question of a request that `read_request` read.

    Raises
    ------
    Refused
        If a member is not of the documented form.
    """
    return question_about(form, _events(form), read_feeds(form))


def question_about(
    form: dict[str, Any], events: list[Event], feeds: dict[str, Feed] | None
) -> ScoreQuestion:
    """The question of a form about a deal that is known already.

    Raises
    ------
    Refused
        If a member is not of the documented form.
    """
    return ScoreQuestion(
        events=events,
        as_of=read_member(form, "as_of", read_time, None),
        close_by=read_member(form, "close_by", read_date, None),
        days=read_member(form, "days", read_number, None),
        since=read_member(form, "since", read_time, None),
        feeds=feeds,
        hindsight=read_member(form, "hindsight", read_flag, False),
        drivers=read_member(form, "drivers", _read_drivers, MAIN_DRIVERS),
    )


def _check_form(form: Any, known: tuple[str, ...]) -> None:
    if type(form) is not dict:
        raise FormError(show(form), "an object", "send one request a body")
    check_names(form, known)
    if "events" not in form:
        raise FormError("no events", "the deal's events", "send all of them")
    check_date_asked(form)


def check_date_asked(form: dict[str, Any]) -> None:
    """Refuse a form that asks for two dates or for none.

    Raises
    ------
    FormError
        Saying which.
    """
    if "close_by" in form and "days" in form:
        raise FormError("both close_by and days", "one of them", "say one date to answer for")
    if "close_by" not in form and "days" not in form:
        raise FormError("neither close_by nor days", "one of them", "say what date to answer for")
    if "since" in form and "close_by" not in form:
        raise FormError("since with days", "since with close_by", "ask for one date at both times")


def _read_drivers(name: str, value: Any) -> int:
    return read_count(name, value, MOST_DRIVERS)


def check_names(form: dict[str, Any], known: tuple[str, ...]) -> None:
    """Refuse members that nobody documented.

    Raises
    ------
    FormError
        Naming the first.
    """
    for name in form:
        if name not in known:
            raise FormError(f"field {name!r}", "one of " + ", ".join(known), "leave it out")


def read_member(form: dict[str, Any], name: str, read: Callable[[str, Any], T], default: T) -> T:
    """A member by its reader; the default where it is left out.

    Raises
    ------
    Refused
        If the reader does.
    """
    if name not in form:
        return default
    try:
        return read(name, form[name])
    except RedflareError as error:
        raise refused_by(error, pointer(name), kind=INVALID) from error


def _events(form: dict[str, Any]) -> list[Event]:
    rows: list[Any] = read_member(form, "events", _read_rows, [])
    deal_id = read_member(form, "deal_id", read_id, None)
    if deal_id is None and type(rows[0]) is dict:
        deal_id = rows[0].get("deal_id")
    events = []
    for index, row in enumerate(rows):
        try:
            events.append(_read_event(row, deal_id))
        except RedflareError as error:
            column = error.given.partition(" ")[0]
            inside = (column,) if type(row) is dict and column in row else ()
            path = pointer("events", index, *inside)
            raise refused_by(error, path, where=f"events[{index}]") from error
    return events


def _read_rows(name: str, value: Any) -> list[Any]:
    if type(value) is not list or not value:
        given = "an empty list" if value == [] else show(value)
        raise FormError(f"{name} {given}", "a list of events", "send the deal's events")
    if len(value) > MOST_EVENTS:
        raise FormError(
            f"{len(value)} events", f"at most {MOST_EVENTS}", "leave out what says nothing new"
        )
    return value


def _read_event(row: Any, deal_id: Any) -> Event:
    if type(row) is not dict:
        raise FormError(show(row), "an object", "send each event as one")
    if row.setdefault("deal_id", deal_id) != deal_id:
        raise FormError(
            f"deal_id {show(row['deal_id'])}", f"{show(deal_id)}, as before", "send one deal"
        )
    if row.get("known_at") == row.get("occurred_at"):
        row.pop("known_at", None)  # its default, read once
    for name, value in row.items():
        read = READERS.get(name)
        if read is None:
            raise FormError(f"field {name!r}", "one of " + ", ".join(COLUMNS), "leave it out")
        if type(value) is str and read is read_text:
            continue
        if value is not None:
            row[name] = read(name, value)
    for name in REQUIRED:
        if row.get(name) is None:
            given = f"{name} null" if name in row else f"no {name}"
            raise FormError(given, "a value", f"give the {name} of every event")
    return Event(**row)


def read_feeds(form: dict[str, Any]) -> dict[str, Feed] | None:
    """What a form says of the feeds; None where it says nothing.

    Raises
    ------
    Refused
        If it is not of the documented form.
    """
    if "feeds" not in form:
        return None
    given: dict[str, Any] = read_member(form, "feeds", read_object, {})
    feeds = {}
    for source, value in given.items():
        try:
            feeds[source] = _read_feed(value)
        except RedflareError as error:
            raise refused_by(error, pointer("feeds", source), kind=INVALID) from error
    return feeds


def _read_feed(value: Any) -> Feed:
    form = read_object("a feed", value)
    check_names(form, FEED_FIELDS)
    kinds = read_list("kinds", form.get("kinds"))
    heard = read_list("heard", form.get("heard", []))
    times = sorted(microseconds(read_time("heard", time)) for time in heard)
    return Feed(
        kinds=frozenset(read_text("kinds", kind) for kind in kinds),
        heard=np.array(times, dtype=np.int64),
    )


READERS: Final[dict[str, Callable[[str, Any], Any]]] = dict.fromkeys(COLUMNS, read_text) | {
    "occurred_at": read_time,
    "known_at": read_time,
    "number": read_number,
    "date": read_date,
    "span": read_number,
}
