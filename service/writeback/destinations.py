"""Where scores are written back to: a TOML file that ``REDFLARE_DESTINATIONS`` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from service.entries import Entries, read_tables
from service.smtp import KEYS as SMTP_KEYS
from service.smtp import read_recipients, read_server
from service.webhooks.signing import key_of
from service.writeback.addresses import ALLOWED_VARIABLE, Guard
from service.writeback.callback import CallbackSender
from service.writeback.client import Client
from service.writeback.entry import RED_FLARE_RAISED, SCORE_CHANGED, Sender
from service.writeback.mail import MailSender
from service.writeback.payload import VALUES
from service.writeback.records import (
    HUBSPOT_URL,
    DynamicsScore,
    HubSpotDeal,
    RecordSender,
    SalesforceOpportunity,
)
from service.writeback.tokens import ClientCredentials, FixedToken

FILE_VARIABLE: Final = "REDFLARE_DESTINATIONS"
KINDS: Final = {  # by kind: the keys that it takes
    "callback": ("url", "secrets", "sources", "tells"),
    "hubspot": ("secrets", "properties", "url", "sources"),
    "salesforce": ("url", "client_id", "secrets", "fields", "sources"),
    "dynamics": ("url", "tenant", "client_id", "secrets", "sources"),
    "mail": (*SMTP_KEYS, "sources"),
}
TELLS: Final = {"callback": (SCORE_CHANGED, RED_FLARE_RAISED), "mail": (RED_FLARE_RAISED,)}
DYNAMICS_LOGIN: Final = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """One configured destination.

    Parameters
    ----------
    kind
        A key of `KINDS`.
    sender
        Sends there.
    sources
        Only deals whose events come from these sources are told; empty: all.
    tells
        What it is told: kinds of entries.
    """

    kind: str
    sender: Sender
    sources: tuple[str, ...]
    tells: tuple[str, ...] = (SCORE_CHANGED,)

    @property
    def guard(self) -> Guard:
        """Decides where it may send to."""
        sender = self.sender
        if isinstance(sender, MailSender):
            return sender.server.guard
        return sender.client.guard if isinstance(sender, CallbackSender | RecordSender) else Guard()

    @property
    def url(self) -> str:
        """Where it sends to; without a path where each record has its own."""
        sender = self.sender
        if isinstance(sender, MailSender):
            return sender.server.url
        if isinstance(sender, RecordSender):
            return sender.form.base_url
        return sender.url if isinstance(sender, CallbackSender) else ""

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a deal's record that it writes."""
        return self.sender.form.writes if isinstance(self.sender, RecordSender) else frozenset()


def read_destinations(
    environment: Mapping[str, str], client: Client | None = None
) -> dict[str, Destination]:
    """The destinations that the environment names.

    Parameters
    ----------
    environment
        For instance ``os.environ``: ``REDFLARE_DESTINATIONS`` is a TOML file,
        ``REDFLARE_ALLOWED_PLACES`` opens names and networks that are not public.
    client
        Sends; by default one whose guard has that allow-list.

    Raises
    ------
    EntryError, SecretError, AddressRefused
        If an entry cannot be used: which, what was expected, and the remedy.
    """
    allowed = environment.get(ALLOWED_VARIABLE, "").split()
    client = client or Client(guard=Guard.allowing(allowed))
    given = environment.get(FILE_VARIABLE)
    if not given:
        return {}
    tables = read_tables(Path(given), FILE_VARIABLE, "destinations")
    return {
        name: _destination(Entries("destination", name, table, given, environment), client)
        for name, table in tables.items()
    }


def _destination(entries: Entries, client: Client) -> Destination:
    kind = entries.text("kind")
    if kind not in KINDS:
        raise entries.error("kind", "one of " + ", ".join(KINDS), "correct it")
    entries.check_names(("kind", *KINDS[kind]))
    makers: dict[str, Callable[[], Sender]] = {
        "callback": lambda: CallbackSender(
            client=client,
            url=_url(entries),
            keys=tuple(key_of(secret, entries.place) for secret in entries.secrets()),
        ),
        "hubspot": lambda: RecordSender(
            client=client,
            tokens=FixedToken(secret=entries.secrets()[0]),
            form=HubSpotDeal(
                properties=entries.names("properties", tuple(VALUES)),
                base_url=_url(entries, HUBSPOT_URL),
            ),
        ),
        "salesforce": lambda: RecordSender(
            client=client,
            tokens=_credentials(entries, client, _url(entries) + "/services/oauth2/token", ""),
            form=SalesforceOpportunity(
                fields=entries.names("fields", tuple(VALUES)), base_url=_url(entries)
            ),
        ),
        "dynamics": lambda: RecordSender(
            client=client,
            tokens=_credentials(
                entries,
                client,
                DYNAMICS_LOGIN.format(tenant=entries.text("tenant")),
                f"{_url(entries)}/.default",
            ),
            form=DynamicsScore(base_url=_url(entries)),
            headers={"odata-version": "4.0", "odata-maxversion": "4.0"},
        ),
        "mail": lambda: MailSender(
            server=read_server(entries, client.guard), recipients=read_recipients(entries)
        ),
    }
    return Destination(
        kind=kind,
        sender=makers[kind](),
        sources=entries.texts("sources"),
        tells=_tells(entries, TELLS.get(kind, (SCORE_CHANGED,))),
    )


def _tells(entries: Entries, default: tuple[str, ...]) -> tuple[str, ...]:
    chosen = entries.texts("tells") or default
    if not set(chosen) <= set(default):
        raise entries.error("tells", "some of " + ", ".join(default), "correct it")
    return chosen


def _credentials(entries: Entries, client: Client, url: str, scope: str) -> ClientCredentials:
    return ClientCredentials(
        client=client,
        url=url,
        client_id=entries.text("client_id"),
        client_secret=entries.secrets()[0],
        scope=scope,
    )


def _url(entries: Entries, default: str | None = None) -> str:
    url = entries.text("url", default).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
        raise entries.error("url", "a URL of https without a user", "correct it")
    return url
