"""What an answer is worth where 40 deals were won and 40 lost. Run by ``make bench``.

Small simulated companies, learned from at the moment at which so many closings were known; deals
opened later are scored at the truth's own moments. Beside them a company of many deals. The excess
is the mean divergence of the probability from the true one (`p_observable`), in nats.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pytest

from model.asof import LOST, WON
from model.errors import TrainingDataError
from model.feeds import feeds_of
from model.history import Floats, History
from model.scorer import Scorer
from training.dataset import deal_of_rows, open_span
from training.fit import train
from training.preparing import FEWEST_LOST, FEWEST_WON, Options
from training.simulate import Simulation, simulate

SMALL: Final = 360  # deals of a company, of which the first few are learned from
SEEDS: Final = range(200, 205)
LARGE: Final = 6000
LARGE_SHARE: Final = 0.6  # of its record learned from
DAYS: Final = (30.0, 90.0)
MOMENTS: Final = 4000  # judged at most
COVERED: Final = (0.70, 0.90)  # of the truths by 80 % intervals


class Judged(NamedTuple):
    """Of one company, each by days ahead."""

    excess: Floats
    base_excess: Floats
    covered: Floats
    width: Floats


def divergence(truth: Floats, p: Floats) -> float:
    truth, p = np.clip(truth, 1e-9, 1 - 1e-9), np.clip(p, 1e-9, 1 - 1e-9)
    each = truth * np.log(truth / p) + (1 - truth) * np.log((1 - truth) / (1 - p))
    return float(each.mean())


def judged(company: Simulation, cutoff: int) -> Judged:
    options = Options(edges_days=DAYS, jobs=1)
    scorer = Scorer(train(company.events, cutoff, options))
    base = Scorer(train(company.events, cutoff, Options(edges_days=DAYS, base_rate=True, jobs=1)))
    history = History.from_table(company.events)
    opened, _ = open_span(history, cutoff * 2)
    assert company.truth is not None
    truth = company.truth.to_pandas()
    truth["time"] = truth["as_of"].dt.as_unit("us").astype("int64")
    truth["deal"] = truth["deal_id"].map({d: n for n, d in enumerate(history.deal_ids)})
    truth = truth[(truth["time"] >= cutoff) & (opened[truth["deal"]] >= cutoff)]
    points = truth[["deal", "time"]].drop_duplicates()
    points = points.sample(min(len(points), MOMENTS), random_state=0)
    deal, time = points["deal"].to_numpy(), points["time"].to_numpy()
    feeds = feeds_of(history)
    scored, plain = (
        each.score_many(history, deal, time, None, each.feeds(feeds), checked=True)
        for each in (scorer, base)
    )
    p, base_p = scorer.probabilities(scored, DAYS), base.probabilities(plain, DAYS)
    parts = []
    for column, days in enumerate(DAYS):
        known = truth[truth["days"] == days].set_index(["deal", "time"])["p_observable"]
        exact = known.loc[list(zip(deal, time, strict=True))].to_numpy()
        low, high = scorer.intervals(scored, np.array(days))
        parts.append(
            (
                divergence(exact, p[:, column]),
                divergence(exact, base_p[:, column]),
                ((exact >= low) & (exact <= high)).mean(),
                (high - low).mean(),
            )
        )
    return Judged(*np.array(parts).T)


def enough_known(company: Simulation) -> int:
    """When so many deals were known as won and so many as lost that training begins."""
    history = History.from_table(company.events)
    deal = deal_of_rows(history)
    moments = []
    for kind, fewest in ((WON, FEWEST_WON), (LOST, FEWEST_LOST)):
        rows = np.flatnonzero(history.kind == kind)
        first = np.unique(deal[rows], return_index=True)[1]
        moments.append(np.sort(history.known[rows[first]])[fewest + 1])
    return int(max(moments)) + 1


@pytest.mark.parametrize("world", [1, 2])
def test_little_data_is_answered_usefully_and_with_wider_intervals(world: int) -> None:
    small = []
    for seed in SEEDS:
        company = simulate(SMALL, seed, world)
        try:
            small.append(judged(company, enough_known(company)))
        except TrainingDataError as refused:
            print(f"\nseed {seed}: {refused}")
    company = simulate(LARGE, 1, world)
    known = np.sort(company.events["known_at"].cast("int64").to_numpy())
    large = judged(company, int(known[0] + LARGE_SHARE * (known[-1] - known[0])))
    few = Judged(*np.mean(small, axis=0))
    for name, found in ((f"40 won and 40 lost, {len(small)} companies", few), ("many", large)):
        print(f"\nworld {world}, {name}, within {DAYS} days:")
        for figure, values in found._asdict().items():
            print(f"  {figure} {values.round(4).tolist()}")
    assert len(small) >= 3
    assert (few.excess < few.base_excess).all()
    assert (few.width > large.width).all()
    assert (few.covered > COVERED[0]).all()
    assert (few.covered < COVERED[1]).all()
