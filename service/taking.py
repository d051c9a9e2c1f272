"""What is written by the API: kept in the inbox as a delivery is, then acknowledged.

So it is durable before it is answered, worked on once, in order with all else, and shown and
replayed as any delivery. A request sent again with its ``Idempotency-Key`` is the same delivery.

References
----------
The Idempotency-Key HTTP Header Field, draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import orjson
from anyio import to_thread
from starlette.types import Scope

from model.errors import RedflareError
from model.events import COLUMNS, Event
from service.access import ADMITTED, Access
from service.company import Company
from service.endpoint import Endpoint
from service.exchange import header
from service.fields import FormError, read_near_date, read_text, read_time
from service.json_text import pointer, read_json
from service.milestones import ACTS, SET, Milestone, milestones
from service.problems import (
    FORBIDDEN,
    INVALID,
    MALFORMED,
    OTHER_BODY,
    UNAVAILABLE,
    refused,
    refused_by,
)
from service.rescoring import AHEAD_US
from service.storage import deals, inbox
from service.storage.errors import StorageError, StoreUnavailable
from service.storage.group_commit import InboxWriter
from service.storage.rows import check_text
from service.unavailable import unavailable
from service.webhooks.delivery import Delivery
from service.webhooks.own_events import MOST_EVENTS, read_events
from service.wire import check_names, read_member

SOURCE: Final = inbox.API
KIND: Final = "standard"
TELLER: Final = "redflare"  # the source of events that the API makes up
ASKED: Final = "request-sha256"  # the header by which a request is known again
KEY: Final = re.compile(rb"[\x21-\x7e]{1,255}")
MILESTONE_FIELDS: Final = ("kind", "name", "date", "text", "occurred_at")
DATED: Final = (SET, "milestone_moved")
LONGEST_NAME: Final = 500  # characters of a milestone's name, and of what is said of it


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What acknowledges a write.

    Parameters
    ----------
    delivery
        Its number in the inbox.
    received_at
        When it was kept first.
    """

    delivery: int
    received_at: datetime


@dataclass(frozen=True, kw_only=True, eq=False)
class TakingEndpoint(Endpoint):
    """Takes events.

    Parameters
    ----------
    company
        Whose deals they are of.
    writer
        Keeps deliveries; None where nothing is kept.
    person
        Hashes an address or a contact's id.
    """

    company: Company
    writer: InboxWriter | None
    person: Callable[[str], str]
    status = 202

    def check(self, scope: Scope) -> None:
        """See `Endpoint`."""
        access: Access = scope[ADMITTED]
        access.check("write")
        _ = self.company.database

    async def respond(self, scope: Scope, body: bytes) -> bytes:
        """See `Endpoint`."""
        access: Access = scope[ADMITTED]
        key = _idempotency_key(scope)
        told = f"{scope['path']}\0".encode("utf-8", "surrogatepass") + body
        asked = hashlib.sha256(told).hexdigest()
        dedupe_key = f"{access.caller}/{key or secrets.token_urlsafe(16)}"
        try:
            kept = None
            if key is not None:
                kept = await to_thread.run_sync(self._found, dedupe_key)
            if kept is None:
                events = await to_thread.run_sync(self._events, scope, access, body)
                await self._keep(dedupe_key, asked, events)
                kept = await to_thread.run_sync(self._found, dedupe_key)
        except StoreUnavailable as error:
            raise unavailable(error) from error
        if kept is None:
            raise RuntimeError("what was kept is not there")
        if kept.delivery.headers.get(ASKED) != asked:
            raise refused(
                OTHER_BODY,
                f"Idempotency-Key {key!r}",
                "the request that it came with first",
                "send another request with another key",
            )
        return orjson.dumps(Receipt(delivery=kept.id, received_at=kept.delivery.received_at))

    async def _keep(self, dedupe_key: str, asked: str, events: Sequence[Event]) -> None:
        if self.writer is None:
            raise RuntimeError("a service with a database has an inbox")
        delivery = Delivery(
            source=SOURCE,
            kind=KIND,
            dedupe_key=dedupe_key,
            received_at=self.company.clock(),
            headers={ASKED: asked},
            body=json.dumps([event_json(event) for event in events]).encode(),
        )
        await asyncio.wrap_future(self.writer.submit(delivery))

    def _found(self, dedupe_key: str) -> inbox.Kept | None:
        with self.company.database.reading() as connection:
            return inbox.find_by_key(connection, SOURCE, dedupe_key)

    def _events(self, scope: Scope, access: Access, body: bytes) -> Sequence[Event]:
        """The events that a request tells.

        Raises
        ------
        Refused
            If they are not of the documented form, or of deals that the caller does not see.
        """
        raise NotImplementedError


class EventsEndpoint(TakingEndpoint):
    """``POST /v1/events``: events of any deals, under sources of its own from a bound key."""

    def _events(self, _scope: Scope, access: Access, body: bytes) -> Sequence[Event]:
        """See `TakingEndpoint`."""
        # Read as the worker will, and kept as it came: who a person is, is hashed there.
        shown = _read(body)
        try:
            told = read_events(shown, lambda person: person)
            for event in told:
                for name in ("deal_id", "name", "text", "thread", "source", "source_id"):
                    check_text(name, getattr(event, name) or "")
                if event.person is not None:
                    self.person(event.person)
        except StorageError as error:
            raise refused_by(error, kind=UNAVAILABLE) from error
        except RedflareError as error:
            raise refused_by(error, "", kind=INVALID) from error
        if not told:
            remedy = "send nothing where there is nothing to tell"
            raise refused(INVALID, "0 events", f"1 to {MOST_EVENTS}", remedy, pointer("events"))
        _check_known(told, self.company.clock())
        if access.owners is None:
            return told
        self._check_seen({event.deal_id for event in told}, access)
        # Under another source, lest an event keep out that of a deal which the key does not see.
        return [replace(event, source=f"api/{access.caller}/{event.source}") for event in told]

    def _check_seen(self, deal_ids: set[str], access: Access) -> None:
        with self.company.database.reading() as connection:
            for deal_id in sorted(deal_ids):
                row = deals.find(connection, deal_id)
                if row is None or not access.sees(row.owner):
                    raise refused(
                        FORBIDDEN,
                        f"an event of deal {deal_id!r}",
                        "deals of the owners that the key is bound to",
                        "use a key that is not bound to owners",
                    )


