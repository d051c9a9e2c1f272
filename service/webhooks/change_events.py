"""Salesforce Change Data Capture: what changed of a record, as JSON that a relay posts.

References
----------
Salesforce Change Data Capture Developer Guide, "Change Event Message Structure". Salesforce posts
to nobody: a subscriber of its own, or a relay such as EventBridge, passes the events on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from service.webhooks.delivery import (
    Delivery,
    JsonReceiver,
    Refetch,
    Request,
    Translation,
    Untranslatable,
)
from service.webhooks.fetched import fetched_record
from service.webhooks.keys import digest_without
from service.webhooks.mapped import (
    DELETED,
    Fate,
    Json,
    Line,
    Notebook,
    Terms,
    decoded,
    iso_of,
    known_later,
    needed,
    objects,
    text_of,
)
from service.webhooks.outbound import STATES_ONLY, note_closing_stage, opportunity_lines
from service.webhooks.tokens import check_token

HEADER: Final = "ChangeEventHeader"
ENVELOPES: Final = ("payload", "data", "detail")  # of CometD, of Pub/Sub, of EventBridge
DEEPEST_ENVELOPE: Final = 4
MOST_EVENTS: Final = 1_000
HISTORY: Final = "OpportunityFieldHistory"  # the record that reads one change of one field
SYSTEM_FIELDS: Final = ("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById")


@dataclass(frozen=True, kw_only=True)
class ChangeReceiver(JsonReceiver):
    """Receives changes of Opportunities.

    Parameters
    ----------
    secrets
        Any of them must come as ``Authorization: Bearer`` or ``Basic``, or ``?token=``.
    terms
        What fields and stages mean.
    """

    secrets: tuple[str, ...] = field(repr=False)
    terms: Terms

    def verify(self, request: Request, now: datetime) -> None:
        """See `service.webhooks.delivery.Receiver`."""
        check_token(request, self.secrets)

    def dedupe_key(self, headers: Mapping[str, str], body: bytes) -> str:
        """The events, in whatever envelope they came."""
        return digest_without(body, _payloads_or_body)

    def translate(self, delivery: Delivery) -> Translation:
        """Each field that a create or update names; of gaps, that the record is to be fetched."""
        notebook = Notebook()
        record = fetched_record(delivery)
        if record is not None:
            values = {name: _value(name, value) for name, value in record.items()}
            notebook.lines += opportunity_lines(values)
            note_closing_stage(values, notebook)
            notebook.notes.append(STATES_ONLY)
            return self.terms.translation(notebook)
        notebook.read_each(objects(decoded(delivery), MOST_EVENTS, "change events"), _read)
        return self.terms.translation(notebook)


def _payload(event: Any) -> Json | None:
    """The object that holds the header, whatever is wrapped around it."""
    for _ in range(DEEPEST_ENVELOPE):
        if type(event) is not dict:
            return None
        if HEADER in event:
            return event
        event = next((event[name] for name in ENVELOPES if name in event), None)
    return None


def _payloads_or_body(body: Any) -> Any:
    payloads = [_payload(row) for row in (body if type(body) is list else [body])]
    return body if None in payloads else payloads


def _read(event: Json, notebook: Notebook) -> None:
    payload = _payload(event)
    if payload is None:
        raise Untranslatable(
            f"an object without {HEADER}: expected a change event. "
            "Remedy: have the relay post the event's payload"
        )
    header = needed(payload, HEADER, dict, "a change event")
    entity = needed(header, "entityName", str, HEADER)
    change = needed(header, "changeType", str, HEADER)
    records = needed(header, "recordIds", list, HEADER)
    if entity != "Opportunity":
        notebook.notes.append(f"{change} of {entity}: tells nothing of a deal")
        return
    committed = header.get("commitTimestamp")
    time = iso_of(committed) if type(committed) is int else None
    for record_id in map(str, records):
        if change in ("DELETE", "GAP_DELETE") and not record_id.endswith("*"):
            notebook.fates.append(Fate(record_id, time, DELETED))
        elif change.startswith("GAP_") or record_id.endswith("*"):
            reason = f"{change}: the event does not say what changed"
            notebook.refetch.append(Refetch(entity=entity, record_id=record_id, reason=reason))
            if change == "GAP_UNDELETE" and not record_id.endswith("*"):
                notebook.fates.append(Fate(record_id, time, None))
        elif change in ("CREATE", "UPDATE"):
            _changes(payload, header, record_id, notebook)
        elif change == "UNDELETE":
            _changes(payload, header, record_id, notebook)
            notebook.fates.append(Fate(record_id, time, None))
        else:
            notebook.notes.append(f"{entity} {record_id}: {change}, which no event says")


def _changes(payload: Json, header: Json, record_id: str, notebook: Notebook) -> None:
    """One row of the field history for each field that changed, and one for the creation."""
    values = {name: _value(name, value) for name, value in payload.items() if name != HEADER}
    created = header["changeType"] == "CREATE"
    committed = header.get("commitTimestamp")
    told_at = iso_of(committed) if type(committed) is int else None
    time = values.get("CreatedDate" if created else "LastModifiedDate") or iso_of(
        needed(header, "commitTimestamp", int, HEADER)
    )
    known_at = known_later(time, told_at)
    if created:
        notebook.lines.append(_line(record_id, (time, known_at), "created", None))
    for name in _changed(payload, header):
        if isinstance(payload.get(name), dict | list):
            notebook.notes.append(f"field {name}: of several parts, which no event says")
        elif name not in SYSTEM_FIELDS:
            notebook.lines.append(_line(record_id, (time, known_at), name, values.get(name)))
    note_closing_stage(values, notebook)


def _changed(payload: Json, header: Json) -> Iterator[str]:
    """The fields that changed: those named, else those that are there."""
    named = header.get("changedFields")
    if header["changeType"] == "UPDATE" and type(named) is list and named:
        yield from dict.fromkeys(str(name).partition(".")[0] for name in named)
        return
    yield from (name for name, value in payload.items() if name != HEADER and value is not None)


def _line(record_id: str, times: tuple[str, str | None], name: str, value: str | None) -> Line:
    time, known_at = times
    change = {"OpportunityId": record_id, "CreatedDate": time, "Field": name, "NewValue": value}
    return Line(HISTORY, {**change, "known_at": known_at})


def _value(name: str, value: Any) -> str | None:
    """A value as an export writes it; Avro's times are milliseconds since 1970."""
    if name.removesuffix("__c").endswith("Date") and type(value) is int:
        return iso_of(value)
    return text_of(value)
