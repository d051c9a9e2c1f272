"""The forecast of a period: its won amount as a distribution, not as one number.

    won amount of the period = already won + open deals + deals not yet opened

the three kept apart. A scenario is one of the artifact's bags and one shock s, common to all deals,
from a normal distribution of mean 0 whose variance the artifact keeps; scenarios are equally
likely. In a scenario deal i is won by day d with

    logit P_i(d) = logit of the bag's P_i(d) + s + c_i(d),

c_i(d) being such that the mean over all scenarios is the probability shown. Given the scenario,
deals are won independently of each other: u_i uniform on (0, 1), won by d where u_i < P_i(d), so
that the months of one draw add up to its quarter. A deal with a missed must-hit milestone counts as
never won. What each deal alone has of error beside the bags averages out over many: it is in its
own coin already.

Expected values are exact sums of amount times probability, each deal's in whole cents; quantiles
come from the draws. The same seed gives the same draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.arrivals import Arrivals
from model.errors import ScoreError
from model.history import Floats, Ints
from model.money import CENTS, whole_cents

SHOCKS: Final = 15  # equally likely values of the common shock
DRAWS_A_SCENARIO: Final = 32
QUANTILES: Final = (0.1, 0.5, 0.9)
LEAST_PROBABILITY: Final = 1e-12  # closer to 0 or 1 counts as this
STEPS: Final = 12  # of Newton's method
CLOSE_ENOUGH: Final = 1e-10


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenDeals:
    """Open deals and their probabilities by some dates.

    Parameters
    ----------
    amount
        In one currency; NaN counts as 0. Shape (D,).
    gated
        Whether a must-hit milestone is missed: the deal counts as never won. Shape (D,).
    probability
        As shown, that the deal is won by each date; dates rise. Shape (D, C).
    bag_log_odds
        The same under each bag. Shape (bags, D, C).
    groups
        For each way to divide the deals, such as ``owner``, a code from 0 for each. Shape (D,).

    Raises
    ------
    ScoreError
        If shapes do not fit together, or a probability lies outside 0 to 1.
    """

    amount: Floats
    gated: NDArray[np.bool_]
    probability: Floats
    bag_log_odds: Floats
    groups: Mapping[str, Ints] = field(default_factory=dict)

    def __post_init__(self) -> None:
        deals, cuts = self.probability.shape
        fits = self.amount.shape == self.gated.shape == (deals,)
        fits &= self.bag_log_odds.shape[1:] == (deals, cuts) and len(self.bag_log_odds) > 0
        if not fits or any(codes.shape != (deals,) for codes in self.groups.values()):
            raise ScoreError(
                f"open deals of shapes {self.amount.shape}, {self.probability.shape} and "
                f"{self.bag_log_odds.shape}",
                "(deals,), (deals, dates) and (bags, deals, dates)",
                "give every deal all of them",
            )
        if not ((self.probability >= 0.0) & (self.probability <= 1.0)).all():
            raise ScoreError(
                "a probability outside 0 to 1", "0 to 1", "leave out deals without one"
            )

    @classmethod
    def none(cls, dates: int) -> OpenDeals:
        """No open deal at all, asked about so many dates."""
        return cls(
            amount=np.zeros(0),
            gated=np.zeros(0, dtype=bool),
            probability=np.zeros((0, dates)),
            bag_log_odds=np.zeros((1, 0, dates)),
        )

    @property
    def counted(self) -> Floats:
        """Amounts that count: zero where none is known or a gate is missed. Shape (D,)."""
        return np.where(self.gated, 0.0, np.nan_to_num(self.amount))

    def worth(self, *, begun: bool) -> Floats:
        """Amounts times the probability to be won until each date. Shape (D, C).

        Parameters
        ----------
        begun
            Whether the period has; if not, what is won by the first date does not count.
        """
        p = self.probability
        return np.asarray(self.counted[:, None] * (p - (0.0 if begun else p[:, :1])))


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """The distribution of an amount in four numbers, in the currency of the amounts.

    Parameters
    ----------
    expected
        The mean.
    p10, p50, p90
        Quantiles: the amount is at most `p10` with a probability of 10 %.
    """

    expected: float
    p10: float
    p50: float
    p90: float

    @classmethod
    def of(cls, expected: float, draws: Floats) -> Spread:
        """The quantiles of draws beside an exact mean."""
        p10, p50, p90 = np.quantile(draws, QUANTILES).tolist()
        return cls(expected=expected, p10=p10, p50=p50, p90=p90)

    def plus(self, amount: float) -> Spread:
        """The same with a known amount on top."""
        return Spread(
            expected=self.expected + amount,
            p10=self.p10 + amount,
            p50=self.p50 + amount,
            p90=self.p90 + amount,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The forecast of a month, or of the whole period.

    Parameters
    ----------
    won
        Already won.
    open, unopened
        Of deals open now, and of those not yet opened.
    total
        Of all three together: its `expected` is their sum; its quantiles are not.
    """

    won: float
    open: Spread
    unopened: Spread
    total: Spread


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupPart:
    """The forecast of one owner or segment; deals not yet opened are nobody's.

    Parameters
    ----------
    code
        Of the group.
    deals
        Open ones.
    open
        Of its open deals.
    """

    code: int
    deals: int
    open: Spread


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecast:
    """The won amount of a period as a distribution.

    Parameters
    ----------
    whole
        Of the period.
    months
        Of each part of it between two dates; their expected values add up to the whole's.
    groups
        For each way to divide the open deals.
    draws
        The whole's total, ascending. Shape (draws,).
    """

    whole: Part
    months: tuple[Part, ...]
    groups: Mapping[str, tuple[GroupPart, ...]]
    draws: Floats

    def reach(self, target: float) -> float:
        """Probability that the period's won amount is at least the target."""
        return float(1.0 - np.searchsorted(self.draws, target, side="left") / len(self.draws))


