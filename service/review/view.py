"""The view model of a review: everything that page, mail and tables show, of all deals or some."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import pyarrow as pa

from model.bridge import Bridge, bridge
from model.events import DAY_US, microseconds
from model.history import History
from model.outlook import Outlook
from model.period import week_name
from model.pipeline import Deal
from model.scorer import Scorer
from service.review.deal_page import DealPage, deal_page
from service.review.deal_row import DealRow, flared
from service.review.gathering import Gathered, told
from service.review.past import Past, past_of
from service.review.question import Question
from service.review.week import Week, chosen_of, outlooks_of

MOST_FLARED = 20  # laid open one by one; the others stand in the list
OfDeal = Callable[[str], pa.Table]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which deals a review is of; all of them unless something is chosen.

    Parameters
    ----------
    owner, segment
        Of the deals, as known now; empty chooses those that have none.
    seen
        The deals that may be seen at all, by id: rights go by who owns a deal now, whatever week is
        shown. None: every deal.
    """

    owner: str | None = None
    segment: str | None = None
    seen: frozenset[str] | None = None

    @property
    def is_all(self) -> bool:
        """Whether it leaves nothing out."""
        return self.owner is None and self.segment is None and self.seen is None

    def takes(self, deal: Deal) -> bool:
        """Whether it takes a deal, as known at some moment."""
        return (
            (self.seen is None or deal.deal_id in self.seen)
            and self.owner in (None, deal.owner or "")
            and self.segment in (None, deal.segment or "")
        )


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
    target
        Won amount to reach; None where the one asked about is not of this forecast: it is of all
        deals, in one currency.
    reach
        Probability to reach it; None without one, or without a forecast.
    past
        Past forecasts against what came.
    of_category
        For each of the rep's categories the mean probability of the open deals in it that have a
        number, and how many they are.
    """

    outlook: Outlook
    before: Outlook | None
    bridge: Bridge | None
    target: float | None
    reach: float | None
    past: Past
    of_category: Mapping[str, tuple[float, int]]


@dataclass(frozen=True, kw_only=True)
class Review:
    """The weekly forecast review.

    Parameters
    ----------
    question
        As asked.
    choice
        Which deals it is of.
    week
        ISO 8601 week of `Question.as_of`.
    notes
        What is missing or doubtful, and what to do: sentences.
    money
        By currency, the one of most deals first.
    rows
        Every open deal, the largest expected amount first.
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
    choice: Choice
    week: str
    notes: Sequence[str]
    money: Sequence[Money]
    rows: Sequence[DealRow]
    flared: Sequence[DealRow]
    trend_weeks: Sequence[date]
    scorer: Scorer | None
    pages: dict[str, DealPage] = field(default_factory=dict)

    @property
    def told_flares(self) -> Sequence[DealRow]:
        """The flared deals that have a card; one that has no number is not in `pages`."""
        return self.flared[:MOST_FLARED]

    @property
    def model_age_days(self) -> float | None:
        """Since the model's cut-off."""
        if self.scorer is None:
            return None
        return (microseconds(self.question.as_of) - self.scorer.known_before) / DAY_US


EVERYTHING = Choice()


def review_of(gathered: Gathered, choice: Choice = EVERYTHING) -> Review:
    """The review of all deals, or of those chosen; none is laid open yet."""
    now, before, past = gathered.now, gathered.before, gathered.past
    rows = gathered.rows
    if not choice.is_all:
        chosen = _chosen(gathered, choice)
        now = chosen_of(now, chosen)
        before = None if before is None else chosen_of(before, chosen)
        past = [(moment, chosen_of(week, chosen)) for moment, week in past]
        rows = [row for row in rows if row.deal.deal_id in chosen]
    shown = replace(gathered, now=now, before=before, past=past)
    money = _money(shown, choice)
    said = {each.outlook.currency: each.past for each in money}
    rows = sorted(
        (replace(row, said=said[row.deal.currency].said(row.deal)) for row in rows),
        key=lambda row: (-row.expected, -(row.deal.amount or 0.0), row.deal.deal_id),
    )
    return Review(
        question=gathered.question,
        choice=choice,
        week=week_name(gathered.question.as_of),
        notes=_notes(shown, choice, money),
        money=money,
        rows=rows,
        flared=flared(rows),
        trend_weeks=gathered.trend_weeks,
        scorer=gathered.models.now,
    )


def laid_open(gathered: Gathered, review: Review, of_deal: OfDeal) -> Review:
    """The same review with its first red flares laid open.

    Parameters
    ----------
    of_deal
        Answers a deal's events.
    """
    pages = {}
    for row in review.told_flares:
        page = page_of(gathered, row, of_deal(row.deal.deal_id))
        if page is not None:
            pages[row.deal.deal_id] = page
    return replace(review, pages=pages)


def page_of(gathered: Gathered, row: DealRow, events: pa.Table) -> DealPage | None:
    """One deal laid open; None where it has no number.

    Parameters
    ----------
    events
        Of the deal alone.
    """
    scorer, record = gathered.models.now, gathered.record
    if scorer is None or row.model_probability is None:
        return None
    return deal_page(
        scorer,
        History.from_table(events),
        row,
        gathered.question,
        lambda each, moment: told(each, record, moment),
        told(scorer, record, gathered.now.as_of),
        gathered.models.earlier,
        moved=gathered.before is not None,
    )


