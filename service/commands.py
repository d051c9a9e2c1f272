"""The commands `score` and `explain`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from tqdm import tqdm

from model.errors import ScoreError
from model.event_table import read_deal
from model.events import from_microseconds, microseconds, parse_time
from model.history import History
from model.places import check_writable, whole_file
from model.score import Score
from model.why_moved import explain_change
from service.batch import (
    Question,
    check_close_by,
    check_moment,
    known_feeds,
    load_scorer,
    score_file,
)
from service.fields import read_date
from service.points import Unscored, read_points
from service.record import read_record
from service.score_columns import riskiest_rows
from service.score_text import explanation, riskiest_first, score_table

DEFAULT_RISKIEST: Final = 20
MOMENT: Final = "a date, for its midnight UTC, or a time with its offset (2026-01-12T08:00:00Z)"

EVENTS = click.argument("events", type=click.Path(path_type=Path))
ARTIFACT = click.option(
    "--artifact", required=True, type=click.Path(path_type=Path), help="What train wrote."
)
HINDSIGHT = click.option(
    "--hindsight", is_flag=True, help="Allow a moment before the artifact's cut-off."
)


@click.command()
@EVENTS
@ARTIFACT
@click.option("--as-of", help=f"Score what was known then: {MOMENT}.")
@click.option("--close-by", help="The date to be won by, inclusive: probability and drivers.")
@click.option("--within", type=float, multiple=True, help="Days ahead, several: probabilities.")
@click.option(
    "--points",
    type=click.Path(path_type=Path),
    help="CSV or Parquet of deal_id and as_of, written like --as-of: score these moments.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write .csv or .parquet.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of scores.")
@click.option("--riskiest", type=click.IntRange(1), help="Only so many, least probable first.")
@HINDSIGHT
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
def score(
    events: Path,
    artifact: Path,
    as_of: str | None,
    close_by: str | None,
    within: tuple[float, ...],
    points: Path | None,
    out: Path | None,
    as_json: bool,
    riskiest: int | None,
    hindsight: bool,
    jobs: int,
) -> int:
    """Say how probably the open deals of EVENTS are won by a date, and why.

    With --close-by: every open deal's probability and drivers, as a table on the terminal, or
    into --out, or as --json. With --within 7 14 30: deal_id, as_of, days, probability, its range,
    and the probability with a missed gate counted as zero.
    """
    _check_choices(as_of, close_by, within, points, out, as_json)
    question = Question(
        as_of=None if as_of is None else microseconds(parse_time("--as-of", as_of)),
        points=None if points is None else read_points(points),
        close_by=None if close_by is None else read_date("--close-by", close_by),
        within_days=within,
        hindsight=hindsight,
        as_scores=close_by is not None and (as_json or out is None),
        most=None if as_json else 3,
    )
    scores: list[Score] = []
    tables: list[pa.Table] = []
    unscored = Unscored()
    asked = answered = 0
    with tqdm(desc="scoring", unit=" deals", disable=None) as progress:
        for answer in score_file(
            events,
            artifact,
            question,
            jobs=jobs,
            unscored=unscored,
            warn=_warn,
            step=progress.update,
        ):
            scores.extend(answer.scores)
            if answer.table is not None:
                tables.append(answer.table)
            asked += answer.asked
            answered += answer.answered
    wanted = asked if question.points is None else sum(map(len, question.points.values()))
    if answered == 0:
        raise _nothing_scored(wanted, question, unscored)
    if question.as_scores:
        scores = riskiest_first(scores)
        shown = scores[:riskiest] if as_json else scores[: riskiest or DEFAULT_RISKIEST]
        if as_json:
            json.dump([score.to_json() for score in shown], sys.stdout, allow_nan=False)
            click.echo()
        else:
            click.echo(score_table(shown, len(scores)))
        if all(score.probability is None for score in scores):
            _warn(f"none of {len(scores)} open deals gets a number: see what is known of them")
            return 1
    else:
        table = pa.concat_tables(tables)
        if riskiest is not None:
            table = riskiest_rows(table, len(within) or 1, riskiest)
        if out is not None:
            write_table(table, out)
            click.echo(f"{table.num_rows} rows of {answered} open deals in {out}")
        elif as_json:
            json.dump(_iso(table).to_pylist(), sys.stdout, allow_nan=False)
            click.echo()
        else:
            pa_csv.write_csv(_iso(table), sys.stdout.buffer)
    if unscored.by_reason:
        click.echo(f"{wanted - answered} of {wanted} points are not scored:", err=True)
        click.echo("\n".join(f"  {line}" for line in unscored.lines()), err=True)
        return 1
    return 0


def _warn(warning: str) -> None:
    click.echo(f"warning: {warning}", err=True)


def _nothing_scored(wanted: int, question: Question, unscored: Unscored) -> ScoreError:
    if question.points is None:
        given = f"{wanted} deals asked for, none of them open as known then"
        return ScoreError(given, "an open deal", "check --as-of and the events")
    given = "; ".join([f"{wanted} points asked for, none of them scored", *unscored.lines()])
    return ScoreError(given, "a point of an open deal", "check --points and the events")


def _check_choices(
    as_of: str | None,
    close_by: str | None,
    within: tuple[float, ...],
    points: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    if (as_of is None) == (points is None):
        raise ScoreError("--as-of and --points", "exactly one of them", "say when to score")
    if (close_by is None) == (not within):
        raise ScoreError(
            "--close-by and --within", "exactly one of them", "say what date to answer for"
        )
    if out is not None and as_json:
        raise ScoreError("--out and --json", "at most one of them", "choose one")
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise ScoreError(f"--out {out}", "a name ending in .csv or .parquet", "rename it")
    if out is not None:
        check_writable("--out", out)


def write_table(table: pa.Table, out: Path) -> None:
    """Write a table with a column ``as_of`` to .csv or .parquet, whole or not at all."""
    with whole_file(out) as part:
        if out.suffix == ".parquet":
            pq.write_table(table, part)
        else:
            pa_csv.write_csv(_iso(table), part)


def _iso(table: pa.Table) -> pa.Table:
    """Times as ISO 8601 text, which every reader of CSV and JSON understands."""
    texts = [from_microseconds(t).isoformat() for t in table["as_of"].cast(pa.int64()).to_pylist()]
    return table.set_column(table.column_names.index("as_of"), "as_of", pa.array(texts))


@click.command()
@EVENTS
@click.argument("deal")
@ARTIFACT
@click.option("--as-of", required=True, help=f"Explain what was known then: {MOMENT}.")
@click.option("--close-by", required=True, help="The date to be won by, inclusive.")
@click.option(
    "--drivers",
    "most",
    type=click.IntRange(1),
    default=12,
    show_default=True,
    help="How many to tell, the strongest first.",
)
@click.option("--since", help="Say too why it moved since this earlier date or time.")
@click.option(
    "--artifact-then",
    type=click.Path(path_type=Path),
    help="What was in force at --since, if another.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the score as JSON, with all drivers.",
)
@HINDSIGHT
def explain(
    events: Path,
    deal: str,
    artifact: Path,
    as_of: str,
    close_by: str,
    most: int,
    since: str | None,
    artifact_then: Path | None,
    as_json: bool,
    hindsight: bool,
) -> int:
    """Lay one DEAL of EVENTS open: the probability by date, what drives it, the facts.

    With --since: why the probability by that date moved, in steps that add up.
    """
    if artifact_then is not None and since is None:
        raise ScoreError("--artifact-then without --since", "both", "say since when")
    scorer = load_scorer(artifact)
    now = parse_time("--as-of", as_of)
    day = read_date("--close-by", close_by)
    history = History.from_table(read_deal(events, deal))
    record = read_record(events, microseconds(now))
    for warning in record.warnings(microseconds(now)):
        _warn(warning)
    check_moment(scorer, microseconds(now), hindsight=hindsight)
    check_close_by(scorer, day, microseconds(now))
    feeds = known_feeds(scorer, record)
    result = scorer.score(
        history,
        now,
        close_by=day,
        feeds=feeds,
        hindsight=hindsight,
        most=None if as_json else most,
    )
    if since is not None and result.probability is not None:
        change = explain_change(
            scorer,
            history,
            parse_time("--since", since),
            now,
            close_by=day,
            feeds=lambda scorer, moment: known_feeds(scorer, record.known_at(moment)),
            earlier=None if artifact_then is None else load_scorer(artifact_then),
            hindsight=hindsight,
        )
        result = replace(result, change=change)
    if as_json:
        json.dump(result.to_json(), sys.stdout, allow_nan=False)
        click.echo()
    else:
        click.echo(explanation(result))
    return 0
