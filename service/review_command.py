"""The command `review`."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from model.errors import ScoreError
from model.events import microseconds
from model.period import quarter_until, week_begin
from model.places import check_writable, whole_file
from service.batch import load_scorer
from service.commands import HINDSIGHT
from service.fields import read_date
from service.review.question import Question, read_rates
from service.storage.database import FORMS

if TYPE_CHECKING:
    from service.review.gathering import Models
    from service.review.source import Source
    from service.review.view import Review

SUFFIXES: Final = (".html", ".csv", ".xlsx")


@click.command()
@click.argument("events", required=False, type=click.Path(path_type=Path))
@click.option(
    "--database", "url", help=f"Review what a database of the service holds, instead: {FORMS}."
)
@click.option("--week", required=True, help="ISO 8601, such as 2026-W03: as known on its Monday.")
@click.option("--close-by", required=True, help="The quarter's last day: won by then counts.")
@click.option(
    "--artifact",
    type=click.Path(path_type=Path),
    help="What train wrote; none shows what was won. With --database: the models in force.",
)
@click.option(
    "--artifact-then",
    type=click.Path(path_type=Path),
    help="What was in force a week before, if another.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write .html, .csv or .xlsx.")
@click.option(
    "--mail",
    "mail_to",
    help="Write a mail, .eml; or send it by the destination of this name in REDFLARE_DESTINATIONS.",
)
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
def review(  # noqa: PLR0913, PLR0917 - one for each option
    events: Path | None,
    url: str | None,
    week: str,
    close_by: str,
    artifact: Path | None,
    artifact_then: Path | None,
    out: Path | None,
    mail_to: str | None,
    target: float | None,
    segment: str | None,
    rates: Path | None,
    fiscal_year_month: int,
    hindsight: bool,
) -> int:
    """Write the weekly forecast review of EVENTS: the quarter, what moved, which deals to act on.

    One page that needs nothing beside itself, its numbers as CSV or a workbook, or a mail with the
    page attached.
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
    from service.review.gathering import Models

    given = Models(
        now=None if artifact is None else load_scorer(artifact),
        earlier=None if artifact_then is None else load_scorer(artifact_then),
    )
    made = _made(events, url, question, given)
    _deliver(made, out, mail_to)
    return 0


def _made(events: Path | None, url: str | None, question: Question, given: Models) -> Review:
    from service.review.source import database_source, file_source, models_at

    if (events is None) == (url is None):
        raise ScoreError(
            "neither EVENTS nor --database" if url is None else "both EVENTS and --database",
            "one of them",
            "say what to review",
        )
    if events is not None:
        return _of(file_source(events), question, given)
    from service.database_commands import opened

    with opened(url or "") as database:
        models = given if given.now is not None else models_at(database, question)
        with database_source(database) as source:
            return _of(source, question, models)


def _of(source: Source, question: Question, models: Models) -> Review:
    from service.review.gathering import gather
    from service.review.view import laid_open, review_of
    from service.review.words import a_few

    as_of = microseconds(question.as_of)
    record = source.record(as_of)
    warning = record.check(as_of)
    if warning is not None:
        click.echo(f"warning: {warning}", err=True)
    gathered = gather(source.shards(), record, question, models)
    deals = gathered.now.deals
    if question.segment is not None and deals and all(deal.segment is None for deal in deals):
        raise ScoreError(
            f"--segment {question.segment}, a field that no deal has",
            f"a field of text, such as {a_few(source.fields(as_of))}",
            "name one of these, or leave --segment out",
        )
    if gathered.before is None and models.now is not None and models.earlier is None:
        click.echo("note: --artifact-then names the model in force a week before, if any", err=True)
    return laid_open(gathered, review_of(gathered), source.of_deal)


def _deliver(made: Review, out: Path | None, mail_to: str | None) -> None:
    from service.review.mail import mail, message, send, summary
    from service.review.numbers import numbers
    from service.review.page import page
    from service.review.workbook import workbook

    told = []
    written = page(made)
    if out is not None:
        makers: dict[str, Callable[[], bytes]] = {
            ".html": written.encode,
            ".csv": lambda: numbers(made).encode(),
            ".xlsx": lambda: workbook(made),
        }
        _write(out, makers[out.suffix]())
        told.append(f"{out}")
    if mail_to is not None and mail_to.endswith(".eml"):
        _write(Path(mail_to), mail(made, written))
        told.append(mail_to)
    elif mail_to is not None:
        got = send(message(made, written), mail_to, os.environ, datetime.now(UTC))
        told.append(f"mailed to {', '.join(got)}")
    click.echo("\n".join(told) or summary(made))


def _check(
    out: Path | None, mail_to: str | None, artifact: Path | None, artifact_then: Path | None
) -> None:
    if out is not None:
        if out.suffix not in SUFFIXES:
            raise ScoreError(f"--out {out}", "a name ending in .html, .csv or .xlsx", "rename it")
        check_writable("--out", out)
    if mail_to is not None and mail_to.endswith(".eml"):
        check_writable("--mail", Path(mail_to))
    if artifact is None and artifact_then is not None:
        raise ScoreError("--artifact-then without --artifact", "both", "name the one in force now")


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as part:
        part.write_bytes(content)
