"""Our own events as JSON: one, a list of them, or either in the envelope of Standard Webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from model.errors import RedflareError
from model.events import COLUMNS, Event
from service.fields import FormError
from service.json_text import show
from service.wire import READERS, REQUIRED

MOST_EVENTS: Final = 10_000  # in one delivery
ENVELOPE: Final = frozenset({"type", "timestamp", "data"})  # what Standard Webhooks recommends


def read_events(body: Any, person: Callable[[str], str]) -> list[Event]:
    """The events of a decoded body.

    Parameters
    ----------
    body
        An event, a list of events, ``{"events": [...]}``, or any of these as the ``data`` of
        ``{"type": ..., "timestamp": ..., "data": ...}``.
    person
        Hashes an address or a contact's id.

    Raises
    ------
    RedflareError
        Naming the first event that is not of the documented form.

    Examples
    --------
    >>> row = {"deal_id": "D-1", "kind": "call_made", "occurred_at": "2026-01-05T09:30:00Z",
    ...        "source": "crm", "source_id": "call/1"}
    >>> [event.kind for event in read_events({"events": [row]}, str.upper)]
    ['call_made']
    """
    if type(body) is dict and "data" in body and body.keys() <= ENVELOPE:
        body = body["data"]
    if type(body) is dict and body.keys() == {"events"}:
        body = body["events"]
    rows = body if type(body) is list else [body]
    if len(rows) > MOST_EVENTS:
        raise FormError(f"{len(rows)} events", f"at most {MOST_EVENTS}", "send them in parts")
    events = []
    for index, row in enumerate(rows):
        try:
            events.append(_read_event(row, person))
        except RedflareError as error:
            given = f"events[{index}]: {error.given}"
            raise FormError(given, error.expected, error.remedy) from error
    return events


def _read_event(row: Any, person: Callable[[str], str]) -> Event:
    if type(row) is not dict:
        raise FormError(show(row), "an object", "send each event as one")
    values = {}
    for name, value in row.items():
        if name not in READERS:
            raise FormError(f"field {name!r}", "one of " + ", ".join(COLUMNS), "leave it out")
        if value is not None:
            values[name] = READERS[name](name, value)
    for name in REQUIRED:
        if name not in values:
            raise FormError(f"no {name}", "a value", f"give the {name} of every event")
    if "person" in values:
        values["person"] = person(values["person"])
    return Event(**values)
