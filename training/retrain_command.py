"""The commands `retrain`, `register`, `promote`, `rollback` and `models`."""

from __future__ import annotations

import getpass
import json
import shlex
import shutil
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from model.errors import RedflareError
from model.events import microseconds, parse_time
from training.cli import FEATURES, own_features, show_progress

if TYPE_CHECKING:
    from training.candidate import Candidate
    from training.registry import Registry
    from training.retrain import Retraining
    from training.version import Version

DONE: Final = 0
KEPT_HERE: Final = 1  # the registry was away: the candidate is kept, the command to register told
KEPT: Final = "redflare-candidates"  # the folder of candidates beside which no registry lies

REGISTRY = click.option(
    "--registry", required=True, help="A folder, or an MLflow address (http://..., sqlite:///...)."
)
NAME = click.option("--name", default="redflare", show_default=True, help="Of the model there.")
BY = click.option("--by", help="Who does this, for the audit; you on this machine otherwise.")
REASON = click.option("--reason", default="", help="Why, for the audit; needed with --force.")
FORCE = click.option("--force", is_flag=True, help="Promote against the gate.")
INTO = click.option(
    "--into", type=click.Path(path_type=Path), help="Write the champion's artifact to this folder."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class PromotionError(RedflareError):
    """A version may not be promoted as asked. The message says what stands against it."""


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@REGISTRY
@NAME
@click.option("--known-before", help="Nothing known at or after this is used; now by default.")
@click.option("--origin", help="When the judged challenger's knowledge ends.")
@click.option("--within", type=float, multiple=True, help="Days that will be asked for, several.")
@click.option("--edges", type=float, multiple=True, help="Horizon edges; the champion's otherwise.")
@click.option("--every", type=click.FloatRange(0.25), default=7.0, show_default=True)
@click.option("--spacing", type=click.FloatRange(0, min_open=True), help="Days between snapshots.")
@click.option("--drop", multiple=True, help="A feature to leave out; may be repeated.")
@FEATURES
@click.option("--no-refit", is_flag=True, help="Promote the judged artifact, not its refit.")
@click.option("--rejects", type=click.Path(path_type=Path), help="rejects.csv of the imports.")
@click.option("--thresholds", type=click.Path(path_type=Path), help="TOML of other thresholds.")
@click.option("--dry-run", is_flag=True, help="Register and change nothing.")
@FORCE
@REASON
@BY
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the candidate's folder here.")
@INTO
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@JSON
def retrain(events: Path, registry: str, **asked: Any) -> int:
    """Learn from EVENTS, compare with the champion on later deals, promote or say why not.

    The new version is registered as challenger; it becomes champion where the gate lets it. Broken
    data stops the job, moved data is told. Exit status 0 says that the job is done, whichever model
    is in force; 1 that the registry could not be reached at the end and the candidate is kept here.
    """
    from training.candidate import write_candidate
    from training.lock import only_one
    from training.registry import Registry
    from training.retrain_files import verdict_section
    from training.section import section_text
    from training.version import RegistryAwayError

    _check_force(asked["force"], asked["reason"])
    store = Registry(registry, asked["name"])
    place = (store.folder or Path.cwd()) / KEPT
    who, now = asked["by"] or _me(), _now()
    with only_one(place, who, now):
        champion = store.champion()
        done, candidate, files = _train(events, store, champion, who, now, asked)
        said = section_text(verdict_section(done))
        answer: dict[str, Any] = {
            "model_version": candidate.model_version,
            "passed": candidate.passed,
            "why": candidate.why,
            "checks": [check.__dict__ for check in done.checks],
            "champion_before": candidate.compared_with,
            "version": None,
            "promoted": False,
        }
        folder = asked["keep"] or place / candidate.model_version
        if asked["keep"] is not None or not asked["dry_run"]:
            write_candidate(folder, candidate, done.artifact, files)
        if asked["dry_run"]:
            _tell(answer, f"{said}\n\na dry run: nothing is registered", asked["as_json"])
            return DONE
        promoted = candidate.passed or asked["force"]
        why = asked["reason"] or "the gate let it pass"
        try:
            version = store.register(folder)
            if promoted:
                forced = not candidate.passed
                _promote(store, version, who, why, forced, candidate.compared_with)
        except RegistryAwayError as error:
            again = ["redflare", "register", str(folder), "--registry", registry]
            told = f"The candidate is kept: register it later with\n  {shlex.join(again)}"
            click.echo(f"{error}\n{told}", err=True)
            _tell(answer | {"kept": str(folder)}, said, asked["as_json"])
            return KEPT_HERE
        if asked["keep"] is None:
            shutil.rmtree(folder)
        if promoted:
            _export(store, version, asked["into"], quiet=asked["as_json"])
        state = "champion" if promoted else "challenger; the champion stays"
        answer |= {"version": version.number, "promoted": promoted}
        _tell(answer, f"{said}\n\nversion {version.number} is {state}", asked["as_json"])
    return DONE


def _train(
    events: Path,
    store: Registry,
    champion: Version | None,
    who: str,
    now: str,
    asked: dict[str, Any],
) -> tuple[Retraining, Candidate, dict[str, str]]:
    """The work between the champion of now and a candidate that can be written."""
    from model.event_table import read_events
    from training.preparing import Options
    from training.retrain import Plan
    from training.retrain import retrain as run
    from training.retrain_files import candidate_of
    from training.thresholds import read_thresholds

    own = own_features(asked["features"])
    limits, origin = read_thresholds(asked["thresholds"]), asked["origin"]
    plan = Plan(
        known_before_us=microseconds(parse_time("--known-before", asked["known_before"] or now)),
        origin_us=None if origin is None else microseconds(parse_time("--origin", origin)),
        spacing_days=asked["every"],
        refit=not asked["no_refit"],
        options=Options(
            edges_days=asked["edges"] or None,
            within_days=asked["within"],
            spacing_days=asked["spacing"],
            drop=asked["drop"],
            own=own,
            seed=asked["seed"],
            jobs=asked["jobs"],
        ),
        rejected=rejected_rows(events, asked["rejects"]),
    )
    artifact = None if champion is None else store.artifact(champion)
    before = None if champion is None else {"events": int(champion.tags.get("events", 0))}
    done = run(read_events(events), plan, limits, artifact, before, show_progress)
    number = None if champion is None else champion.number
    return done, *candidate_of(done, plan, str(events), who, now, number)


@click.command()
@click.argument("candidate", type=click.Path(path_type=Path))
@REGISTRY
@NAME
@BY
@INTO
def register(candidate: Path, registry: str, name: str, by: str | None, into: Path | None) -> int:
    """Register a CANDIDATE that redflare retrain kept, and promote it if its gate let it pass."""
    from training.candidate import read_candidate
    from training.registry import Registry

    kept = read_candidate(candidate)
    store = Registry(registry, name)
    version = store.register(candidate)
    if kept.passed:
        who = by or kept.created_by
        _promote(store, version, who, "the gate let it pass", False, kept.compared_with)
        _export(store, version, into)
    click.echo(f"version {version.number} is {'champion' if kept.passed else 'challenger'}")
    return DONE


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
    from training.registry import CHAMPION, Registry

    _check_force(force, reason)
    store = Registry(registry, name)
    asked = store.version(version)
    if CHAMPION in asked.aliases:
        click.echo(f"version {version} is champion already")
        _export(store, asked, into)
        return DONE
    champion = store.champion()
    number = None if champion is None else champion.number
    if not force:
        _check_gate(asked, number)
    _promote(store, asked, by or _me(), reason or "promoted by hand", force, number)
    _export(store, asked, into)
    click.echo(f"version {version} is champion, in place of {number or 'none'}")
    return DONE


@click.command()
@REGISTRY
@NAME
@REASON
@BY
@INTO
def rollback(registry: str, name: str, reason: str, by: str | None, into: Path | None) -> int:
    """Make the version that the champion replaced the champion again."""
    from training.registry import Registry
    from training.version import RegistryError

    store = Registry(registry, name)
    champion = store.champion()
    if champion is None:
        raise RegistryError("no champion", "one to go back from", "see redflare versions")
    before = store.before(champion)
    why = reason or "rolled back"
    _promote(store, before, by or _me(), why, True, champion.number, "rollback")
    _export(store, before, into)
    click.echo(f"version {before.number} is champion again, in place of {champion.number}")
    return DONE


@click.command()
@REGISTRY
@NAME
@JSON
def versions(registry: str, name: str, as_json: bool) -> int:
    """List the versions: alias, training, data, loss, calibration, why promoted."""
    from training.registry import Registry
    from training.section import Table, text_of

    found = Registry(registry, name).versions()
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
    caption = f"{len(found)} versions of {name} in {registry}"
    click.echo(text_of(Table(caption=caption, header=header, rows=rows_shown, words=6)))
    return DONE


def _why(version: Version) -> str:
    told = version.tags
    if "rollback_at" in told and told["rollback_at"] >= told.get("promote_at", ""):
        return f"{told['rollback_at'][:10]} {told['rollback_by']}: {told['rollback_why']}"
    if "promote_at" in told:
        return f"{told['promote_at'][:10]} {told['promote_by']}: {told['promote_why']}"
    return "-" if told.get("passed") == "true" else "refused by the gate"


def _check_force(force: bool, reason: str) -> None:
    if force and not reason.strip():
        raise PromotionError(
            "--force without --reason", "the reason, for the audit", 'add --reason "..."'
        )


def _check_gate(version: Version, champion: str | None) -> None:
    """Refuse a version that the gate refused, or that was compared with another champion."""
    compared = version.tags.get("compared_with", "none")
    if version.tags.get("passed") != "true":
        failed = [
            words.removeprefix("FAILED: ")
            for words in version.tags.get("verdict", "").splitlines()
            if words.startswith("FAILED: ")
        ]
        raise PromotionError(
            f"version {version.number}, which the gate refused ({'; '.join(failed)})",
            "one that it let pass",
            "retrain, or use --force --reason",
        )
    if compared != (champion or "none"):
        raise PromotionError(
            f"version {version.number}, which was compared with {compared}",
            f"a comparison with the champion of now, {champion or 'none'}",
            "retrain, or use --force --reason",
        )


def _promote(
    store: Registry,
    version: Version,
    who: str,
    why: str,
    forced: bool,
    replaced: str | None,
    what: str = "promote",
) -> None:
    from training.version import Act

    act = Act(
        at=_now(),
        who=who,
        why=why,
        what=what,
        version=version.number,
        replaced=replaced,
        forced=forced,
    )
    store.promote(version, act)


def _export(store: Registry, version: Version, into: Path | None, *, quiet: bool = False) -> None:
    if into is not None:
        store.artifact(version).save(into)
        if not quiet:
            click.echo(f"{version.model_version} in {into}")


def rejected_rows(events: Path, named: Path | None) -> int | None:
    """How many rows imports rejected; None where no file says."""
    from training.rejects import read_rejects

    place = named or events.with_name("rejects.csv")
    if place.is_file():
        return len(read_rejects(place))
    if named is not None:
        raise click.UsageError(f"--rejects {named}: expected a file that is there.")
    return None


def _tell(answer: dict[str, Any], said: str, as_json: bool) -> None:
    if as_json:
        json.dump(answer, sys.stdout, allow_nan=False)
        click.echo()
    else:
        click.echo(said)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _me() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"
