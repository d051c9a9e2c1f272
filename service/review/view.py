"""The view model of a review: everything that page, mail and tables show, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from model.bridge import Bridge, bridge
from model.events import DAY_US, from_microseconds, microseconds
from model.feeds import Feeds
from model.history import History
from model.outlook import Outlook
from model.period import week_name
from model.scorer import Scorer
from service.batch import known_feeds
from service.record import Record
from service.review.deal_page import DealPage, deal_page
from service.review.deal_row import TREND_WEEKS, DealRow, deal_rows, flared
from service.review.past import CategoryRecord, PastQuarter, past_quarters
from service.review.question import Question
from service.review.week import Week, look, paths

MOST_FLARED: Final = 20  # laid open one by one; the others stand in the list
WEEK_US: Final = 7 * DAY_US


@dataclass(frozen=True, kw_only=True)
class Money:
    """The forecast in one currency, with last week's and the way from it.

    Parameters
    ----------
    outlook
        Of now.
    before
        Of the last review; None at the first one, or where the currency is new.
    bridge
        None without both.
    reach
        Probability to reach the target; None without one, or without a forecast.
    quarters, categories
        What the record says of past quarters.
    """

    outlook: Outlook
    before: Outlook | None
    bridge: Bridge | None
    reach: float | None
    quarters: Sequence[PastQuarter]
    categories: Sequence[CategoryRecord]


@dataclass(frozen=True, kw_only=True)
class Review:
    """The weekly forecast review.

    Parameters
    ----------
    question
        As asked.
    week
        ISO 8601 week of `Question.as_of`.
    notes
        What is missing or doubtful, and what to do: sentences.
    money
        By currency, the one of most deals first.
    rows
        Every open deal.
    flared
        Those to act on, in order.
    pages
        Deals laid open, by id.
    trend_weeks
        The days of each point of a trend.
    scorer
        Of the model in force; None without one.
    """

    question: Question
    week: str
    notes: Sequence[str]
    money: Sequence[Money]
    rows: Sequence[DealRow]
    flared: Sequence[DealRow]
    pages: dict[str, DealPage]
    trend_weeks: Sequence[date]
    scorer: Scorer | None

    @property
    def model_age_days(self) -> float | None:
        """Since the model's cut-off."""
        if self.scorer is None:
            return None
        return (microseconds(self.question.as_of) - self.scorer.known_before) / DAY_US


def make_review(
    history: History,
    record: Record,
    question: Question,
    scorer: Scorer | None,
    earlier: Scorer | None = None,
) -> Review:
    """Compute a review.

    Parameters
    ----------
    history
        All events.
    record
        What they cover, read until `Question.as_of`.
    scorer
        Of the model in force now; None where there is none yet.
    earlier
        Of the one in force at the last review, where it is another.

    Raises
    ------
    ScoreError
        If it would be hindsight and is not asked for.
    HorizonError
        If the period ends past what the model answers.
    """
    as_of, since = microseconds(question.as_of), microseconds(question.since)
    over = as_of >= question.period.end_us
    if over:
        scorer = earlier = None
    feeds = None
    if scorer is not None:
        scorer.check_as_of(as_of, question.hindsight)
        feeds = _told(scorer, record, as_of)
    now = look(scorer, history, as_of, question, feeds)
    old = earlier or scorer
    before = None
    far = old is not None and (question.period.end_us - since) / DAY_US > old.edges[-1]
    if old is not None and not far and (since >= old.known_before or question.hindsight):
        before = look(old, history, since, question, _told(old, record, since))
        before = before if before.deals else None
    trend = _trend(old, history, record, question, before)
    rows = deal_rows(scorer, history, now, before, trend, feeds)
    found = flared(rows)
    pages = {}
    if scorer is not None:
        for row in found[:MOST_FLARED]:
            if row.model_probability is not None:
                pages[row.deal.deal_id] = deal_page(
                    scorer,
                    history,
                    row,
                    question,
                    lambda each, moment: _told(each, record, moment),
                    feeds,
                    earlier,
                    moved=before is not None,
                )
    return Review(
        question=question,
        week=week_name(question.as_of),
        notes=_notes(question, scorer, now, before, over=over, far=far),
        money=_money(history, record, question, now, before, old, retrained=earlier is not None),
        rows=rows,
        flared=found,
        pages=pages,
        trend_weeks=[from_microseconds(week.as_of).date() for week in (*trend, now)],
        scorer=scorer,
    )


