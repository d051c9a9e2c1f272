"""The cookie that carries the session of a web page.

References
----------
RFC 6265bis, Cookies: HTTP State Management Mechanism.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

COOKIE: Final = "redflare"  # on loopback, where browsers may not speak TLS
SECURE_COOKIE: Final = "__Host-redflare"  # browsers take it over TLS alone, for this host alone
SESSION: Final = timedelta(hours=12)


def cookie(token: str | None, *, is_secure: bool) -> str:
    """The value of ``Set-Cookie`` for a session; None takes the cookie away.

    Examples
    --------
    >>> cookie("t", is_secure=True)
    '__Host-redflare=t; Max-Age=43200; Path=/; HttpOnly; SameSite=Lax; Secure'
    >>> cookie(None, is_secure=False)
    'redflare=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax'
    """
    age = 0 if token is None else int(SESSION.total_seconds())
    name, secure = (SECURE_COOKIE, "; Secure") if is_secure else (COOKIE, "")
    return f"{name}={token or ''}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax{secure}"


def session_of(header: str, *, is_secure: bool) -> str | None:
    """The token in a header ``Cookie``; None where there is none.

    Examples
    --------
    >>> session_of("redflare=planted; __Host-redflare=t", is_secure=True)
    't'
    """
    wanted = SECURE_COOKIE if is_secure else COOKIE
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted and value:
            return value
    return None
