"""The schema's revision: brought up to this release's, or checked against it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, column, inspect, select, table, text

from service.storage.database import Database
from service.storage.errors import StorageError

HEAD: Final = "0006"  # the last of the migrations; a test holds it
MIGRATIONS: Final = Path(__file__).parent / "migrations"
LOCK: Final = 0x7265_6466_6C61_7265  # "redflare": of those who upgrade the same PostgreSQL
_VERSION: Final = table("alembic_version", column("version_num"))


def revision(connection: Connection) -> str | None:
    """The revision of a database's schema; None where it has no tables of ours.

    Parameters
    ----------
    connection
        Reading.
    """
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar()


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring a database's schema up to this release's, in one transaction.

    Parameters
    ----------
    database
        New or of an earlier release; one that is up to date stays as it is.

    Returns
    -------
    tuple
        The revision before and after.

    Raises
    ------
    StorageError
        If a later release made it.
    """
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        before = revision(connection)
        if before == HEAD:
            return before, before
        # Slow to import, and needed where there is something to do alone.
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if before is not None and before not in known:
            raise _unknown(database, before)
        command.upgrade(config, HEAD)
        return before, HEAD


def check(database: Database) -> None:
    """Refuse a database whose schema is not this release's.

    Raises
    ------
    StorageError
        Saying whether the database or the release is to be upgraded.
    StoreUnavailable
        If the database does not answer.
    """
    with database.reading() as connection:
        found = revision(connection)
    if found == HEAD:
        return
    if found is None or found < HEAD:
        raise StorageError(
            f"database {database.name} of revision {found or 'none'}",
            f"revision {HEAD}",
            f"back it up, then run: redflare db upgrade --database {database.name}",
        )
    raise _unknown(database, found)


def _unknown(database: Database, found: str) -> StorageError:
    return StorageError(
        f"database {database.name} of revision {found}",
        f"at most {HEAD}",
        "a later release made it: use that release of redflare",
    )
