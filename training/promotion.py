"""The promotion gate: whether a challenger may take the champion's place, and why.

Both have forecast the same deals at the same moments, none of whose outcomes either had seen. With
``l`` the log-loss of a forecast, and the mean over the judged forecasts of a segment s,

    delta_s = mean(l_challenger - l_champion),      H_s: delta_s >= margin_s, worse by the margin

The p-value of H_s is the probability that deals drawn anew show ``delta_s >= margin_s``, by
`training.saddlepoint`: small enough where it ought to be, however many segments share the level.
The challenger passes only if every H_s, that of all deals and that of each segment with enough of
them, is rejected by Holm's procedure: sorted, ``p_(i) <= level / (m - i + 1)`` for all i. Beside it
the calibration must stay in its band. How long a champion has been in force is no reason here.

References
----------
Holm, S. (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
Statistics 6. Cox, D. R. (1958), "Two further applications of a model for binary regression",
Biometrika 45.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import erf, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.history import Floats, Ints
from training.bootstrap import DealBootstrap
from training.clustered import NORMAL_95, calibration
from training.condition import ALL, Condition
from training.metrics import losses
from training.saddlepoint import tail_of_zero
from training.thresholds import PromotionThresholds

ROUNDS: Final = 2000
FEWEST_TOLD: Final = 10  # deals won, and as many not, for which figures are worked out at all
NO_LINE: Final = "all forecasts are alike, or outcomes are perfectly apart"


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Forecasts of both models for the same deals and moments. Arrays of shape (R,).

    Parameters
    ----------
    deal
        Index of the deal: its forecasts stand or fall together.
    won
        Whether it was won by the date forecast.
    challenger, champion
        The probabilities.
    segments
        Rows of each segment, by its name; they may overlap.
    usual
        Rows of the horizon that is answered for where none is asked: these must be enough. None
        where there is no other.
    """

    deal: Ints
    won: NDArray[np.bool_]
    challenger: Floats
    champion: Floats
    segments: Mapping[str, NDArray[np.bool_]]
    usual: NDArray[np.bool_] | None = None


@dataclass(frozen=True, kw_only=True)
class SegmentFigures:
    """What the comparison says of one segment.

    Parameters
    ----------
    segment
        Its name.
    deals, won
        How many were judged, and won by some date asked.
    difference, low, high
        Challenger's log-loss minus the champion's, with its 95 % interval by deal.
    p_value
        Of being worse by the margin.
    loss, champion_loss
        Mean log-loss.
    slope, slope_low, slope_high, intercept, intercept_low, intercept_high
        The challenger's calibration with 95 % intervals; None where no line fits.
    """

    segment: str
    deals: int
    won: int
    difference: float
    low: float
    high: float
    p_value: float
    loss: float
    champion_loss: float
    slope: float | None
    slope_low: float | None
    slope_high: float | None
    intercept: float | None
    intercept_low: float | None
    intercept_high: float | None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate says.

    Parameters
    ----------
    conditions
        All of them, those of all deals first.
    figures
        Of all deals and each segment tested.
    untested
        Segments with too few deals.
    unjudged
        Segments that no forecast compared lies in: horizons that nothing has come due of.
    """

    conditions: tuple[Condition, ...]
    figures: tuple[SegmentFigures, ...] = ()
    untested: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every condition holds."""
        return all(condition.held for condition in self.conditions)

    @property
    def words(self) -> list[str]:
        """The conditions in words, those that failed first."""
        ordered = sorted(self.conditions, key=lambda condition: condition.held)
        return [f"{'held' if each.held else 'FAILED'}: {each.words}" for each in ordered]

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {
            "passed": self.passed,
            "conditions": [each.__dict__ for each in self.conditions],
            "figures": [each.__dict__ for each in self.figures],
            "untested": list(self.untested),
            "unjudged": list(self.unjudged),
        }


