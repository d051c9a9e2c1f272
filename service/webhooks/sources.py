"""Which sources may post to ``/webhooks/{source}``: a TOML file, or two variables of one source."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from model.errors import RedflareError
from service.webhooks.change_events import ChangeReceiver
from service.webhooks.delivery import Receiver
from service.webhooks.dynamics import DynamicsReceiver
from service.webhooks.hubspot import HubSpotReceiver
from service.webhooks.mapped import Terms
from service.webhooks.outbound import ID_LENGTH, OutboundReceiver
from service.webhooks.pipedrive import PipedriveReceiver
from service.webhooks.signing import LEAST_KEY_BYTES, key_of
from service.webhooks.standard import StandardReceiver

FILE_VARIABLE: Final = "REDFLARE_WEBHOOKS"  # the file
SECRETS_VARIABLE: Final = "REDFLARE_WEBHOOK_SECRETS"  # of the source `events`, blanks between
EVENTS: Final = "events"  # that source's name
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
KINDS: Final = {  # by kind: the ready mapping, and the keys beside the common ones
    "standard": ("", ()),
    "hubspot": ("hubspot", ("url",)),
    "salesforce-outbound": ("salesforce", ("organisation_id",)),
    "salesforce-cdc": ("salesforce", ()),
    "dynamics": ("dynamics", ("header",)),
    "pipedrive": ("pipedrive", ("user",)),
}
COMMON: Final = ("kind", "secrets")
MAPPED: Final = ("mapping", "won_stages", "lost_stages", "stage_orders")
MOST_SECRETS: Final = 2  # the one in use, and the one it is exchanged for
Sources = Mapping[str, tuple[str, Receiver]]  # by name: the kind and its receiver


class SourceError(RedflareError):
    """A source of webhooks cannot be used as configured. Correct the named entry."""


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
    SourceError, SecretError, MappingError
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
        tables = _read_file(Path(given))
    secrets = environment.get(SECRETS_VARIABLE)
    if secrets:
        if EVENTS in tables:
            raise SourceError(
                f"{SECRETS_VARIABLE} beside the source {EVENTS!r} of {given}",
                "one of them",
                "unset the variable",
            )
        tables[EVENTS] = {"kind": "standard", "secrets": secrets.split()}
    return {
        name: _source(_Entries(name, table, given or SECRETS_VARIABLE, environment), person_key)
        for name, table in tables.items()
    }


def _read_file(path: Path) -> dict[str, Any]:
    try:
        form = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SourceError(
            f"{FILE_VARIABLE} {path}", f"a file that can be read ({error.strerror})", "correct it"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"{path}", f"TOML in UTF-8 ({error})", "correct that line") from error
    sources = form.pop("sources", {})
    if form or type(sources) is not dict:
        name = next(iter(form), "sources")
        raise SourceError(f"{path}, key {name}", "tables [sources.NAME]", "write it as one")
    return sources


class _Entries:
    """The entries of one source, each checked, so that an error can name it."""

    def __init__(self, name: str, table: Any, given: str, environment: Mapping[str, str]) -> None:
        self.place = f"{given}, source {name!r}"
        self.environment = environment
        if not NAME.fullmatch(name):
            raise SourceError(self.place, "small letters, digits and hyphens", "rename it")
        if type(table) is not dict:
            raise SourceError(self.place, f"a table [sources.{name}]", "write it as one")
        self.table = table

    def error(self, key: str, expected: str, remedy: str) -> SourceError:
        """The error of an entry; a secret's value is not told."""
        shown = key in self.table and key != "secrets"
        value = f" = {self.table[key]!r}" if shown else ""
        return SourceError(f"{self.place}, key {key}{value}", expected, remedy)

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self.table.get(key, default)
        if type(value) is not str or (not value and default is None):
            raise self.error(key, "a text", f'write {key} = "..."')
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.table.get(key, [])
        if type(value) is not list or not all(type(item) is str and item for item in value):
            raise self.error(key, "a list of texts", f'write {key} = ["..."]')
        return tuple(value)

    def numbers(self, key: str) -> tuple[tuple[str, float], ...]:
        """Numbers by name."""
        value = self.table.get(key, {})
        if type(value) is not dict or not all(type(n) in (int, float) for n in value.values()):
            raise self.error(key, "numbers by name", f"write {key} = {{ offer = 3 }}")
        return tuple((name, float(number)) for name, number in value.items())

    def secrets(self) -> tuple[str, ...]:
        """One or two secrets, as they are or from the environment."""
        value = self.table.get("secrets")
        if type(value) is not list or not 1 <= len(value) <= MOST_SECRETS:
            raise self.error(
                "secrets",
                "one secret, or two while one is exchanged for the other",
                'write secrets = ["..."] or secrets = [{ variable = "NAME" }]',
            )
        return tuple(self._secret(item) for item in value)

    def _secret(self, item: Any) -> str:
        if type(item) is dict and item.keys() == {"variable"}:
            variable = item["variable"]
            item = self.environment.get(variable) if type(variable) is str else None
            if not item:
                raise self.error("secrets", f"a secret in the variable {variable}", "set it")
        if type(item) is not str or len(item.encode()) < LEAST_KEY_BYTES:
            raise self.error(
                "secrets", f"texts of at least {LEAST_KEY_BYTES} bytes", "make longer ones"
            )
        return item

    def check_names(self, known: tuple[str, ...]) -> None:
        """Refuse entries that nobody documented."""
        for key in self.table:
            if key not in known:
                near = get_close_matches(key, known, 1)
                meant = f"did you mean {near[0]}?" if near else "remove it"
                raise self.error(key, "one of " + ", ".join(known), meant)


def _source(entries: _Entries, person_key: Callable[[], bytes]) -> tuple[str, Receiver]:
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


def _url(entries: _Entries) -> str:
    url = entries.text("url")
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.netloc:
        raise entries.error(
            "url", "the public URL that HubSpot posts to", "copy it from the app's settings"
        )
    return url


def _organisation(entries: _Entries) -> str:
    organisation = entries.text("organisation_id")
    if not re.fullmatch(r"[0-9A-Za-z]{15}([0-9A-Za-z]{3})?", organisation):
        raise entries.error(
            "organisation_id",
            f"{ID_LENGTH} or {ID_LENGTH + 3} letters and digits",
            "copy it from Setup, Company Information",
        )
    return organisation
