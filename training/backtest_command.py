"""The command `backtest`."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from model.events import microseconds, parse_time
from model.places import check_folder, whole_file
from training.cli import FEATURES, SEED, own_features, show_progress

if TYPE_CHECKING:
    from training.backtest import Backtest
    from training.backtest_report import Report
    from training.section import Section

DONE: Final = 0
DONE_IN_PART: Final = 1  # an origin was left out
FILES: Final = ("report.json", "figures.csv", "report.html")
SCHEMA_VERSION: Final = 1


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--origins", type=click.IntRange(1), help="How many moments the data chooses: 4.")
@click.option("--origin", "dates", multiple=True, help="A moment to train at instead, several.")
@click.option("--within", type=float, multiple=True, help="Days ahead to judge, several.")
@click.option("--edges", type=float, multiple=True, help="Horizon edges in days, several.")
@click.option(
    "--every",
    type=click.FloatRange(0.25),
    default=7.0,
    show_default=True,
    help="Days between two moments at which open deals are forecast.",
)
@click.option(
    "--smallest",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    help="Deals that a stage, owner or other value needs; the rest are pooled.",
)
@click.option("--drop", multiple=True, help="A feature to leave out; may be repeated.")
@FEATURES
@SEED
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for page, CSV and JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def backtest(  # noqa: PLR0913, PLR0917 - click hands over each option
    events: Path,
    origins: int | None,
    dates: tuple[str, ...],
    within: tuple[float, ...],
    edges: tuple[float, ...],
    every: float,
    smallest: int,
    drop: tuple[str, ...],
    features: tuple[Path, ...],
    seed: int,
    jobs: int,
    out: Path | None,
    as_json: bool,
) -> int:
    """Go back in EVENTS, forecast from what was known then, and look what came.

    Trains at several moments of the past, each only on what was known before it, forecasts every
    deal that was open afterwards, and judges the probabilities beside four ways to forecast
    without Redflare. This is how to come to believe the probabilities, or not. It takes as long
    as one training for each origin.
    """
    from model.event_table import read_events
    from training.backtest import ORIGINS, Plan
    from training.backtest import backtest as go_back
    from training.backtest_report import build_report
    from training.preparing import Options

    if origins and dates:
        raise click.UsageError("--origins and --origin: expected one of the two.")
    if out is not None:
        check_folder("--out", out)
    plan = Plan(
        origins=origins or ORIGINS,
        origins_us=tuple(microseconds(parse_time("--origin", date)) for date in dates),
        within_days=within,
        spacing_days=every,
        options=Options(
            edges_days=edges or None, drop=drop, own=own_features(features), seed=seed, jobs=jobs
        ),
    )
    tested = go_back(read_events(events), plan, show_progress)
    report = build_report(tested, smallest, seed)
    sections = report_sections(tested, report, smallest)
    document = {
        "schema_version": SCHEMA_VERSION,
        **{section.key: section.figures for section in sections if section.figures is not None},
    }
    if out is not None:
        write_report(out, document, sections, report)
    if as_json:
        json.dump(document, sys.stdout, allow_nan=False)
        click.echo()
    else:
        click.echo(text_report(sections))
        if out is not None:
            click.echo("\n".join(str(out / name) for name in FILES))
    return DONE_IN_PART if tested.left_out else DONE


def report_sections(tested: Backtest, report: Report, smallest: int) -> list[Section]:
    """All sections, in the order of the page. A further one belongs before the last."""
    from training.baselines_section import baselines_section
    from training.curves import learned_curves
    from training.curves_section import curves_section
    from training.early import early_report
    from training.early_section import early_section, told_early
    from training.horizons_section import horizons_section
    from training.kinds_section import kinds_section
    from training.method_section import method_section
    from training.reliability_section import reliability_section
    from training.summary_section import summary_section

    last = tested.origins[-1]
    curves = learned_curves(last.artifact, tested.shown, report.main_days)
    early = early_report(tested.record.history, tested.origins)
    return [
        summary_section(report, told_early(early)),
        reliability_section(report),
        baselines_section(report),
        horizons_section(report),
        kinds_section(report, smallest),
        curves_section(curves, report.main_days, report.facts["origins"][-1]["known_before"]),
        early_section(early),
        method_section(report),
    ]


def text_report(sections: Sequence[Section]) -> str:
    """What the terminal shows: the summary in words, and the main tables."""
    from training.section import text_of

    blocks = ["\n".join(sections[0].words)]
    for section in sections:
        blocks += [text_of(table) for table in section.tables if table.on_terminal]
    return "\n\n".join(blocks)


def write_report(
    out: Path, document: dict[str, Any], sections: Sequence[Section], report: Report
) -> None:
    """Write report.json, figures.csv and report.html; each appears whole or not at all."""
    from training.backtest_page import page
    from training.section import TIDY

    out.mkdir(parents=True, exist_ok=True)
    rows = io.StringIO()
    table = csv.DictWriter(rows, TIDY, lineterminator="\n")
    table.writeheader()
    for section in sections:
        table.writerows(section.tidy)
    facts = report.facts
    lead = (
        f"{facts['forecasts']:,} forecasts of {facts['deals']:,} deals, made at "
        f"{len(facts['origins'])} moments of the past from what was known then, and what came."
    )
    texts = (json.dumps(document, allow_nan=False), rows.getvalue(), page(sections, lead))
    for name, text in zip(FILES, texts, strict=True):
        with whole_file(out / name) as part:
            part.write_text(text, encoding="utf-8")
