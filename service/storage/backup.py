"""A SQLite database copied while it is in use, by SQLite's own means, and brought back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from model.places import check_writable, whole_file
from service.storage.database import PRIVATE, Database, make_private
from service.storage.errors import StorageError
from service.storage.turn import used
from service.storage.upgrade import HEAD


def copy_out(database: Database, out: Path) -> int:
    """Copy a database into a file, whole or not at all; its size in bytes.

    Raises
    ------
    StorageError
        If the database is no SQLite, the copy is not whole, or the file is the database itself or
        anything else that is no earlier copy.
    RedflareError
        If the file cannot be written.
    """
    path = _path(database, "pg_dump --format=custom")
    check_writable("FILE", out)
    if out.resolve() == path.resolve():
        raise StorageError(f"FILE {out}", "another file than the database", "name another")
    if out.exists():
        try:
            check_whole(out)
        except StorageError as error:
            raise StorageError(
                f"FILE {out}, which is there and no backup",
                "a new file, or an earlier backup to replace",
                "name another, or remove it",
            ) from error
    with whole_file(out) as part:
        part.chmod(PRIVATE)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as copy:
            # At once: by parts it begins anew whenever another process has written. In WAL mode
            # nobody waits for a reader.
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        check_whole(part)
    return out.stat().st_size


def copy_in(database: Database, file: Path, *, replace: bool) -> None:
    """Bring a database back to what a copy holds, all of it or nothing.

    Parameters
    ----------
    replace
        Whether what is there may be lost.

    Raises
    ------
    StorageError
        If the copy is not whole or of a later release, something is there, or a service uses it:
        it would go on with what it remembers of the one before, and lose what comes meanwhile.
    """
    path = _path(database, "pg_restore")
    found = check_whole(file)
    if found > HEAD:
        raise StorageError(
            f"{file} of revision {found}", f"at most {HEAD}", "restore it with that release"
        )
    if path.exists() and path.stat().st_size and not replace:
        raise StorageError(
            f"database {database.name}, which is there",
            "a place for the copy",
            "add --replace to lose what is in it, or name another database",
        )
    make_private(path)
    with (
        used(path, alone=True),
        database.turn(),
        closing(sqlite3.connect(file)) as copy,
        closing(sqlite3.connect(path)) as target,
    ):
        copy.backup(target)
        target.execute("PRAGMA journal_mode=WAL")


def check_whole(file: Path) -> str:
    """The revision of a file of SQLite that is whole and ours.

    Raises
    ------
    StorageError
        If it is not.
    """
    if not file.is_file():
        raise StorageError(f"{file}", "a file that backup wrote", "check the name")
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as copy:
            (answer,) = copy.execute("PRAGMA integrity_check").fetchone()
            row = copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"{file} ({error})", "a whole database of Redflare", "take another backup"
        ) from error
    if answer != "ok" or row is None:
        raise StorageError(
            f"{file} ({answer})", "a whole database of Redflare", "take another backup"
        )
    return str(row[0])


def _path(database: Database, instead: str) -> Path:
    if database.path is None:
        raise StorageError(
            f"database {database.name}", "a file of SQLite", f"use {instead} for PostgreSQL"
        )
    return database.path
