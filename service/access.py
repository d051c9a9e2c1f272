"""Who asks: a key in the header, or a session of the web page opened with one.

A request to ``/v1`` is admitted before anything else of it is looked at, so that a route added
there is never open by oversight. A page asks by `needs`, and sends whoever has no session to
`LOGIN`. What keeps nothing (`serve --artifact`) has no keys, and answers everybody.

References
----------
RFC 6750, Bearer Token Usage. RFC 6265bis, Cookies.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import quote

from anyio import to_thread
from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.events import microseconds
from service.exchange import send_problem
from service.limiting import Limiter
from service.origin import (
    HARMLESS,
    address_of,
    check_own_name,
    check_same_origin,
    is_own_name,
)
from service.problems import FORBIDDEN, NO_KEY, Refused, refused
from service.session_cookie import SESSION, cookie, session_of
from service.storage import keys, sessions
from service.storage.database import Database
from service.storage.errors import StoreUnavailable
from service.storage.keys import ApiKey
from service.storage.keys import Scope as KeyScope
from service.unavailable import unavailable

T = TypeVar("T")

GUARDED: Final = "/v1/"
LOGIN: Final = "/login"
KNOWN_SECONDS: Final = 5.0  # for which a key is not looked up again: as long it outlives a revoke
MOST_KNOWN: Final = 1_000  # keys and sessions that are not looked up again
ADMITTED: Final = "redflare.access"  # in the scope of a request
LIMITS: Final = "redflare.limits"  # of the scope: the headers that say how much may still be asked
CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="redflare"'),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What whoever asks may do and see.

    Parameters
    ----------
    key
        That was given, or that opened the session; None where no keys are asked for, and anybody
        may do and see all.
    """

    key: ApiKey | None

    @property
    def owners(self) -> tuple[str, ...] | None:
        """The owners whose deals are seen; None sees all."""
        return None if self.key is None else self.key.owners

    @property
    def caller(self) -> str:
        """Tells one caller from another, and may be shown."""
        return "anybody" if self.key is None else self.key.key_id

    def sees(self, owner: str | None) -> bool:
        """Whether the deals of an owner are seen; of None, those that nobody owns.

        Examples
        --------
        >>> Access(key=None).sees("ann")
        True
        """
        return self.owners is None or owner in self.owners

    def opens(self, scope: KeyScope) -> bool:
        """Whether it opens what needs a scope."""
        return self.key is None or self.key.opens(scope)

    def check(self, scope: KeyScope) -> None:
        """Refuse what needs a scope that the key does not have.

        Raises
        ------
        Refused
            With status 403.
        """
        if self.key is not None and not self.key.opens(scope):
            raise refused(
                FORBIDDEN,
                f"key {self.key.key_id} with scope {', '.join(self.key.scopes)}",
                f"one with scope {scope}",
                f"make one with redflare keys create TITLE --scope {scope}",
            )


ANYBODY: Final = Access(key=None)


class LoginNeeded(Exception):  # noqa: N818 - it says what is to be done
    """A page was asked for without a session."""


