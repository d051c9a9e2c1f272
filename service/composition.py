"""The service put together around its database: receivers, worker, senders, the model in force."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Final

from sqlalchemy import select

from model.events import microseconds
from model.person_key import SUFFIX, VARIABLE, given_key, kept_key, read_key
from model.scorer import Scorer
from model.sources.crms import CRMS
from service.metrics import Metrics
from service.model_in_force import ModelInForce
from service.problems import NO_MODEL, refused
from service.processing import Processor
from service.refetching import fetchers
from service.rescoring import Policy
from service.sending import Sending
from service.storage import models
from service.storage.database import Database, open_database
from service.storage.errors import StorageError
from service.storage.group_commit import InboxWriter
from service.storage.rows import insert_into
from service.storage.schema import INSTALLATION
from service.storage.upgrade import check, revision, upgrade
from service.taking import SOURCE
from service.webhooks.mapped import Terms
from service.webhooks.sources import Sources, read_sources
from service.webhooks.standard import StandardReceiver
from service.worker import Worker
from service.writeback.destinations import Destination, read_destinations

KEY_CHECK: Final = "person_key_check"
MOVED_VARIABLE: Final = "REDFLARE_MOVED_POINTS"


def utc_now() -> datetime:
    """The present."""
    return datetime.now(UTC)


def now_us() -> int:
    """The present, microseconds since 1970 UTC."""
    return microseconds(utc_now())


@dataclass(frozen=True, kw_only=True)
class Service:
    """A database and what works on it.

    Parameters
    ----------
    database
        Open, and up to date.
    sources
        Who may post.
    writer
        Keeps deliveries.
    models
        The model in force.
    worker
        Not started yet.
    metrics
        What all of these measure.
    person
        Hashes an address or a contact's id.
    """

    database: Database
    sources: Sources
    writer: InboxWriter
    models: ModelInForce
    worker: Worker
    metrics: Metrics
    person: Callable[[str], str]

    def in_force(self) -> Scorer:
        """The scorer of the model in force.

        Raises
        ------
        Refused
            If no model is installed.
        """
        if self.models.scorer is None:
            raise refused(
                NO_MODEL, "no model in force", "one", "run redflare model install DIRECTORY"
            )
        return self.models.scorer

    def close(self) -> None:
        """Keep what waits to be kept, end what is worked on, and let the database go."""
        self.worker.stop()
        self.writer.close()
        self.database.close()


def ready_database(url: str) -> Database:
    """A database at this release's schema; one without any tables is given them.

    Raises
    ------
    StorageError
        If it is of another release, or cannot be made.
    StoreUnavailable
        If it does not answer.
    """
    database = open_database(url, create=True)
    with database.reading() as connection:
        is_new = revision(connection) is None
    if is_new:
        upgrade(database)
    check(database)
    return database


def compose(url: str, environment: Mapping[str, str], artifact: Path | None = None) -> Service:
    """The service around a database.

    Parameters
    ----------
    url
        Of the database.
    environment
        Names the sources and destinations.
    artifact
        Installed where no model is in force yet.

    Raises
    ------
    RedflareError
        If the database, a source, a destination or the artifact cannot be used.
    """
    database = ready_database(url)
    database.use()
    key = cache(partial(person_key, database, environment))
    sources = read_sources(environment, key)
    if database.is_sqlite or any(kind != "standard" for kind, _ in sources.values()):
        # Asked for now: beside SQLite no writer makes it while another transaction is under way,
        # and without it what a CRM tells could be acknowledged, but never translated.
        key()
    destinations = read_destinations(environment)
    if artifact is not None:
        install_first(database, artifact)
    in_force = ModelInForce(database)
    in_force.refresh()
    policy = policy_of(environment, destinations)

    def wake() -> None:  # the writer wakes the worker, which fetches records for the writer
        worker.wake()

    writer = InboxWriter(database, wake)
    fetching = fetchers(sources, destinations, lambda delivery: writer.submit(delivery).result())
    terms = Terms(mapping="", person_key=key)
    own = {SOURCE: StandardReceiver(keys=(), terms=terms)}  # what the API is told, signed by nobody
    receivers = own | {name: receiver for name, (_, receiver) in sources.items()}
    metrics = Metrics()
    processor = Processor(
        database,
        receivers,
        in_force,
        policy,
        utc_now,
        fetched=fetching.keys(),
        metrics=metrics,
        written=frozenset[str]().union(*(each.fields for each in destinations.values())),
    )
    senders = {name: each.sender for name, each in destinations.items()} | fetching
    worker = Worker(processor, Sending(database, senders, utc_now, metrics=metrics), in_force)
    return Service(
        database=database,
        sources=sources,
        writer=writer,
        models=in_force,
        worker=worker,
        metrics=metrics,
        person=terms.person,
    )


def policy_of(environment: Mapping[str, str], destinations: Mapping[str, Destination]) -> Policy:
    """When and to whom something is told of a deal.

    Raises
    ------
    StorageError
        If the points by which a score must move are none.
    """
    return Policy(
        destinations={name: each.sources for name, each in destinations.items()},
        tells={name: each.tells for name, each in destinations.items()},
        crms={name: each.kind for name, each in destinations.items() if each.kind in CRMS},
        moved_points=_moved_points(environment),
    )


def install_first(database: Database, artifact: Path) -> None:
    """Install an artifact where no model is in force.

    Raises
    ------
    ArtifactError
        If it does not verify.
    """
    with database.reading() as connection:
        if models.in_force(connection) is not None:
            return
    version, files = models.read_artifact(artifact)
    with database.writing() as connection:
        models.install(connection, version, files, at=now_us())


def person_key(database: Database, environment: Mapping[str, str]) -> bytes:
    """The key under which people are hashed, one for an installation and for its imports.

    It is ``REDFLARE_PERSON_KEY``, or in the file beside a SQLite database, made once. The database
    keeps a check of it, so that no other is taken by mistake.

    Raises
    ------
    RedflareError
        If there is none, or another than before.
    """
    key = found_person_key(database, environment)
    if key is None:
        key = kept_key(_key_path(database), os.urandom)
    check_key(database, key)
    return key


def found_person_key(database: Database, environment: Mapping[str, str]) -> bytes | None:
    """The same, where nothing is to be made: None where it was never made.

    Raises
    ------
    RedflareError
        If there is none and nothing would make it, or its file is empty.
    """
    given = given_key(environment)
    if given is not None:
        return given
    path = _key_path(database)
    return read_key(path) if path.exists() else None


def _key_path(database: Database) -> Path:
    if database.path is None:
        raise StorageError(
            f"no {VARIABLE}",
            "the key that hashes people, with a database on a server",
            "set it to a long random text, the same for every process and import",
        )
    return database.path.with_suffix(SUFFIX)


def check_key(database: Database, key: bytes) -> None:
    """Refuse a key that is another than the one people of a database are hashed with.

    Raises
    ------
    StorageError
        If it is.
    """
    own = check_of(key)
    kept = kept_check(database)
    if kept is None:
        with database.writing() as connection:
            statement = insert_into(connection, INSTALLATION).values(name=KEY_CHECK, value=own)
            connection.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
        kept = kept_check(database) or own
    compare_checks(own, kept)


def check_of(key: bytes) -> str:
    """What the database keeps of a key."""
    return hmac.new(key, b"redflare person key", hashlib.sha256).hexdigest()[:16]


def kept_check(database: Database) -> str | None:
    """What the database keeps of the key that people are hashed with; None before the first."""
    query = select(INSTALLATION.c.value).where(INSTALLATION.c.name == KEY_CHECK)
    with database.reading() as connection:
        return connection.execute(query).scalar()


def compare_checks(own: str, kept: str) -> None:
    """Refuse a key by its check.

    Raises
    ------
    StorageError
        If it is another than the one kept.
    """
    if not hmac.compare_digest(kept, own):
        raise StorageError(
            f"the key that hashes people, of check {own}",
            f"the one of check {kept}, which this database was filled with",
            f"set {VARIABLE} to that one, or people would be told apart wrongly",
        )


def _moved_points(environment: Mapping[str, str]) -> float:
    text = environment.get(MOVED_VARIABLE)
    if text is None:
        return Policy().moved_points
    try:
        points = float(text)
    except ValueError:
        points = -1.0
    if not 0 < points <= 100:
        raise StorageError(
            f"{MOVED_VARIABLE} {text!r}",
            "percentage points above 0, at most 100",
            "set it so, or unset it for 5",
        )
    return points / 100
