"""A database by its URL: SQLite in one file, or PostgreSQL.

Every transaction says whether it writes. On SQLite one that writes begins with ``BEGIN IMMEDIATE``,
so that it never fails halfway for want of the lock, and waits for its turn outside SQLite, which
wakes a waiting thread at once where SQLite's own waiting sleeps. The turn is one for all processes
too: releases before 3.51.3 can damage a database when two connections write and checkpoint in the
same instant.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.storage import turn
from service.storage.errors import StorageError, StoreUnavailable

DEFAULT_URL: Final = "sqlite:///redflare.db"
VARIABLE: Final = "REDFLARE_DATABASE"
CONNECT_SECONDS: Final = 5
POOLED: Final = 8  # connections kept
PRIVATE: Final = 0o600  # of a file of SQLite; its log beside it is made with the same
WRITES: Final = "redflare_writes"
TOO_MUCH: Final = "54"  # begins PostgreSQL's states of what exceeds a limit, and always will
FORMS: Final = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"


class Database:
    """Connections to one database.

    Parameters
    ----------
    url
        As `read_url` answers it.

    Attributes
    ----------
    path
        Of the file, on SQLite; None on PostgreSQL.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self.path = Path(url.database) if url.drivername == "sqlite" and url.database else None
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgresql_engine(url)
        self._using = ExitStack()
        self._turn = None if self.path is None else turn.Turn(self.path)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of SQLite."""
        return self.path is not None

    @property
    def name(self) -> str:
        """Its URL without the password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One transaction that only reads.

        Raises
        ------
        StoreUnavailable
            If the database does not answer.
        """
        with _unavailable_told(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that writes: all of it, or nothing where the block raises.

        Raises
        ------
        StoreUnavailable
            If the database does not answer.
        """
        with _unavailable_told():
            if self._turn is None:
                with self.engine.begin() as connection:
                    yield connection
            else:
                with self._turn.taken(), self._sqlite_writing() as connection:
                    yield connection

    @contextmanager
    def _sqlite_writing(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            connection.execution_options(**{WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have nobody write to a SQLite file meanwhile; on PostgreSQL it keeps nobody.

        Raises
        ------
        StoreUnavailable
            If others write for too long.
        """
        with nullcontext() if self._turn is None else self._turn.taken():
            yield

    def use(self) -> None:
        """Let nobody replace a SQLite file until it is closed.

        Raises
        ------
        StorageError
            If it is being replaced now.
        """
        if self.path is not None:
            self._using.enter_context(turn.used(self.path, alone=False))

    def is_awaited(self) -> bool:
        """Whether others wait for whoever writes, to end a transaction that could go on.

        On PostgreSQL nobody waits for all that others write.
        """
        return self._turn is not None and self._turn.is_awaited()

    def close(self) -> None:
        """Give all connections up."""
        self.engine.dispose()
        self._using.close()
        if self._turn is not None:
            self._turn.close()


def is_unavailable(error: DBAPIError) -> bool:
    """Whether it is the database that does not answer, and not the statement that asks too much."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return state is None or not state.startswith(TOO_MUCH)


def read_url(text: str) -> URL:
    """The URL of a database.

    Raises
    ------
    StorageError
        If it is none that Redflare can use.

    Examples
    --------
    >>> read_url("postgresql://ann:secret@db.example.com/redflare").drivername
    'postgresql+psycopg'
    >>> read_url("mysql://db.example.com/redflare")
    Traceback (most recent call last):
    service.storage.errors.StorageError: database 'mysql://db.example.com/redflare': expected \
sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME. Remedy: give such a URL.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise _no_url(text) from error
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database not in (None, "", ":memory:") and not url.query:
        return url
    raise _no_url(url.render_as_string(hide_password=True))


def _no_url(given: str) -> StorageError:
    return StorageError(f"database {given!r}", FORMS, "give such a URL")


def open_database(text: str, *, create: bool = False) -> Database:
    """Connections to the database of a URL.

    Parameters
    ----------
    text
        As `read_url` takes it.
    create
        Whether a SQLite file may be made anew.

    Raises
    ------
    StorageError
        If the URL is none, or the file or its folder is missing.
    """
    url = read_url(text)
    database = Database(url)
    path = database.path
    if path is not None and not path.is_file():
        if not create or path.exists():
            raise StorageError(
                f"database {str(path)!r}", "a file of SQLite", "make it with redflare db upgrade"
            )
        if not path.parent.is_dir():
            raise StorageError(
                f"database {str(path)!r}", "a folder that is there", "make the folder"
            )
    return database


@contextmanager
def _unavailable_told() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if not is_unavailable(error):
            raise
        raise StoreUnavailable(_reason(error)) from error
    except PoolTimeoutError as error:
        raise StoreUnavailable("all of its connections are in use") from error


def _reason(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOLED,
        hide_parameters=True,  # bodies and texts are for no log
        connect_args={"timeout": turn.BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "do_connect", _make_private)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def make_private(path: Path) -> None:
    """Make an empty file that its owner alone reads, where none is: it will hold deliveries.

    What cannot be made is told by whoever opens it.
    """
    # Never opened where it is there: closing it would let go of SQLite's own locks on it.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))


def _make_private(_dialect: object, _record: object, places: list[Any], _options: object) -> None:
    make_private(Path(places[0]))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # SQLAlchemy begins transactions, see `_begin_sqlite`: Python's driver would begin them late.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql_engine(url: URL) -> Engine:
    # Commits last only if the server does not defer them, whatever its own default.
    options = "-c synchronous_commit=on -c lock_timeout=30s"
    return create_engine(
        url,
        pool_size=POOLED,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_SECONDS, "options": options},
    )
