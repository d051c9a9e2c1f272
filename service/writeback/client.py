"""One request of ours: to a pinned address, without redirects, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from service.writeback.addresses import AddressRefused, Guard, Unresolved
from service.writeback.entry import Outcome, Refused, Retry, Sent
from service.writeback.time_limit import TimeLimit

TIMEOUT_SECONDS: Final = 20.0  # for one request in all; an attempt has four at most
MOST_ANSWER_BYTES: Final = 2**16
AGAIN: Final = frozenset({401, 403, 408, 409, 423, 425, 429})  # beside all of 5xx
# 401 and 403 too: a token is renewed, a right given, within three days.
LONGEST_WAIT: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered.

    Parameters
    ----------
    status
        Of HTTP.
    headers
        By name in small letters.
    body
        As much of it as was asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def _http() -> httpx.Client:
    # No connection is kept: at a pinned address the next one may be meant for another name, whose
    # certificate nobody would have looked at.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(
        follow_redirects=False, trust_env=False, timeout=TIMEOUT_SECONDS, limits=limits
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Client:
    """Sends requests where the guard lets them go.

    Parameters
    ----------
    guard
        Decides where.
    http
        Holds connections; proxies of the environment are not used, for they would resolve names.
    """

    guard: Guard
    http: httpx.Client = field(default_factory=_http)

    def request(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        most: int = MOST_ANSWER_BYTES,
    ) -> Answer:
        """Send one request, and take so many bytes of its answer at most.

        Raises
        ------
        AddressRefused
            If it may not go there.
        Unresolved, httpx.HTTPError
            If there is no answer in `TIMEOUT_SECONDS`, over connection, headers and body.
        """
        with TimeLimit(TIMEOUT_SECONDS) as limit:
            return self._request(method, url, body, headers, most, limit)

    def _request(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        most: int,
        limit: TimeLimit,
    ) -> Answer:
        place = self.guard.place(url)
        parts = urlsplit(url)
        pinned = parts._replace(netloc=place.netloc).geturl()

        def watching(step: str, about: dict[str, Any]) -> None:
            if step == "connection.connect_tcp.complete":
                limit.watch(about["return_value"].get_extra_info("socket"))

        own = {"host": parts.netloc, "user-agent": "redflare", "accept-encoding": "identity"}
        request = self.http.build_request(
            method,
            pinned,
            content=body,
            headers={**own, **headers},
            extensions={"sni_hostname": place.host, "trace": watching},
        )
        response = self.http.send(request, stream=True)
        received = bytearray()
        try:
            for part in response.iter_raw():
                received += part
                if len(received) >= most:
                    break
        except httpx.HTTPError:
            if not limit.is_over:  # else what came of the body is what there is
                raise
        finally:
            response.close()
        return Answer(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=bytes(received[:most]),
        )

    def send(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], now: datetime
    ) -> Outcome:
        """Send one request, and say what came of it."""
        try:
            return outcome_of(self.request(method, url, body, headers), now)
        except AddressRefused as error:
            return Refused(reason=str(error))
        except Unresolved as error:
            return Retry(reason=str(error))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Retry(reason=f"{type(error).__name__} from {urlsplit(url).hostname}")


def outcome_of(answer: Answer, now: datetime) -> Outcome:
    """What an answer means for what was sent.

    Examples
    --------
    >>> now = datetime(2026, 3, 2, tzinfo=UTC)
    >>> outcome_of(Answer(status=429, headers={"retry-after": "30"}, body=b""), now).after
    datetime.timedelta(seconds=30)
    """
    if 200 <= answer.status < 300:
        return Sent(status=answer.status)
    if answer.status in AGAIN or answer.status >= 500:
        after = _wait(answer.headers.get("retry-after", ""), now)
        return Retry(reason=f"status {answer.status}", after=after)
    if 300 <= answer.status < 400:
        return Refused(reason=f"status {answer.status}: redirects are not followed")
    return Refused(reason=f"status {answer.status}: {_shown(answer.body)}")


def _wait(text: str, now: datetime) -> timedelta | None:
    """How long ``Retry-After`` asks for, at most a day; None where it says nothing."""
    if text.isascii() and text.isdigit() and len(text) < 8:
        return min(timedelta(seconds=int(text)), LONGEST_WAIT)
    try:
        time = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return min(max(time - now, timedelta()), LONGEST_WAIT)


def _shown(body: bytes) -> str:
    """The beginning of an answer, as one printable line."""
    text = body[:200].decode("utf-8", "replace")
    return "".join(each if each.isprintable() else " " for each in text).strip() or "no body"
