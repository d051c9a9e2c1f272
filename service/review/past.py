"""What was forecast at past moments against what came, and how often the rep's word came true.

Quarters that are over are looked at as late in them as the review is in its own, and the last weeks
from their begin. What the model in force then would have said is scored as of then; where only a
later model is at hand, which has learned from what came, that is hindsight: it is marked so, and
tells nothing of how reliable what was said is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from model.data_quality import DataQuality
from model.events import DAY_US, from_microseconds
from model.forecast import Spread
from model.period import Period, quarter_until
from model.pipeline import Deal
from model.scored import Checks
from model.scorer import Scorer
from service.review.question import Question
from service.review.week import Week, outlooks_of

QUARTERS: Final = 4
WEEKS: Final = 8
WEEK_US: Final = 7 * DAY_US
BINS: Final = 10  # of the reliability diagram
# How sure a rep's word is taken to be until there is a record of it, most first.
SURE: Final = {"commit": 0.7, "best case": 0.4, "pipeline": 0.15, "omitted": 0.05}
# What is kept of a past moment's checks.
_NOTHING_SAID: Final = DataQuality(verdict="good", findings=())
SCORABLE: Final = Checks(gates=(), data_quality=_NOTHING_SAID, unusual=())
UNSCORABLE: Final = replace(SCORABLE, data_quality=replace(_NOTHING_SAID, verdict="unscorable"))
ScorerAt = Callable[[int], Scorer | None]  # at a past moment, microseconds since 1970 UTC
WORTH: Final = 10  # deals: how much that, or all reps' record, counts beside a rep's own


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A past moment to look at, and the period that is forecast then.

    Parameters
    ----------
    period
        Over by now.
    as_of
        Microseconds since 1970 UTC.
    kind
        ``quarter`` or ``week``.
    """

    period: Period
    as_of: int
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PastForecast:
    """A forecast of the past, and what came.

    Parameters
    ----------
    moment
        When, and of what.
    total
        The won amount as forecast; None where nothing could be said.
    hindsight
        Whether the model had learned from what came.
    won_then, won
        Amount won by that moment, as known then, and in the end, as known now; where deals not yet
        opened then were not forecast, they do not count in the end either.
    open_then
        Amount of the deals open then.
    """

    moment: Moment
    total: Spread | None
    hindsight: bool
    won_then: float
    won: float
    open_then: float

    @property
    def held(self) -> bool | None:
        """Whether what came lies within P10 to P90; None without a forecast."""
        if self.total is None:
            return None
        return self.total.p10 <= self.won <= self.total.p90


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoryRecord:
    """How often one of the rep's forecast categories came true in past quarters.

    Parameters
    ----------
    category
        Empty where the rep said none.
    deals, won
        Deals open in it at the moments looked at, and those of them won in the quarter.
    """

    category: str
    deals: int
    won: int

    @property
    def share(self) -> float:
        """Share of them that was won."""
        return self.won / self.deals


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliable:
    """Deals that were given about the same probability to be won by a past quarter's end.

    Parameters
    ----------
    said
        The mean of what was said.
    won
        Share that was won.
    deals
        How many they are.
    """

    said: float
    won: float
    deals: int


@dataclass(frozen=True, kw_only=True)
class Past:
    """What the record says of past forecasts.

    Parameters
    ----------
    quarters, weeks
        The latest first.
    categories
        The surest first.
    reliability
        In bins of probability, ascending, without hindsight.
    words
        How often a rep's word came true, by owner and category.
    """

    quarters: Sequence[PastForecast] = ()
    weeks: Sequence[PastForecast] = ()
    categories: Sequence[CategoryRecord] = ()
    reliability: Sequence[Reliable] = ()
    words: Mapping[tuple[str, str], CategoryRecord] = field(default_factory=dict)

    def said(self, deal: Deal) -> float | None:
        """How sure a rep's category is by the record: the rep's own, leaning on everybody's.

        None where neither a record nor the field's custom knows the category.

        Examples
        --------
        >>> deal = Deal(index=0, deal_id="D-1", status="open", opened_us=0, closed_us=None,
        ...     amount=None, currency="EUR", owner="ann", stage=None, category="Commit",
        ...     segment=None, close_date=None)
        >>> Past().said(deal)
        0.7
        >>> record = CategoryRecord(category="Commit", deals=10, won=1)
        >>> round(Past(categories=[record], words={("ann", "Commit"): record}).said(deal), 2)
        0.25
        """
        name = deal.category or ""
        custom = SURE.get(name.lower().replace("_", " "))
        everybody = next((each for each in self.categories if each.category == name), None)
        if custom is None and (everybody is None or everybody.deals < WORTH):
            return None
        sure = _leaning(everybody, 0.0 if custom is None else custom, custom is not None)
        return _leaning(self.words.get((deal.owner or "", name)), sure, leans=True)


def _leaning(record: CategoryRecord | None, toward: float, leans: bool) -> float:
    worth = WORTH if leans else 0
    if record is None:
        return toward
    return (record.won + worth * toward) / (record.deals + worth)


