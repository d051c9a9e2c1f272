"""Sessions of the web page: opened with a key, kept by the hash of their token until they end."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from sqlalchemy import Connection, delete, select

from service.storage.keys import ApiKey, of_row
from service.storage.schema import API_KEYS, SESSIONS

TOKEN_BYTES: Final = 32  # chance alone: a hash without salt or rounds suffices


def start(connection: Connection, key_id: str, *, at: int, until: int) -> str:
    """Open a session; its token is answered here and nowhere else.

    Sessions whose time is over are swept on the way.

    Parameters
    ----------
    connection
        Writing.
    key_id
        Of the key that opens it: revoked, it ends the session.
    at, until
        The present and the session's end, microseconds since 1970 UTC.
    """
    connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_at <= at))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    connection.execute(
        SESSIONS.insert().values(
            token_sha256=_digest(token), key_id=key_id, made_at=at, expires_at=until
        )
    )
    return token


def find(connection: Connection, token: str, *, at: int) -> ApiKey | None:
    """The key of a session; None where there is none, its time is over, or the key is revoked."""
    query = (
        select(API_KEYS)
        .join(SESSIONS, SESSIONS.c.key_id == API_KEYS.c.key_id)
        .where(
            SESSIONS.c.token_sha256 == _digest(token),
            SESSIONS.c.expires_at > at,
            API_KEYS.c.revoked_at.is_(None),
        )
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else of_row(row)


def end(connection: Connection, token: str) -> None:
    """End a session, if there is one."""
    connection.execute(delete(SESSIONS).where(SESSIONS.c.token_sha256 == _digest(token)))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