def forecast(
    deals: OpenDeals,
    days: Sequence[float],
    *,
    won: Sequence[float],
    earlier: float = 0.0,
    arrivals: Arrivals | None,
    shock_variance: float,
    seed: int,
    begun: bool = True,
) -> Forecast:
    """The distribution of a period's won amount.

    Parameters
    ----------
    deals
        Open ones, with probabilities by each date.
    days
        Days from now to each date, rising, not negative; the last is the period's end. Shape (C,).
    won
        Amount already won in each part: up to the first date, then between the dates. Shape (C,).
    earlier
        Amount won in the period before the first part, which only the whole counts.
    arrivals
        Of deals not yet opened; None leaves them out.
    shock_variance
        Of the shock common to all deals, in squared log-odds.
    seed
        Of the draws.
    begun
        Whether the period has begun. If not, its begin is the first date, and what is won before it
        does not count: there is a part less than dates.

    Raises
    ------
    ScoreError
        If dates, parts and probabilities do not fit together, or the variance is negative.
    """
    ahead = np.asarray(days, dtype=np.float64)
    cuts = len(ahead)
    if deals.probability.shape[1] != cuts or len(won) != cuts or cuts < 1 + (not begun):
        raise ScoreError(
            f"{cuts} dates, {len(won)} amounts won and {deals.probability.shape[1]} probabilities",
            "as many of each",
            "give one for each date",
        )
    if shock_variance < 0.0 or (ahead < 0.0).any() or (np.diff(ahead) <= 0.0).any():
        raise ScoreError(
            f"days {ahead.tolist()} and a shock's variance of {shock_variance:g}",
            "days that rise, and neither below zero",
            "give the dates in order",
        )
    rng = np.random.default_rng(seed)
    shocks = np.sqrt(shock_variance) * _normal_values(SHOCKS)
    log_odds = _scenarios(deals, shocks)
    draws = len(deals.bag_log_odds) * SHOCKS * DRAWS_A_SCENARIO
    open_until, by_group = _draw_open(deals, log_odds, shocks, begun, rng)
    new_until = _draw_unopened(arrivals, ahead, np.exp(shocks), draws, rng)
    first = 0 if begun else 1
    open_cents = whole_cents(deals.worth(begun=begun)).sum(axis=0)
    new = _expected_unopened(arrivals, ahead)
    new_cents = whole_cents(new - (0.0 if begun else new[0]))
    expected_open, expected_new = (
        np.diff(each[first:], prepend=0.0) / CENTS for each in (open_cents, new_cents)
    )
    open_draws = np.diff(open_until, axis=1, prepend=0.0)[:, first:]
    new_draws = np.diff(new_until, axis=1, prepend=0.0)[:, first:]
    before = [float(amount) for amount in won][first:]
    months = tuple(
        _part(before[k], expected_open[k], open_draws[:, k], expected_new[k], new_draws[:, k])
        for k in range(cuts - first)
    )
    every_open, every_new = open_draws.sum(axis=1), new_draws.sum(axis=1)
    already = earlier + sum(before)
    whole = _part(already, open_cents[-1] / CENTS, every_open, new_cents[-1] / CENTS, every_new)
    return Forecast(
        whole=whole,
        months=months,
        groups={
            name: _groups(deals, deals.groups[name], by_group[name], begun=begun)
            for name in deals.groups
        },
        draws=np.sort(already + every_open + every_new),
    )


def _part(won: float, open_mean: float, opened: Floats, new_mean: float, new: Floats) -> Part:
    open_mean, new_mean = float(open_mean), float(new_mean)
    return Part(
        won=won,
        open=Spread.of(open_mean, opened),
        unopened=Spread.of(new_mean, new),
        total=Spread.of(won + open_mean + new_mean, won + opened + new),
    )


def _groups(deals: OpenDeals, codes: Ints, draws: Floats, *, begun: bool) -> tuple[GroupPart, ...]:
    """Draws of each group that occurs, of shape (draws, groups), with their exact means."""
    mean = np.bincount(codes, whole_cents(deals.worth(begun=begun)[:, -1])) / CENTS
    count = np.bincount(codes)
    return tuple(
        GroupPart(
            code=int(code), deals=int(count[code]), open=Spread.of(float(mean[code]), draws[:, k])
        )
        for k, code in enumerate(np.unique(codes))
    )


