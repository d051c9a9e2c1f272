"""The command `flares`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import click

from model.errors import ScoreError
from model.events import from_microseconds, microseconds, parse_time
from model.feature import counted, number_in_words
from model.places import check_writable
from model.red_flare import WEEK_US
from service.batch import check_moment, known_feeds, load_scorer
from service.commands import ARTIFACT, EVENTS, HINDSIGHT, MOMENT, write_table
from service.flares import FlaredDeal, Look, flare_table, flared_deals
from service.record import read_record
from service.tables import text_table

MOST_SHOWN: Final = 20  # on the terminal


@click.command()
@EVENTS
@ARTIFACT
@click.option("--as-of", required=True, help=f"As known then: {MOMENT}.")
@click.option("--since", help="Mark those newly raised since this earlier date or time.")
@click.option("--out", type=click.Path(path_type=Path), help="Write all to .csv or .parquet.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of all.")
@HINDSIGHT
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
def flares(
    events: Path,
    artifact: Path,
    as_of: str,
    since: str | None,
    out: Path | None,
    as_json: bool,
    hindsight: bool,
    jobs: int,
) -> int:
    """List the open deals of EVENTS that call for somebody today, and why.

    A red flare is a must-hit milestone missed, no real customer contact for 60 days, an expected
    value fallen by 40 % in a week, or a probability below 0.7 of what is usual (what was fallen or
    low a week before is so until well above). Deals with the most value at risk, amount times the
    model's own probability, come first. --since only marks.
    """
    if out is not None:
        if as_json:
            raise ScoreError("--out and --json", "at most one of them", "choose one")
        if out.suffix not in (".csv", ".parquet"):
            raise ScoreError(f"--out {out}", "a name ending in .csv or .parquet", "rename it")
        check_writable("--out", out)
    scorer = load_scorer(artifact)
    now = microseconds(parse_time("--as-of", as_of))
    check_moment(scorer, now, hindsight=hindsight)
    then = None
    if since is not None:
        then = microseconds(parse_time("--since", since))
        if then >= now:
            raise ScoreError(
                f"--since {since}", f"a time before --as-of {as_of}", "choose an earlier one"
            )
        check_moment(scorer, then, hindsight=hindsight, name="since")
    record = read_record(events, now)
    for warning in record.warnings(now):
        click.echo(f"warning: {warning}", err=True)
    if min(now, then or now) - WEEK_US < scorer.known_before and not hindsight:
        click.echo(
            "note: a week before, the artifact's cut-off had not come "
            f"({from_microseconds(scorer.known_before).date()}), so that nothing says what an "
            "expected value fell from",
            err=True,
        )
    look = Look(as_of=now, since=then, hindsight=hindsight)
    deals, count = flared_deals(events, artifact, look, known_feeds(scorer, record), jobs=jobs)
    if count == 0:
        raise ScoreError(
            "events of which no deal was open as known then",
            "an open deal",
            "check --as-of and the events",
        )
    if as_json:
        json.dump([deal.to_json() for deal in deals], sys.stdout, allow_nan=False)
        click.echo()
    elif out is not None:
        write_table(flare_table(deals), out)
        click.echo(f"{len(deals)} of {counted(count, 'open deal')} in {out}")
    else:
        click.echo(flares_text(deals, count, as_of, since))
    return 0


def flares_text(deals: list[FlaredDeal], of: int, as_of: str, since: str | None) -> str:
    """The first deals as a table, one sentence each.

    Parameters
    ----------
    deals
        In the order to show.
    of
        How many open deals there are.
    as_of, since
        As asked.
    """
    title = f"{len(deals)} of {counted(of, 'open deal')} with red flares as of {as_of}"
    if since is not None:
        title += f", {sum(deal.is_new for deal in deals)} of them new since {since}"
    if not deals:
        return f"{title}."
    title += ". Value at risk, amount times the model's own probability, first."
    rows = [
        (
            deal.deal_id,
            "-" if deal.value_at_risk is None else number_in_words(round(deal.value_at_risk)),
            "new" if deal.is_new else "",
            deal.sentence,
        )
        for deal in deals[:MOST_SHOWN]
    ]
    table = text_table(("deal", "at risk", "", "why"), rows, right=(1,))
    rest = len(deals) - MOST_SHOWN
    more = f"\n\nand {rest} more: --json or --out has all" if rest > 0 else ""
    return f"{title}\n\n{table}{more}"
