"""Where nothing tells how deals end, no confidence is invented. Run by ``make bench``.

Two ways of having no signal (`tests/no_signal.py`). In the made-up CRM the true chance is known,
and the log-loss above it is exact. Where endings are permuted, that chance hangs on a deal's age
alone: the model is held against the base rate by age and against that of all deals.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from model.events import DAY_US
from model.feeds import feeds_of
from model.history import Floats, History
from model.scorer import Scorer
from service.cli import main
from tests.no_signal import (
    FIRST,
    chance_of_a_win,
    endings_permuted,
    log_loss_above_truth,
    write_crm_export,
)
from training.dataset import Dataset, build_dataset, open_span
from training.fit import train
from training.metrics import log_loss
from training.preparing import Options
from training.simulate import simulate

SEEDS: Final = range(20)
MOST_ABOVE_BASE_RATE: Final = 0.002  # nats
DEALS: Final = 7500
LEARNED_SHARE: Final = 0.75  # of the deals, by their opening
DAYS: Final = (30.0, 90.0)
SPACING_DAYS: Final = 28.0  # weekly learns from four times as much in four times as long
AGE_BANDS: Final = 20
CRM_DEALS: Final = 7500
CRM_SEEDS: Final = range(4)
CRM_CUTOFF: Final = "2025-07-02"


def shares(past: Dataset, now: Dataset, days: float, past_age: Floats, age: Floats) -> list[Floats]:
    """The base rate of all, and by age: learned from the past, for each moment now."""
    rows = past.countable(np.array([0.0, days]))[:, 0]
    won, weight = past.days_to_win()[rows] <= days, past.weight[rows]
    bounds = np.quantile(past_age[rows], np.linspace(0, 1, AGE_BANDS + 1)[1:-1])
    band = np.digitize(past_age[rows], bounds)
    by_age = np.bincount(band, weights=weight * won) / np.bincount(band, weights=weight)
    return [
        np.full(now.rows, np.average(won, weights=weight)),
        by_age[np.digitize(age, bounds)],
    ]


def test_permuted_endings_are_not_told_apart() -> None:
    company = simulate(DEALS, 1, 1, truth=False).events
    history = History.from_table(company)
    opened, _ = open_span(history, int(history.known.max()) + 1)
    cutoff = int(np.quantile(opened, LEARNED_SHARE))
    above = []
    for seed in SEEDS:
        events = endings_permuted(company, seed)
        scorer = Scorer(
            train(events, cutoff, Options(edges_days=DAYS, spacing_days=SPACING_DAYS, jobs=1))
        )
        history, feeds = History.from_table(events), feeds_of(History.from_table(events))
        opened, _ = open_span(history, int(history.known.max()) + 1)
        past, every = (
            build_dataset(history, scorer.features, until, spacing_days=7.0, seed=99, feeds=feeds)
            for until in (cutoff, int(history.known.max()) + 1)
        )
        now = every.take(every.as_of >= cutoff)
        scored = scorer.score_many(history, now.deal, now.as_of, None, scorer.feeds(feeds))
        probability = scorer.probabilities(scored, DAYS)
        past_age, age = (part.as_of - opened[part.deal] for part in (past, now))
        above.append([])
        for column, days in enumerate(DAYS):
            rows = now.countable(np.array([0.0, days]))[:, 0]
            won = now.days_to_win()[rows] <= days
            losses = [
                log_loss(won, p[rows], now.weight[rows])
                for p in (
                    probability[:, column],
                    *shares(past, now, days, past_age.astype(float), age.astype(float)),
                )
            ]
            above[-1] += [losses[0] - losses[1], losses[0] - losses[2]]
    mean = np.mean(above, axis=0).reshape(len(DAYS), 2)
    for days, (all_deals, by_age) in zip(DAYS, mean.tolist(), strict=True):
        print(
            f"\nendings permuted, within {days:g} days: log-loss {all_deals:+.4f} against the base "
            f"rate, {by_age:+.4f} against that by age"
        )
    assert (mean <= MOST_ABOVE_BASE_RATE).all()


def test_an_export_without_signal_is_given_the_base_rate(tmp_path: Path) -> None:
    above = []
    for seed in CRM_SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        files = [str(path) for path in write_crm_export(folder, CRM_DEALS, seed)]
        events, artifact, scores = (
            str(folder / name) for name in ("e.parquet", "artifact", "s.parquet")
        )
        days = [f"{day:g}" for day in DAYS]
        assert main(["import", "salesforce", *files, "--out", events]) == 0
        train_on = ["train", events, "--known-before", CRM_CUTOFF, "--edges", *days, "--jobs", "1"]
        assert main([*train_on, "--out", artifact]) == 0
        above.append([])
        for week in range(1, 13):
            at = pd.Timestamp(CRM_CUTOFF, tz="UTC") + pd.Timedelta(weeks=week)
            score = ["score", events, "--artifact", artifact, "--as-of", at.date().isoformat()]
            assert main([*score, "--within", *days, "--out", scores]) == 0
            answers = pd.read_parquet(scores)
            above[-1].append(
                [
                    log_loss_above_truth(
                        answers.loc[answers["days"] == day, "probability"].to_numpy(),
                        chance_of_a_win(day),
                    )
                    for day in DAYS
                ]
            )
    assert FIRST < pd.Timestamp(CRM_CUTOFF, tz="UTC").value // 1000 < FIRST + 730 * DAY_US
    mean = np.mean(above, axis=(0, 1))
    print(f"\nan export without signal, within {DAYS} days: log-loss above the truth {mean}")
    assert (mean <= MOST_ABOVE_BASE_RATE).all()
