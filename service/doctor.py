"""What is well with a service and what is not, each with its remedy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy import Connection, text

from model.errors import RedflareError
from model.events import DAY_US, from_microseconds, microseconds
from model.person_key import VARIABLE
from service.composition import (
    check_of,
    compare_checks,
    found_person_key,
    kept_check,
)
from service.storage import events, feeds, inbox, models, outbox
from service.storage.database import Database
from service.storage.upgrade import HEAD, revision
from service.webhooks.sources import read_sources
from service.writeback.addresses import AddressRefused, Unresolved
from service.writeback.destinations import read_destinations

Verdict = Literal["ok", "warning", "failed"]
OLD_SECONDS: Final = 60  # that a delivery waits while the worker keeps up
CLOCK_SECONDS: Final = 30  # by which clocks may differ
OLD_MODEL_DAYS: Final = 180
# Releases without the bug in which two connections that write and checkpoint in one instant can
# damage a database: https://www.sqlite.org/wal.html, "The WAL-Reset Bug".
WAL_RESET_FIXED: Final = ((3, 51, 3), (3, 50, 7), (3, 44, 6))


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing looked at.

    Parameters
    ----------
    name
        What it is.
    verdict
        How it is.
    found
        What was found.
    remedy
        What to do about it; empty where all is well.
    """

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def examine(database: Database, environment: Mapping[str, str], now: datetime) -> Iterator[Check]:
    """Look at everything that a service needs, each once, whatever became of the others.

    Parameters
    ----------
    database
        Perhaps out of reach.
    environment
        Names sources and destinations.
    now
        The present, UTC.
    """
    if database.is_sqlite:
        yield sqlite_check(sqlite3.sqlite_version_info)
    looks: list[tuple[str, Callable[[], Check]]] = [
        ("migrations", lambda: _migrations(database)),
        ("database", lambda: _whole(database)),
        ("events", lambda: _events(database)),
        ("clock", lambda: _clock(database, now)),
        ("model", lambda: _model(database, now)),
        ("inbox", lambda: _inbox(database, now)),
        ("outbox", lambda: _outbox(database)),
        ("sources", lambda: _sources(environment)),
        ("destinations", lambda: _destinations(database, environment)),
        ("person key", lambda: _person_key(database, environment)),
    ]
    for name, look in looks:
        try:
            yield look()
        except RedflareError as error:
            found = f"{error.given}: expected {error.expected}"
            yield Check(name=name, verdict="failed", found=found, remedy=error.remedy)


def sqlite_check(version: tuple[int, ...]) -> Check:
    """Whether a release of SQLite has bugs that matter here.

    Examples
    --------
    >>> [sqlite_check(version).verdict for version in ((3, 40, 1), (3, 44, 6), (3, 52, 0))]
    ['warning', 'ok', 'ok']
    """
    name = ".".join(map(str, version))
    fixed = version >= WAL_RESET_FIXED[0] or any(
        version[:2] == each[:2] and version >= each for each in WAL_RESET_FIXED
    )
    if fixed:
        return Check(name="sqlite", verdict="ok", found=f"SQLite {name}")
    return Check(
        name="sqlite",
        verdict="warning",
        found=f"SQLite {name} has the WAL-reset bug; Redflare's writers take turns to avoid it",
        remedy="let no other program write to the file, or use SQLite 3.51.3 or later",
    )


def _migrations(database: Database) -> Check:
    with database.reading() as connection:
        found = revision(connection)
    if found == HEAD:
        return Check(name="migrations", verdict="ok", found=f"revision {found}")
    later = found is not None and found > HEAD
    return Check(
        name="migrations",
        verdict="failed",
        found=f"revision {found or 'none'}, and this release has {HEAD}",
        remedy="use the later release" if later else "back it up, then redflare db upgrade",
    )


def _whole(database: Database) -> Check:
    with database.reading() as connection:
        if not database.is_sqlite:
            found = _scalar(connection, "SHOW server_version")
            return Check(name="database", verdict="ok", found=f"PostgreSQL {found}")
        found = _scalar(connection, "PRAGMA quick_check(1)")
    if found == "ok":
        return Check(name="database", verdict="ok", found=f"{database.name} is whole")
    return Check(
        name="database",
        verdict="failed",
        found=f"{database.name} is damaged: {found}",
        remedy="stop the service, keep the file aside, and redflare restore the last backup",
    )


def _events(database: Database) -> Check:
    with database.reading() as connection:
        number, old = events.count(connection), events.of_earlier_ids(connection)
    if not old:
        return Check(name="events", verdict="ok", found=f"{number} are kept")
    return Check(
        name="events",
        verdict="warning",
        found=f"{old} of {number} have ids of an earlier release: what is told of them again "
        "counts twice",
        remedy="import anew, and load it into an empty database: redflare db load-events",
    )