def _check_known(told: Sequence[Event], now: datetime) -> None:
    latest = now + timedelta(microseconds=AHEAD_US)
    for index, event in enumerate(told):
        known_at = event.known_at or event.occurred_at
        if known_at > latest:
            raise refused(
                INVALID,
                f"events[{index}]: known at {known_at.isoformat()}",
                "a time at most a day after the present",
                "tell of it once it is known",
            )


class MilestonesEndpoint(TakingEndpoint):
    """``POST /v1/deals/{deal_id}/milestones``: what becomes of one milestone of a deal."""

    def _events(self, scope: Scope, access: Access, body: bytes) -> Sequence[Event]:
        """See `TakingEndpoint`."""
        deal_id: str = scope["path_params"]["deal_id"]
        now = self.company.clock()
        with self.company.database.reading() as connection:
            self.company.deal(connection, deal_id, access)
            found = milestones(self.company.events(connection, deal_id), now)
        known = {each.name: each for each in found}
        return [_milestone_event(_read(body), deal_id, known, access, now)]


def _milestone_event(
    form: Any, deal_id: str, known: Mapping[str, Milestone], access: Access, now: datetime
) -> Event:
    try:
        if type(form) is not dict:
            raise FormError("the body", "an object", "see the example in /openapi.json")
        check_names(form, MILESTONE_FIELDS)
        for name in ("kind", "name"):
            if name not in form:
                raise FormError(f"no {name}", "a value", f"give the {name}")
    except FormError as error:
        raise refused_by(error, "") from error
    kind = read_member(form, "kind", _read_kind, "")
    name = read_member(form, "name", _read_name, "")
    day = read_member(form, "date", read_near_date, None)
    if (day is None) == (kind in DATED):
        wanted = "a due date" if kind in DATED else "no date"
        raise refused(INVALID, f"{kind} {day}", wanted, "see /openapi.json", pointer("date"))
    if kind != SET and name not in known:
        expected = "one of " + ", ".join(sorted(known)) if known else "a milestone that was set"
        raise refused(INVALID, f"milestone {name!r}", expected, "set it first", pointer("name"))
    occurred_at = read_member(form, "occurred_at", read_time, now)
    if occurred_at > now:
        raise refused(
            INVALID,
            f"occurred_at {occurred_at.isoformat()}",
            "a time not after the present",
            "leave it out",
            pointer("occurred_at"),
        )
    if name in known:
        _check_ahead(kind, day, known[name], occurred_at)
    text = read_member(form, "text", _read_name, None)
    if text is None and kind.startswith("must_hit"):
        text = "anybody" if access.key is None else access.key.title
    return Event(
        deal_id=deal_id,
        kind=kind,
        occurred_at=occurred_at,
        known_at=now,
        name=name,
        text=text,
        date=day,
        source=TELLER,
        source_id=f"{deal_id}/{kind}/{name}/{now.isoformat()}",
    )


def _check_ahead(kind: str, day: date | None, known: Milestone, occurred_at: datetime) -> None:
    """Refuse what would have a must-hit milestone missed before it was said: a mistyped year."""
    if kind == "must_hit_declared" and known.state in ("open", "missed"):
        day, member = known.due, "kind"
    elif kind in DATED and known.gate is not None and known.gate.state != "withdrawn":
        member = "date"
    else:
        return
    if day is not None and day < occurred_at.astimezone(UTC).date():
        raise refused(
            INVALID,
            f"{kind} of {known.name!r}, due {day}, at {occurred_at.isoformat()}",
            "a due date of a must-hit milestone that is not over",
            "move it first, or correct its date; if it was said in time, give occurred_at",
            pointer(member),
        )


def _read_kind(name: str, value: Any) -> str:
    kind = read_text(name, value)
    if kind not in ACTS:
        raise FormError(f"kind {kind!r}", "one of " + ", ".join(ACTS), "correct it")
    return kind


def _read_name(name: str, value: Any) -> str:
    text = read_text(name, value)
    check_text(name, text)
    if not 0 < len(text) <= LONGEST_NAME:
        given = f"{name} of {len(text)} characters"
        raise FormError(given, f"1 to {LONGEST_NAME}", "correct it")
    return text


def _read(body: bytes) -> Any:
    try:
        return read_json(body)
    except RedflareError as error:
        raise refused_by(error, kind=MALFORMED) from error


def event_json(event: Event) -> dict[str, object]:
    """An event in a form that JSON can hold, as `service.webhooks.own_events` reads it."""
    values = {column: getattr(event, column) for column in COLUMNS}
    return {
        column: value.isoformat() if isinstance(value, date | datetime) else value
        for column, value in values.items()
        if value is not None
    }


def _idempotency_key(scope: Scope) -> str | None:
    given = header(scope, b"idempotency-key")
    if given is None:
        return None
    if not KEY.fullmatch(given):
        raise refused(
            INVALID,
            f"Idempotency-Key {given.decode('latin-1')!r}",
            "1 to 255 characters of ASCII without blanks",
            "make one of chance, as a UUID",
        )
    return given.decode("ascii")