def judge_challenger(
    compared: Comparison,
    limits: PromotionThresholds,
    seed: int = 0,
    against: str = "the champion",
) -> Verdict:
    """Ask the gate's conditions of a comparison.

    Parameters
    ----------
    compared
        What both forecast, and what came.
    limits
        Margins, bands and how much is enough.
    seed
        Of the bootstrap.
    against
        What the challenger is compared with, for the words.
    """
    enough = _enough(compared.deal, compared.won)
    usual = slice(None) if compared.usual is None else compared.usual
    judged = against if compared.usual is None else f"{against} at the usual horizon"
    first = _is_enough(_enough(compared.deal[usual], compared.won[usual]), limits, judged)
    unjudged = tuple(name for name, rows in compared.segments.items() if not rows.any())
    tested, untested = {ALL: np.ones(len(compared.deal), dtype=bool)}, []
    if not first.held:  # figures are told all the same, where they can be
        can = min(enough[1], enough[0] - enough[1]) >= FEWEST_TOLD
        told = _figures(compared, tested, [limits.margin], seed) if can else []
        return Verdict(conditions=(first,), figures=tuple(told), unjudged=unjudged)
    for name, rows in compared.segments.items():
        if name in unjudged:
            continue
        deals, won = _enough(compared.deal[rows], compared.won[rows])
        few = min(won, deals - won) < limits.segment_won or deals < limits.segment_deals
        if few:
            untested.append(name)
        else:
            tested[name] = rows
    margins = [limits.margin if name == ALL else limits.segment_margin for name in tested]
    figures = _figures(compared, tested, margins, seed)
    rejected = holm([each.p_value for each in figures], limits.level)
    conditions = [first]
    for each, margin, is_rejected in zip(figures, margins, rejected, strict=True):
        conditions.append(_loss_condition(each, margin, against, held=is_rejected))
    for each in figures:
        conditions += _calibration_conditions(each, len(figures), limits)
    order = sorted(conditions, key=lambda condition: condition.segment != ALL)
    return Verdict(
        conditions=tuple(order),
        figures=tuple(figures),
        untested=tuple(untested),
        unjudged=unjudged,
    )


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses Holm's procedure rejects, at a familywise error of at most `level`.

    Examples
    --------
    >>> holm([0.04, 0.01, 0.02], 0.05)
    [True, True, True]
    >>> holm([0.04, 0.03, 0.001], 0.05)
    [False, False, True]
    """
    rejected = [False] * len(p_values)
    order = sorted(range(len(p_values)), key=lambda number: p_values[number])
    for rank, number in enumerate(order):
        if p_values[number] > level / (len(p_values) - rank):
            break
        rejected[number] = True
    return rejected


def _enough(deal: Ints, won: NDArray[np.bool_]) -> tuple[int, int]:
    """How many deals were judged, and how many of them were won by some date asked."""
    return len(np.unique(deal)), len(np.unique(deal[won]))


def _is_enough(enough: tuple[int, int], limits: PromotionThresholds, against: str) -> Condition:
    deals, won = enough
    held = deals >= limits.fewest_deals and min(won, deals - won) >= limits.fewest_won
    return Condition(
        name="enough",
        segment=ALL,
        held=held,
        words=(
            f"{deals:,} deals with {won:,} won are judged beside {against}; at least "
            f"{limits.fewest_deals:,} are needed, {limits.fewest_won:,} of them won and as many not"
        ),
    )


def _figures(
    compared: Comparison,
    tested: Mapping[str, NDArray[np.bool_]],
    margins: Sequence[float],
    seed: int,
) -> list[SegmentFigures]:
    ours = losses(compared.won, compared.challenger)
    theirs = losses(compared.won, compared.champion)
    apart = ours - theirs
    draws = DealBootstrap(seed, ROUNDS)
    masks = list(tested.values())
    columns = (apart * mask for mask in masks), (mask.astype(np.float64) for mask in masks)
    sums = draws.sums(compared.deal, chain(*columns))
    totals, counts = sums[:, : len(masks)], sums[:, len(masks) :]
    found = []
    for number, (name, rows) in enumerate(tested.items()):
        drawn = counts[:, number] > 0
        means = totals[drawn, number] / counts[drawn, number]
        low, high = np.quantile(means, (0.025, 0.975))
        deals, won = _enough(compared.deal[rows], compared.won[rows])
        line = calibration(compared.deal[rows], compared.won[rows], compared.challenger[rows])
        found.append(
            SegmentFigures(
                segment=name,
                deals=deals,
                won=won,
                difference=float(apart[rows].mean()),
                low=float(low),
                high=float(high),
                p_value=tail_of_zero(compared.deal[rows], apart[rows] - margins[number]),
                loss=float(ours[rows].mean()),
                champion_loss=float(theirs[rows].mean()),
                **line,
            )
        )
    return found


def _loss_condition(each: SegmentFigures, margin: float, against: str, *, held: bool) -> Condition:
    where = "over all deals" if each.segment == ALL else f"in {each.segment}"
    if held:
        said = f"a loss of {margin:g} or more is excluded"
    elif each.difference >= margin:
        said = f"it is worse by {margin:g} or more"
    else:
        said = f"a loss of {margin:g} or more cannot be excluded"
    return Condition(
        name="loss",
        segment=each.segment,
        held=held,
        words=(
            f"{where}, log-loss {each.loss:.4f} beside {each.champion_loss:.4f} of {against}: "
            f"{each.difference:+.4f} ({each.low:+.4f} to {each.high:+.4f}, {each.deals:,} deals); "
            f"{said}"
        ),
    )


def _calibration_conditions(
    each: SegmentFigures, tests: int, limits: PromotionThresholds
) -> list[Condition]:
    """All deals: the estimates lie in the band. A segment: nothing shows that they lie outside."""
    whole = each.segment == ALL
    where = "over all deals" if whole else f"in {each.segment}"
    bands = (
        ("slope", each.slope, each.slope_low, each.slope_high),
        ("intercept", each.intercept, each.intercept_low, each.intercept_high),
    )
    found = []
    for name, value, low, high in bands:
        band = getattr(limits, name if whole else f"segment_{name}")
        if value is None or low is None or high is None:
            # A segment of deals all alike is no fault; the whole company is never that.
            words = f"{where}, no calibration {name} can be told: {NO_LINE}"
            found.append(Condition(name=name, segment=each.segment, held=not whole, words=words))
            continue
        spread = (high - low) / (2 * NORMAL_95)
        held = band[0] <= value <= band[1]
        if not whole:
            outside = max(value - band[1], band[0] - value)
            held = held or _tail(outside / max(spread, 1e-12)) > limits.level / (2 * tests)
        words = (
            f"{where}, calibration {name} {value:.2f} ({low:.2f} to {high:.2f}), "
            f"{'in' if band[0] <= value <= band[1] else 'outside'} the band "
            f"{band[0]:g} to {band[1]:g}"
        )
        if held and not whole and not band[0] <= value <= band[1]:
            words += ", but not beyond chance"
        found.append(Condition(name=name, segment=each.segment, held=held, words=words))
    return found


def _tail(z: float) -> float:
    """The normal distribution's upper tail.

    Examples
    --------
    >>> round(_tail(1.644854), 4)
    0.05
    """
    return 0.5 * (1.0 - erf(z / sqrt(2.0)))
