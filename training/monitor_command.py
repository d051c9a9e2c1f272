"""The command `monitor`: whether the model in force still holds, once a day."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from model.errors import TrainingDataError
from model.events import DAY_US, microseconds, parse_time
from training.registry_options import NAME
from training.rejects import rejected_rows

if TYPE_CHECKING:
    from model.artifact import Artifact

DONE: Final = 0
RETRAIN_NOW: Final = 3


@click.command()
@click.argument("events", metavar="EVENTS")
@click.option("--registry", help="Where the model in force, and those before it, are registered.")
@NAME
@click.option(
    "--artifact",
    "artifacts",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Without a registry: the model in force; several from the oldest to it.",
)
@click.option("--known-before", help="Nothing known at or after this is used; now by default.")
@click.option("--rejects", type=click.Path(path_type=Path), help="rejects.csv of the imports.")
@click.option("--thresholds", type=click.Path(path_type=Path), help="TOML of other thresholds.")
@click.option("--metrics", type=click.Path(path_type=Path), help="Write metrics to this .prom.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def monitor(
    events: str,
    registry: str | None,
    name: str,
    artifacts: tuple[Path, ...],
    known_before: str | None,
    rejects: Path | None,
    thresholds: Path | None,
    metrics: Path | None,
    as_json: bool,
) -> int:
    """Look whether the model in force still holds, by EVENTS: an event log, or export-events' file.

    A file, or an address that it is fetched from (https://..., s3://...).

    Judges what was said of deals that have ended since, as scored then; compares today's open deals
    with training; compares wins expected with those that came. Exit status 0: nothing asks for a
    retraining; 3: retrain now, and the output says why; 2: the data cannot be trusted or used.
    """
    from model.event_table import read_events
    from training.event_source import event_file
    from training.monitor import monitor as look
    from training.monitor_report import monitor_json, monitor_section, write_metrics
    from training.section import section_text
    from training.thresholds import read_thresholds

    if (registry is None) == (not artifacts):
        raise click.UsageError("expected one of --registry and --artifact.")
    limits = read_thresholds(thresholds)
    now = known_before or datetime.now(UTC).isoformat(timespec="microseconds")
    now_us = microseconds(parse_time("--known-before", now))
    oldest = now_us - int(2 * limits.monitor.judged_days * DAY_US)
    models, since, before = _in_force(registry, name, artifacts, oldest)
    with event_file(events) as path:
        found = look(
            read_events(path),
            now_us,
            models,
            limits,
            since=since,
            before=before,
            rejected=rejected_rows(path, rejects),
        )
    if metrics is not None:
        write_metrics(metrics, found)
    if as_json:
        json.dump(monitor_json(found), sys.stdout, allow_nan=False)
        click.echo()
    else:
        click.echo(section_text(monitor_section(found)))
    if found.broken:
        raise TrainingDataError(
            "data that is broken: " + "; ".join(found.broken),
            "a record that can be judged by",
            "mend the import, or set other limits with --thresholds",
        )
    return RETRAIN_NOW if found.retrain_now else DONE


def _in_force(
    registry: str | None, name: str, artifacts: tuple[Path, ...], oldest: int
) -> tuple[list[Artifact], list[int] | None, dict[str, Any] | None]:
    """The models that were in force since a moment, from when, and the counts of the last's run."""
    from model.artifact import Artifact
    from training.registry import Registry
    from training.version import RegistryError

    if registry is None:
        return [Artifact.load(each) for each in artifacts], None, None
    store = Registry(registry, name)
    store.check_name()
    champion = store.champion()
    if champion is None:
        raise RegistryError("no champion", "one to look at", "see redflare versions")
    acts: list[tuple[str, int]] = []
    number: str | None = champion.number
    for act in reversed(store.audit()):
        if act.version == number:  # else told of, but killed before it came
            acts.insert(0, (number, microseconds(datetime.fromisoformat(act.at))))
            number = act.replaced
    acts = acts or [(champion.number, 0)]
    begun = [number for number, (_, at) in enumerate(acts) if at <= oldest]
    acts = acts[begun[-1] if begun else 0 :]
    found = {number: store.artifact(store.version(number)) for number in {n for n, _ in acts}}
    models, since = [found[number] for number, _ in acts], [at for _, at in acts]
    return models, since, {"events": int(champion.tags.get("events", 0))}
