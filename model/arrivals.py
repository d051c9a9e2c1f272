"""Deals not yet opened: how many come, how many of them are won within a period, for how much.

With deals opening at a rate r a day, and F(x) the share of opened deals that are won within x days
of their opening,

    wins until d days from now = r * integral_0^d F(x) dx       on average.

The count varies by more than chance where openings bunch: their variance over their mean is kept,
and so is how many deals the rate and F were counted from, since few deals tell a rate badly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from model.history import Floats

QUARTER_DAYS: Final = 91.0
MIXED_AMOUNTS: Final = 500  # that stand for those of all parts


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """What a company's history says of deals not yet opened, in one currency.

    Parameters
    ----------
    opened
        Deals that the rate was counted from.
    window_days
        Days in which they opened; above 0.
    dispersion
        Variance of the weekly number of openings over its mean, at least 1.
    won
        Wins that the shares were counted from.
    win_days
        Days from the opening, rising from 0. Shape (n,).
    win_shares
        Share of opened deals won by then, never falling; as many.
    amounts
        Won amounts, equally frequent, in this currency; empty where none is known.
    """

    opened: int
    window_days: float
    dispersion: float
    won: int
    win_days: tuple[float, ...]
    win_shares: tuple[float, ...]
    amounts: tuple[float, ...]

    @property
    def rate_a_day(self) -> float:
        """Openings a day."""
        return self.opened / self.window_days

    @property
    def mean_amount(self) -> float:
        """Of a won deal; 0 where none is known."""
        return float(np.mean(self.amounts)) if self.amounts else 0.0

    def wins_until(self, days: Sequence[float] | Floats) -> Floats:
        """Average number of wins of deals opened from now on, until so many days from now.

        Parameters
        ----------
        days
            Not negative; past the last of `win_days` the share stays. Shape (C,).

        Examples
        --------
        >>> arrivals = Arrivals(opened=70, window_days=70.0, dispersion=1.0, won=10,
        ...     win_days=(0.0, 10.0), win_shares=(0.0, 0.2), amounts=(100.0, 300.0))
        >>> arrivals.wins_until([0.0, 10.0, 20.0])
        array([0., 1., 3.])
        """
        asked = np.asarray(days, dtype=np.float64)
        known, shares = np.array(self.win_days), np.array(self.win_shares)
        # The integral of F at each of its own days; F is linear between them.
        whole = np.concatenate([[0.0], np.cumsum(np.diff(known) * (shares[1:] + shares[:-1]) / 2)])
        last = np.clip(np.searchsorted(known, asked, side="right") - 1, 0, len(known) - 1)
        reached = np.interp(asked, known, shares)
        inside = (asked - known[last]) * (shares[last] + reached) / 2
        return np.asarray(self.rate_a_day * (whole[last] + inside))

    def spread(self, days: float) -> float:
        """Variance of the number of wins beyond chance, over its squared mean.

        Parameters
        ----------
        days
            In which deals open; above 0.
        """
        bunching = (self.dispersion - 1.0) / max(self.rate_a_day * days, 1e-9)
        return bunching + 1.0 / max(self.opened, 1) + 1.0 / max(self.won, 1)

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {
            "opened": self.opened,
            "window_days": self.window_days,
            "dispersion": self.dispersion,
            "won": self.won,
            "win_days": list(self.win_days),
            "win_shares": list(self.win_shares),
            "amounts": list(self.amounts),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Arrivals:
        """The inverse of `to_json`."""
        lists = {name: tuple(value[name]) for name in ("win_days", "win_shares", "amounts")}
        return cls(**{**value, **lists})


def mixed(parts: Sequence[Arrivals]) -> Arrivals:
    """The openings of several groups as those of one.

    On average as many wins as in all of them together, until any day. Openings bunch in each group
    apart from the others. An amount counts by the wins to expect of its group in a quarter; wins of
    a group of which no amount is known are worth nothing, as they are alone.

    Parameters
    ----------
    parts
        At least one; amounts in one currency.

    Examples
    --------
    >>> one = Arrivals(opened=70, window_days=70.0, dispersion=1.0, won=10,
    ...     win_days=(0.0, 10.0), win_shares=(0.0, 0.2), amounts=(100.0,))
    >>> from dataclasses import replace
    >>> both = mixed([one, replace(one, opened=210, win_shares=(0.0, 0.4), amounts=(300.0,))])
    >>> round(both.rate_a_day, 9), [round(share, 9) for share in both.win_shares]
    (4.0, [0.0, 0.35])
    """
    if len(parts) == 1:
        return parts[0]
    opened = sum(each.opened for each in parts)
    rates = np.array([each.rate_a_day for each in parts])
    weights = rates / rates.sum() if opened else np.full(len(parts), 1.0 / len(parts))
    days = np.unique(np.concatenate([each.win_days for each in parts]))
    shares = [np.interp(days, each.win_days, each.win_shares) for each in parts]
    return Arrivals(
        opened=opened,
        window_days=float(opened / rates.sum()) if opened else parts[0].window_days,
        dispersion=float(weights @ [each.dispersion for each in parts]),
        won=sum(each.won for each in parts),
        win_days=tuple(days.tolist()),
        win_shares=tuple((weights @ np.array(shares)).tolist()),
        amounts=_mixed_amounts(parts),
    )


def _mixed_amounts(parts: Sequence[Arrivals]) -> tuple[float, ...]:
    """Equally frequent amounts with the mean of all: means of equal parts of what is sorted."""
    wins = np.array([each.wins_until([QUARTER_DAYS])[0] for each in parts])
    if not any(each.amounts for each in parts) or not wins.sum() > 0.0:
        return tuple(amount for each in parts for amount in each.amounts)
    known = [each.amounts or (0.0,) for each in parts]
    amounts = np.concatenate(known)
    weights = np.repeat(
        [of / len(own) for of, own in zip(wins / wins.sum(), known, strict=True)],
        [len(own) for own in known],
    )
    order = np.argsort(amounts, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    worth = np.concatenate([[0.0], np.cumsum((weights * amounts)[order])])
    cuts = np.linspace(0.0, below[-1], MIXED_AMOUNTS + 1)
    return tuple((np.diff(np.interp(cuts, below, worth)) * MIXED_AMOUNTS).tolist())
