"""The commands about what a database keeps: `inbox`, `keys`, `model`, `forget`."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path

import click

from service.command_group import CommandGroup
from service.database_commands import DATABASE, opened, tell_others

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=CommandGroup)
def inbox() -> None:
    """See what came by webhooks, and work on it again."""


@inbox.command("list")
@DATABASE
@click.option(
    "--state", type=click.Choice(["received", "done", "failed", "superseded"]), help="Only those."
)
@click.option("--source", help="Only those of a source.")
@click.option("--before", type=int, help="Only those with a smaller number: the next page.")
@click.option(
    "--most", type=click.IntRange(1), default=20, show_default=True, help="How many to list."
)
@JSON
def inbox_list(
    url: str, state: str | None, source: str | None, before: int | None, most: int, as_json: bool
) -> None:
    """List deliveries, the latest first, with what became of each; `show` tells it whole."""
    from service.problems import clip
    from service.storage import inbox as kept

    with opened(url) as database, database.reading() as connection:
        wanted = next((each for each in kept.STATES if each == state), None)
        found = kept.listed(connection, wanted, source=source, before=before, most=most)
        counts = kept.counts(connection)
    if as_json:
        click.echo(json.dumps([each.to_json() for each in found]))
        return
    for each in found:
        events = "" if each.events is None else f"{each.events} new events"
        what = clip("; ".join(filter(None, (each.reason or events, *each.notes))))
        time = each.delivery.received_at.isoformat(timespec="seconds")
        click.echo(f"{each.id}  {time}  {each.delivery.source}  {each.state}  {what}".rstrip())
    click.echo(", ".join(f"{number} {name}" for name, number in counts.items()))


@inbox.command("show")
@click.argument("number", type=int)
@DATABASE
def inbox_show(number: int, url: str) -> None:
    """Show one delivery as JSON, with its headers and its body."""
    from service.storage import inbox as kept

    with opened(url) as database, database.reading() as connection:
        found = kept.find(connection, number)
    shown = found.to_json() | {
        "headers": dict(found.delivery.headers),
        "body": found.delivery.body.decode("utf-8", "backslashreplace"),
    }
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@inbox.command("retry")
@click.argument("numbers", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that failed.")
@DATABASE
def inbox_retry(numbers: tuple[int, ...], every: bool, url: str) -> int:
    """Let the worker work again on deliveries that failed.

    By its number one that is done too, after a mapping was mended: what it told is told once.
    """
    from service.storage import inbox as kept
    from service.storage.errors import StorageError

    if bool(numbers) == every:
        raise StorageError("NUMBERS and --all", "exactly one of them", "say which to retry")
    with opened(url) as database, database.writing() as connection:
        states = kept.states(connection, numbers)
        put_back = kept.retry(connection, None if every else numbers)
    click.echo(f"{put_back} deliveries wait for the worker")
    return int(
        tell_others("delivery", numbers, states, ["failed", "superseded", "done"], "inbox") > 0
    )


@click.group(cls=CommandGroup)
def keys() -> None:
    """Make and revoke the keys of the API."""


@keys.command("create")
@click.argument("title")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(["read", "write", "admin"]),
    multiple=True,
    default=("read",),
    show_default=True,
    help="What it opens; each opens what stands before it too.",
)
@click.option("--owner", "owners", multiple=True, help="It sees deals of this owner; several.")
@DATABASE
def keys_create(title: str, scopes: tuple[str, ...], owners: tuple[str, ...], url: str) -> None:
    """Make a key for what TITLE says. It is printed once and kept by its hash alone."""
    from service.composition import now_us
    from service.storage import keys as kept

    chosen = [scope for scope in kept.SCOPES if scope in scopes]
    with opened(url) as database, database.writing() as connection:
        key = kept.make(
            connection, title=title, scopes=chosen, owners=list(owners) or None, at=now_us()
        )
    click.echo(key)


@keys.command("list")
@DATABASE
@JSON
def keys_list(url: str, as_json: bool) -> None:
    """List the keys by the part of them that may be shown."""
    from model.events import from_microseconds
    from service.storage import keys as kept

    with opened(url) as database, database.reading() as connection:
        found = kept.listed(connection)
    if as_json:
        click.echo(json.dumps([each.to_json() for each in found]))
        return
    for each in found:
        state = (
            "good"
            if each.revoked_at is None
            else f"revoked {from_microseconds(each.revoked_at):%Y-%m-%d}"
        )
        owners = "" if each.owners is None else f"  owners {', '.join(each.owners)}"
        click.echo(f"{each.key_id}  {state}  {', '.join(each.scopes)}  {each.title}{owners}")


@keys.command("revoke")
@click.argument("key_id")
@DATABASE
def keys_revoke(key_id: str, url: str) -> None:
    """Let the key KEY_ID open nothing any more."""
    from service.composition import now_us
    from service.storage import keys as kept

    with opened(url) as database, database.writing() as connection:
        kept.revoke(connection, key_id, at=now_us())
    click.echo(f"{key_id} is revoked")


@click.group("model", cls=CommandGroup)
def model_group() -> None:
    """Put a model in force, and see those that were."""


@model_group.command("install")
@click.argument("directory", type=click.Path(path_type=Path))
@DATABASE
def model_install(directory: Path, url: str) -> None:
    """Verify the artifact in DIRECTORY, keep it and put it in force.

    Running services take it within seconds, without dropping a request. To go back, install the
    earlier one again.
    """
    from service.composition import now_us
    from service.storage import models

    version, files = models.read_artifact(directory)
    with opened(url) as database, database.writing() as connection:
        before = models.in_force(connection)
        is_other = models.install(connection, version, files, at=now_us())
    after = f", after {before}" if is_other and before else ""
    click.echo(f"model {version} is in force{after if is_other else ' already'}")


@model_group.command("list")
@DATABASE
@JSON
def model_list(url: str, as_json: bool) -> None:
    """List the models, the latest in force first."""
    from model.events import from_microseconds
    from service.storage import models

    with opened(url) as database, database.reading() as connection:
        found = models.listed(connection)
    if as_json:
        click.echo(json.dumps([each.to_json() for each in found]))
        return
    for each in found:
        time = f"{from_microseconds(each.installed_at):%Y-%m-%d %H:%M}"
        state = "in force" if each.in_force else ""
        click.echo(f"{each.version}  {time}  {each.sha256[:16]}  {state}".rstrip())


@click.command()
@click.option("--deal", help="Erase this deal.")
@click.option("--person", help="Erase this person, by an address or a contact's id.")
@click.option("--list", "listed", is_flag=True, help="List what was forgotten.")
@DATABASE
@JSON
def forget(deal: str | None, person: str | None, listed: bool, url: str, as_json: bool) -> int:
    """Erase a deal or a person, and leave a tombstone: who asked, when, how many rows.

    Of a person's events the facts stay, and who it was and what was said goes; their open deals are
    scored anew at once. What is forgotten is not taken again from later deliveries and loads.
    Backups and exports made before are yours to erase. Exit status 1 where nothing of it was kept.
    """
    from service.composition import now_us, person_key
    from service.storage import tombstones
    from service.storage.errors import StorageError

    if (deal is not None) + (person is not None) + listed != 1:
        raise StorageError(
            "--deal, --person and --list", "exactly one of them", "say what to forget"
        )
    unknown = False
    with opened(url) as database:
        if listed:
            with database.reading() as connection:
                stones = tombstones.listed(connection)
        else:
            by, at = asker(), now_us()
            if person is not None:
                from model.sources.persons import person_of
                from service.composition import policy_of
                from service.forgetting import forget_person
                from service.model_in_force import ModelInForce
                from service.writeback.destinations import read_destinations

                hashed = person_of(person, person_key(database, os.environ))
                models = ModelInForce(database)
                models.refresh()
                policy = policy_of(os.environ, read_destinations(os.environ))
                with database.reading() as connection:
                    before = tombstones.find(connection, "person", hashed)
                stone, _ = forget_person(
                    database, hashed, models.scorer, policy, by=by, at=at, said=person
                )
            else:
                with database.writing() as connection:
                    before = tombstones.find(connection, "deal", deal or "")
                    stone = tombstones.forget_deal(connection, deal or "", by=by, at=at)
            stones = [before or stone]
            unknown = before is None and not any(stone.counts.values())
    for stone in stones:
        told = stone.to_json()
        if as_json:
            click.echo(json.dumps(told))
        else:
            erased = ", ".join(f"{number} of {name}" for name, number in stone.counts.items())
            click.echo(
                f"{stone.kind} {stone.subject[:16]} forgotten {told['forgotten_at']} "
                f"by {stone.forgotten_by}: {erased}"
            )
    if unknown:
        given = f"--deal {deal!r}" if person is None else f"--person {person!r}"
        click.echo(
            f"{given}: expected one of whom anything is kept; nothing was, and what comes from now "
            "on is not taken. Remedy: look whether it is written as the CRM writes it, with the "
            "source's own id of a deal or contact, or the mail address.",
            err=True,
        )
    return int(unknown)


def asker() -> str:
    """Who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return f"user {os.getuid()}"
