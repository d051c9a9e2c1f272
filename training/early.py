"""Early enough? How long before a loss the red flares were raised, and at what price.

Past deals are followed week by week (`training.early_walk`), flares raised and cleared by each
rule (`training.early_rules`), and then held against what came:

- A deal counts as lost where a loss stands at the end of the record, at its `occurred_at`: deals
  that die in silence are closed late, so the lead is to the recorded loss, not to the death.
- The early share is of all lost deals (or of their amounts): those with a flare raised at least
  `EARLY_DAYS` before the loss. Losses whose last moment for that lies outside the time walked are
  left out. Deals that were not open so long before can be warned of by nobody: see `reach`.
- What came of the flared is told within `OUTCOME_DAYS` of the first flare, only where the record
  tells of so many days, whatever came; deals flared later are counted as left out. The base rate
  is that of all open deals and weeks, told likewise. A false alarm is a deal won by then; one not
  lost yet is none, since who warns earlier sees fewer of the flared lost within the same days.

Intervals are of deals drawn anew (`training.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from model.asof import LOST, REOPENED, WON
from model.events import DAY_US, from_microseconds
from model.history import Floats, History, Ints
from model.red_flare import DEFAULT_THRESHOLDS, Thresholds
from training.backtest import Origin
from training.bootstrap import DealBootstrap
from training.dataset import NEVER, closing_lag, deal_of_rows, win_times
from training.early_form import EARLY_DAYS, OUTCOME_DAYS, EarlyReport, RuleFigures, SameWork
from training.early_rules import (
    Bools,
    Group,
    RuleRows,
    as_busy,
    flare_rules,
    flares_counted,
    simple_rules,
)
from training.early_walk import Walk, walk

REPLICATES: Final = 400  # of the bootstrap
INTERVAL: Final = (0.025, 0.975)
ALL_FLARES: Final = "all red flares"


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """What came of each deal, as known at the end of the record. Each of shape (D,).

    Parameters
    ----------
    lost, won
        When the loss that stands and the win that stands occurred, microseconds since 1970 UTC;
        `NEVER` if there is none.
    amount
        As last known while open in the walk; 0 where it never was.
    judged
        Lost, seen open in the walk, and the last moment for an early flare lies in it.
    told_until
        Later than this nothing is known to have happened or not, microseconds since 1970 UTC.
    """

    lost: Ints
    won: Ints
    amount: Floats
    judged: Bools
    told_until: int


def early_report(
    history: History,
    origins: Sequence[Origin],
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    *,
    seed: int = 0,
) -> EarlyReport:
    """Judge every rule over past deals.

    Parameters
    ----------
    history
        The whole record, to its end.
    origins
        Artifacts and the times in which they were in force.
    thresholds
        Of the red flares.
    seed
        Of the bootstrap.

    Raises
    ------
    TrainingDataError
        If there is no origin, or no deal was open in their times.
    """
    return judge_walk(walk(history, origins), history, thresholds, seed=seed)


def judge_walk(
    walked: Walk, history: History, thresholds: Thresholds = DEFAULT_THRESHOLDS, *, seed: int = 0
) -> EarlyReport:
    """`early_report` of a walk made before, for trying several thresholds."""
    came = outcomes(walked, history)
    flares = flare_rules(walked, thresholds)
    judge = Judge(walked, came, seed)
    figures = [judge.figures(rule.name, "flare", [rule]) for rule in flares]
    figures.append(judge.figures(ALL_FLARES, "flare", flares))
    for rule in simple_rules(walked):
        own = judge.figures(rule.name, "simple", [rule])
        low_share, rows = as_busy(walked, thresholds, own.flares)
        figures.append(judge.compared(own, rule, low_share, rows))
    base_lost, base_not_won = judge.base()
    seen = judge.seen
    reach = came.judged & (judge.first_seen <= came.lost - EARLY_DAYS * DAY_US)
    lost_amount = float(came.amount[came.judged].sum())
    closed = (came.lost[seen] != NEVER) | (came.won[seen] != NEVER)
    return EarlyReport(
        begins=from_microseconds(int(walked.spans[0, 0])).isoformat(),
        ends=from_microseconds(int(walked.spans[-1, 1])).isoformat(),
        weeks=len(np.unique(walked.as_of)),
        horizon_days=walked.horizon_days,
        deals=seen.size,
        still_open=int((~closed).sum()),
        owner_weeks=judge.owner_weeks,
        open_deals_an_owner=int((~walked.first_of_walk).sum()) / max(judge.owner_weeks, 1),
        lost_deals=int(came.judged.sum()),
        lost_amount=lost_amount,
        losses_left_out=int(((came.lost[seen] != NEVER) & ~came.judged[seen]).sum()),
        losses_without_amount=int((came.judged & (came.amount == 0)).sum()),
        reach_deal_share=_share(reach[came.judged]),
        reach_amount_share=float(came.amount[reach].sum()) / lost_amount if lost_amount else None,
        base_lost_share=base_lost,
        base_not_won_share=base_not_won,
        thresholds=thresholds,
        rules=tuple(figures),
    )


def outcomes(walked: Walk, history: History) -> Outcomes:
    """What came of each deal, as known at the end of the record."""
    end = int(history.known.max()) + 1
    kind = history.kind
    last_end = np.full(history.deals, -1)
    at = np.flatnonzero((kind == WON) | (kind == LOST) | (kind == REOPENED))
    last_end[deal_of_rows(history)[at]] = at  # rows ascend, and the last assignment stands
    is_lost = (last_end >= 0) & (history.standing[last_end] == LOST)
    lost = np.where(is_lost, history.occurred[last_end], NEVER)
    amount = np.zeros(history.deals)
    amount[walked.deal] = np.maximum(np.nan_to_num(walked.amount), 0.0)  # the last one stands
    seen = np.zeros(history.deals, dtype=bool)
    seen[walked.deal] = True
    deadline = np.where(is_lost, lost - EARLY_DAYS * DAY_US, 0)[:, None]
    walked_then = (walked.spans[:, 0] <= deadline) & (deadline < walked.spans[:, 1])
    return Outcomes(
        lost=lost,
        won=win_times(history, end),
        amount=amount,
        judged=is_lost & seen & walked_then.any(axis=1),
        told_until=end - closing_lag(history, end),
    )


class Judge:
    """A walk and what came, asked rule by rule.

    Parameters
    ----------
    walked, came
        The weeks, and the outcomes of their deals.
    seed
        Of the bootstrap.
    """

    def __init__(self, walked: Walk, came: Outcomes, seed: int = 0) -> None:
        self.walk = walked
        self.came = came
        self.seed = seed
        self.seen = np.unique(walked.deal)
        self.first_seen = self.first(np.ones(walked.deal.size, dtype=bool))
        later = ~walked.first_of_walk
        pairs = np.stack([walked.owner[later], walked.as_of[later]], axis=1)
        self.owner_weeks = len(np.unique(pairs, axis=0))

    def base(self) -> tuple[float | None, float | None]:
        """Of all deals from the first week that each was seen, the shares lost and not won.

        One moment a deal, as a deal has one first flare: among all its weeks slow deals would
        count more.
        """
        return self._came_of(self.seen, self.first_seen[self.seen])

    def base_of_weeks(self) -> tuple[float | None, float | None]:
        """The same of all open deals and weeks, with which thresholds were chosen."""
        return self._came_of(self.walk.deal, self.walk.as_of)

    def _came_of(self, deal: Ints, as_of: Ints) -> tuple[float | None, float | None]:
        came = self.came
        told = _told(as_of, came)
        lost, won = _within(came.lost[deal], as_of), _within(came.won[deal], as_of)
        return _share(lost[told]), _share(~won[told])

    def first(self, rows: Bools) -> Ints:
        """When each deal was first flared; `NEVER` if it was not. Shape (D,)."""
        first = np.full(self.came.lost.size, NEVER)
        np.minimum.at(first, self.walk.deal[rows], self.walk.as_of[rows])
        return first

    def figures(self, name: str, group: Group, rules: Sequence[RuleRows]) -> RuleFigures:
        """What one rule, or several together, did."""
        came = self.came
        first = self.first(np.any([rule.rows for rule in rules], axis=0))
        flares = sum(flares_counted(self.walk, rule.rows) for rule in rules)
        columns = self.columns(first)
        lead = (came.lost - first)[came.judged & (first < came.lost)] / DAY_US
        flared = first != NEVER
        told = flared & _told(first, came)
        sums = self.resampled(columns)
        return RuleFigures(
            rule=name,
            group=group,
            flares=flares,
            deals=int(flared.sum()),
            flares_an_owner_week=flares / max(self.owner_weeks, 1),
            median_lead_days=float(np.median(lead)) if lead.size else None,
            early_deal_share=_ratio(columns[:, 0].sum(), came.judged.sum()),
            early_amount_share=_ratio(columns[:, 1].sum(), columns[:, 2].sum()),
            early_amount_interval=(
                _interval(_ratios(sums[:, 1], sums[:, 2])) if columns[:, 2].any() else None
            ),
            lost_share=_share(_within(came.lost, first)[told]),
            not_won_share=_share(~_within(came.won, first)[told]),
            told=int(told.sum()),
            left_out=int((flared & ~told).sum()),
            same_work=None,
        )

    def compared(
        self, own: RuleFigures, rule: RuleRows, low_share: float, rows: Bools
    ) -> RuleFigures:
        """A rule's figures with the low-probability flare of the same work beside them."""
        other = RuleRows(name="", group="flare", rows=rows)
        theirs = self.figures("", "flare", [other])
        mine = self.resampled(self.columns(self.first(rule.rows)))
        model = self.resampled(self.columns(self.first(rows)))
        same = SameWork(
            low_share=low_share,
            flares_an_owner_week=theirs.flares_an_owner_week,
            early_amount_share=theirs.early_amount_share,
            not_won_share=theirs.not_won_share,
            early_amount_gain=None,
            early_amount_gain_interval=None,
            not_won_gain=None,
            not_won_gain_interval=None,
        )
        if theirs.early_amount_share is not None and own.early_amount_share is not None:
            gain = _ratios(model[:, 1], model[:, 2]) - _ratios(mine[:, 1], mine[:, 2])
            same = replace(
                same,
                early_amount_gain=theirs.early_amount_share - own.early_amount_share,
                early_amount_gain_interval=_interval(gain),
            )
        if theirs.not_won_share is not None and own.not_won_share is not None:
            not_won = _ratios(mine[:, 5], mine[:, 4]) - _ratios(model[:, 5], model[:, 4])
            same = replace(
                same,
                not_won_gain=theirs.not_won_share - own.not_won_share,
                not_won_gain_interval=_interval(not_won),
            )
        return replace(own, same_work=same)

    def columns(self, first: Ints) -> Floats:
        """Each deal's part in the shares: early, early amount, amount, lost, told, won. (D, 6)."""
        came = self.came
        early = came.judged & (first <= came.lost - EARLY_DAYS * DAY_US)
        told = (first != NEVER) & _told(first, came)
        return np.stack(
            [
                early.astype(np.float64),
                came.amount * early,
                came.amount * came.judged,
                (told & _within(came.lost, first)).astype(np.float64),
                told.astype(np.float64),
                (told & _within(came.won, first)).astype(np.float64),
            ],
            axis=1,
        )

    @cached_property
    def draws(self) -> DealBootstrap:
        """How often each deal seen is drawn anew, the same for every rule."""
        return DealBootstrap(self.seed, REPLICATES)

    def resampled(self, columns: Floats) -> Floats:
        """Sums of the columns over deals drawn anew. (`REPLICATES`, 6)."""
        return self.draws.sums(self.seen, columns[self.seen].T)


def _told(moments: Ints, came: Outcomes) -> Bools:
    """Whether the record tells what came within `OUTCOME_DAYS` of each moment."""
    return np.asarray(moments <= came.told_until - OUTCOME_DAYS * DAY_US)


def _within(ends: Ints, moments: Ints) -> Bools:
    """Whether each end fell within `OUTCOME_DAYS` of its moment; `NEVER` falls within none."""
    return np.asarray((ends != NEVER) & (ends - OUTCOME_DAYS * DAY_US <= moments))


def _share(which: Bools) -> float | None:
    return float(which.mean()) if which.size else None


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _ratios(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, INTERVAL)
    return float(low), float(high)
