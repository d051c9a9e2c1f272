"""Which thresholds warn of the most lost amount in time, within a workload and a precision.

Thresholds are tried on several companies at once and judged by the mean over them. A choice may
raise at most `MOST_FLARES` flares an owner and week in all, and the flared deals may be won within
`training.early_form.OUTCOME_DAYS` at most `MOST_WON` times as often as all open deals: without the
second bound the best rule would be to flare every deal on the day it opens. A false alarm is a deal
that is won soon; one not lost yet is none, since who warns early warns long before the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from model.errors import TrainingDataError
from model.events import from_microseconds
from model.history import History, Ints
from model.red_flare import Thresholds, is_silent
from training.early import Judge, outcomes
from training.early_form import OUTCOME_DAYS
from training.early_rules import Bools, fallen_rows, flares_counted, low_rows
from training.early_walk import Walk

MOST_FLARES: Final = 1.0  # an owner and week, all rules together
MOST_WON: Final = 2 / 3  # of the share of open deals that are won soon
SILENCE_DAYS: Final = (21.0, 28.0, 42.0, 60.0)  # later is no warning
FALLEN_SHARES: Final = (0.2, 0.3, 0.4, 0.5)
LOW_SHARES: Final = (0.0, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9)  # 0: without


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One set of thresholds, all red flares together, as the mean over companies.

    Parameters
    ----------
    thresholds
        As tried.
    flares_an_owner_week, early_amount_share
        As in `training.early_form.RuleFigures`.
    lost_ratio, won_ratio
        The flared deals' shares lost and won soon, as multiples of those of all open deals.
    """

    thresholds: Thresholds
    flares_an_owner_week: float
    early_amount_share: float
    lost_ratio: float
    won_ratio: float


def try_thresholds(
    companies: Sequence[tuple[Walk, History]],
    silence_days: Sequence[float] = SILENCE_DAYS,
    fallen_shares: Sequence[float] = FALLEN_SHARES,
    low_shares: Sequence[float] = LOW_SHARES,
) -> list[Tried]:
    """Every combination of the limits.

    Parameters
    ----------
    companies
        What was walked of each, and its whole record.
    silence_days, fallen_shares, low_shares
        The limits to combine.
    """
    combined = [
        Thresholds(silence_days=days, fallen_share=fallen, fallen_amount=0.0, low_share=low)
        for days, fallen, low in product(silence_days, fallen_shares, low_shares)
    ]
    figures = np.array([_of_company(walked, history, combined) for walked, history in companies])
    return [
        Tried(
            thresholds=thresholds,
            flares_an_owner_week=float(mean[0]),
            early_amount_share=float(mean[1]),
            lost_ratio=float(mean[2]),
            won_ratio=float(mean[3]),
        )
        for thresholds, mean in zip(combined, figures.mean(axis=0), strict=True)
    ]


def choose_thresholds(
    tried: Sequence[Tried], most_flares: float = MOST_FLARES, most_won: float = MOST_WON
) -> Tried:
    """The thresholds that warn of the most lost amount in time within both bounds.

    Raises
    ------
    TrainingDataError
        If none keeps them.
    """
    kept = [
        one
        for one in tried
        if one.flares_an_owner_week <= most_flares and one.won_ratio <= most_won
    ]
    if not kept:
        raise TrainingDataError(
            f"{len(tried)} sets of thresholds",
            f"one with at most {most_flares:g} flares an owner and week whose deals are won at "
            f"most {most_won:.2g} times as often as all",
            "allow more flares or less precision, or try other limits",
        )
    return max(kept, key=lambda one: one.early_amount_share)


def _of_company(
    walked: Walk, history: History, combined: Sequence[Thresholds]
) -> list[tuple[float, float, float, float]]:
    judge = Judge(walked, outcomes(walked, history))
    base_lost, base_not_won = judge.base_of_weeks()
    if not base_lost or base_not_won in (None, 1.0):
        raise TrainingDataError(
            f"a record until {from_microseconds(int(history.known.max())).date()}",
            f"deals lost and deals won within {OUTCOME_DAYS} days of weeks that were walked",
            "walk earlier weeks, or bring a longer record",
        )
    found: dict[tuple[str, float], tuple[Ints, int]] = {}

    def rule(name: str, limit: float, rows: Bools) -> tuple[Ints, int]:
        found[name, limit] = (judge.first(rows), flares_counted(walked, rows))
        return found[name, limit]

    gates = rule("gate", 0.0, walked.gates_missed > 0)
    figures = []
    for limits in combined:
        silent = found.get(("silence", limits.silence_days)) or rule(
            "silence", limits.silence_days, is_silent(walked.silence_days, limits)
        )
        fallen = found.get(("fallen", limits.fallen_share)) or rule(
            "fallen", limits.fallen_share, fallen_rows(walked, limits)
        )
        low = found.get(("low", limits.low_share)) or rule(
            "low", limits.low_share, low_rows(walked, limits)
        )
        parts = (gates, silent, fallen, low)
        sums = judge.columns(np.min([first for first, _ in parts], axis=0)).sum(axis=0)
        told = max(sums[4], 1.0)
        figures.append(
            (
                sum(flares for _, flares in parts) / max(judge.owner_weeks, 1),
                float(sums[1] / max(sums[2], 1e-9)),
                float(sums[3] / told) / base_lost,
                float(sums[5] / told) / (1.0 - base_not_won),
            )
        )
    return figures