class Guard:
    """Admits requests.

    Parameters
    ----------
    database
        Where the keys are; None where nothing is kept, and no keys are asked for.
    limiter
        Counts what each caller asks.
    clock
        Tells the present, UTC.
    without_keys
        Ask for no keys, though there is a database: of those who ask at a name of this machine.
    elapsed
        Seconds, never going back.
    """

    def __init__(
        self,
        database: Database | None,
        limiter: Limiter,
        clock: Callable[[], datetime],
        *,
        without_keys: bool = False,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._limiter = limiter
        self._clock = clock
        self._without_keys = without_keys
        self._elapsed = elapsed
        self._known: dict[bytes, tuple[Access, float]] = {}

    async def admit(self, scope: Scope) -> Access:
        """Who asks, counted.

        Parameters
        ----------
        scope
            Of ASGI.

        Raises
        ------
        Refused
            If no good key or session is given, or too much is asked.
        """
        admitted: Access | None = scope.get(ADMITTED)
        if admitted is not None:
            return admitted
        access = await self._identify(scope)
        caller = access.caller if access.key is not None else address_of(scope)
        scope[LIMITS] = self._limiter.count(caller)
        scope[ADMITTED] = access
        return access

    async def _identify(self, scope: Scope) -> Access:
        if self._database is None:
            return ANYBODY
        headers = _headers_of(scope)
        if self._without_keys:
            check_own_name(headers.get(b"host", b"").decode("latin-1"))
            check_same_origin(scope["method"], headers)
            return ANYBODY
        given = headers.get(b"authorization")
        if given is not None:
            scheme, _, key = given.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer" or not key.strip():
                raise _no_key("an Authorization of another form")
            return await self._verified(scope, b"key", key.strip())
        token = _session_of(headers)
        if token is None:
            raise _no_key("no key")
        check_same_origin(scope["method"], headers)
        return await self._verified(scope, b"session", token)

    async def _verified(self, scope: Scope, kind: bytes, given: str) -> Access:
        mark = hashlib.sha256(kind + b"\0" + given.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(mark)
        now = self._elapsed()
        if known is not None and now < known[1]:
            return known[0]
        find = self._find_key if kind == b"key" else self._find_session
        key = await to_thread.run_sync(_told, find, given)
        if key is None:
            # Only failures are refused: others behind the address keep their good keys.
            self._known.pop(mark, None)
            address = address_of(scope)
            self._limiter.check_failures(address)
            self._limiter.count_failure(address)
            raise _no_key("a key that is unknown or revoked" if kind == b"key" else "no session")
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        access = Access(key=key)
        self._known[mark] = access, now + KNOWN_SECONDS
        return access

    def _find_key(self, given: str) -> ApiKey | None:
        with self._opened().reading() as connection:
            return keys.verify(connection, given)

    def _find_session(self, token: str) -> ApiKey | None:
        with self._opened().reading() as connection:
            return sessions.find(connection, token, at=microseconds(self._clock()))

    def _opened(self) -> Database:
        if self._database is None:
            raise RuntimeError("where nothing is kept there are no keys and no sessions")
        return self._database

    async def sign_in(self, request: Request, key: str) -> str:
        """Open a session with a key.

        Parameters
        ----------
        request
            The form's.
        key
            As somebody gave it.

        Returns
        -------
        str
            The value of ``Set-Cookie``.

        Raises
        ------
        Refused
            If the key is not good, if it was tried too often, or another site sent the form.
        """
        check_same_origin(request.method, _headers_of(request.scope))
        access = await self._verified(request.scope, b"key", key.strip())
        if access.key is None:
            raise RuntimeError("a key that is verified is one")
        token = await to_thread.run_sync(_told, self._start, access.key.key_id)
        return cookie(token, is_secure=not is_own_name(request.headers.get("host", "")))

    def _start(self, key_id: str) -> str:
        now = self._clock()
        with self._opened().writing() as connection:
            return sessions.start(
                connection, key_id, at=microseconds(now), until=microseconds(now + SESSION)
            )

    async def sign_out(self, request: Request) -> str:
        """End the session of a request.

        Returns
        -------
        str
            The value of ``Set-Cookie`` that takes the cookie away.

        Raises
        ------
        Refused
            If another site asked.
        """
        check_same_origin(request.method, _headers_of(request.scope))
        token = _session_of(_headers_of(request.scope))
        if token is not None:
            mark = hashlib.sha256(b"session\0" + token.encode()).digest()
            self._known.pop(mark, None)
            await to_thread.run_sync(_told, self._end, token)
        return cookie(None, is_secure=not is_own_name(request.headers.get("host", "")))

    def _end(self, token: str) -> None:
        with self._opened().writing() as connection:
            sessions.end(connection, token)


class Gate:
    """Lets through to `GUARDED` whom the guard admits.

    Parameters
    ----------
    app
        Answers what is let through.
    guard
        Admits.
    """

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self.app = app
        self.guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"].startswith(GUARDED):
            try:
                await self.guard.admit(scope)
            except Refused as refusal:
                await send_problem(send, refusal.problem)
                return

        async def limited(message: Message) -> None:
            if message["type"] == "http.response.start" and LIMITS in scope:
                more = [(name.lower().encode(), each.encode()) for name, each in scope[LIMITS]]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        await self.app(scope, receive, limited)


def needs(scope: KeyScope, *, page: bool = False) -> Callable[[Request], Awaitable[Access]]:
    """What a route depends on: ``Annotated[Access, Depends(needs("read"))]``.

    Parameters
    ----------
    scope
        Of the key.
    page
        Whether a browser asks, and is sent to `LOGIN` where it has no session.

    Returns
    -------
    Callable
        Raises `Refused` with status 401, 403 or 429, or `LoginNeeded`.
    """

    async def admitted(request: Request) -> Access:
        guard: Guard = request.app.state.guard
        try:
            access = await guard.admit(request.scope)
        except Refused as refusal:
            if page and refusal.problem.kind is NO_KEY and request.method in HARMLESS:
                raise LoginNeeded from refusal
            raise
        access.check(scope)
        return access

    return admitted


async def to_login(request: Request, _error: Exception) -> Response:
    """Send a browser to the login, which comes back to what was asked."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{LOGIN}?next={quote(asked, safe='/')}", 303)


def next_page(given: str | None, default: str = "/") -> str:
    r"""Where to go after the login: a path of this service, whatever was given.

    Examples
    --------
    >>> next_page("/review?week=2026-W03")
    '/review?week=2026-W03'
    >>> [next_page(given) for given in ("https://evil.example", "//evil.example", "/\\evil", None)]
    ['/', '/', '/', '/']
    """
    if given is None or not given.startswith("/") or given[1:2] in ("/", "\\"):
        return default
    return given if given.isascii() and given.isprintable() else default


def _session_of(headers: dict[bytes, bytes]) -> str | None:
    is_secure = not is_own_name(headers.get(b"host", b"").decode("latin-1"))
    return session_of(headers.get(b"cookie", b"").decode("latin-1"), is_secure=is_secure)


def _headers_of(scope: Scope) -> dict[bytes, bytes]:
    return dict(scope["headers"])


def _no_key(given: str) -> Refused:
    return refused(
        NO_KEY,
        given,
        "Authorization: Bearer KEY",
        "make one with redflare keys create TITLE",
        headers=CHALLENGE,
    )


def _told(find: Callable[[str], T], given: str) -> T:
    """What is found, or a refusal where the database does not answer."""
    try:
        return find(given)
    except StoreUnavailable as error:
        raise unavailable(error) from error