def _told(scorer: Scorer, record: Record, moment: int) -> Feeds:
    return known_feeds(scorer, record.known_at(moment))


def _trend(
    scorer: Scorer | None,
    history: History,
    record: Record,
    question: Question,
    before: Week | None,
) -> list[Week]:
    """The weeks before, the oldest first; none that the model would look back on unasked."""
    if scorer is None or before is None:
        return []
    found = [before]
    for _ in range(TREND_WEEKS - 1):
        moment = found[0].as_of - WEEK_US
        if moment < scorer.known_before and not question.hindsight:
            break
        if (question.period.end_us - moment) / DAY_US > scorer.edges[-1]:
            break
        found.insert(0, look(scorer, history, moment, question, _told(scorer, record, moment)))
    return found


def _money(
    history: History,
    record: Record,
    question: Question,
    now: Week,
    before: Week | None,
    old: Scorer | None,
    *,
    retrained: bool,
) -> list[Money]:
    way = (
        paths(
            history,
            before,
            now,
            old,
            _told(old, record, now.as_of),
            question.period,
            retrained=retrained,
        )
        if before is not None and old is not None
        else {}
    )
    found = []
    for outlook in now.outlooks:
        currency = outlook.currency
        last = None
        if before is not None:
            last = next((each for each in before.outlooks if each.currency == currency), None)
        made = None
        if before is not None and last is not None and last.forecast and outlook.forecast:
            made = bridge(
                [deal for deal in before.deals if deal.currency == currency],
                [deal for deal in now.deals if deal.currency == currency],
                question.period,
                then=before.shown,
                now=now.shown,
                paths=way,
                unopened=(
                    last.forecast.whole.unopened.expected,
                    outlook.forecast.whole.unopened.expected,
                ),
            )
        quarters, categories = past_quarters(history, now.as_of, question, now.deals, currency)
        found.append(
            Money(
                outlook=outlook,
                before=last,
                bridge=made,
                reach=None
                if question.target is None or outlook.forecast is None
                else outlook.forecast.reach(question.target),
                quarters=quarters,
                categories=categories,
            )
        )
    return found


def _notes(
    question: Question,
    scorer: Scorer | None,
    now: Week,
    before: Week | None,
    *,
    over: bool,
    far: bool,
) -> list[str]:
    notes = []
    if over:
        notes.append(
            f"The quarter ended on {question.period.last}: below is what it came to. For a "
            "forecast ask for a later --close-by, or an earlier --week."
        )
    elif not now.deals:
        notes.append(
            "No deal is known yet. Import your CRM's history with redflare import, then look again."
        )
    elif scorer is None:
        notes.append(
            "There is no model yet: what was won stands below, and every open deal without a "
            "probability. Train one with redflare train, and name its folder with --artifact."
        )
    elif not now.opened:
        notes.append("No deal is open: what was won stands below, and deals not yet opened.")
    elif not now.shown:
        notes.append(
            "No open deal can be given a probability, since too little is known of each: import "
            "the CRM's contacts and history of late, and look at “data quality” in the list below."
        )
    if scorer is not None and now.deals and far:
        notes.append(
            "There is no forecast of last week to compare with: the quarter's end lay further "
            "ahead than the model answers. Train with edges that reach further, or come back next "
            "week."
        )
    elif scorer is not None and now.deals and before is None:
        notes.append(
            "There is no forecast of last week to compare with: the model's cut-off lies after "
            "it. Name the model in force then with --artifact-then, or come back next week."
        )
    if scorer is not None and "forecast" not in scorer.artifact.facts:
        notes.append(
            "The model keeps nothing of deals not yet opened, nor of how all deals move together: "
            "the ranges are too narrow. Train it again with this release."
        )
    if len(now.outlooks) > 1:
        named = ", ".join(each.currency or "without a currency" for each in now.outlooks)
        notes.append(
            f"The deals are in several currencies ({named}) and are not added up. Name what they "
            "are worth with --rates."
        )
    return notes
