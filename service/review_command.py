"""The command `review`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from model.errors import ScoreError
from model.events import microseconds
from model.period import quarter_until, week_begin
from model.places import check_writable, part_of
from service.batch import load_scorer
from service.commands import EVENTS, HINDSIGHT
from service.fields import read_date
from service.review.question import Question, read_rates

SUFFIXES: Final = (".html", ".csv")


@click.command()
@EVENTS
@click.option("--week", required=True, help="ISO 8601, such as 2026-W03: as known on its Monday.")
@click.option("--close-by", required=True, help="The quarter's last day: won by then counts.")
@click.option(
    "--artifact", type=click.Path(path_type=Path), help="What train wrote; none shows what was won."
)
@click.option(
    "--artifact-then",
    type=click.Path(path_type=Path),
    help="What was in force a week before, if another.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write .html or .csv.")
@click.option("--mail", "mail_to", type=click.Path(path_type=Path), help="Write a mail, .eml.")
@click.option("--target", type=click.FloatRange(0), help="Won amount to reach.")
@click.option("--segment", help="The field that divides deals into segments.")
@click.option("--rates", type=click.Path(path_type=Path), help="TOML of what currencies are worth.")
@click.option(
    "--fiscal-year-month",
    type=click.IntRange(1, 12),
    default=1,
    show_default=True,
    help="The month with which the fiscal year begins.",
)
@HINDSIGHT
def review(
    events: Path,
    week: str,
    close_by: str,
    artifact: Path | None,
    artifact_then: Path | None,
    out: Path | None,
    mail_to: Path | None,
    target: float | None,
    segment: str | None,
    rates: Path | None,
    fiscal_year_month: int,
    hindsight: bool,
) -> int:
    """Write the weekly forecast review of EVENTS: the quarter, what moved, which deals to act on.

    One page that needs nothing beside itself, its numbers as CSV, or a mail with the page attached.
    """
    _check(out, mail_to, artifact, artifact_then)
    as_of = week_begin(week)
    question = Question(
        as_of=as_of,
        since=as_of - timedelta(days=7),
        period=quarter_until(read_date("--close-by", close_by), fiscal_year_month),
        segment=segment,
        target=target,
        rates=None if rates is None else read_rates(rates),
        fiscal_year_month=fiscal_year_month,
        hindsight=hindsight,
    )
    from service.review.gathering import Models, gather
    from service.review.mail import mail, summary
    from service.review.numbers import numbers
    from service.review.page import page
    from service.review.source import file_source
    from service.review.view import laid_open, review_of

    source = file_source(events)
    record = source.record(microseconds(as_of))
    warning = record.check(microseconds(as_of))
    if warning is not None:
        click.echo(f"warning: {warning}", err=True)
    models = Models(
        now=None if artifact is None else load_scorer(artifact),
        earlier=None if artifact_then is None else load_scorer(artifact_then),
    )
    gathered = gather(source.shards(), record, question, models)
    made = laid_open(gathered, review_of(gathered), source.of_deal)
    written = page(made)
    if out is not None:
        _write(out, (written if out.suffix == ".html" else numbers(made)).encode())
    if mail_to is not None:
        _write(mail_to, mail(made, written))
    click.echo(summary(made) if out is None and mail_to is None else _told(out, mail_to))
    return 0


def _check(
    out: Path | None, mail_to: Path | None, artifact: Path | None, artifact_then: Path | None
) -> None:
    if out is not None:
        if out.suffix not in SUFFIXES:
            raise ScoreError(f"--out {out}", "a name ending in .html or .csv", "rename it")
        check_writable("--out", out)
    if mail_to is not None:
        if mail_to.suffix != ".eml":
            raise ScoreError(f"--mail {mail_to}", "a name ending in .eml", "rename it")
        check_writable("--mail", mail_to)
    if artifact is None and artifact_then is not None:
        raise ScoreError("--artifact-then without --artifact", "both", "name the one in force now")


def _write(path: Path, content: bytes) -> None:
    part = part_of(path)
    part.write_bytes(content)
    part.replace(path)


def _told(*paths: Path | None) -> str:
    return "\n".join(str(path) for path in paths if path is not None)
