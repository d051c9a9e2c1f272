"""The commands that look after a database: `db`, `backup`, `restore`, `export-events`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.command_group import CommandGroup
from service.storage.database import DEFAULT_URL, FORMS, VARIABLE

if TYPE_CHECKING:
    from service.storage.database import Database

DATABASE = click.option(
    "--database",
    "url",
    envvar=VARIABLE,
    show_envvar=True,
    default=DEFAULT_URL,
    show_default=True,
    help=f"{FORMS}.",
)


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """A database of this release's schema.

    Raises
    ------
    StorageError
        If it is not there, or of another release.
    """
    from service.storage.database import open_database
    from service.storage.upgrade import check

    database = open_database(url)
    try:
        check(database)
        yield database
    finally:
        database.close()


def tell_others(
    what: str,
    numbers: Sequence[int],
    states: Mapping[int, str],
    retried: Sequence[str],
    box: str,
) -> int:
    """Say why numbers given are not retried; how many there are.

    Parameters
    ----------
    what
        What has the numbers: ``delivery``.
    numbers
        As given.
    states
        Of those that are there.
    retried
        The states of those that are retried.
    box
        Of the inbox or the outbox, for the remedy.
    """
    others = [number for number in sorted(set(numbers)) if states.get(number) not in retried]
    for number in others:
        given = f"is {states[number]}" if number in states else f"is not in the {box}"
        click.echo(
            f"{what} {number} {given}: expected one that is {' or '.join(retried)}. "
            f"Remedy: see them with redflare {box} list.",
            err=True,
        )
    return len(others)


@click.group(cls=CommandGroup)
def db() -> None:
    """Look after the service's database."""


@db.command("upgrade")
@DATABASE
def upgrade_command(url: str) -> None:
    """Make the database, or bring its tables up to this release's.

    All or nothing: what fails halfway leaves the database as it was. Back it up before.
    """
    from service.storage.database import open_database
    from service.storage.upgrade import upgrade

    database = open_database(url, create=True)
    before, after = upgrade(database)
    database.close()
    if before == after:
        click.echo(f"{database.name} is up to date: revision {after}")
    else:
        click.echo(f"{database.name}: revision {before or 'none'} to {after}")


@db.command("load-events")
@click.argument("file", type=click.Path(path_type=Path))
@DATABASE
def load_events(file: Path, url: str) -> None:
    """Keep the events of an event log that import wrote, for webhooks to go on from.

    Those that are there already stay as they are. A worker that runs scores the open deals within
    seconds; until then the API knows nothing of them.
    """
    from service.storage.transfer import load

    with opened(url) as database:
        loaded = load(database, file)
    scored = "; a running worker scores their open deals" if loaded.new else ""
    click.echo(f"{loaded.new} new events of {loaded.told} of {file}{scored}")
    for line in loaded.conflicts:
        click.echo(f"warning: {line}", err=True)


@click.command("export-events")
@DATABASE
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Write this .parquet file."
)
def export_events(url: str, out: Path) -> None:
    """Write all events for training, some thousands at a time, in the order of an event log."""
    from service.storage.transfer import export

    with opened(url) as database:
        written = export(database, out)
    click.echo(f"{written} events in {out}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@DATABASE
def backup(file: Path, url: str) -> None:
    """Copy a SQLite database into FILE while it is in use; FILE is whole or not there.

    PostgreSQL has pg_dump for it.
    """
    from service.storage.backup import copy_out
    from service.storage.database import open_database

    database = open_database(url)
    size = copy_out(database, file)
    database.close()
    click.echo(f"{database.name} in {file}: {size} bytes")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@DATABASE
@click.option("--replace", is_flag=True, help="What is in the database now is lost.")
def restore(file: Path, url: str, replace: bool) -> None:
    """Bring a SQLite database back to what is in FILE, which backup wrote. Stop the service before.

    PostgreSQL has pg_restore for it.
    """
    from service.storage.backup import copy_in
    from service.storage.database import open_database

    database = open_database(url, create=True)
    copy_in(database, file, replace=replace)
    database.close()
    click.echo(f"{file} in {database.name}")
