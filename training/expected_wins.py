"""Wins expected of the deals open on a day, beside those that came.

At moments d days apart, with probabilities p_i of the deals open then, and W of them won in time:
``W - sum p_i`` has the variance ``V + v V^2``, ``V = sum p_i (1 - p_i)``, and v that of the shock
common to all deals (`training.forecasting`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from model.events import DAY_US
from model.history import Floats
from model.outlook import shock_variance
from model.scorer import Scorer
from training.backtest import open_moments
from training.finding import Finding
from training.record import Record, day_of
from training.said import InForce, said_of
from training.thresholds import MonitorThresholds

NORMAL_80: Final = 1.2816  # normal quantile of an 80 % interval


@dataclass(frozen=True, kw_only=True)
class Window:
    """Wins expected of the deals open on a day, with their 80 % range, and what came."""

    day: str
    days: float
    deals: int
    expected: float
    low: float
    high: float
    came: int


def windows_of(
    record: Record,
    models: Sequence[InForce],
    current: Scorer,
    days: float,
    limits: MonitorThresholds,
) -> list[Window]:
    """Non-overlapping spans of the usual days, the last one ending with what is known."""
    length, last = int(days * DAY_US), record.countable_until - int(days * DAY_US)
    begin = max(models[0].since_us, last - int(limits.judged_days * DAY_US))
    if last < begin:
        return []
    first = last - (last - begin) // length * length
    deal, as_of = open_moments(record, first, last + 1, length)
    found = said_of(record, models, deal, as_of, np.array([days]))
    shock = shock_variance(current.artifact.facts["forecast"], days)
    windows = []
    for moment in np.unique(found.as_of):
        rows = (found.as_of == moment) & found.counted[:, 0]
        p = found.probability[rows, 0]
        half = NORMAL_80 * sqrt(_variance(p, shock))
        windows.append(
            Window(
                day=day_of(int(moment)),
                days=days,
                deals=len(p),
                expected=float(p.sum()),
                low=max(float(p.sum()) - half, 0.0),
                high=float(p.sum()) + half,
                came=int(found.won[rows, 0].sum()),
            )
        )
    return windows


def _variance(p: Floats, shock: float) -> float:
    alone = float((p * (1.0 - p)).sum())
    return alone + shock * alone**2


def forecast_finding(windows: Sequence[Window], days: float, limits: MonitorThresholds) -> Finding:
    """Wins further from those expected than the limit, and than chance: a reason to retrain."""
    from scipy.stats import norm

    came, expected = sum(each.came for each in windows), sum(each.expected for each in windows)
    spans = f"{len(windows)} span{'s' * (len(windows) != 1)}"
    # By what was expected too: the worse the forecast, the fewer of the wins it promised come.
    if max(came, expected) < limits.fewest_won:
        words = (
            f"{came} wins in {spans}, where {expected:.1f} were expected, are too few "
            "to judge the forecast"
        )
        return Finding(name="forecast", state="unknown", words=words)
    sides = [(each.high - each.expected) / NORMAL_80 for each in windows]
    chance = 2.0 * float(norm.sf(abs(came - expected) / sqrt(sum(each**2 for each in sides))))
    error = (expected - came) / max(came, 1)
    words = (
        f"{expected:.1f} wins were expected in {spans} of {days:g} days since "
        f"{windows[0].day}, and {came} came ({error:+.0%}, p {chance:.1g})"
    )
    far = abs(error) > limits.forecast_error and chance < limits.level
    return Finding(name="forecast", state="retrain" if far else "well", words=words)
