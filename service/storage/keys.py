"""The keys of the API: shown once when they are made, kept by their hash."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, select, update

from model.events import from_microseconds
from service.storage.errors import StorageError
from service.storage.rows import AnyRow, check_text, json_of
from service.storage.schema import API_KEYS

Scope = Literal["read", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "write", "admin")
PREFIX: Final = "rf"
ID_BYTES: Final = 6
SECRET_BYTES: Final = 32  # chance alone: a hash without salt or rounds suffices


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """What is kept of a key.

    Parameters
    ----------
    key_id
        The part of it that may be shown.
    title
        What it is for.
    scopes
        What it opens; each of `SCOPES` opens what stands before it too.
    owners
        The owners whose deals it sees; None sees all.
    made_at, revoked_at
        Microseconds since 1970 UTC; None while it is good.
    """

    key_id: str
    title: str
    scopes: tuple[Scope, ...]
    owners: tuple[str, ...] | None
    made_at: int
    revoked_at: int | None

    def opens(self, scope: Scope) -> bool:
        """Whether it opens what needs a scope."""
        return any(SCOPES.index(own) >= SCOPES.index(scope) for own in self.scopes)

    def to_json(self) -> dict[str, object]:
        """A form that JSON can hold."""
        return {
            "key_id": self.key_id,
            "title": self.title,
            "scopes": list(self.scopes),
            "owners": None if self.owners is None else list(self.owners),
            "made_at": from_microseconds(self.made_at).isoformat(),
            "revoked_at": None
            if self.revoked_at is None
            else from_microseconds(self.revoked_at).isoformat(),
        }


def make(
    connection: Connection,
    *,
    title: str,
    scopes: Sequence[Scope],
    owners: Sequence[str] | None,
    at: int,
) -> str:
    """Make a key; it is answered here and nowhere else.

    Parameters
    ----------
    connection
        Writing.
    title
        What it is for.
    scopes
        What it opens.
    owners
        The owners whose deals it sees; None sees all.
    at
        The present, microseconds since 1970 UTC.
    """
    check_text("title", title)
    for owner in owners or ():
        check_text("owner", owner)
    key_id = f"{PREFIX}_{secrets.token_hex(ID_BYTES)}"
    secret = secrets.token_urlsafe(SECRET_BYTES)
    connection.execute(
        API_KEYS.insert().values(
            key_id=key_id,
            secret_sha256=_digest(secret),
            title=title,
            scopes=json_of(list(scopes)),
            owners=None if owners is None else json_of(list(owners)),
            made_at=at,
        )
    )
    return f"{key_id}_{secret}"


def verify(connection: Connection, key: str) -> ApiKey | None:
    """What is kept of a key that somebody gave; None where it is none, or revoked."""
    prefix, _, rest = key.partition("_")
    number, _, secret = rest.partition("_")
    if prefix != PREFIX or not number.isascii() or "\0" in key or not secret:
        return None
    row = connection.execute(
        select(API_KEYS).where(API_KEYS.c.key_id == f"{prefix}_{number}")
    ).one_or_none()
    known = _digest("") if row is None else row.secret_sha256
    is_good = hmac.compare_digest(_digest(secret), known)
    return of_row(row) if row is not None and is_good and row.revoked_at is None else None


def listed(connection: Connection) -> list[ApiKey]:
    """All keys, the first made first."""
    query = select(API_KEYS).order_by(API_KEYS.c.made_at, API_KEYS.c.key_id)
    return [of_row(row) for row in connection.execute(query)]


def revoke(connection: Connection, key_id: str, *, at: int) -> None:
    """Let a key open nothing any more.

    Raises
    ------
    StorageError
        If there is no such key that is good.
    """
    good = (API_KEYS.c.key_id == key_id) & API_KEYS.c.revoked_at.is_(None)
    if connection.execute(update(API_KEYS).where(good).values(revoked_at=at)).rowcount == 0:
        raise StorageError(
            f"key {key_id!r}",
            "one that was made and is not revoked",
            "see them with redflare keys list",
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def of_row(row: AnyRow) -> ApiKey:
    """What is kept of the key in a row."""
    return ApiKey(
        key_id=row.key_id,
        title=row.title,
        scopes=tuple(json.loads(row.scopes)),
        owners=None if row.owners is None else tuple(json.loads(row.owners)),
        made_at=row.made_at,
        revoked_at=row.revoked_at,
    )
