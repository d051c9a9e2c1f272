"""Choices are made on deals that the candidates did not learn from, and on later time.

Deals are divided by hash into fitting and judging. Judging rows have ``t >= split``, fitting rows
``t + e_b <= split``; deals older than the split occur in both groups, so that late ages are judged
too. Where the record is too short for that (fewer than `FEWEST_FITTING_DEALS` deals before the
split, or less than `FITTING_SPAN` furthest edges of time), cross-fitting grouped by deal replaces
it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.events import DAY_US
from model.grid import BinArray, Grid
from model.history import Floats, Ints
from training.boosting import bag_members, in_parallel, problems
from training.dataset import Dataset
from training.learners import Learner, size, staged, stages

FEWEST_FITTING_DEALS: Final = 300
JUDGING_SHARE: Final = 0.35  # of the deals
FITTING_SPAN: Final = 2.0  # furthest edges that the time before the split must hold
JUDGED_TIME: Final = 0.3  # of the time that rows at the last edge span
FOLDS: Final = 4
JUDGING_BAGS: Final = 4  # of the one round out of time
CROSS_FITTING_BAGS: Final = 4  # of each of the rounds; with fewer than are shown, too few trees win
SMALLEST_LOSS_GAIN: Final = 1e-5  # a larger ensemble must win at least this much a row


@dataclass(frozen=True, kw_only=True, eq=False)
class Division:
    """Who learns and who judges: one round out of time, or several of cross-fitting.

    Parameters
    ----------
    method
        ``out of time`` or ``cross-fitting by deal``.
    split
        The moment between fitting and judging, microseconds since 1970 UTC; None if none.
    bags
        How many bags a round is judged by.
    rounds
        For each round the rows that may be fitted on at each edge, (R, B), and those judged, (R,).
    """

    method: str
    split: int | None
    bags: int
    rounds: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """What the judging rows say of one candidate.

    Parameters
    ----------
    sizes
        The best size of each edge, `training.learners.size`. Shape (B,).
    eta
        Log-odds of the judged rows with them; NaN where not judged. Shape (R, B).
    loss
        Log-loss of each edge's question. Shape (B,).
    total
        Loss summed over the edges of a judged row: minus the log-likelihood of a row.
    """

    learner: Learner
    sizes: Ints
    eta: Floats
    loss: Floats
    total: float


def deal_share(deal_ids: Sequence[str]) -> Floats:
    """A number in [0, 1) for each deal from its id alone, the same on every machine."""
    digests = (hashlib.blake2b(deal_id.encode(), digest_size=8).digest() for deal_id in deal_ids)
    return np.array([int.from_bytes(d, "big") for d in digests]) / 2.0**64


def divide(data: Dataset, edges: Floats, share: Floats | None = None) -> Division:
    """Decide who learns and who judges.

    Parameters
    ----------
    data
        The snapshots.
    edges
        Days. Shape (B + 1,).
    share
        A number in [0, 1) for each deal that decides its side, such as that of
        `training.twins.division_share`; None takes `deal_share`. Shape (D,).
    """
    share = (deal_share(data.deal_ids) if share is None else share)[data.deal]
    first = int(data.as_of.min())
    last = data.countable_until - int(edges[-1] * DAY_US)
    split = int(first + (1.0 - JUDGED_TIME) * (last - first))
    ends = data.as_of[:, None] + (edges[1:] * DAY_US).astype(np.int64)
    fitting = (share >= JUDGING_SHARE)[:, None] & (ends <= split)
    judging = (share < JUDGING_SHARE) & (data.as_of >= split)
    deals = len(np.unique(data.deal[fitting[:, -1]]))
    long_enough = (split - first) / DAY_US >= FITTING_SPAN * edges[-1]
    if long_enough and deals >= FEWEST_FITTING_DEALS:
        return Division(
            method="out of time", split=split, bags=JUDGING_BAGS, rounds=[(fitting, judging)]
        )
    fold = (share * FOLDS).astype(np.int64)
    every = np.ones((1, len(edges) - 1), dtype=bool)
    rounds = [((fold != f)[:, None] & every, fold == f) for f in range(FOLDS)]
    return Division(
        method="cross-fitting by deal", split=None, bags=CROSS_FITTING_BAGS, rounds=rounds
    )


def judge(
    data: Dataset,
    grid: Grid,
    bins: BinArray,
    edges: Floats,
    division: Division,
    learner: Learner,
    *,
    seed: int,
    jobs: int,
    step: Callable[[], None] = lambda: None,
) -> Judgement:
    """Fit a candidate on the fitting rows and choose its size on the judging rows.

    Parameters
    ----------
    bins
        Bins of all rows. Shape (R, F).
    step
        Called after each ensemble, for progress.
    """
    edge_count = len(edges) - 1
    eta = np.full((stages(learner), data.rows, edge_count), np.nan, dtype=np.float32)
    calls = []
    judged_rows = []
    members = bag_members(len(data.deal_ids), division.bags, seed)
    for number, (fitting, judging) in enumerate(division.rounds):
        questions = problems(data, edges, fitting)
        judged = np.flatnonzero(judging)
        for b, question in enumerate(questions):
            for bag in range(division.bags):
                drawn = members[bag, data.deal[question.rows]]
                calls.append(
                    (
                        grid,
                        bins,
                        question.rows[drawn],
                        question.won[drawn],
                        data.weight,
                        data.deal,
                        learner,
                        judged,
                        seed + 1000 * number + 10 * b + bag,
                    )
                )
                judged_rows.append((judged, b))
    for (judged, b), found in zip(judged_rows, in_parallel(_judge_one, calls, jobs), strict=True):
        known = np.nan_to_num(eta[:, judged, b])
        eta[:, judged, b] = known + found / division.bags
        step()
    return _best(data, edges, learner, eta)


def _judge_one(
    grid: Grid,
    bins: BinArray,
    rows: Ints,
    won: NDArray[np.bool_],
    weight: Floats,
    deal: Ints,
    learner: Learner,
    judged: Ints,
    seed: int,
) -> Floats:
    deals = len(np.unique(deal[rows]))
    return staged(grid, bins[rows], won, weight[rows], deals, learner, bins[judged], seed)


def log_losses(won: NDArray[np.bool_], eta: Floats) -> Floats:
    """Log-loss of each answer in log-odds, ``log(1 + exp(-eta))`` for a win. Same shape."""
    return np.asarray(np.logaddexp(0.0, np.where(won, -eta, eta)))


def _best(data: Dataset, edges: Floats, learner: Learner, eta: NDArray[np.float32]) -> Judgement:
    everything = np.ones((data.rows, len(edges) - 1), dtype=bool)
    sizes, losses, chosen = [], [], np.full(eta.shape[1:], np.nan)
    weight_of_rows = 0.0
    total = 0.0
    for b, question in enumerate(problems(data, edges, everything)):
        judged = np.isfinite(eta[0, question.rows, b])
        rows, won = question.rows[judged], question.won[judged]
        weight = data.weight[rows]
        by_stage = np.array(
            [weight @ log_losses(won, eta[s, rows, b].astype(np.float64)) for s in range(len(eta))]
        ) / max(weight.sum(), 1e-9)
        # The smallest ensemble that is as good as the best: ties go to fewer trees.
        stage = int(np.flatnonzero(by_stage <= by_stage.min() + SMALLEST_LOSS_GAIN)[0])
        sizes.append(size(learner, stage))
        losses.append(by_stage[stage])
        chosen[:, b] = eta[stage, :, b]
        total += by_stage[stage] * weight.sum()
        weight_of_rows = max(weight_of_rows, weight.sum())
    return Judgement(
        learner=learner,
        sizes=np.array(sizes),
        eta=chosen,
        loss=np.array(losses),
        total=float(total / max(weight_of_rows, 1e-9)),
    )
