"""The base rate by stage and age: what few closed deals can tell, and that it says so."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from model.artifact import Artifact
from model.errors import TrainingDataError
from model.event_table import table_of, write_events
from model.events import Event
from model.grid import Grid, GridFeature
from model.history import History
from model.scorer import Scorer
from service import cli
from tests.factories import day, day_us, deal_event
from tests.training.companies import snapshots
from training.base_rate import PRIOR_DEALS, Cells, cell_log_odds, fit_base_rate
from training.fit import train
from training.preparing import BASE_AGE_BANDS, BASE_FEATURES, Learning, Options, prepare

KNOWN_BEFORE = day_us(160.0)
NOW = day(161.0)
OPTIONS = Options(edges_days=(15.0, 30.0), spacing_days=4.0, base_rate=True, jobs=1)


def few_deals(won: int = 6, lost: int = 6) -> list[Event]:
    """Deals opened every five days that live about four weeks, and one that is still open.

    Most of those won reach the stage "terms" halfway.
    """
    told = []
    for number in range(won + lost):
        deal, opened, life = f"D-{number:02d}", 5.0 * number, 20.0 + number % 7 * 3.0
        is_won = number % 2 == 0 if number < 2 * min(won, lost) else won > lost
        told += [("deal_opened", opened, deal, ""), ("stage_changed", opened, deal, "offer")]
        if is_won == (number % 5 > 0):
            told.append(("stage_changed", opened + life / 2.0, deal, "terms"))
        told.append(("deal_won" if is_won else "deal_lost", opened + life, deal, ""))
    told += [("deal_opened", 155.0, "open", ""), ("stage_changed", 155.0, "open", "offer")]
    return [
        deal_event(kind, at, deal_id=deal, name=name or None, source_id=str(place))
        for place, (kind, at, deal, name) in enumerate(told)
    ]


def few_deals_table(won: int = 6, lost: int = 6) -> pa.Table:
    return table_of(few_deals(won, lost))


@pytest.fixture(scope="module")
def learning() -> Learning:
    return prepare(few_deals_table(), KNOWN_BEFORE, OPTIONS)


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return train(few_deals_table(), KNOWN_BEFORE, OPTIONS)


def a_deal(stage: str | None = "terms", opened: float = 150.0) -> History:
    events = [deal_event("deal_opened", opened)]
    if stage is not None:
        events.append(deal_event("stage_changed", opened, name=stage))
    return History.from_events(events)


def test_six_won_and_six_lost_are_enough_and_the_score_says_what_it_is(artifact: Artifact) -> None:
    score = Scorer(artifact).score(a_deal(), NOW, days=20.0, most=None)

    assert (artifact.facts["basis"], score.basis) == ("base rate", "base rate")
    assert artifact.grid.names == ("stage", "deal_age_days")
    assert score.probability is not None
    assert score.interval is not None
    assert 0.0 < score.interval.low < score.probability < score.interval.high < 1.0
    assert score.average_probability is not None
    points = sum(driver.points for driver in score.drivers) + (score.other_points or 0.0)
    assert score.probability == pytest.approx(score.average_probability + points)
    assert {driver.feature for driver in score.drivers} <= set(BASE_FEATURES)
    assert [each["days"] for each in artifact.facts["judged"]] == [15.0, 30.0]


def test_the_edges_may_be_left_to_the_data() -> None:
    artifact = train(few_deals_table(), KNOWN_BEFORE, Options(base_rate=True, jobs=1))

    assert len(artifact.edges) >= 2


@pytest.mark.parametrize("stage", ["offer", "terms", "never seen", None])
def test_the_probability_rises_with_the_date(artifact: Artifact, stage: str | None) -> None:
    scorer = Scorer(artifact)
    history = a_deal(stage)

    found = [
        scorer.score(history, NOW, days=float(days)).probability or 0.0 for days in range(1, 31)
    ]

    assert found[0] > 0.0
    assert (np.diff(found) > 0.0).all()


@pytest.mark.parametrize("stage", ["offer", "terms"])
@pytest.mark.parametrize("opened", [158.0, 150.0, 140.0, 60.0])
def test_the_probability_is_the_shrunk_share_counted_by_hand(
    artifact: Artifact, learning: Learning, stage: str, opened: float
) -> None:
    data = learning.data
    stages = learning.features.categories(learning.features.features[0])
    age_days = 161.0 - opened
    bounds = [-1.0, *learning.grid.features[1].thresholds, 1e9]
    [(low, high)] = [(low, high) for low, high in pairwise(bounds) if low < age_days <= high]
    not_won = 1.0
    for start, end in ((0.0, 15.0), (15.0, 30.0)):
        weights = [0.0, 0.0]
        wins = [0.0, 0.0]
        deals = set()
        for row in range(data.rows):
            left = (data.win[row] - data.as_of[row]) / 86_400e6
            counts = left > start and data.as_of[row] + end * 86_400e6 <= data.countable_until
            here = stages[int(data.x[row, 0])] == stage and low < data.x[row, 1] <= high
            for place in [0, 1] if here else [0]:
                weights[place] += data.weight[row] if counts else 0.0
                wins[place] += data.weight[row] if counts and left <= end else 0.0
            if counts and here:
                deals.add(int(data.deal[row]))
        every = (wins[0] + 0.5) / (weights[0] + 1.0)
        own = wins[1] / weights[1] if deals else every
        not_won *= 1.0 - (len(deals) * own + PRIOR_DEALS * every) / (len(deals) + PRIOR_DEALS)

    score = Scorer(artifact).score(a_deal(stage, opened), NOW, days=30.0)

    assert score.probability == pytest.approx(1.0 - not_won, abs=1e-9)


def test_twelve_deals_in_two_stages_give_the_shares_of_a_textbook() -> None:
    stage = np.repeat([0.0, 1.0], 6)
    won = np.array([1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0]) == 1
    data = snapshots(
        np.arange(12),
        np.zeros(12),
        np.where(won, 5.0, np.inf),
        x=np.stack([stage, np.ones(12)], axis=1),
    )
    grid = Grid((GridFeature(name="stage", categories=2), GridFeature(name="deal_age_days")))
    edges = np.array([0.0, 10.0])

    tables = fit_base_rate(data, Cells.of(grid, grid.bin(data.x)), edges, bags=8, seed=0)

    found = tables.eta(grid.bin(np.array([[0.0, 1.0], [1.0, 1.0], [np.nan, 1.0]])))[:, 0]
    assert 1.0 / (1.0 + np.exp(-found)) == pytest.approx([9 / 16, 7 / 16, 1 / 2])
    assert np.ptp(tables.eta_bags(grid.bin(data.x))[0, :, 0]) > 0.1


def test_one_deal_seen_often_is_believed_like_one_deal() -> None:
    cell = np.repeat([0, 1], 50)
    won = cell == 0
    alone = cell_log_odds(cell, 2, np.zeros(100, dtype=np.int64), won, np.ones(100))
    many = cell_log_odds(cell, 2, np.arange(100), won, np.ones(100))

    assert 1.0 / (1.0 + np.exp(-alone)) == pytest.approx([6 / 11, 5 / 11])
    assert 1.0 / (1.0 + np.exp(-many)) == pytest.approx([55 / 60, 5 / 60])


def test_only_stage_and_a_few_age_bands_are_looked_at(learning: Learning) -> None:
    assert learning.features.names == BASE_FEATURES
    assert 2 <= learning.grid.bins[1] <= BASE_AGE_BANDS


@pytest.mark.parametrize(("won", "lost"), [(4, 6), (6, 4), (0, 0)])
def test_below_five_of_each_the_base_rate_is_refused_with_counts(won: int, lost: int) -> None:
    with pytest.raises(
        TrainingDataError, match=f"^{won} won and {lost} lost of .*: expected at least 5 won and 5"
    ):
        train(few_deals_table(won, lost), KNOWN_BEFORE, OPTIONS)


def test_the_ordinary_refusal_counts_and_offers_the_base_rate_where_it_can_be_had() -> None:
    with pytest.raises(
        TrainingDataError,
        match=r"6 won and 6 lost of 13 .* at least 40 won and 40 lost.*train --base-rate",
    ):
        train(few_deals_table(), KNOWN_BEFORE, Options(jobs=1))
    with pytest.raises(TrainingDataError, match=r"4 won and 6 lost of 11 ") as refused:
        train(few_deals_table(4, 6), KNOWN_BEFORE, Options(jobs=1))
    assert "base-rate" not in str(refused.value)


def test_there_is_nothing_to_drop_from_a_base_rate() -> None:
    with pytest.raises(TrainingDataError, match="--drop 'stage' with --base-rate"):
        train(few_deals_table(), KNOWN_BEFORE, Options(base_rate=True, drop=("stage",)))


def test_the_command_trains_it_and_every_answer_is_marked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    events, artifact, table = (
        str(tmp_path / name) for name in ("events.parquet", "artifact", "scores.csv")
    )
    write_events(few_deals_table(), Path(events))
    asked = ("--artifact", artifact, "--as-of", "2026-06-15")
    by_date = (*asked, "--close-by", "2026-07-01")

    def run(*arguments: str) -> str:
        capfd.readouterr()
        assert cli.main(arguments) == 0
        return capfd.readouterr().out

    learned = run("train", events, "--known-before", "2026-06-14", "--base-rate", "--out", artifact)
    assert "the base rate by stage and age alone" in learned
    shown = run("score", events, *by_date)
    assert "base rates by stage and age alone" in shown
    assert "in about 5 or 6 of 10 deals" in shown  # not the 8 of 10 that a model's range holds in
    assert "base rate by stage and age alone" in run("explain", events, "open", *by_date)
    assert json.loads(run("score", events, *by_date, "--json"))[0]["basis"] == "base rate"
    assert json.loads(run("explain", events, "open", *by_date, "--json"))["basis"] == "base rate"
    run("score", events, *by_date, "--out", table)
    with_drivers = Path(table).read_text(encoding="utf-8")
    within = run("score", events, *asked, "--within", "20")
    for rows in (with_drivers, within):
        assert [row["basis"] for row in csv.DictReader(rows.splitlines())] == ["base rate"]
