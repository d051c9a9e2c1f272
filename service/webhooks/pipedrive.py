"""Pipedrive's webhooks, version 2.

References
----------
Pipedrive developer documentation, "Guide for Webhooks v2": ``data`` is the record, ``previous``
holds what its changed fields were, ``meta`` says what happened; HTTP Basic authentication.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from service.webhooks.delivery import Delivery, JsonReceiver, Request, Translation
from service.webhooks.keys import digest_without
from service.webhooks.mapped import (
    DELETED,
    Fate,
    Json,
    Line,
    Notebook,
    Terms,
    decoded,
    known_later,
    needed,
    objects,
    text_of,
)
from service.webhooks.tokens import check_token

CHANGES: Final = "deal change"  # the record that reads one change of one field
CUSTOM: Final = "custom_fields"
SYSTEM_FIELDS: Final = ("id", "add_time", "update_time", CUSTOM)


@dataclass(frozen=True, kw_only=True)
class PipedriveReceiver(JsonReceiver):
    """Receives changes of deals.

    Parameters
    ----------
    user
        The user name set for the webhook.
    secrets
        Its password, two while one is exchanged for another.
    terms
        What fields and stages mean.
    """

    user: str
    secrets: tuple[str, ...] = field(repr=False)
    terms: Terms

    def verify(self, request: Request, now: datetime) -> None:
        """See `service.webhooks.delivery.Receiver`."""
        check_token(request, self.secrets, basic_user=self.user)

    def dedupe_key(self, headers: Mapping[str, str], body: bytes) -> str:
        """The message, whichever attempt it is."""
        return digest_without(body, _without_attempt)

    def translate(self, delivery: Delivery) -> Translation:
        """Each field that a creation or change names."""
        notebook = Notebook()
        for message in objects(decoded(delivery), 1, "messages"):
            _read(message, notebook)
        return self.terms.translation(notebook)


def _without_attempt(body: Any) -> Any:
    if type(body) is not dict or type(body.get("meta")) is not dict:
        return body
    meta = {name: value for name, value in body["meta"].items() if name != "attempt"}
    return {**body, "meta": meta}


def _read(message: Json, notebook: Notebook) -> None:
    meta = needed(message, "meta", dict, "a message")
    action = needed(meta, "action", str, "meta")
    entity = needed(meta, "entity", str, "meta")
    if entity != "deal":
        notebook.notes.append(f"{action} of {entity}: tells nothing of a deal")
        return
    deal_id = text_of(needed(meta, "entity_id", (int, str), "meta")) or ""
    if action == "delete":
        notebook.fates.append(Fate(deal_id, text_of(meta.get("timestamp")), DELETED))
        return
    if action not in ("create", "change"):
        notebook.notes.append(f"deal {deal_id}: {action}, which no event says")
        return
    data = needed(message, "data", dict, "a message")
    if action == "create":
        time = text_of(needed(data, "add_time", str, "data"))
        told_at = text_of(data.get("update_time") or meta.get("timestamp"))
        opening = {"deal_id": deal_id, "time": time, "field": "created"}
        notebook.lines.append(Line(CHANGES, {**opening, "known_at": known_later(time, told_at)}))
        changed: Mapping[str, Any] = {
            name: value for name, value in _fields(data) if value is not None and name != "status"
        }
    else:
        time = told_at = text_of(data.get("update_time") or needed(meta, "timestamp", str, "meta"))
        before = needed(message, "previous", dict, "a change")
        now = dict(_fields(data))
        changed = {name: now.get(name) for name, _ in _fields(before)}
        # Whoever never heard of its creation learns of it by any change; it is the same fact.
        created = text_of(data.get("add_time"))
        if created:
            notebook.lines.append(
                Line(CHANGES, {"deal_id": deal_id, "time": created, "field": "created"})
            )
    if changed.get("status") == DELETED:
        notebook.fates.append(Fate(deal_id, time, DELETED))
    if action == "create" and data.get("status") in ("won", "lost"):
        changed = {**changed, "status": data["status"]}
    notebook.lines += [
        Line(CHANGES, _change(deal_id, (time, told_at), name, value, data))
        for name, value in changed.items()
    ]


def _fields(record: Json) -> Iterator[tuple[str, Any]]:
    """The fields of a deal, its own of the company among them."""
    yield from ((name, value) for name, value in record.items() if name not in SYSTEM_FIELDS)
    own = record.get(CUSTOM)
    if type(own) is dict:
        yield from own.items()


def _change(
    deal_id: str, times: tuple[str | None, str | None], name: str, value: Any, data: Json
) -> dict[str, str | None]:
    """A row of one change of one field, by when it was and when it was entered."""
    if type(value) is dict:  # a custom field's value with its type
        value = value.get("value", value.get("id"))
    time, told_at = times
    more: dict[str, str | None] = {}
    if name == "status":
        time = text_of(data.get(f"{value}_time")) or time
        more = {"lost_reason": text_of(data.get("lost_reason"))}
    return {
        "deal_id": deal_id,
        "time": time,
        "known_at": known_later(time, told_at),
        "field": name,
        "new_value": text_of(value),
        **more,
    }
