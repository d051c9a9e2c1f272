"""The command `retain`."""

from __future__ import annotations

import json

import click

from service.database_commands import DATABASE, opened


@click.command()
@click.option("--older-than", "days", type=float, help="Days; what is younger stays.")
@click.option(
    "--failed", is_flag=True, help="Empty failed deliveries too, which nobody can retry then."
)
@click.option(
    "--closed-deals",
    is_flag=True,
    help="Forget deals closed for so long, with their events: training loses them. What is told "
    "of one from then on is kept.",
)
@click.option("--list", "listed", is_flag=True, help="List what was let go, when and by whom.")
@DATABASE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def retain(
    days: float | None, failed: bool, closed_deals: bool, listed: bool, url: str, as_json: bool
) -> int:
    """Let go of what is old: bodies of deliveries, what was written back, past scores.

    Events stay, since scores follow from them, and each deal keeps its last score. An audit keeps
    who asked, when, and how many rows went. Backups made before are yours to erase.
    """
    from model.events import DAY_US, from_microseconds
    from service.composition import now_us
    from service.keeping_commands import asker
    from service.storage import audit
    from service.storage.errors import StorageError
    from service.storage.retention import LEAST_DAYS, RETAIN
    from service.storage.retention import retain as let_go

    if (days is not None) == listed:
        raise StorageError("--older-than and --list", "exactly one of them", "say how old")
    if days is not None and not days >= LEAST_DAYS:
        raise StorageError(
            f"--older-than {days:g}",
            f"at least {LEAST_DAYS} days, which red flares and reviews look back",
            "give more",
        )
    with opened(url) as database:
        if days is None:
            with database.reading() as connection:
                deeds = audit.listed(connection, RETAIN)
        else:
            at = now_us()
            cut = at - int(days * DAY_US)
            deeds = [
                let_go(database, cut, at=at, by=asker(), failed=failed, closed_deals=closed_deals)
            ]
    for deed in deeds:
        if as_json:
            click.echo(json.dumps(deed.to_json()))
            continue
        told = dict(deed.detail)
        since = from_microseconds(told.pop("older_than"))
        gone = ", ".join(f"{number} of {name}" for name, number in told.items())
        done_at = from_microseconds(deed.done_at)
        click.echo(f"{done_at:%Y-%m-%d %H:%M} by {deed.done_by}, before {since:%Y-%m-%d}: {gone}")
    return 0
