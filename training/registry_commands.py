"""The commands `register`, `promote`, `rollback` and `versions`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from training.promoting import (
    ask_gate,
    check_force,
    check_into,
    hand_over,
    me,
    overruled_lines,
    place_words,
    put_in_force,
)
from training.registry_options import BY, FORCE, INTO, JSON, NAME, REASON, REGISTRY

if TYPE_CHECKING:
    from training.registry import Registry
    from training.version import Act, Version

DONE: Final = 0
SEPARATELY_JUDGED: Final = (
    "log-loss, slope and intercept are each of the deals judged in that retraining: which of two\n"
    "versions is better, a retraining says of both on the same deals"
)


@click.command()
@click.argument("candidate", type=click.Path(path_type=Path))
@REGISTRY
@NAME
@BY
@INTO
def register(candidate: Path, registry: str, name: str, by: str | None, into: Path | None) -> int:
    """Register a CANDIDATE that redflare retrain kept, and promote it if its gate let it pass."""
    from training.candidate import read_candidate
    from training.registry import CHAMPION, Registry

    kept = read_candidate(candidate)
    check_into(into)
    store = Registry(registry, name)
    version = store.register(candidate)
    number, is_champion = version.number, CHAMPION in version.aliases
    left = None if is_champion else store.replaced_by(version)
    if kept.passed and not is_champion and left is None:
        who = by or kept.created_by
        put_in_force(store, version, who, "the gate let it pass", kept.compared_with)
        is_champion = True
    if left is not None:
        again = shlex.join(["redflare", "promote", number, *place_words(store)])
        click.echo(f"version {number} was champion, until this, and is not promoted again:")
        click.echo(f"  {_told(left)}\nto have it champion all the same:\n  {again}")
    else:
        click.echo(f"version {number} is {'champion' if is_champion else 'challenger'}")
    return hand_over(store, number if is_champion else None, into)


@click.command()
@click.argument("version")
@REGISTRY
@NAME
@FORCE
@REASON
@BY
@INTO
def promote(
    version: str,
    registry: str,
    name: str,
    force: bool,
    reason: str,
    by: str | None,
    into: Path | None,
) -> int:
    """Make VERSION the champion, if its gate let it pass beside the champion of now."""
    from training.registry import CHAMPION

    check_force(force, reason)
    check_into(into)
    store = _opened(registry, name)
    asked = store.version(version)
    if CHAMPION in asked.aliases:
        click.echo(f"version {version} is champion already")
        return hand_over(store, version, into)
    champion = store.champion()
    number = None if champion is None else champion.number
    overruled = ask_gate(asked, number, force=force)
    act = put_in_force(store, asked, by or me(), reason or "promoted by hand", number, overruled)
    click.echo(f"version {version} is champion, in place of {number or 'none'}")
    for line in overruled_lines(act):
        click.echo(line)
    return hand_over(store, version, into)


@click.command()
@REGISTRY
@NAME
@REASON
@BY
@INTO
def rollback(registry: str, name: str, reason: str, by: str | None, into: Path | None) -> int:
    """Make the version that the champion replaced the champion again."""
    from training.version import RegistryError

    check_into(into)
    store = _opened(registry, name)
    champion = store.champion()
    if champion is None:
        raise RegistryError("no champion", "one to go back from", "see redflare versions")
    before = store.before(champion)
    why = reason or "rolled back"
    put_in_force(store, before, by or me(), why, champion.number, what="rollback")
    click.echo(f"version {before.number} is champion again, in place of {champion.number}")
    return hand_over(store, before.number, into)


@click.command()
@REGISTRY
@NAME
@JSON
def versions(registry: str, name: str, as_json: bool) -> int:
    """List the versions: alias, training, data, loss, calibration, why promoted."""
    from training.section import Table, text_of

    store = _opened(registry, name)
    found = store.versions()
    if as_json:
        rows = [
            {"version": each.number, "aliases": each.aliases, "run_id": each.run_id, **each.tags}
            for each in found
        ]
        json.dump(rows, sys.stdout)
        click.echo()
        return DONE
    header = (
        *("version", "alias", "model", "trained", "known before", "promoted", "deals"),
        *("log-loss", "slope", "intercept"),
    )
    rows_shown = [
        (
            each.number,
            ", ".join(each.aliases) or "-",
            each.model_version,
            each.tags.get("created_at", "")[:10],
            each.tags.get("known_before", "")[:10],
            _why(each),
            each.tags.get("deals", ""),
            *(each.tags.get(key) or "-" for key in ("log_loss", "slope", "intercept")),
        )
        for each in found
    ]
    caption = f"{len(found)} version{'s' * (len(found) != 1)} of {name} in {registry}"
    note = SEPARATELY_JUDGED if len(found) > 1 else ""
    click.echo(text_of(Table(caption=caption, header=header, rows=rows_shown, note=note, words=6)))
    for act in store.audit():
        click.echo(_told(act))
    return DONE


def _opened(registry: str, name: str) -> Registry:
    """The registry, which holds a model of the name, or none yet."""
    from training.registry import Registry

    store = Registry(registry, name)
    store.check_name()
    return store


def _told(act: Act) -> str:
    """A line of the audit."""
    did = "went back to" if act.what == "rollback" else "promoted"
    against = " (against the gate)" * bool(act.overruled)
    replaced = f"in place of {act.replaced}" if act.replaced else "as the first"
    return f"{act.at[:19]}Z {act.who} {did} {act.version} {replaced}: {act.why}{against}"


def _why(version: Version) -> str:
    told = version.tags
    if "rollback_at" in told and told["rollback_at"] >= told.get("promote_at", ""):
        return f"{told['rollback_at'][:10]} {told['rollback_by']}: {told['rollback_why']}"
    if "promote_at" in told:
        forced = " (against the gate)" if told.get("promote_overruled") else ""
        return f"{told['promote_at'][:10]} {told['promote_by']}: {told['promote_why']}{forced}"
    return "-" if version.passed else "refused by the gate"
