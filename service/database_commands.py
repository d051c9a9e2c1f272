"""The commands that look after a database: `db upgrade`."""

from __future__ import annotations

import click

from service.storage.database import DEFAULT_URL, FORMS, VARIABLE

DATABASE = click.option(
    "--database",
    "url",
    envvar=VARIABLE,
    show_envvar=True,
    default=DEFAULT_URL,
    show_default=True,
    help=f"{FORMS}.",
)


@click.group()
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
