"""HubSpot's webhooks, signed by version 3.

References
----------
HubSpot developer documentation, "Validating requests" (v3) and "Webhooks API". Events come in
arrays of up to 100, in no order, oftener than once; ``eventId`` is not unique.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote

from model.events import MERGED_INTO
from service.webhooks.delivery import (
    Delivery,
    JsonReceiver,
    Refetch,
    Request,
    Translation,
    Unverified,
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
from service.webhooks.signing import check_any, check_time

MILLISECOND: Final = timedelta(milliseconds=1)
OPENING: Final = "deal"  # the record that reads a creation
HISTORY: Final = "deal_property_history"  # the record that reads one change of one property
CREATED: Final = "createdate"
MOST_EVENTS: Final = 1_000  # HubSpot sends at most 100
TOLD: Final = ("creation", "propertyChange", "restore", "merge", "deletion")
DEALS: Final = "0-3"  # the type of deals where subscriptions are generic
# HubSpot signs its URL with these escapes, and no others, written as what they stand for.
DECODED: Final = re.compile("%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def signed_url(url: str, query: str) -> str:
    """The URL as HubSpot signs it.

    Parameters
    ----------
    url
        As it was given to HubSpot: behind a proxy no other is known to be the same.
    query
        Of the request; the URL's own where that has one.

    Examples
    --------
    >>> signed_url("https://example.com/hook", "a=b%3Ac%20d")
    'https://example.com/hook?a=b:c%20d'
    """
    whole = f"{url}?{query}" if query and "?" not in url else url
    return DECODED.sub(lambda escape: unquote(escape[0]), whole)


def sign(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    """The signature of version 3: HMAC-SHA256(secret, method + URL + body + time), in base64.

    Examples
    --------
    >>> sign("yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy", "POST", "https://www.example.com/webhook_uri",
    ...      b"{'example_field':'example_value'}", "1693657560000")
    'K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y='
    """
    signed = f"{method}{url}".encode() + body + timestamp.encode()
    return base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()


@dataclass(frozen=True, kw_only=True)
class HubSpotReceiver(JsonReceiver):
    """Receives changes of deals' properties.

    Parameters
    ----------
    secrets
        Client secrets of the app, two while one is exchanged for another.
    url
        Where HubSpot sends to, as configured there.
    terms
        What its properties and stages mean.
    """

    secrets: tuple[str, ...] = field(repr=False)
    url: str
    terms: Terms

    def verify(self, request: Request, now: datetime) -> None:
        """See `service.webhooks.delivery.Receiver`."""
        signature = request.headers.get("x-hubspot-signature-v3", "")
        timestamp = request.headers.get("x-hubspot-request-timestamp", "")
        check_time(timestamp, MILLISECOND, now)
        if not signature:
            raise Unverified("no x-hubspot-signature-v3")
        url = signed_url(self.url, request.query)
        expected = [
            sign(secret, request.method, url, request.body, timestamp) for secret in self.secrets
        ]
        check_any([signature], expected)

    def dedupe_key(self, headers: Mapping[str, str], body: bytes) -> str:
        """The events, whichever attempt it is and in whatever order."""
        return digest_without(body, _without_attempts)

    def translate(self, delivery: Delivery) -> Translation:
        """Creations and changes of properties; of other happenings a note says that they were."""
        notebook = Notebook()
        record = fetched_record(delivery)
        if record is not None:
            _read_record(record, notebook)
            return self.terms.translation(notebook)
        notebook.read_each(objects(decoded(delivery), MOST_EVENTS, "events"), _read)
        return self.terms.translation(notebook)

    def followed(self) -> list[str]:
        """The properties whose history is fetched: those that the mapping names and keeps."""
        return [
            name
            for record in self.terms.source.records
            if record.title == HISTORY
            for name, kind in record.fields
            if "*" not in name and (kind != "drop" or name == CREATED)
        ]


def _without_attempts(body: Any) -> Any:
    if type(body) is not list:
        return body
    rows = [
        {name: value for name, value in row.items() if name != "attemptNumber"}
        if type(row) is dict
        else row
        for row in body
    ]
    return sorted(rows, key=repr)


def _read(event: Json, notebook: Notebook) -> None:
    subscription = needed(event, "subscriptionType", str, "an event")
    entity, _, happening = subscription.partition(".")
    if entity == "object":
        entity = "deal" if event.get("objectTypeId") == DEALS else str(event.get("objectTypeId"))
    if entity != "deal":
        notebook.notes.append(f"{subscription} of {entity}: tells nothing of a deal")
        return
    if happening not in TOLD:  # may be of two records, and name neither as the others do
        given = text_of(event.get("objectId") or event.get("fromObjectId"))
        notebook.notes.append(f"deal {given}: {happening}, which no event says")
        return
    deal_id = text_of(needed(event, "objectId", (int, str), subscription))
    time = needed(event, "occurredAt", (int, str), subscription)
    occurred_at = iso_of(time) if isinstance(time, int) else time
    if happening == "creation":
        notebook.lines.append(Line(OPENING, {"deal_id": deal_id, "createdate": occurred_at}))
    elif happening == "propertyChange":
        name = needed(event, "propertyName", str, subscription)
        value = text_of(event.get("propertyValue"))
        if name == CREATED:
            notebook.lines.append(_opening(deal_id, value, occurred_at))
            return
        change = {"deal_id": deal_id, "name": name, "value": value, "timestamp": occurred_at}
        notebook.lines.append(Line(HISTORY, change))
    elif happening == "restore":
        reason = "restored: what it is like now is not told"
        notebook.fates.append(Fate(str(deal_id), occurred_at, None))
        notebook.refetch.append(Refetch(entity="deal", record_id=str(deal_id), reason=reason))
    elif happening == "merge":
        _merge(event, str(deal_id), occurred_at, notebook)
    else:
        notebook.fates.append(Fate(str(deal_id), occurred_at, DELETED))


def _opening(deal_id: str | None, created: str | None, told_at: str) -> Line:
    """An opening as its property says, which can be changed to any day before."""
    known_at = known_later(created, told_at)
    return Line(OPENING, {"deal_id": deal_id, CREATED: created, "known_at": known_at})


def _merge(event: Json, deal_id: str, time: str, notebook: Notebook) -> None:
    """A merge leaves one deal, which may be a new one; the others are gone."""
    merged = event.get("mergedObjectIds")
    ids = [event.get("primaryObjectId"), *(merged if type(merged) is list else []), deal_id]
    known = dict.fromkeys(each for each in map(text_of, ids) if each)
    left = text_of(event.get("newObjectId")) or next(iter(known))
    reason = "merged: what it is like now is not told"
    notebook.refetch.append(Refetch(entity="deal", record_id=left, reason=reason))
    notebook.fates += [Fate(each, time, f"{MERGED_INTO}{left}") for each in known if each != left]


def _read_record(record: Json, notebook: Notebook) -> None:
    """The history of each property, as the API tells it."""
    deal_id = text_of(needed(record, "id", (int, str), "a deal"))
    histories = needed(record, "propertiesWithHistory", dict, "a deal")
    for name, history in histories.items():
        for version in history if type(history) is list else []:
            value = text_of(needed(version, "value", (str, int, float), f"a version of {name}"))
            time = needed(version, "timestamp", str, f"a version of {name}")
            if name == CREATED:
                notebook.lines.append(_opening(deal_id, value, time))
                continue
            change = {"deal_id": deal_id, "name": name, "value": value, "timestamp": time}
            notebook.lines.append(Line(HISTORY, change))
