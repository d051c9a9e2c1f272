"""The command `retrain`."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from model.events import microseconds, parse_time
from training.cli import FEATURES, SEED, own_features, show_progress, tell_stages
from training.promoting import (
    check_force,
    check_into,
    hand_over,
    me,
    now,
    overruled_lines,
    put_in_force,
)
from training.registry_options import (
    BY,
    FORCE,
    INTO,
    JSON,
    MODEL_NAME,
    NAME,
    REASON,
    REGISTRY,
)
from training.version import RegistryAwayError, RegistryError

if TYPE_CHECKING:
    from training.candidate import Candidate
    from training.registry import Registry
    from training.retrain import Plan, Retraining

DONE: Final = 0
KEPT_HERE: Final = 1  # the registry was away: the candidate is kept, the command to register told
KEPT: Final = "redflare-candidates"  # the folder of candidates beside which no registry lies


@click.command()
@click.argument("events", metavar="EVENTS")
@REGISTRY
@NAME
@click.option("--known-before", help="Nothing known at or after this is used; now by default.")
@click.option("--origin", help="When the judged challenger's knowledge ends.")
@click.option("--within", type=float, multiple=True, help="Days that will be asked for, several.")
@click.option("--edges", type=float, multiple=True, help="Horizon edges; the champion's otherwise.")
@click.option(
    "--every",
    type=click.FloatRange(0.25),
    default=7.0,
    show_default=True,
    help="Days between two moments at which open deals are forecast.",
)
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
@SEED
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@click.option("--verbose", is_flag=True, help="Tell each stage in a line, for a job's log.")
@JSON
def retrain(**asked: Any) -> int:
    """Learn from EVENTS, compare with the champion on later deals, promote or say why not.

    EVENTS is an event log, or what export-events wrote: a file, or an address that it is fetched
    from (https://..., s3://...).

    The new version is registered as challenger; it becomes champion where the gate lets it. Broken
    data stops the job, moved data is told. Exit status 0 says that the job is done, whichever model
    is in force; 1 that a part is left to do, for which the command is printed: the registry could
    not be reached at the end and the candidate is kept here, or --into could not be written.
    """
    from training.event_source import event_file

    check_force(asked["force"], asked["reason"])
    with event_file(asked["events"]) as events:
        return _retrain(events, asked)


def _retrain(events: Path, asked: dict[str, Any]) -> int:
    from model.event_table import column_names, read_events
    from training.candidate import waiting, write_candidate
    from training.event_source import shown
    from training.lock import only_one
    from training.registry import Registry
    from training.retrain import retrain as run
    from training.retrain_files import candidate_of, verdict_section
    from training.section import section_text
    from training.thresholds import read_thresholds

    registry: str = asked["registry"]
    who, at = asked["by"] or me(), now()
    plan, limits = _plan(events, at, asked), read_thresholds(asked["thresholds"])
    column_names(events)  # is there, before anything is made
    _check_places(asked["keep"], asked["into"])
    store = Registry(registry, asked["name"], create=True)
    if store.is_new:
        click.echo(f"a new registry is made: {registry}", err=True)
    place = (store.folder or Path.cwd()) / KEPT
    progress = tell_stages if asked["verbose"] else show_progress
    with only_one(place, who, at):
        for left in waiting(place):
            click.echo(f"left by an earlier job: {left}; register it, or delete it", err=True)
        store.end_dead_runs()
        champion = store.champion()
        artifact = None if champion is None else store.artifact(champion)
        before = None if champion is None else {"events": int(champion.tags.get("events", 0))}
        done = run(read_events(events), plan, limits, artifact, before, progress)
        number = None if champion is None else champion.number
        candidate, files = candidate_of(done, plan, shown(asked["events"]), who, at, number)
        said = section_text(verdict_section(done))
        told = _Told(said=said, as_json=asked["as_json"], values=_answer(done, candidate))
        folder = asked["keep"] or place / candidate.model_version
        if asked["keep"] is not None or not asked["dry_run"]:
            write_candidate(folder, candidate, done.artifact, files)
        if asked["dry_run"]:
            told.tell("a dry run: nothing is registered")
            return DONE
        step = progress("registering", 1)
        status = _hand_over(store, folder, candidate, told, asked)
        step()
    return status


def _check_places(keep: Path | None, into: Path | None) -> None:
    """Refuse folders that could not be written to after minutes of training."""
    from training.candidate import CandidateError, check_place

    check_into(into)
    if keep is not None:
        check_place(keep)
    if keep is not None and into is not None:
        one, other = keep.resolve(), into.resolve()
        if one.is_relative_to(other) or other.is_relative_to(one):
            given = f"--keep {keep} and --into {into}"
            raise CandidateError(given, "two folders apart", "name another")


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What the command answers: its verdict in words, and values for JSON."""

    said: str
    as_json: bool
    values: dict[str, Any]

    def tell(self, words: str = "", **values: Any) -> None:
        if self.as_json:
            json.dump(self.values | values, sys.stdout, allow_nan=False)
            click.echo()
        else:
            click.echo(f"{self.said}\n\n{words}".rstrip())


def _answer(done: Retraining, candidate: Candidate) -> dict[str, Any]:
    return {
        "model_version": candidate.model_version,
        "passed": candidate.passed,
        "why": candidate.why,
        "checks": [check.__dict__ for check in done.checks],
        "champion_before": candidate.compared_with,
        "version": None,
        "promoted": False,
        "overruled": [],
    }


def _hand_over(
    store: Registry, folder: Path, candidate: Candidate, told: _Told, asked: dict[str, Any]
) -> int:
    """Register a candidate that is kept here, and promote it where the gate or force lets it."""
    try:
        version = store.register(folder)
    except RegistryError as error:
        return _kept(error, folder, candidate, told, asked)
    number, in_force = version.number, candidate.compared_with
    stays = "no champion is in force" if in_force is None else "the champion stays"
    words = [f"version {number} is challenger; {stays}"]
    values: dict[str, Any] = {"version": number}
    if candidate.passed or asked["force"]:
        why = asked["reason"] or "the gate let it pass"
        overruled = () if candidate.passed else version.failed
        try:
            act = put_in_force(store, version, candidate.created_by, why, in_force, overruled)
        except RegistryAwayError as error:
            return _kept(error, folder, candidate, told, asked, number)
        except RegistryError:
            now = store.champion()
            if now is not None and now.number == number:
                words, values["promoted"] = [f"version {number} is champion"], True
            told.tell("\n".join(words), **values)
            raise
        words, in_force = [f"version {number} is champion", *overruled_lines(act)], number
        values |= {"promoted": True, "overruled": overruled}
    if asked["keep"] is None:
        shutil.rmtree(folder)
    told.tell("\n".join(words), **values)
    return hand_over(store, in_force, asked["into"], quiet=asked["as_json"])


def _kept(
    error: RegistryError,
    folder: Path,
    candidate: Candidate,
    told: _Told,
    asked: dict[str, Any],
    number: str | None = None,
) -> int:
    """Say that the candidate is kept, and how to register it as it was to be registered now.

    Also where it is registered, as version `number`, and the answer to its promotion is missing.
    """
    again = ["redflare", "register", str(folder), "--registry", asked["registry"]]
    again += ["--name", asked["name"]] * (asked["name"] != MODEL_NAME)
    again += ["--into", str(asked["into"])] * (asked["into"] is not None)
    lines = [str(error), "The candidate is kept: register it later with", f"  {shlex.join(again)}"]
    if asked["force"] and not candidate.passed:
        force = [*again, "--force", "--reason", asked["reason"]]
        force[1:3] = ["promote", number or "VERSION"]
        which = "" if number else ", VERSION being what that says,"
        lines += [f"and promote it then{which} with", f"  {shlex.join(force)}"]
    click.echo("\n".join(lines), err=True)
    told.tell(kept=str(folder), version=number)
    return KEPT_HERE


def _plan(events: Path, at: str, asked: dict[str, Any]) -> Plan:
    """What is asked of the retraining."""
    from training.preparing import Options
    from training.rejects import rejected_rows
    from training.retrain import Plan

    origin = asked["origin"]
    return Plan(
        known_before_us=microseconds(parse_time("--known-before", asked["known_before"] or at)),
        origin_us=None if origin is None else microseconds(parse_time("--origin", origin)),
        spacing_days=asked["every"],
        refit=not asked["no_refit"],
        options=Options(
            edges_days=asked["edges"] or None,
            within_days=asked["within"],
            spacing_days=asked["spacing"],
            drop=asked["drop"],
            own=own_features(asked["features"]),
            seed=asked["seed"],
            jobs=asked["jobs"],
        ),
        rejected=rejected_rows(events, asked["rejects"]),
    )
