"""What a forecast of a period needs beside the model, estimated from what was known at the cut-off.

*The common shock.* In a week, n deals were judged (by models that had not learned from them) with
probabilities p_i of a win within a horizon, and W of them were won. Were outcomes independent,
W - sum p_i would have the variance V = sum p_i (1 - p_i); a shock s common to their log-odds, of
variance v, adds about v V^2. So, by the method of moments over weeks,

    v = sum ((W - sum p)^2 - V) / sum V^2.

Periods that are forecast end with a quarter, when many companies hurry, and the model knows little
of so few quarters: the weeks are those whose horizon ends with a calendar quarter, and the mean
error is left in. Each horizon has a variance of its own. Few quarters tell it badly, so it is drawn
toward what simulated companies showed, which counts for `PRIOR_QUARTERS` of them.

*Deals not yet opened.* How many open, from the last `WINDOW_DAYS`; the share won by days from the
opening (of every deal whose days are known, whatever its outcome, as in learning); what was won.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np

from model.arrivals import Arrivals
from model.asof import OPENED
from model.events import DAY_US, EARLIEST, KIND_CODES, LATEST, microseconds
from model.hazard import edge_weights, probability
from model.history import NONE, Floats, History, Ints
from training.dataset import NEVER, Dataset, closing_lag, deal_of_rows, win_times

SHOCK_DAYS: Final = 92.0  # a quarter: the furthest edge up to it is judged
PRIOR_VARIANCE: Final = 0.1  # of the shock, in squared log-odds
PRIOR_QUARTERS: Final = 4.0  # that the prior counts for
WEEK_US: Final = 7 * DAY_US
NEAR_US: Final = WEEK_US // 2  # of a quarter's end, so that each deal has about one snapshot
QUARTER_ENDS: Final = np.array(
    [
        microseconds(datetime(year, month, 1, tzinfo=UTC))
        for year in range(EARLIEST.year, LATEST.year + 1)
        for month in (1, 4, 7, 10)
    ]
)
WINDOW_DAYS: Final = 364.0  # whole weeks, so that no weekday counts twice
SHARE_DAYS: Final = 7.0  # between two days at which shares are kept
FURTHEST_DAYS: Final = 182.0  # a deal opened later than this before a period's end hardly tells
MOST_AMOUNTS: Final = 100


def forecast_facts(
    history: History, data: Dataset, edges: Floats, judged: Floats, known_before: int
) -> dict[str, Any]:
    """The artifact's fact ``forecast``.

    Parameters
    ----------
    history
        What was known before the cut-off.
    data
        The snapshots.
    edges
        Days. Shape (B + 1,).
    judged
        Log-odds of the judged snapshots, NaN elsewhere; not calibrated on them, or part of what
        is common to a quarter would be taken out. Shape (R, B).
    known_before
        The cut-off, microseconds since 1970 UTC.
    """
    arrivals = arrivals_of(history, known_before)
    return {
        "shocks": shocks_of(data, edges, judged),
        "arrivals": {currency: each.to_json() for currency, each in arrivals.items()},
    }


def shocks_of(data: Dataset, edges: Floats, judged: Floats) -> list[dict[str, Any]]:
    """The variance of the shock common to all deals, by horizon.

    Returns
    -------
    list of dict
        For each edge up to `SHOCK_DAYS`, or the first alone: ``days``; ``variance`` after drawing
        toward the prior; ``seen`` before it, None where no quarter was judged; and ``quarters``,
        how many were.
    """
    count = max(1, int((edges[1:] <= SHOCK_DAYS).sum()))
    return [_shock(data, edges[: b + 2], judged[:, : b + 1]) for b in range(count)]


def _shock(data: Dataset, edges: Floats, judged: Floats) -> dict[str, Any]:
    days = float(edges[-1])
    ends = data.as_of + int(days * DAY_US)
    quarter = np.searchsorted(QUARTER_ENDS, ends - NEAR_US)
    near = np.abs(QUARTER_ENDS[quarter] - ends) <= NEAR_US
    rows = np.flatnonzero(near & data.countable(edges)[:, -1] & np.isfinite(judged).all(axis=1))
    _, first = np.unique(np.stack([quarter[rows], data.deal[rows]]), axis=1, return_index=True)
    rows = rows[first]  # one snapshot of a deal in each quarter
    told: dict[str, Any] = {"days": days, "variance": PRIOR_VARIANCE, "seen": None, "quarters": 0}
    if rows.size == 0:
        return told
    p = probability(judged[rows], edge_weights(edges, np.array(days)))
    _, at = np.unique(quarter[rows], return_inverse=True)
    excess = np.bincount(at, (data.days_to_win()[rows] <= days) - p)
    alone = np.bincount(at, p * (1.0 - p))
    seen = float((excess**2 - alone).sum() / max(float((alone**2).sum()), 1e-9))
    quarters = len(alone)
    drawn = (quarters * seen + PRIOR_QUARTERS * PRIOR_VARIANCE) / (quarters + PRIOR_QUARTERS)
    return {**told, "variance": max(drawn, 0.0), "seen": seen, "quarters": quarters}


def arrivals_of(history: History, known_before: int) -> dict[str, Arrivals]:
    """Deals not yet opened, by currency; the empty name has those of deals without one."""
    deal = deal_of_rows(history)
    opened = np.full(history.deals, NEVER)
    at = np.flatnonzero(history.kind == OPENED)
    np.minimum.at(opened, deal[at], history.occurred[at])
    win = win_times(history, known_before)
    currency = _last(history, deal, "currency_changed", history.name, win)
    amount = _last(history, deal, "amount_changed", history.number, win)
    until = known_before - closing_lag(history, known_before)
    found = {}
    for code in np.unique(currency[opened != NEVER]).tolist():
        own = (opened != NEVER) & (currency == code)
        name = "" if code == NONE else history.names[int(code)]
        found[name] = _arrivals(opened[own], win[own], amount[own], until, known_before)
    return found


def _last(history: History, deal: Ints, kind: str, values: Any, win: Ints) -> Any:
    """Each deal's last value of a kind, up to its win; the code of none, or NaN."""
    rows = np.flatnonzero((history.kind == KIND_CODES[kind]) & (history.occurred <= win[deal]))
    last = np.full(history.deals, NONE if values.dtype.kind == "i" else np.nan, values.dtype)
    last[deal[rows]] = values[rows]  # rows ascend in time, and the last assignment stands
    return last