def _chosen(gathered: Gathered, choice: Choice) -> frozenset[str]:
    """The deals chosen by how they stand now, or stood last, where they are gone."""
    weeks = [gathered.now, *([] if gathered.before is None else [gathered.before])]
    seen: set[str] = set()
    found: set[str] = set()
    for week in weeks:
        for deal in week.deals:
            if deal.deal_id not in seen and choice.takes(deal):
                found.add(deal.deal_id)
        seen |= {deal.deal_id for deal in week.deals}
    return frozenset(found)


def _money(gathered: Gathered, choice: Choice) -> list[Money]:
    question, now, before = gathered.question, gathered.now, gathered.before
    unopened = choice.is_all
    made_before = (
        []
        if before is None
        else outlooks_of(before, gathered.models.then, question, unopened=unopened)
    )
    then_in = {} if before is None else {deal.deal_id: deal.currency for deal in before.deals}
    recoined = {
        deal.deal_id
        for deal in now.deals
        if then_in.get(deal.deal_id, deal.currency) != deal.currency
    }
    found = []
    made_now = outlooks_of(now, gathered.models.now, question, unopened=unopened)
    target = question.target if choice.is_all and len(made_now) == 1 else None
    for outlook in made_now:
        currency = outlook.currency
        last = next((each for each in made_before if each.currency == currency), None)
        made = None
        if before is not None and last is not None and last.forecast and outlook.forecast:
            made = bridge(
                [deal for deal in before.deals if deal.currency == currency],
                [deal for deal in now.deals if deal.currency == currency],
                question.period,
                then=before.shown,
                now=now.shown,
                paths=gathered.ways,
                unopened=(
                    last.forecast.whole.unopened.expected,
                    outlook.forecast.whole.unopened.expected,
                ),
                recoined=recoined,
            )
        found.append(
            Money(
                outlook=outlook,
                before=last,
                bridge=made,
                target=target,
                reach=None
                if target is None or outlook.forecast is None
                else outlook.forecast.reach(target),
                past=past_of(
                    gathered.past,
                    now,
                    question,
                    gathered.models.at,
                    currency,
                    unopened=unopened,
                ),
                of_category=_of_category(now, currency),
            )
        )
    return found


def _of_category(week: Week, currency: str) -> dict[str, tuple[float, int]]:
    found: dict[str, list[float]] = defaultdict(list)
    for deal in week.opened:
        if deal.currency == currency and deal.deal_id in week.shown:
            found[deal.category or ""].append(week.shown[deal.deal_id])
    return {name: (sum(shares) / len(shares), len(shares)) for name, shares in found.items()}


def _notes(gathered: Gathered, choice: Choice, money: Sequence[Money]) -> list[str]:
    question, scorer, now = gathered.question, gathered.models.now, gathered.now
    notes = []
    if question.is_over:
        notes.append(
            f"The quarter ended on {question.period.last}: below is what it came to. For a "
            "forecast ask for a later quarter, or an earlier week."
        )
    elif not now.deals and not choice.is_all:
        notes.append(
            f"No deal of those asked for is known by {question.as_of:%F}: ask for another owner or "
            "segment, or a later week."
        )
    elif not now.deals:
        notes.append(
            "No deal is known yet. Import your CRM's history with redflare import, then look again."
        )
    elif scorer is None:
        notes.append(
            gathered.models.refused
            or "There is no model yet: what was won stands below, and every open deal without a "
            "probability. Train one with redflare train; name its folder with --artifact, or put "
            "it in force with redflare model install."
        )
    elif not now.opened:
        notes.append("No deal is open: what was won stands below, and deals not yet opened.")
    elif not now.shown:
        notes.append(
            "No open deal can be given a probability, since too little is known of each: import "
            "the CRM's contacts and history of late, and look at “data quality” in the list below."
        )
    if now.shown and question.period.begin_us > now.as_of:
        notes.append(
            f"The quarter begins on {question.period.first}: probabilities in the list are to be "
            "won within it. A deal's curve, drivers and what-if are of a win by its end, before it "
            "too."
        )
    if scorer is not None and now.deals and gathered.far:
        notes.append(
            "There is no forecast of last week to compare with: the quarter's end lay further "
            "ahead than the model answers. Train with edges that reach further, or come back next "
            "week."
        )
    elif scorer is not None and now.deals and gathered.before is None:
        notes.append(
            "There is no forecast of last week to compare with: the model's cut-off lies after "
            "it. Compare from next week on."
        )
    if scorer is not None and "forecast" not in scorer.artifact.facts:
        notes.append(
            "The model keeps nothing of deals not yet opened, nor of how all deals move together: "
            "the ranges are too narrow. Train it again with this release."
        )
    if len(money) > 1:
        named = ", ".join(each.outlook.currency or "without a currency" for each in money)
        notes.append(
            f"The deals are in several currencies ({named}) and are not added up. Name what they "
            "are worth with --rates, or for the service with REDFLARE_REVIEW_RATES."
        )
    return notes + _target_notes(question, choice, money)


def _target_notes(question: Question, choice: Choice, money: Sequence[Money]) -> list[str]:
    """Why a target is held against no forecast."""
    if question.target is None or not any(each.outlook.forecast for each in money):
        return []
    if not choice.is_all:
        return ["The target is of all deals, and only some are shown: it is left out."]
    if len(money) > 1:
        told = "The target is of one currency, and the deals are in several: it is left out until "
        return [f"{told}there are rates."]
    return []
