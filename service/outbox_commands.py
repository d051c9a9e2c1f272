"""The commands about what is told to other systems: `outbox`."""

from __future__ import annotations

import json

import click

from service.command_group import CommandGroup
from service.database_commands import DATABASE, opened, tell_others

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=CommandGroup)
def outbox() -> None:
    """See what is written back, and try again what was given up."""


@outbox.command("list")
@DATABASE
@click.option(
    "--state",
    type=click.Choice(["pending", "sent", "parked", "superseded"]),
    help="Only those.",
)
@click.option("--destination", help="Only those for a destination.")
@click.option("--before", type=int, help="Only those with a smaller number: the next page.")
@click.option(
    "--most", type=click.IntRange(1), default=20, show_default=True, help="How many to list."
)
@JSON
def outbox_list(
    url: str,
    state: str | None,
    destination: str | None,
    before: int | None,
    most: int,
    as_json: bool,
) -> None:
    """List entries, the latest first, with what became of each."""
    from service.storage import outbox as kept

    with opened(url) as database, database.reading() as connection:
        wanted = next((each for each in kept.STATES if each == state), None)
        found = kept.listed(connection, wanted, destination=destination, before=before, most=most)
        counts = kept.counts(connection)
    if as_json:
        click.echo(json.dumps([each.to_json() for each in found]))
        return
    for each in found:
        entry = each.entry
        time = entry.queued_at.isoformat(timespec="seconds")
        said = (f"{entry.kind} of {entry.deal_id}", f"attempts {entry.attempt}", each.reason)
        what = "; ".join(filter(None, said))
        click.echo(f"{each.number}  {time}  {entry.destination}  {each.state}  {what}")
    click.echo(", ".join(f"{number} {name}" for name, number in counts.items()))


@outbox.command("show")
@click.argument("number", type=int)
@DATABASE
def outbox_show(number: int, url: str) -> None:
    """Show one entry as JSON, with what it tells."""
    from service.storage import outbox as kept

    with opened(url) as database, database.reading() as connection:
        found = kept.numbered(connection, number)
    click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))


@outbox.command("retry")
@click.argument("numbers", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that were parked.")
@DATABASE
def outbox_retry(numbers: tuple[int, ...], every: bool, url: str) -> int:
    """Try entries again that were parked, for three days from now.

    A score is left out of which its destination was told a newer one since.
    """
    from service.composition import now_us
    from service.storage import outbox as kept
    from service.storage.errors import StorageError

    if bool(numbers) == every:
        raise StorageError("NUMBERS and --all", "exactly one of them", "say which to retry")
    with opened(url) as database, database.writing() as connection:
        states = kept.states(connection, numbers)
        due, superseded = kept.retry(connection, None if every else numbers, at=now_us())
    click.echo(f"{due} entries are due again, {superseded} were superseded by a newer score")
    return int(tell_others("entry", numbers, states, ["parked"], "outbox") > 0)
