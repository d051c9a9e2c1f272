"""A call-back to a URL of the company's own, signed as Standard Webhooks are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson

from model.events import EPOCH
from service.webhooks.signing import sign
from service.writeback.client import Client
from service.writeback.entry import Entry, Outcome


@dataclass(frozen=True, kw_only=True)
class CallbackSender:
    """Posts what is told as ``{"type", "timestamp", "data"}``.

    Parameters
    ----------
    client
        Sends it.
    url
        Where to.
    keys
        Each signs it: two while a secret is exchanged for another.
    """

    client: Client
    url: str
    keys: tuple[bytes, ...] = field(repr=False)

    def send(self, entry: Entry, now: datetime) -> Outcome:
        """See `service.writeback.entry.Sender`."""
        message = {
            "type": entry.kind,
            "timestamp": entry.queued_at.isoformat(),
            "data": {**entry.payload, "deal_id": entry.deal_id},
        }
        body = orjson.dumps(message)
        headers = {
            "content-type": "application/json",
            "webhook-id": entry.id,
            "webhook-timestamp": str((now - EPOCH) // timedelta(seconds=1)),
            "webhook-signature": " ".join(sign(key, entry.id, now, body) for key in self.keys),
        }
        return self.client.send("POST", self.url, body, headers, now)
