"""The public commands on few deals of a real company: 448 of them, 22 answers of salespeople.

The table (Bohanec et al. 2017, doi 10.1016/j.eswa.2016.11.010; CC BY 4.0) is not part of this
project: the environment variable `REDFLARE_SALVIRT` says where it lies. It tells no times. So each
row is a deal opened on one day, with its answers, and closed on the next, and what is judged is
the probability of a win within one day. Ten times ten folds; rows of the same answers, of which
there are many, stand in one fold. Run by ``make bench``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from model.history import Floats
from service.cli import main

TESTS: Final = Path(__file__).parents[1]
MAPPING: Final = TESTS / "data" / "salvirt.toml"
BESIDE: Final = TESTS.parents[1] / "shared" / "data" / "salvirt_b2b" / "Salvirt_B2B_ML_dataset.csv"
LEARNED: Final = pd.Timestamp("2024-01-01", tz="UTC")  # when the deals learned from opened
ASKED: Final = pd.Timestamp("2024-01-04", tz="UTC")  # when those judged opened, and the cut-off
FOLDS: Final = 10
SEEDS: Final = range(10)
MOST_LOG_LOSS: Final = 0.525
LEAST_AUC: Final = 0.81


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """The rows as they are, all of them text."""
    place = Path(os.environ.get("REDFLARE_SALVIRT", BESIDE))
    if not place.exists():
        pytest.skip(f"no table at {place}: set REDFLARE_SALVIRT to the Salvirt table")
    return pd.read_csv(place, sep=";", dtype=str, keep_default_na=False)


def as_deals(rows: pd.DataFrame, opened: pd.Timestamp, *, told: bool) -> pd.DataFrame:
    """The rows with the columns that the mapping asks for; the end only if `told`."""
    return rows.assign(
        Deal=[f"D-{number:04d}" for number in rows.index],
        Opened=opened.isoformat(),
        Closed=(opened + pd.Timedelta(days=1)).isoformat(),
        Status=rows["Status"] if told else "",
    )


def forecast(learned: pd.DataFrame, asked: pd.DataFrame, folder: Path) -> Floats:
    """The probability of a win within one day of each deal asked about, by the commands alone."""
    deals, events = folder / "deals.csv", folder / "events.parquet"
    parts = [as_deals(learned, LEARNED, told=True), as_deals(asked, ASKED, told=False)]
    pd.concat(parts).to_csv(deals, sep=";", index=False)
    events.unlink(missing_ok=True)
    assert main(["import", str(MAPPING), str(deals), "--out", str(events)]) == 0
    artifact, scores = folder / "artifact", folder / "scores.parquet"
    train = ["train", str(events), "--known-before", ASKED.date().isoformat()]
    assert main([*train, "--within", "1", "--jobs", "1", "--out", str(artifact)]) == 0
    score = ["score", str(events), "--artifact", str(artifact), "--within", "1"]
    noon = (ASKED + pd.Timedelta(hours=12)).isoformat()
    assert main([*score, "--as-of", noon, "--out", str(scores)]) == 0
    answers = pd.read_parquet(scores).set_index("deal_id")["probability"]
    return answers.loc[as_deals(asked, ASKED, told=False)["Deal"]].to_numpy()


def folds(table: pd.DataFrame, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows to learn from and to judge by; equal answers on one side."""
    answers = table.drop(columns="Status")
    group = answers.groupby(list(answers.columns)).ngroup()
    divide = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    return list(divide.split(table, table["Status"], group))


def test_few_real_deals_are_learned_as_well_as_other_learners_can(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    won = (table["Status"] == "Won").to_numpy()
    figures = []
    for seed in SEEDS:
        p = np.empty(len(table))
        for learned, judged in folds(table, seed):
            p[judged] = forecast(table.iloc[learned], table.iloc[judged], tmp_path)
        figures.append((log_loss(won, p), roc_auc_score(won, p)))
    (loss, auc), spread = np.mean(figures, axis=0), np.std(figures, axis=0, ddof=1)
    print(f"\nlog-loss {loss:.4f} +- {spread[0]:.4f}, AUC {auc:.4f} +- {spread[1]:.4f}")
    assert loss <= MOST_LOG_LOSS
    assert auc >= LEAST_AUC
