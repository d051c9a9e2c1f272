"""Whether the service can do its work now: each thing it needs, named, with the reason if not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from model.events import microseconds
from model.scorer import Scorer
from service.problems import NOT_READY, Problem
from service.storage import inbox
from service.storage.database import Database
from service.storage.errors import StoreUnavailable
from service.storage.upgrade import HEAD, revision

REMEDY: Final = "Remedy: run redflare doctor."


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One thing that the service needs.

    Parameters
    ----------
    name
        ``database``, ``migrations``, ``queue`` or ``model``.
    reason
        Why it is not well, without names of places and people; None where it is.
    """

    name: str
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {"name": self.name, "ok": self.reason is None, "reason": self.reason}


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """Looks at what a service needs.

    Parameters
    ----------
    scorer
        Answers that of the model in force; None where none is.
    clock
        Tells the present, UTC.
    queue_seconds
        That a delivery may wait.
    database
        None where nothing is kept.
    """

    scorer: Callable[[], Scorer | None]
    clock: Callable[[], datetime]
    queue_seconds: int
    database: Database | None = None

    def needs(self) -> list[Need]:
        """Each need, as it is now."""
        found = [] if self.database is None else self._of_database(self.database)
        reason = None if self.scorer() is not None else "none is in force"
        return [*found, Need(name="model", reason=reason)]

    def _of_database(self, database: Database) -> list[Need]:
        try:
            with database.reading() as connection:
                kept = revision(connection)
                oldest = None if kept != HEAD else inbox.waiting(connection)[1]
        except StoreUnavailable:
            unknown = "the database does not answer"
            names = ("database", "migrations", "queue")
            return [Need(name=name, reason=unknown) for name in names]
        found = [Need(name="database")]
        if kept != HEAD:
            reason = f"revision {kept or 'none'}, where this release has {HEAD}"
            return [
                *found,
                Need(name="migrations", reason=reason),
                Need(name="queue", reason="unknown"),
            ]
        waits = 0.0 if oldest is None else (microseconds(self.clock()) - oldest) / 1e6
        late = f"a delivery waits for {waits:.0f} s, where {self.queue_seconds} are allowed"
        return [
            *found,
            Need(name="migrations"),
            Need(name="queue", reason=late if waits > self.queue_seconds else None),
        ]


def problem_of(needs: list[Need]) -> dict[str, Any] | None:
    """The problem that says what is not ready; None where all is.

    Examples
    --------
    >>> problem_of([Need(name="database"), Need(name="model", reason="none is in force")])["detail"]
    'model: none is in force. Remedy: run redflare doctor.'
    """
    missing = [need for need in needs if need.reason is not None]
    if not missing:
        return None
    reasons = "; ".join(f"{need.name}: {need.reason}" for need in missing)
    problem = Problem(kind=NOT_READY, detail=f"{reasons}. {REMEDY}")
    return {**problem.to_json(), "checks": [need.to_json() for need in needs]}
