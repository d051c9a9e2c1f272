"""Tokens that open a CRM's API: one that stays, or one fetched for an hour and fetched again.

References
----------
RFC 6749, The OAuth 2.0 Authorization Framework, section 4.4, "Client Credentials Grant".
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol
from urllib.parse import urlencode

import httpx

from service.json_text import JsonTextError, read_json
from service.writeback.addresses import AddressRefused, Unresolved
from service.writeback.client import MOST_ANSWER_BYTES, Answer, Client
from service.writeback.entry import Refused, Retry

SPARE: Final = timedelta(minutes=2)  # before a token ends it is not used any more
DEFAULT_LIFE: Final = timedelta(minutes=15)  # where its end is not said
LONGEST_LIFE: Final = timedelta(hours=12)


class NoToken(Exception):  # noqa: N818 - it says what happened
    """No token is given out now. Parameters: the reason, without secrets."""


class Tokens(Protocol):
    """Gives out tokens."""

    def token(self, now: datetime) -> str:
        """A token that is good now.

        Raises
        ------
        NoToken, httpx.HTTPError, AddressRefused, Unresolved
            If there is none.
        """

    def forget(self) -> None:
        """Take the token last given for one that is not good."""


@dataclass(frozen=True, kw_only=True)
class FixedToken:
    """A token that stays, as of HubSpot's private apps."""

    secret: str = field(repr=False)

    def token(self, now: datetime) -> str:
        """See `Tokens`."""
        return self.secret

    def forget(self) -> None:
        """Nothing: there is no other."""


@dataclass(kw_only=True)
class ClientCredentials:
    """Tokens for a client's id and secret.

    Parameters
    ----------
    client
        Fetches them.
    url
        Of the token endpoint.
    client_id, client_secret, scope
        As registered; an empty scope is not sent.
    """

    client: Client
    url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    _held: tuple[str, datetime] | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def token(self, now: datetime) -> str:
        """See `Tokens`."""
        with self._lock:
            if self._held is None or self._held[1] <= now:
                self._held = self._fetch(now)
            return self._held[0]

    def forget(self) -> None:
        """See `Tokens`."""
        with self._lock:
            self._held = None

    def _fetch(self, now: datetime) -> tuple[str, datetime]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        if self.scope:
            form["scope"] = self.scope
        answer = self.client.request(
            "POST",
            self.url,
            urlencode(form).encode(),
            {
                "content-type": "application/x-www-form-urlencoded",
                "accept": "application/json",
            },
        )
        if answer.status != 200:
            raise NoToken(f"no token: status {answer.status}")
        try:
            given = read_json(answer.body)
        except JsonTextError as error:
            raise NoToken("no token: an answer that is no JSON") from error
        token = given.get("access_token") if isinstance(given, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise NoToken("no token: an answer without access_token")
        seconds = given.get("expires_in")
        known = isinstance(seconds, int | float) and 0 <= seconds <= LONGEST_LIFE.total_seconds()
        life = timedelta(seconds=seconds) if known else DEFAULT_LIFE
        return token, now + max(life - SPARE, timedelta())


def ask(
    client: Client,
    tokens: Tokens,
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
    most: int = MOST_ANSWER_BYTES,
) -> Answer | Refused | Retry:
    """Send one request with a token; its answer, or why there is none.

    Parameters
    ----------
    most
        Bytes of the answer to take.
    """
    try:
        bearer = {"authorization": f"Bearer {tokens.token(now)}"}
        answer = client.request(method, url, body, {**bearer, **headers}, most)
    except AddressRefused as error:
        return Refused(reason=str(error))
    except (NoToken, Unresolved) as error:
        return Retry(reason=str(error))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Retry(reason=type(error).__name__)
    if answer.status in (401, 403):
        tokens.forget()
    return answer
