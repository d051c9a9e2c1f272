"""Putting a registered version in force: what stands against it, and what the audit says."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from model.errors import RedflareError
from model.sealed import check_place
from training.registry_options import MODEL_NAME
from training.version import Act, Version

if TYPE_CHECKING:
    from training.registry import Registry

DONE: Final = 0
NOT_HANDED_OVER: Final = 1  # in force in the registry, but not in the folder that was named


class PromotionError(RedflareError):
    """A version may not be promoted as asked. The message says what stands against it."""


def check_force(force: bool, reason: str) -> None:
    """Refuse to overrule the gate without a word on why."""
    if force and not reason.strip():
        raise PromotionError(
            "--force without --reason", "the reason, for the audit", 'add --reason "..."'
        )


def ask_gate(version: Version, champion: str | None, *, force: bool) -> tuple[str, ...]:
    """What stands against a version, which `force` overrules; empty where nothing does.

    Parameters
    ----------
    champion
        The version in force; None before the first.

    Raises
    ------
    PromotionError
        If something does, and nobody forces it.
    """
    if not version.passed:
        against = version.failed
        given = f"version {version.number}, which the gate refused ({'; '.join(against)})"
        expected = "one that it let pass"
    elif version.compared_with != champion:
        compared, current = version.compared_with or "none", champion or "none"
        against = (f"compared with champion {compared}, where the one of now is {current}",)
        given = f"version {version.number}, which was compared with {compared}"
        expected = f"a comparison with the champion of now, {current}"
    else:
        return ()
    if not force:
        raise PromotionError(given, expected, "retrain, or use --force --reason")
    return against


def overruled_lines(act: Act) -> list[str]:
    """Lines that tell that the gate was overruled, by whom, and in what; none where it was not.

    Examples
    --------
    >>> act = Act(at="2026-01-12T06:00:00+00:00", who="ann", why="a trial", what="promote",
    ...           version="1", replaced=None, forced=True, overruled=("80 deals are judged",))
    >>> overruled_lines(act)
    ['forced by ann: a trial; overruled, of the conditions of the gate:', '  80 deals are judged']
    """
    if not act.overruled:
        return []
    head = f"forced by {act.who}: {act.why}; overruled, of the conditions of the gate:"
    return [head, *(f"  {words}" for words in act.overruled)]


def put_in_force(
    store: Registry,
    version: Version,
    who: str,
    why: str,
    replaced: str | None,
    overruled: tuple[str, ...] = (),
    what: str = "promote",
) -> Act:
    """Make a version the champion, and say in the audit who did it, why and against what.

    Parameters
    ----------
    replaced
        The champion that it takes the place of.
    overruled
        What stood against it.
    what
        ``promote`` or ``rollback``.
    """
    act = Act(
        at=now(),
        who=who,
        why=why,
        what=what,
        version=version.number,
        replaced=replaced,
        forced=bool(overruled),
        overruled=overruled,
    )
    store.promote(version, act)
    return act


def check_into(into: Path | None) -> None:
    """Refuse a folder that `export` could not write to, before anything is changed."""
    if into is not None:
        check_place(into)


def hand_over(
    store: Registry, number: str | None, into: Path | None, *, quiet: bool = False
) -> int:
    """Write the artifact in force to a folder, where one is named, and say so.

    Whatever came of the promotion, so that the folder never holds another than the registry says.

    Parameters
    ----------
    number
        The version in force, as was last known; None where none was.

    Returns
    -------
    int
        The exit status: `DONE`, or `NOT_HANDED_OVER`, where it is said which command does it.
    """
    if into is None:
        return DONE
    try:
        champion = store.champion()
        if champion is not None:
            number = champion.number
            store.artifact(champion).save(into)
            if not quiet:
                click.echo(f"{champion.model_version} in {into}")
    except (RedflareError, OSError) as error:
        again = ["redflare", "promote", number or "VERSION", *place_words(store)]
        again += ["--into", str(into)]
        said = f"Version {number} is champion" if number else "The champion, VERSION, stays"
        remedy = f"{said}, but is not written to {into}: do that with\n  {shlex.join(again)}"
        click.echo(f"{error}\n{remedy}", err=True)
        return NOT_HANDED_OVER
    return DONE


def place_words(store: Registry) -> list[str]:
    """The options that name a registry and the model in it, for a command to be printed."""
    named = ["--name", store.name] * (store.name != MODEL_NAME)
    return ["--registry", store.given, *named]


def now() -> str:
    """The present moment, ISO 8601 UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def me() -> str:
    """Who runs this, on which machine; a container's user may have no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
