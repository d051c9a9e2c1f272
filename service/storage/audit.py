"""What was done to what is kept, by whom and when. What was forgotten has tombstones instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from model.events import from_microseconds
from service.storage.rows import json_of
from service.storage.schema import AUDIT


@dataclass(frozen=True, kw_only=True, slots=True)
class Deed:
    """One thing that was done.

    Parameters
    ----------
    done_at
        Microseconds since 1970 UTC.
    done_by
        Who asked.
    what
        For instance ``retain``.
    detail
        How far it went.
    """

    done_at: int
    done_by: str
    what: str
    detail: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {
            "done_at": from_microseconds(self.done_at).isoformat(),
            "done_by": self.done_by,
            "what": self.what,
            **self.detail,
        }


def add(connection: Connection, deed: Deed) -> None:
    """Keep that something was done, in the transaction that does it."""
    connection.execute(
        AUDIT.insert().values(
            done_at=deed.done_at,
            done_by=deed.done_by,
            what=deed.what,
            detail=json_of(dict(deed.detail)),
        )
    )


def listed(connection: Connection, what: str) -> list[Deed]:
    """All of one kind, the first done first."""
    query = select(AUDIT).where(AUDIT.c.what == what).order_by(AUDIT.c.id)
    return [
        Deed(
            done_at=row.done_at,
            done_by=row.done_by,
            what=row.what,
            detail=json.loads(row.detail),
        )
        for row in connection.execute(query)
    ]
