"""Which sources may post to ``/webhooks/{source}``: a TOML file, or two variables of one source."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from service.entries import Entries, EntryError, read_tables
from service.webhooks import change_events, dynamics, hubspot, outbound, pipedrive
from service.webhooks.change_events import ChangeReceiver
from service.webhooks.delivery import Receiver
from service.webhooks.dynamics import DynamicsReceiver
from service.webhooks.hubspot import HubSpotReceiver
from service.webhooks.mapped import Terms
from service.webhooks.outbound import ID_LENGTH, OutboundReceiver
from service.webhooks.pipedrive import PipedriveReceiver
from service.webhooks.signing import key_of
from service.webhooks.standard import StandardReceiver

FILE_VARIABLE: Final = "REDFLARE_WEBHOOKS"  # the file
SECRETS_VARIABLE: Final = "REDFLARE_WEBHOOK_SECRETS"  # of the source `events`, blanks between
EVENTS: Final = "events"  # that source's name
KINDS: Final = {  # by kind: the ready mapping, and the keys beside the common ones
    "standard": ("", ()),
    "hubspot": ("hubspot", ("url",)),
    "salesforce-outbound": ("salesforce", ("organisation_id",)),
    "salesforce-cdc": ("salesforce", ()),
    "dynamics": ("dynamics", ("header",)),
    "pipedrive": ("pipedrive", ("user",)),
}
NEEDED: Final = {  # by kind: titles of the mapping's records that read its payloads
    "hubspot": (hubspot.OPENING, hubspot.HISTORY),
    "salesforce-outbound": (outbound.VERSION,),
    "salesforce-cdc": (change_events.HISTORY, outbound.VERSION),
    "dynamics": (dynamics.CHANGES, dynamics.VERSION),
    "pipedrive": (pipedrive.CHANGES,),
}
COMMON: Final = ("kind", "secrets")
MAPPED: Final = ("mapping", "won_stages", "lost_stages", "stage_orders")
Sources = Mapping[str, tuple[str, Receiver]]  # by name: the kind and its receiver


def read_sources(
    environment: Mapping[str, str], person_key: Callable[[], bytes]
) -> dict[str, tuple[str, Receiver]]:
    """The sources that the environment names.

    Parameters
    ----------
    environment
        For instance ``os.environ``. ``REDFLARE_WEBHOOKS`` is a TOML file of sources;
        ``REDFLARE_WEBHOOK_SECRETS`` makes a source ``events`` of our own events.
    person_key
        Answers the key under which people are hashed; asked when there are people.

    Raises
    ------
    EntryError, SecretError, MappingError
        If an entry cannot be used: which, what was expected, and the remedy.

    Examples
    --------
    >>> secrets = {"REDFLARE_WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    >>> {name: kind for name, (kind, _) in read_sources(secrets, lambda: b"key").items()}
    {'events': 'standard'}
    """
    tables: dict[str, Any] = {}
    given = environment.get(FILE_VARIABLE)
    if given:
        tables = read_tables(Path(given), FILE_VARIABLE, "sources")
    secrets = environment.get(SECRETS_VARIABLE)
    if secrets:
        if EVENTS in tables:
            raise EntryError(
                f"{SECRETS_VARIABLE} beside the source {EVENTS!r} of {given}",
                "one of them",
                "unset the variable",
            )
        tables[EVENTS] = {"kind": "standard", "secrets": secrets.split()}
    return {
        name: _source(
            Entries("source", name, table, given or SECRETS_VARIABLE, environment), person_key
        )
        for name, table in tables.items()
    }


def _source(entries: Entries, person_key: Callable[[], bytes]) -> tuple[str, Receiver]:
    kind = entries.text("kind")
    if kind not in KINDS:
        raise entries.error("kind", "one of " + ", ".join(KINDS), "correct it")
    mapping, own = KINDS[kind]
    entries.check_names((*COMMON, *own, *(MAPPED if mapping else ())))
    terms = Terms(
        mapping=entries.text("mapping", mapping),
        person_key=person_key,
        won_stages=entries.texts("won_stages"),
        lost_stages=entries.texts("lost_stages"),
        stage_orders=entries.numbers("stage_orders"),
    )
    if terms.mapping != mapping:  # one of the company's own: refused here, and not at each delivery
        _check_records(entries, terms, NEEDED.get(kind, ()), mapping)
    secrets = entries.secrets()
    makers: dict[str, Callable[[], Receiver]] = {
        "standard": lambda: StandardReceiver(
            keys=tuple(key_of(secret, entries.place) for secret in secrets), terms=terms
        ),
        "hubspot": lambda: HubSpotReceiver(secrets=secrets, url=_url(entries), terms=terms),
        "salesforce-outbound": lambda: OutboundReceiver(
            secrets=secrets, organisation_id=_organisation(entries), terms=terms
        ),
        "salesforce-cdc": lambda: ChangeReceiver(secrets=secrets, terms=terms),
        "dynamics": lambda: DynamicsReceiver(
            secrets=secrets, header=entries.text("header", "").lower(), terms=terms
        ),
        "pipedrive": lambda: PipedriveReceiver(
            user=entries.text("user"), secrets=secrets, terms=terms
        ),
    }
    return kind, makers[kind]()


def _check_records(entries: Entries, terms: Terms, titles: Sequence[str], ready: str) -> None:
    """Refuse a mapping that would read nothing of what the source posts."""
    missing = [
        title for title in titles if title not in {record.title for record in terms.source.records}
    ]
    if missing:
        raise entries.error(
            "mapping",
            "a mapping with records titled " + ", ".join(map(repr, missing)),
            f"begin with a copy of model/sources/mappings/{ready}.toml",
        )


def _url(entries: Entries) -> str:
    url = entries.text("url")
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise entries.error(
            "url", "the public URL that HubSpot posts to", "copy it from the app's settings"
        )
    return url


def _organisation(entries: Entries) -> str:
    organisation = entries.text("organisation_id")
    if not re.fullmatch(r"[0-9A-Za-z]{15}([0-9A-Za-z]{3})?", organisation):
        raise entries.error(
            "organisation_id",
            f"{ID_LENGTH} or {ID_LENGTH + 3} letters and digits",
            "copy it from Setup, Company Information",
        )
    return organisation
