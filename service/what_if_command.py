"""The command `whatif`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from model.errors import WhatIfError
from model.event_table import read_deal
from model.events import microseconds, parse_time
from model.history import History
from model.hypothetical import TAKES, parse_hypothetical
from model.what_if import what_if
from service.batch import check_close_by, check_moment, known_feeds, load_scorer
from service.commands import ARTIFACT, EVENTS, HINDSIGHT
from service.fields import read_date
from service.record import read_record
from service.what_if_text import what_if_text

NOTATION = f"""\b
An event is its kind and what the kind says:
  customer_replied
  meeting_held onsite
  commercial_talks_started
  close_date_changed 2026-06-30
  amount_changed 48000
  milestone_reached security review
  milestone_moved security review 2026-04-15
  milestone_missed security review      as if its due date had passed
  stage_changed Proposal                with its order where it is new: Proposal = 4
  field_changed region = north

Kinds: {", ".join(TAKES)}."""


@click.command(epilog=NOTATION)
@EVENTS
@click.argument("deal")
@ARTIFACT
@click.option("--as-of", required=True, help="When they happen: a date or time, UTC.")
@click.option("--close-by", required=True, help="The date to be won by, inclusive.")
@click.option(
    "--event",
    "texts",
    multiple=True,
    metavar="EVENT",
    help="What is supposed; several happen in the order given.",
)
@click.option("--best", is_flag=True, help="Suppose each action still open, alone.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, all drivers.")
@HINDSIGHT
def whatif(
    events: Path,
    deal: str,
    artifact: Path,
    as_of: str,
    close_by: str,
    texts: tuple[str, ...],
    best: bool,
    as_json: bool,
    hindsight: bool,
) -> int:
    """Suppose that something happens to one DEAL of EVENTS now: the probability with it.

    With --event: before and after, and the change by driver. With --best: what would raise it
    most, among the actions still open, each beside what past deals as probable did with it and
    without. Events happen at --as-of: what else happens until a later time is not known.
    It says what such deals did, not what an action causes.
    """
    if not texts and not best:
        raise WhatIfError(
            "neither --event nor --best", "at least one of them", "say what to suppose"
        )
    supposed = [parse_hypothetical(text) for text in texts]
    scorer = load_scorer(artifact)
    now = parse_time("--as-of", as_of)
    day = read_date("--close-by", close_by)
    history = History.from_table(read_deal(events, deal))
    record = read_record(events, microseconds(now))
    for warning in record.warnings(microseconds(now)):
        click.echo(f"warning: {warning}", err=True)
    check_moment(scorer, microseconds(now), hindsight=hindsight)
    check_close_by(scorer, day, microseconds(now))
    told = what_if(
        scorer,
        history,
        now,
        supposed,
        close_by=day,
        feeds=known_feeds(scorer, record),
        hindsight=hindsight,
        best=None if best else 0,
    )
    if as_json:
        json.dump(told.to_json(), sys.stdout, allow_nan=False)
        click.echo()
    else:
        click.echo(what_if_text(told))
    return 0
