"""How much of the simulated truth the intervals of a base rate cover. Run by ``make bench``.

Small companies, counted from when two fifths of their record had passed; deals opened later are
scored at the truth's own moments.
"""

from __future__ import annotations

import numpy as np
import pytest

from model.errors import TrainingDataError
from model.feeds import feeds_of
from model.history import History
from model.scorer import Scorer
from training.dataset import open_span
from training.fit import train
from training.preparing import Options
from training.simulate import simulate

DEALS = 160
SEEDS = range(100, 125)
PAST_SHARE = 0.4
DAYS = (30.0, 90.0)
COVERED = (0.40, 0.75)  # of the true probabilities by 80 % intervals: a base rate misses more


@pytest.mark.parametrize("world", [1, 2])
def test_how_much_of_the_truth_a_base_rate_s_intervals_cover(world: int) -> None:
    covered: list[list[float]] = []
    counted: list[tuple[int, int]] = []
    for seed in SEEDS:
        company = simulate(DEALS, seed, world)
        known = np.sort(company.events["known_at"].cast("int64").to_numpy())
        cutoff = int(known[0] + PAST_SHARE * (known[-1] - known[0]))
        try:
            artifact = train(
                company.events, cutoff, Options(base_rate=True, edges_days=DAYS, jobs=1)
            )
        except TrainingDataError:
            continue  # too few deals were won in one of the edges by then
        facts = artifact.facts["training"]
        counted.append((facts["won"], facts["deals"]))
        scorer = Scorer(artifact)
        history = History.from_table(company.events)
        opened, _ = open_span(history, cutoff * 2)
        truth = company.truth.to_pandas()
        truth["time"] = truth["as_of"].dt.as_unit("us").astype("int64")
        place = {deal_id: index for index, deal_id in enumerate(history.deal_ids)}
        truth["deal"] = truth["deal_id"].map(place)
        truth = truth[(truth["time"] >= cutoff) & (opened[truth["deal"]] >= cutoff)]
        points = truth[["deal", "time"]].drop_duplicates()
        deal, time = points["deal"].to_numpy(), points["time"].to_numpy()
        feeds = scorer.feeds(feeds_of(history))
        scored = scorer.score_many(history, deal, time, None, feeds, checked=True)
        covered.append([])
        for days in DAYS:
            low, high = scorer.intervals(scored, np.array(days))
            exact = truth[truth["days"] == days].set_index(["deal", "time"])["p_observable"]
            at = exact.loc[list(zip(deal, time, strict=True))].to_numpy()
            covered[-1].append(float(((at >= low) & (at <= high)).mean()))
    mean = np.mean(covered, axis=0)
    won, deals = np.mean(counted, axis=0)
    print(
        f"\nworld {world}, {len(covered)} companies, {won:.0f} deals won of {deals:.0f}: 80 % "
        f"intervals of the base rate within {DAYS} days cover {mean.round(3).tolist()}"
    )
    assert len(covered) >= 20
    assert (mean > COVERED[0]).all()
    assert (mean < COVERED[1]).all()