def moments(question: Question, as_of: int) -> list[Moment]:
    """The past moments that a review looks back at, the latest first: quarters, then weeks."""
    found: list[Moment] = []
    left = question.period.end_us - as_of
    period = question.period
    while left > 0 and len(found) < QUARTERS:
        period = quarter_until(period.first - timedelta(days=1), question.fiscal_year_month)
        if period.end_us <= as_of:
            found.append(Moment(period=period, as_of=period.end_us - left, kind="quarter"))
    for back in range(1, WEEKS + 1):
        then = as_of - back * WEEK_US
        first = from_microseconds(then).date()
        week = Period(first=first, last=first + timedelta(days=6))
        if week.end_us <= as_of:
            found.append(Moment(period=week, as_of=then, kind="week"))
    return found


def trimmed(week: Week, period: Period, now: Week) -> Week:
    """A past moment with no more than its forecast looks at, for many are kept.

    Parameters
    ----------
    period
        Whose wins count.
    now
        Shares the deals that stand now as they did then.
    """
    same = {deal.deal_id: deal for deal in now.deals}

    def shared(deal: Deal) -> Deal:
        known = same.get(deal.deal_id)
        return known if known == deal and known is not None else deal

    opened = [shared(deal) for deal in week.opened]
    won = [
        shared(deal)
        for deal in week.deals
        if deal.status == "won" and period.holds(deal.closed_us or 0)
    ]
    of_open = week.of_open
    if of_open is not None:
        checks = [SCORABLE if each.scorable else UNSCORABLE for each in of_open.checks]
        of_open = replace(of_open, checks=checks)
    return replace(week, deals=[*opened, *won], opened=opened, of_open=of_open)


def past_of(
    looks: Iterable[tuple[Moment, Week]],
    now: Week,
    question: Question,
    scorer_at: ScorerAt,
    currency: str,
    *,
    unopened: bool = True,
) -> Past:
    """Set past forecasts beside what came, in one currency.

    Parameters
    ----------
    looks
        Past moments, as looked at then; those before the record's begin are left out.
    now
        As known now.
    scorer_at
        What made the chances of each past moment.
    unopened
        As `outlooks_of` takes it.
    """
    begun = min((deal.opened_us for deal in now.deals), default=now.as_of)
    at_last = {deal.deal_id: deal for deal in now.deals if deal.currency == currency}
    found: dict[str, list[PastForecast]] = {"quarter": [], "week": []}
    words: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    pairs: list[tuple[float, bool]] = []
    for moment, week in looks:
        if moment.period.begin_us < begun:
            continue
        scorer = scorer_at(moment.as_of)
        made = _forecast(moment, week, at_last, question, scorer, currency, unopened=unopened)
        found[moment.kind].append(made)
        if moment.kind != "quarter":
            continue
        for deal in week.opened:
            if deal.currency != currency:
                continue
            came = _won_in(moment.period, at_last.get(deal.deal_id))
            count = words[deal.owner or "", deal.category or ""]
            count[0] += 1
            count[1] += came
            if deal.deal_id in week.shown and not made.hindsight:
                pairs.append((week.shown[deal.deal_id], came))
    return Past(
        quarters=found["quarter"],
        weeks=found["week"],
        categories=_categories(words),
        reliability=reliability(pairs),
        words={
            key: CategoryRecord(category=key[1], deals=deals, won=won)
            for key, (deals, won) in words.items()
        },
    )


def _forecast(
    moment: Moment,
    week: Week,
    at_last: Mapping[str, Deal],
    question: Question,
    scorer: Scorer | None,
    currency: str,
    *,
    unopened: bool,
) -> PastForecast:
    asked = replace(question, period=moment.period)
    made = outlooks_of(week, scorer, asked, unopened=unopened)
    mine = next((each for each in made if each.currency == currency), None)
    total = None
    if mine is not None and mine.forecast is not None:
        total = mine.forecast.whole.total
    return PastForecast(
        moment=moment,
        total=total,
        hindsight=scorer is not None and moment.as_of < scorer.known_before,
        won_then=0.0 if mine is None else mine.won,
        won=sum(
            deal.amount or 0.0
            for deal in at_last.values()
            if _won_in(moment.period, deal) and (unopened or deal.opened_us <= moment.as_of)
        ),
        open_then=sum(deal.amount or 0.0 for deal in week.opened if deal.currency == currency),
    )


def _won_in(period: Period, deal: Deal | None) -> bool:
    return deal is not None and deal.status == "won" and period.holds(deal.closed_us or 0)


def _categories(words: Mapping[tuple[str, str], Sequence[int]]) -> list[CategoryRecord]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (_, category), (deals, won) in words.items():
        counts[category][0] += deals
        counts[category][1] += won
    records = [
        CategoryRecord(category=name, deals=deals, won=won) for name, (deals, won) in counts.items()
    ]
    return sorted(records, key=lambda each: (-each.share, each.category))


def reliability(pairs: Sequence[tuple[float, bool]]) -> list[Reliable]:
    """Probabilities said beside the share that came true, in bins of equal width.

    Parameters
    ----------
    pairs
        What was said of each deal, and whether it came true.

    Examples
    --------
    >>> reliability([(0.1, False), (0.15, True), (0.9, True)])
    [Reliable(said=0.125, won=0.5, deals=2), Reliable(said=0.9, won=1.0, deals=1)]
    """
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for said, came in pairs:
        bins[min(int(said * BINS), BINS - 1)].append((said, came))
    return [
        Reliable(
            said=sum(said for said, _ in each) / len(each),
            won=sum(came for _, came in each) / len(each),
            deals=len(each),
        )
        for _, each in sorted(bins.items())
    ]
