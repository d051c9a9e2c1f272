"""The commands `simulate` and `train`."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from model.events import microseconds, parse_time
from model.own_features import VARIABLE, OwnFeatures, declare

FEATURES = click.option(
    "--features",
    type=click.Path(path_type=Path),
    multiple=True,
    envvar=VARIABLE,
    show_envvar=True,
    help="A Python file of your own features, which is run; a second is an earlier model's.",
)
SEED = click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    default=0,
    show_default=True,
    help="Same seed, same model.",
)


@click.command()
@click.option("--deals", type=click.IntRange(1), required=True, help="How many to open.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same company.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write to.")
@click.option("--world", type=click.IntRange(1, 2), default=1, show_default=True, help="Its laws.")
@click.option("--no-truth", is_flag=True, help="Leave out truth.parquet.")
def simulate(deals: int, seed: int, out: Path, world: int, no_truth: bool) -> int:
    """Make up a company: DIR/events.parquet, and DIR/truth.parquet with the exact probabilities."""
    from model.places import check_folder
    from training.simulate import simulate as make_up

    check_folder("--out", out)
    with tqdm(total=deals, desc="simulating", unit=" deals", disable=None, **_size()) as progress:

        def done(number: int) -> None:
            progress.update(number)

        company = make_up(deals, seed, world, truth=not no_truth, progress=done)
    for path in company.write(out):
        click.echo(path)
    return 0


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--known-before", required=True, help="Nothing known at or after this is used.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Artifact to write.")
@click.option("--within", type=float, multiple=True, help="Days that will be asked for, several.")
@click.option("--edges", type=float, multiple=True, help="Horizon edges in days, several.")
@click.option("--spacing", type=click.FloatRange(0, min_open=True), help="Days between snapshots.")
@click.option("--drop", multiple=True, help="A feature to leave out; may be repeated.")
@FEATURES
@click.option("--strict", is_flag=True, help="Refuse features that seem to know the outcome.")
@click.option("--base-rate", is_flag=True, help="The base rate by stage and age alone.")
@SEED
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def train(  # noqa: PLR0913, PLR0917 - click hands over each option
    events: Path,
    known_before: str,
    out: Path,
    within: tuple[float, ...],
    edges: tuple[float, ...],
    spacing: float | None,
    drop: tuple[str, ...],
    features: tuple[Path, ...],
    strict: bool,
    base_rate: bool,
    seed: int,
    jobs: int,
    as_json: bool,
) -> int:
    """Learn from the deals of EVENTS that closed, and write an artifact."""
    from model.event_table import read_events
    from model.sealed import check_place
    from training.fit import train as learn
    from training.preparing import Options

    check_place(out)
    cutoff = microseconds(parse_time("--known-before", known_before))
    artifact = learn(
        read_events(events),
        cutoff,
        Options(
            edges_days=edges or None,
            within_days=within,
            spacing_days=spacing,
            drop=drop,
            strict=strict,
            base_rate=base_rate,
            own=own_features(features),
            seed=seed,
            jobs=jobs,
        ),
        progress=show_progress,
    )
    artifact.save(out)
    for leak in artifact.facts["leaks"]:
        sign, meaning = "warning", "it may know the outcome"
        if leak["is_note"]:
            sign, meaning = "note", "it may be a late stage, or a field filled at closing"
        click.echo(
            f"{sign}: {leak['feature']!r} {leak['evidence']}; {meaning}: check it, or leave it out "
            "with --drop",
            err=True,
        )
    for row in artifact.facts["judged"]:
        if row["log_loss"] >= constant_loss(row["won_share"]):
            click.echo(_told_nothing(row, base_rate=base_rate), err=True)
    report = {
        "artifact": str(out),
        "model_version": artifact.model_version,
        "edges_days": artifact.edges.tolist(),
        "features": len(artifact.grid),
        "basis": artifact.facts["basis"],
        **artifact.facts["training"],
        "leaks": artifact.facts["leaks"],
        "judged": artifact.facts["judged"],
    }
    if as_json:
        json.dump(report, sys.stdout, allow_nan=False)
        click.echo()
    else:
        click.echo(_report(report))
    return 0


def own_features(files: tuple[Path, ...]) -> OwnFeatures | None:
    """Run files of own features; the first one is learned with."""
    found = [declare(path) for path in files]
    return found[0] if found else None


def _size() -> dict[str, Any]:
    """A size for the bar where the terminal tells of none, as in a container; it looks else."""
    try:
        is_told = os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):
        is_told = True  # no terminal, so no bar
    return {} if is_told else {"ncols": 80, "nrows": 24}


def show_progress(stage: str, steps: int) -> Callable[[], None]:
    """A bar on standard error, only on a terminal."""
    progress = tqdm(total=steps, desc=stage, disable=None, **_size())

    def step() -> None:
        progress.update()
        if progress.n >= steps:
            progress.close()

    return step


def tell_stages(stage: str, _steps: int) -> Callable[[], None]:
    """A line for each stage on standard error, with the time: for the log of a job."""
    click.echo(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {stage}", err=True)
    return lambda: None


def constant_loss(share: float) -> float:
    """The log-loss of saying one probability of every deal: the share that was won, in nats.

    Examples
    --------
    >>> round(constant_loss(0.453), 4), constant_loss(0.0)
    (0.6887, 0.0)
    """
    return -sum(p * math.log(p) for p in (share, 1.0 - share) if p > 0.0)


def _told_nothing(row: dict[str, Any], *, base_rate: bool) -> str:
    remedy = "learn from more closed deals, or from more that is known of each"
    return (
        f"warning: within {row['days']:g} days log-loss {row['log_loss']:.4f} is no better than "
        f"{constant_loss(row['won_share']):.4f}, that of saying {row['won_share']:.1%} of every "
        f"deal: what was learned does not tell deals apart; {remedy}"
        + ("" if base_rate else ", or use --base-rate until then")
    )


def _chosen(report: dict[str, Any]) -> list[str]:
    if report["basis"] == "base rate":
        return [
            "the base rate by stage and age alone, shrunk toward that of all deals",
            f"on deals that it was not counted from ({report['division']}):",
        ]
    parts = [
        (f"{part['weight']:.0%} " if len(report["blend"]) > 1 else "")
        + f"{part['kind'].replace('_', ' ')} of sizes {part['sizes']}"
        for part in report["blend"]
    ]
    return [
        f"chosen {report['division']}: {', '.join(parts)}",
        "on the judging deals, which also chose the sizes and the calibration:",
    ]


def _report(report: dict[str, Any]) -> str:
    lines = [
        f"{report['model_version']} in {report['artifact']}",
        (
            f"{report['deals']} deals ({report['won']} won), {report['snapshots']} snapshots, "
            f"{report['features']} features, edges {report['edges_days'][1:]} days"
        ),
        *_chosen(report),
        "    days    rows   won  log-loss  constant    AUC  Brier    ECE",
    ]
    for row in report["judged"]:
        auc = "   -  " if row["auc"] is None else f"{row['auc']:.4f}"
        lines.append(
            f"  {row['days']:6g} {row['rows']:7d} {row['won_share']:5.1%}    {row['log_loss']:.4f}"
            f"    {constant_loss(row['won_share']):.4f} {auc} {row['brier']:.4f} {row['ece']:.4f}"
        )
    return "\n".join(lines)
