"""A week: the pipeline as known at a moment, its scores, and the forecast of the period."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from model.bridge import Path
from model.events import DAY_US, KIND_CODES
from model.feeds import Feeds
from model.history import Floats, History, Ints
from model.outlook import (
    Chances,
    Outlook,
    arrivals_by_currency,
    arrivals_converted,
    chances,
    cut_moments,
    outlooks,
    shock_variance,
)
from model.period import Period
from model.pipeline import Deal
from model.scorer import Scorer
from service.review.question import Question

NOT_YET: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True, eq=False)
class Week:
    """One moment of a review.

    Parameters
    ----------
    as_of
        Microseconds since 1970 UTC.
    deals
        Every deal known then; amounts in one currency where rates were given.
    opened
        The open ones.
    of_open
        Their chances by `cut_moments`; None without a model, or once the period is over.
    shown
        Probability to be won in the period, as forecasts use it, of open deals with a number.
    """

    as_of: int
    deals: list[Deal]
    opened: list[Deal]
    of_open: Chances | None
    shown: dict[str, float]


def joined(weeks: Sequence[Week]) -> Week:
    """The same moment of several parts of a company, as one; at least one part."""
    of_open = [week.of_open for week in weeks if week.of_open is not None]
    return Week(
        as_of=weeks[0].as_of,
        deals=[deal for week in weeks for deal in week.deals],
        opened=[deal for week in weeks for deal in week.opened],
        of_open=Chances(
            probability=np.concatenate([each.probability for each in of_open]),
            bag_log_odds=np.concatenate([each.bag_log_odds for each in of_open], axis=1),
            gated=np.concatenate([each.gated for each in of_open]),
            checks=[check for each in of_open for check in each.checks],
        )
        if of_open
        else None,
        shown={deal_id: p for week in weeks for deal_id, p in week.shown.items()},
    )


def chosen_of(week: Week, chosen: Collection[str]) -> Week:
    """Some of the deals of a moment."""
    kept = [place for place, deal in enumerate(week.opened) if deal.deal_id in chosen]
    return Week(
        as_of=week.as_of,
        deals=[deal for deal in week.deals if deal.deal_id in chosen],
        opened=[week.opened[place] for place in kept],
        of_open=None if week.of_open is None else week.of_open.take(kept),
        shown={deal_id: p for deal_id, p in week.shown.items() if deal_id in chosen},
    )


def outlooks_of(
    week: Week, scorer: Scorer | None, question: Question, *, unopened: bool = True
) -> list[Outlook]:
    """The forecast of the period as of a moment, one for each currency.

    Parameters
    ----------
    scorer
        Whose chances the week has.
    unopened
        Whether deals not yet opened count; of some of the deals alone nobody knows how many come.
    """
    period = question.period
    facts: dict[str, Any] = {} if scorer is None else scorer.artifact.facts.get("forecast", {})
    arrivals = arrivals_by_currency(facts) if facts and unopened else {}
    if question.rates is not None:
        arrivals = arrivals_converted(arrivals, question.rates.worth, question.rates.reporting)
    days = (period.end_us - week.as_of) / DAY_US
    return outlooks(
        week.deals,
        week.of_open,
        period,
        week.as_of,
        arrivals=arrivals,
        shock_variance=shock_variance(facts, days) if facts else 0.0,
        seed=question.seed,
    )


def in_period(of_open: Chances, period: Period, as_of: int) -> Floats:
    """Probability to be won within the period, zero where a gate is missed. Shape (D,)."""
    return np.where(of_open.gated, 0.0, within(of_open, begun=period.begin_us <= as_of))


def within(of_open: Chances, *, begun: bool) -> Floats:
    """Probability to be won within the period by the model alone. Shape (D,).

    Parameters
    ----------
    begun
        Whether the period has; if not, what is won before it does not count.
    """
    p = of_open.probability
    return np.asarray(p[:, -1] - (0.0 if begun else p[:, 0]))


def paths(
    history: History,
    before: Week,
    after: Week,
    old: Scorer,
    told_now: Feeds | None,
    period: Period,
    *,
    retrained: bool,
) -> dict[str, Path]:
    """The steps of every deal open, with a number, at both weeks; see `model.bridge`.

    Parameters
    ----------
    old
        The scorer in force at the earlier week.
    told_now
        What it is told of the feeds of now.
    retrained
        Whether another scorer is in force now.
    """
    numbered = before.shown.keys() & after.shown.keys()
    both = [deal for deal in after.opened if deal.deal_id in numbered]
    if not both:
        return {}
    news = (history.known > before.as_of) & (history.known <= after.as_of)
    moved = history.kind == KIND_CODES["close_date_changed"]
    stages = []
    for hidden in (news, news & ~moved):
        known = np.where(hidden, NOT_YET, history.known)
        seen = replace(history, known=known)
        of_open = _chances(old, seen, both, after.as_of, period, told_now)
        stages.append(in_period(of_open, period, after.as_of))
    if retrained:
        told = in_period(
            _chances(old, history, both, after.as_of, period, told_now), period, after.as_of
        )
    else:
        told = np.array([after.shown[deal.deal_id] for deal in both])
    return {
        deal.deal_id: Path(
            then=before.shown[deal.deal_id],
            waited=float(stages[0][place]),
            planned=float(stages[1][place]),
            told=float(told[place]),
            now=after.shown[deal.deal_id],
        )
        for place, deal in enumerate(both)
    }


def _chances(
    scorer: Scorer,
    history: History,
    opened: list[Deal],
    as_of: int,
    period: Period,
    feeds: Feeds | None,
) -> Chances:
    deal: Ints = np.array([each.index for each in opened], dtype=np.int64)
    return chances(scorer, history, deal, as_of, cut_moments(period, as_of), feeds)
