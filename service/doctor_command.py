"""The command `doctor`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import click

from service.database_commands import DATABASE


@click.command()
@DATABASE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(url: str, as_json: bool) -> int:
    """Check what the service needs: database, model, secrets, queues, clock.

    Exit status 1 where something failed; each comes with its remedy.
    """
    from service.doctor import examine, present
    from service.storage.database import open_database

    database = open_database(url)
    checks = list(examine(database, os.environ, present()))
    database.close()
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks]))
    else:
        for check in checks:
            click.echo(f"{check.verdict:<8} {check.name}: {check.found}")
            if check.remedy:
                click.echo(f"         Remedy: {check.remedy}.")
    return int(any(check.verdict == "failed" for check in checks))