def _clock(database: Database, now: datetime) -> Check:
    if database.is_sqlite:
        found = max(_last_times(database), default=0)
        ahead = (found - microseconds(now)) / 1e6
        what = "the last delivery came"
    else:
        with database.reading() as connection:
            theirs = float(_scalar(connection, "SELECT extract(epoch FROM clock_timestamp())"))
        ahead = abs(theirs - now.timestamp())
        what = "the database's clock is"
    if ahead <= CLOCK_SECONDS:
        return Check(name="clock", verdict="ok", found=f"{now.isoformat(timespec='seconds')}")
    return Check(
        name="clock",
        verdict="failed",
        found=f"{what} {ahead:.0f} s off this machine's",
        remedy="set the clocks by NTP: signatures and scores go by them",
    )


def _last_times(database: Database) -> list[int]:
    with database.reading() as connection:
        return [
            microseconds(each.delivery.received_at) for each in inbox.listed(connection, most=1)
        ]


def _model(database: Database, now: datetime) -> Check:
    with database.reading() as connection:
        version = models.in_force(connection)
        if version is None:
            return Check(
                name="model",
                verdict="failed",
                found="none is in force",
                remedy="redflare model install DIRECTORY",
            )
        scorer = models.load(connection, version)
    age = (microseconds(now) - scorer.known_before) / DAY_US
    found = f"{version}, of what was known {age:.0f} days ago"
    if age > OLD_MODEL_DAYS:
        return Check(name="model", verdict="warning", found=found, remedy="train it again")
    return Check(name="model", verdict="ok", found=found)


def _inbox(database: Database, now: datetime) -> Check:
    with database.reading() as connection:
        counts = inbox.counts(connection)
        oldest = inbox.oldest_waiting(connection)
    found = ", ".join(f"{number} {name}" for name, number in counts.items())
    waits = 0.0 if oldest is None else (now - from_microseconds(oldest)).total_seconds()
    if waits > OLD_SECONDS:
        return Check(
            name="inbox",
            verdict="failed",
            found=f"{found}; one waits for {waits:.0f} s",
            remedy="start redflare serve or redflare worker, and look at its log",
        )
    if counts["failed"]:
        remedy = "redflare inbox list --state failed; correct the cause, then redflare inbox retry"
        return Check(name="inbox", verdict="warning", found=found, remedy=remedy)
    return Check(name="inbox", verdict="ok", found=found)


def _outbox(database: Database) -> Check:
    with database.reading() as connection:
        counts = outbox.counts(connection)
        parked = outbox.listed(connection, "parked", most=1)
    found = ", ".join(f"{number} {name}" for name, number in counts.items())
    if parked:
        found += f"; the last was parked because {parked[0].reason}"
        remedy = "correct the destination named by REDFLARE_DESTINATIONS"
        return Check(name="outbox", verdict="warning", found=found, remedy=remedy)
    return Check(name="outbox", verdict="ok", found=found)


def _sources(environment: Mapping[str, str]) -> Check:
    sources = read_sources(environment, lambda: b"")
    if not sources:
        return Check(
            name="sources",
            verdict="warning",
            found="none may post",
            remedy="set REDFLARE_WEBHOOKS or REDFLARE_WEBHOOK_SECRETS",
        )
    return Check(name="sources", verdict="ok", found=", ".join(sorted(sources)))


def _destinations(database: Database, environment: Mapping[str, str]) -> Check:
    destinations = read_destinations(environment)
    found = ", ".join(sorted(destinations)) or "none is told"
    for name, each in sorted(destinations.items()):
        try:
            each.guard.place(each.url)
        except AddressRefused as error:
            raise AddressRefused(f"{name}: {error.given}", error.expected, error.remedy) from error
        except Unresolved as error:
            remedy = "correct its url or host, or wait for the name server"
            return Check(
                name="destinations", verdict="warning", found=f"{name}: {error}", remedy=remedy
            )
    named = {own for each in destinations.values() for own in each.sources}
    if named:
        with database.reading() as connection:
            heard = feeds.sources(connection)
        unheard = sorted(named - set(heard))
        if heard and unheard:
            return Check(
                name="destinations",
                verdict="warning",
                found=f"{found}; of sources {', '.join(unheard)} no event is known",
                remedy="write in sources where events come from: " + ", ".join(heard),
            )
    return Check(name="destinations", verdict="ok", found=found)


def _person_key(database: Database, environment: Mapping[str, str]) -> Check:
    key, kept = found_person_key(database, environment), kept_check(database)
    if key is None and kept is not None:
        return Check(
            name="person key",
            verdict="failed",
            found=f"none, and the database knows one of check {kept}",
            remedy=f"bring the file back, or set {VARIABLE} to what was in it",
        )
    if key is None:
        found = "none yet: the first start makes it"
        return Check(name="person key", verdict="ok", found=found)
    if kept is None:
        found = "one that the database has not met yet"
        return Check(name="person key", verdict="ok", found=found)
    compare_checks(check_of(key), kept)
    return Check(name="person key", verdict="ok", found="the one that the database knows")


def _scalar(connection: Connection, statement: str) -> str:
    return str(connection.execute(text(statement)).scalar_one())


def present() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)
