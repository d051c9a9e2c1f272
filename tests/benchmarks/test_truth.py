"""How near the probabilities come to the simulated truth, in both worlds. Run by ``make bench``.

Deals opened after the training's cut-off are scored at the truth's own moments and compared with
`p_observable`, what the events known then really say; beside it the base rate by stage and age, and
the share of the true probabilities that the 80 % intervals cover.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from model.events import DAY_US, microseconds
from model.features import FeatureSet
from model.feeds import feeds_of
from model.history import Floats, History
from model.scorer import Scorer
from training.dataset import build_dataset, open_span
from training.fit import train
from training.preparing import Options
from training.simulate import simulate

DEALS = 20_000
KNOWN_BEFORE = microseconds(datetime(2025, 10, 5, tzinfo=UTC))
DAYS = (7.0, 14.0, 30.0, 60.0, 90.0)
AGES_DAYS = (7, 14, 30, 60, 90, 120, 180, 270)  # bounds of the base rate's age bands
PRIOR_ROWS = 20.0  # that the overall rate counts for in each stage and age band
MOST_OF_BASE_RATE = 0.75  # of the base rate's error; 0.5 is the aim
COVERED = (0.65, 0.95)  # of the true probabilities by 80 % intervals; 0.70 to 0.90 is the aim


def stage_and_age(x: Floats) -> list[tuple[float, int]]:
    bands = np.searchsorted(AGES_DAYS, x[:, 1])
    return list(zip(np.nan_to_num(x[:, 0], nan=-2.0).tolist(), bands.tolist(), strict=True))


@pytest.mark.parametrize("world", [1, 2])
def test_the_distance_from_the_truth_against_the_base_rate_s(world: int) -> None:
    company = simulate(DEALS, 1, world)
    scorer = Scorer(train(company.events, KNOWN_BEFORE, Options(within_days=DAYS)))
    history = History.from_table(company.events)
    opened, _ = open_span(history, KNOWN_BEFORE * 2)
    truth = company.truth.to_pandas()
    truth["time"] = truth["as_of"].dt.as_unit("us").astype("int64")
    place = {deal_id: index for index, deal_id in enumerate(history.deal_ids)}
    truth["deal"] = truth["deal_id"].map(place)
    unseen = (truth["time"] >= KNOWN_BEFORE) & (opened[truth["deal"]] >= KNOWN_BEFORE)
    truth = truth[unseen]
    points = truth[["deal", "time"]].drop_duplicates()
    deal, time = points["deal"].to_numpy(), points["time"].to_numpy()
    feeds = feeds_of(history)
    scored = scorer.score_many(history, deal, time, None, scorer.feeds(feeds), checked=True)
    probability = scorer.probabilities(scored, DAYS)

    plain = FeatureSet(scorer.features.vocabulary, ("stage", "deal_age_days"))
    past = build_dataset(history, plain, KNOWN_BEFORE, spacing_days=7.0, seed=0)
    kind_now = stage_and_age(plain.matrix(history, deal, time, feeds))

    for column, days in enumerate(DAYS):
        rows = past.as_of + int(days * DAY_US) <= past.countable_until
        won = past.days_to_win()[rows] <= days
        table = pd.DataFrame({"kind": stage_and_age(past.x[rows]), "won": won})
        sums = table.groupby("kind")["won"].agg(["sum", "size"])
        overall = float(won.mean())
        rates = ((sums["sum"] + PRIOR_ROWS * overall) / (sums["size"] + PRIOR_ROWS)).to_dict()
        base = np.array([rates.get(kind, overall) for kind in kind_now])
        known = truth[truth["days"] == days].set_index(["deal", "time"])["p_observable"]
        exact = known.loc[list(zip(deal, time, strict=True))].to_numpy()
        error = float(np.abs(probability[:, column] - exact).mean())
        base_error = float(np.abs(base - exact).mean())
        print(
            f"\nworld {world}, within {days:g} days, {len(exact):,} moments: mean error "
            f"{error:.4f}, base rate by stage and age {base_error:.4f}, ratio "
            f"{error / base_error:.2f}"
        )
        low, high = scorer.intervals(scored, np.array(days))
        covered = float(((exact >= low) & (exact <= high)).mean())
        width = float((high - low).mean())
        print(f"  80 % intervals cover {covered:.1%}, {width:.3f} wide in the mean")
        assert error <= MOST_OF_BASE_RATE * base_error
        assert COVERED[0] <= covered <= COVERED[1]