def _arrivals(opened: Ints, win: Ints, amount: Floats, until: int, known_before: int) -> Arrivals:
    window = min(WINDOW_DAYS, max(7.0, np.floor((known_before - opened.min()) / WEEK_US) * 7.0))
    recent = opened[opened >= known_before - int(window * DAY_US)]
    weeks = np.bincount(
        np.clip((known_before - 1 - recent) // WEEK_US, 0, None), minlength=int(window // 7)
    )
    mean = float(weeks.mean())
    dispersion = max(1.0, float(weeks.var(ddof=1)) / mean) if len(weeks) > 1 and mean else 1.0
    days = np.arange(0.0, FURTHEST_DAYS + 1.0, SHARE_DAYS)
    taken = np.where(win == NEVER, np.inf, (win - opened) / DAY_US)
    stay, counted = 1.0, np.zeros(len(opened), dtype=bool)
    shares = [0.0]
    for begin, end in pairwise(days.tolist()):
        told = (opened + int(end * DAY_US) <= until) & (taken > (begin if begin else -np.inf))
        won = told & (taken <= end)
        stay *= 1.0 - won.sum() / max(int(told.sum()), 1)
        counted |= won
        shares.append(1.0 - stay)
    return Arrivals(
        opened=len(recent),
        window_days=float(window),
        dispersion=dispersion,
        won=int(counted.sum()),
        win_days=tuple(days.tolist()),
        win_shares=tuple(shares),
        amounts=_equally_frequent(amount[(win != NEVER) & np.isfinite(amount)]),
    )


def _equally_frequent(amounts: Floats) -> tuple[float, ...]:
    """At most `MOST_AMOUNTS` values that stand for all, with the same mean."""
    if amounts.size == 0:
        return ()
    parts = np.array_split(np.sort(amounts), min(MOST_AMOUNTS, amounts.size))
    means = np.array([part.mean() for part in parts])
    if means.mean() > 0:
        means *= amounts.mean() / means.mean()  # parts differ by one value in size
    return tuple(means.tolist())
