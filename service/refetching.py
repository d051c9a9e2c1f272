"""Records fetched that a delivery spoke of without telling them: each becomes a delivery itself.

What is fetched goes through the inbox like all else that comes, so that it is kept before it is
used and translated by the receiver of its source. The outbox holds what is to be fetched, and
repeats it as it repeats what is written back.

References
----------
HubSpot, "CRM API, Deals": ``propertiesWithHistory``. Salesforce REST API, "Get Field Values".
Microsoft Dataverse Web API, "Retrieve a table row".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from service.storage.errors import StoreUnavailable
from service.webhooks.change_events import ChangeReceiver
from service.webhooks.delivery import Delivery, Receiver, Refetch
from service.webhooks.dynamics import DynamicsReceiver
from service.webhooks.fetched import FETCHED
from service.webhooks.hubspot import HubSpotReceiver
from service.webhooks.keys import digest
from service.webhooks.sources import Sources
from service.writeback.client import Answer, Client, outcome_of
from service.writeback.destinations import Destination
from service.writeback.entry import Entry, Outcome, Refused, Retry, Sender, Sent
from service.writeback.records import (
    HUBSPOT_ID,
    SALESFORCE_ID,
    SALESFORCE_VERSION,
    DynamicsScore,
    HubSpotDeal,
    RecordSender,
    SalesforceOpportunity,
    uuid_of,
)
from service.writeback.tokens import Tokens, ask

RECORD_FETCHED: Final = "record.fetched"  # the kind of such entries in the outbox
MOST_BYTES: Final = 8 * 2**20  # of a record with its history
UrlOf = Callable[[str], str | None]


def fetch_name(source: str) -> str:
    """The destination under which the outbox holds what is to be fetched for a source."""
    return f"{source}:fetch"


def fetch_entry(source: str, refetch: Refetch, inbox_id: int) -> tuple[str, dict[str, Any]]:
    """The id and the payload of an entry of the outbox, the same for the same delivery."""
    payload = {
        "source": source,
        "entity": refetch.entity,
        "record_id": refetch.record_id,
        "reason": refetch.reason,
    }
    told = "\0".join([*payload.values(), str(inbox_id)])
    return f"fetch_{hashlib.sha256(told.encode()).hexdigest()[:32]}", payload


@dataclass(frozen=True, kw_only=True)
class FetchSender:
    """Fetches one record, and gives it to the inbox.

    Parameters
    ----------
    client, tokens
        Read from the CRM.
    url_of
        Where a record is read; None if no such id can be.
    source, kind
        Of the deliveries that it makes.
    accept
        Commits one, waiting for it.
    """

    client: Client
    tokens: Tokens
    url_of: UrlOf
    source: str
    kind: str
    accept: Callable[[Delivery], object]

    def send(self, entry: Entry, now: datetime) -> Outcome:
        """See `service.writeback.entry.Sender`."""
        record_id = str(entry.payload.get("record_id", ""))
        url = self.url_of(record_id)
        if url is None:
            return Refused(reason=f"record {record_id!r}: not an id of this CRM")
        headers = {"accept": "application/json"}
        answer = ask(self.client, self.tokens, "GET", url, b"", headers, now, MOST_BYTES)
        if not isinstance(answer, Answer):
            return answer
        outcome = outcome_of(answer, now)
        if not isinstance(outcome, Sent):
            return outcome
        if len(answer.body) >= MOST_BYTES:
            return Refused(reason=f"record {record_id!r}: of {MOST_BYTES} bytes or more")
        delivery = Delivery(
            source=self.source,
            kind=self.kind,
            dedupe_key=f"fetched:{digest(answer.body)}",
            received_at=now,
            headers={FETCHED: record_id},
            body=answer.body,
        )
        try:
            self.accept(delivery)
        except StoreUnavailable as error:
            return Retry(reason=str(error))
        return outcome


def fetchers(
    sources: Sources,
    destinations: Mapping[str, Destination],
    accept: Callable[[Delivery], object],
) -> dict[str, Sender]:
    """What fetches records, for each source that has a destination of its name in the same CRM.

    Parameters
    ----------
    sources
        Who posts.
    destinations
        Whose credentials read too.
    accept
        Commits a delivery to the inbox, waiting for it.

    Returns
    -------
    dict
        By `fetch_name`.
    """
    found: dict[str, Sender] = {}
    for name, (kind, receiver) in sources.items():
        destination = destinations.get(name)
        sender = None if destination is None else destination.sender
        url_of = _url_of(receiver, sender.form) if isinstance(sender, RecordSender) else None
        if isinstance(sender, RecordSender) and url_of is not None:
            found[fetch_name(name)] = FetchSender(
                client=sender.client,
                tokens=sender.tokens,
                url_of=url_of,
                source=name,
                kind=kind,
                accept=accept,
            )
    return found


def _url_of(receiver: Receiver, form: object) -> UrlOf | None:
    if isinstance(receiver, HubSpotReceiver) and isinstance(form, HubSpotDeal):
        query = urlencode({"propertiesWithHistory": ",".join(receiver.followed())})
        return lambda record_id: (
            f"{form.base_url}/crm/v3/objects/deals/{record_id}?{query}"
            if HUBSPOT_ID.fullmatch(record_id)
            else None
        )
    if isinstance(receiver, ChangeReceiver) and isinstance(form, SalesforceOpportunity):
        path = f"{form.base_url}/services/data/{SALESFORCE_VERSION}/sobjects/Opportunity"
        return lambda record_id: (
            f"{path}/{record_id}" if SALESFORCE_ID.fullmatch(record_id) else None
        )
    if isinstance(receiver, DynamicsReceiver) and isinstance(form, DynamicsScore):
        path = f"{form.base_url}/api/data/v9.2/opportunities"
        return lambda record_id: (
            None if (found := uuid_of(record_id)) is None else f"{path}({found})"
        )
    return None
