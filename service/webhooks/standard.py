"""Standard Webhooks that carry our own events: the way for whatever has no receiver of its own.

References
----------
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from model.errors import RedflareError
from service.webhooks.delivery import (
    Delivery,
    JsonReceiver,
    Request,
    Translation,
    Untranslatable,
    Unverified,
)
from service.webhooks.keys import LONGEST_KEY, digest
from service.webhooks.mapped import Terms, decoded
from service.webhooks.own_events import read_events
from service.webhooks.signing import check_any, check_time, sign_text

SECOND = timedelta(seconds=1)


def check_standard(request: Request, keys: tuple[bytes, ...], now: datetime) -> None:
    """Verify the three headers of Standard Webhooks over the raw body.

    Parameters
    ----------
    request
        As it came.
    keys
        Any of them may have signed it.
    now
        The present, UTC.

    Raises
    ------
    Unverified
        If no key signed it, or not within five minutes.
    """
    message_id = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "")
    signatures = request.headers.get("webhook-signature", "").split()
    if not message_id or not signatures:
        raise Unverified("no webhook-id or no webhook-signature")
    check_time(timestamp, SECOND, now)
    try:
        expected = [sign_text(key, message_id, timestamp, request.body) for key in keys]
    except UnicodeEncodeError as error:
        raise Unverified("a webhook-id that no signature covers") from error
    check_any(signatures, expected)


@dataclass(frozen=True, kw_only=True)
class StandardReceiver(JsonReceiver):
    """Receives our own events.

    Parameters
    ----------
    keys
        Of the secrets in use, two while one is exchanged for another.
    terms
        How people are hashed.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    terms: Terms

    def verify(self, request: Request, now: datetime) -> None:
        """See `service.webhooks.delivery.Receiver`."""
        check_standard(request, self.keys, now)

    def dedupe_key(self, headers: Mapping[str, str], body: bytes) -> str:
        """The id that the sender gives, the same for every attempt."""
        message_id = headers.get("webhook-id", "")
        if not message_id or len(message_id) > LONGEST_KEY:
            return digest(message_id.encode("utf-8", "surrogateescape") or body)
        return message_id

    def translate(self, delivery: Delivery) -> Translation:
        """The events as they are; a batch is taken whole or not at all."""
        try:
            events = read_events(decoded(delivery), self.terms.person)
        except RedflareError as error:
            raise Untranslatable(str(error)) from error
        return Translation(events=tuple(events))
