"""A delivery of a webhook, and what each receiver can do with one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from model.events import Event
from service.webhooks.keys import harmless

ID_LENGTH: Final = 16  # characters of a delivery's id in logs


class Unverified(Exception):  # noqa: N818 - it says what became of the request
    """A request that is not proved to come from its source. Whoever sent it learns no more.

    Parameters
    ----------
    reason
        For the log: what was looked for and not found. Nothing of the request, and no secret.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Untranslatable(Exception):  # noqa: N818 - it says what became of the delivery
    """A delivery that tells no events, and why.

    Parameters
    ----------
    reason
        What was given, what was expected and what to do, for whoever looks after the inbox.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What verifies a delivery: the request as it came, unparsed.

    Parameters
    ----------
    method
        ``POST``.
    query
        The raw query string, without the question mark.
    headers
        By name in small letters; of several of one name the last.
    body
        The raw bytes.
    """

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One verified delivery, as the inbox keeps it.

    Parameters
    ----------
    source
        The name under which the source is configured, as in ``/webhooks/{source}``.
    kind
        Whose format it has: a key of `service.webhooks.sources.KINDS`.
    dedupe_key
        The same for every redelivery, other for every other delivery of the source.
    received_at
        When it came, UTC.
    headers
        By name in small letters, those that carry secrets left out.
    body
        The raw bytes, secrets in them left out.
    """

    source: str
    kind: str
    dedupe_key: str
    received_at: datetime
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """What names it in logs, the same for every redelivery."""
        told = f"{self.source}\0{self.dedupe_key}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(told).hexdigest()[:ID_LENGTH]


@dataclass(frozen=True, kw_only=True, slots=True)
class Refetch:
    """A record that a delivery speaks of without telling it whole.

    Parameters
    ----------
    entity
        What it is in its CRM: ``opportunity``.
    record_id
        Its id there.
    reason
        Why the delivery does not suffice.
    """

    entity: str
    record_id: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Translation:
    """What a delivery tells.

    Parameters
    ----------
    events
        What is told, the same for every redelivery: kept as it is. What of it stands, beside all
        else that was told of a deal, `model.sources.standing.standing_events` says, which a
        deal's events pass through before they are scored or exported. They are known from when
        the CRM knew them (its own time of the change, or `known_at` of our own events), not from
        when the delivery came: an import of the same fact says the same, and training and scoring
        go by one rule. Scores that were kept before stay as they were said.
    notes
        What the payload cannot tell, said instead of guessed.
    refetch
        Records to be asked for.
    """

    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()
    refetch: tuple[Refetch, ...] = ()


class Receiver(Protocol):
    """One configured source of deliveries."""

    def verify(self, request: Request, now: datetime) -> None:
        """Prove that a request comes from the source.

        Raises
        ------
        Unverified
            If it is not proved, for whatever reason.
        """

    def dedupe_key(self, headers: Mapping[str, str], body: bytes) -> str:
        """What tells a verified delivery from every other of the source; never fails."""

    def kept(self, headers: Mapping[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        """The headers and body without their secrets, as the inbox keeps them."""

    def acknowledge(self) -> tuple[str, bytes]:
        """The media type and body that tell the source that its delivery is kept."""

    def translate(self, delivery: Delivery) -> Translation:
        """Tell the events of a delivery: a pure function of it.

        Raises
        ------
        Untranslatable
            If it tells none, with the reason.
        """


class JsonReceiver:
    """What receivers of JSON share, where nothing in the body is secret."""

    def kept(self, headers: Mapping[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        """See `Receiver`."""
        return harmless(headers), body

    def acknowledge(self) -> tuple[str, bytes]:
        """See `Receiver`."""
        return "application/json", b"{}"