def _normal_values(count: int) -> Floats:
    """So many equally likely values that stand for a standard normal: mean 0, variance 1.

    Examples
    --------
    >>> _normal_values(3).round(3)
    array([-1.225,  0.   ,  1.225])
    """
    normal = NormalDist()
    values = np.array([normal.inv_cdf((k + 0.5) / count) for k in range(count)])
    return np.asarray(values / np.sqrt((values**2).mean()))


def _scenarios(deals: OpenDeals, shocks: Floats) -> Floats:
    """Log-odds of each bag shifted so that the mean over bags and shocks is the shown probability.

    Newton's method for c in ``mean over scenarios of P(c) = shown``, on the scale of log-odds.

    Returns
    -------
    ndarray
        Without the shocks. Shape (bags, D, C).
    """
    shown = np.clip(deals.probability, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    target = np.log(shown) - np.log1p(-shown)
    bags = np.clip(deals.bag_log_odds, -40.0, 40.0)
    shift = target - bags.mean(axis=0)
    for _ in range(STEPS):
        mean, slope = np.zeros_like(shown), np.zeros_like(shown)
        for shock in shocks:
            p = _probability(bags + shift + shock)
            mean += p.mean(axis=0)
            slope += (p * (1.0 - p)).mean(axis=0)
        mean = np.clip(mean / len(shocks), LEAST_PROBABILITY / 10, 1.0 - LEAST_PROBABILITY / 10)
        slope = np.maximum(slope / len(shocks) / (mean * (1.0 - mean)), 0.1)
        gap = target - (np.log(mean) - np.log1p(-mean))
        shift = shift + gap / slope
        if not (np.abs(gap) > CLOSE_ENOUGH).any():
            break
    return np.asarray(bags + shift)


def _draw_open(
    deals: OpenDeals, log_odds: Floats, shocks: Floats, begun: bool, rng: np.random.Generator
) -> tuple[Floats, dict[str, Floats]]:
    """Amounts won until each date in each draw; and by group, between the first and last date.

    Returns
    -------
    tuple
        Shape (draws, C); and for each grouping shape (draws, groups that occur).
    """
    amount = deals.counted
    orders = {name: np.argsort(codes, kind="stable") for name, codes in deals.groups.items()}
    starts = {
        name: np.unique(deals.groups[name][order], return_index=True)[1]
        for name, order in orders.items()
    }
    until: list[Floats] = []
    by_group: dict[str, list[Floats]] = {name: [] for name in orders}
    certain = deals.probability <= LEAST_PROBABILITY
    for of_bag in log_odds:
        for shock in shocks:
            p = np.where(certain, 0.0, _probability(of_bag + shock))
            reached = np.maximum.accumulate(p, axis=1)  # shifts differ a little from date to date
            chance = rng.random((DRAWS_A_SCENARIO, len(amount)))
            won = [(chance < reached[:, k]) * amount for k in range(reached.shape[1])]
            until.append(np.stack([each.sum(axis=1) for each in won], axis=1))
            inside = won[-1] if begun else won[-1] - won[0]
            for name, order in orders.items():
                by_group[name].append(
                    np.add.reduceat(inside[:, order], starts[name], axis=1)
                    if len(order)
                    else np.zeros((DRAWS_A_SCENARIO, 0))
                )
    return np.concatenate(until), {name: np.concatenate(each) for name, each in by_group.items()}


def _expected_unopened(arrivals: Arrivals | None, days: Floats) -> Floats:
    if arrivals is None:
        return np.zeros(len(days))
    return np.asarray(arrivals.mean_amount * arrivals.wins_until(days))


def _draw_unopened(
    arrivals: Arrivals | None,
    days: Floats,
    factors: Floats,
    draws: int,
    rng: np.random.Generator,
) -> Floats:
    """Amounts won until each date of deals not yet opened. Shape (draws, C)."""
    if arrivals is None or not arrivals.amounts or days[-1] <= 0.0:
        return np.zeros((draws, len(days)))
    wins = np.diff(arrivals.wins_until(days), prepend=0.0)
    # A win that is rare is as many times as probable as its odds are.
    common = np.tile(
        np.repeat(factors / factors.mean(), DRAWS_A_SCENARIO),
        draws // len(factors) // DRAWS_A_SCENARIO,
    )
    spread = arrivals.spread(float(days[-1]))
    common = common * rng.gamma(1.0 / spread, spread, draws)
    counts = rng.poisson(common[:, None] * wins)
    amounts = np.array(arrivals.amounts)
    drawn = amounts[rng.integers(len(amounts), size=int(counts.sum()))]
    of_cell = np.repeat(np.arange(counts.size), counts.ravel())
    sums = np.bincount(of_cell, drawn, minlength=counts.size).reshape(counts.shape)
    return np.asarray(np.cumsum(sums, axis=1))


def _probability(log_odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)))
