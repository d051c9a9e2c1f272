"""Judging: on deals and at times that the candidates did not learn from."""

from __future__ import annotations

import numpy as np
import pytest

from model.events import DAY_US
from model.grid import Grid
from model.history import Floats
from tests.training.companies import snapshots
from training.boosting import STAGE, Settings
from training.dataset import Dataset
from training.grid_fit import make_grid
from training.judging import FOLDS, JUDGING_SHARE, Judgement, deal_share, divide, judge, log_losses

EDGES = np.array([0.0, 7.0, 30.0])
SETTINGS = Settings(rows_a_leaf=20, trees=40, features_a_split=1.0)


def long_record(deals: int = 1200, days: float = 1000.0, *, tells: float = 0.0) -> Dataset:
    """Deals of four moments each; with `tells` the first feature says how soon they are won."""
    rng = np.random.default_rng(2)
    deal = np.repeat(np.arange(deals), 4)
    opened = np.repeat(rng.uniform(0.0, days - 40.0, deals), 4)
    at = opened + np.tile([0.0, 5.0, 10.0, 15.0], deals)
    x = np.stack([np.repeat(rng.normal(size=deals), 4), rng.normal(size=4 * deals)], axis=1)
    rate = np.exp(tells * x[:, 0] - 3.5)
    wait = np.repeat(rng.exponential(size=deals), 4) / rate
    return snapshots(deal, at, np.where(wait < 90.0, wait, np.inf), x=x, known_days=days)


def grid_of(data: Dataset) -> Grid:
    return make_grid(data.x, names=["told", "noise"], categories=[None, None], directions=[1, 0])


def judged(data: Dataset, settings: Settings = SETTINGS) -> Judgement:
    grid = grid_of(data)
    return judge(data, grid, grid.bin(data.x), EDGES, divide(data, EDGES), settings, seed=0, jobs=1)


def base_loss(data: Dataset) -> Floats:
    """Log-loss of the share won among the rows of each edge's question."""
    counts = data.at_risk(EDGES) & data.countable(EDGES)
    shares = [data.won(EDGES)[counts[:, b], b].mean() for b in range(2)]
    return np.array([-(p * np.log(p) + (1 - p) * np.log(1 - p)) for p in shares])


def test_fitting_ends_before_the_split_and_judging_starts_at_it() -> None:
    data = long_record()
    division = divide(data, EDGES)

    assert division.method == "out of time"
    assert division.split is not None
    [(fitting, judging)] = division.rounds
    ends = data.as_of[:, None] + (EDGES[1:] * DAY_US).astype(np.int64)
    assert fitting.any(axis=0).all()
    assert (ends[fitting] <= division.split).all()
    assert judging.any()
    assert (data.as_of[judging] >= division.split).all()
    assert (data.countable(EDGES) & judging[:, None]).any(axis=0).all()


def test_no_deal_both_fits_and_judges() -> None:
    data = long_record()
    for division in (divide(data, EDGES), divide(long_record(200), EDGES)):
        for fitting, judging in division.rounds:
            used = data.deal[: len(judging)]
            assert not set(used[fitting.any(axis=1)]) & set(used[judging])


def test_deals_older_than_the_split_are_judged_too() -> None:
    data = long_record()
    division = divide(data, EDGES)
    [(_, judging)] = division.rounds
    first = np.full(len(data.deal_ids), np.iinfo(np.int64).max)
    np.minimum.at(first, data.deal, data.as_of)

    assert division.split is not None
    assert (first[data.deal[judging]] < division.split).any()


@pytest.mark.parametrize(
    "data", [long_record(300), long_record(1200, days=100.0)], ids=["few deals", "little time"]
)
def test_a_short_record_is_cross_fitted_by_deal(data: Dataset) -> None:
    division = divide(data, EDGES)

    assert (division.method, division.split) == ("cross-fitting by deal", None)
    assert len(division.rounds) == FOLDS
    times_judged = np.sum([judging for _, judging in division.rounds], axis=0)
    assert (times_judged == 1).all()
    for fitting, judging in division.rounds:
        assert (fitting == ~judging[:, None]).all()


def test_a_deal_falls_on_its_side_by_its_own_id_alone() -> None:
    ids = [f"D-{number}" for number in range(2000)]
    share = deal_share(ids)

    assert deal_share(ids[::-1])[::-1].tolist() == share.tolist()
    assert ((share >= 0.0) & (share < 1.0)).all()
    assert (share < JUDGING_SHARE).mean() == pytest.approx(JUDGING_SHARE, abs=0.04)


@pytest.mark.parametrize("deals", [300, 1500], ids=["cross-fitting", "out of time"])
def test_pure_noise_does_not_beat_the_base_rate_by_invention(deals: int) -> None:
    data = long_record(deals)
    judgement = judged(data)

    rows = np.flatnonzero(np.isfinite(judgement.eta).all(axis=1))
    own = base_loss(data.take(rows))
    assert judgement.loss == pytest.approx(own, abs=0.02)
    assert set(judgement.sizes.tolist()) <= set(range(0, SETTINGS.trees + 1, STAGE))


def test_with_nothing_to_learn_no_tree_is_grown() -> None:
    data = long_record(300)
    constant = Dataset(**{**vars(data), "x": np.zeros_like(data.x)})
    judgement = judged(constant)

    assert judgement.sizes.tolist() == [0, 0]
    assert np.ptp(judgement.eta, axis=0).max() < 0.5  # the share won of each round's deals
    assert judgement.loss == pytest.approx(base_loss(data), abs=0.01)


def test_what_tells_is_learned_and_worth_its_trees() -> None:
    data = long_record(tells=1.5)
    judgement = judged(data)

    own = base_loss(data.take(np.flatnonzero(np.isfinite(judgement.eta).all(axis=1))))
    assert (judgement.sizes >= STAGE).all()
    assert (judgement.loss < own - 0.03).all()


def test_only_judged_rows_have_log_odds() -> None:
    data = long_record()
    [(_, judging)] = divide(data, EDGES).rounds

    assert (np.isfinite(judged(data).eta) == judging[:, None]).all()


def test_the_total_is_the_loss_of_a_row_over_its_edges() -> None:
    data = long_record(300)
    judgement = judged(data)
    counts = data.at_risk(EDGES) & data.countable(EDGES)
    losses = np.where(counts, log_losses(data.won(EDGES), judgement.eta), 0.0)

    assert judgement.total == pytest.approx(losses.sum() / counts.sum(axis=0).max(), abs=1e-6)


def test_the_same_seed_judges_alike() -> None:
    data = long_record(300, tells=1.0)
    one, other = judged(data), judged(data)

    assert one.sizes.tolist() == other.sizes.tolist()
    assert np.array_equal(one.eta, other.eta, equal_nan=True)


def test_log_losses_of_log_odds_do_not_overflow() -> None:
    found = log_losses(np.array([True, False, True]), np.array([0.0, 900.0, 900.0]))

    assert found == pytest.approx([np.log(2.0), 900.0, 0.0])
