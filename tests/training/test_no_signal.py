"""Where nothing tells how deals end, training finds nothing: a small case of the benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.event_table import read_events
from model.events import DAY_US
from model.feeds import feeds_of
from model.history import History
from model.scorer import Scorer
from service.cli import main
from tests.no_signal import (
    FIRST,
    chance_of_a_win,
    endings_permuted,
    log_loss_above_truth,
    write_crm_export,
)
from training.dataset import NEVER, open_span, win_times
from training.fit import train
from training.preparing import Options
from training.simulate import Simulation


def test_an_export_without_signal_is_given_nearly_the_base_rate(tmp_path: Path) -> None:
    files = [str(path) for path in write_crm_export(tmp_path, 700, seed=3)]
    assert main(["import", "salesforce", *files, "--out", str(tmp_path / "e.parquet")]) == 0
    events = read_events(tmp_path / "e.parquet")
    cutoff = FIRST + 600 * DAY_US

    scorer = Scorer(train(events, cutoff, Options(edges_days=(30.0,), spacing_days=20.0, jobs=1)))

    history = History.from_table(events)
    opened, until = open_span(history, cutoff + 40 * DAY_US)
    deal = np.flatnonzero((opened < cutoff) & (until > cutoff))
    at = np.full(deal.size, cutoff)
    scored = scorer.score_many(history, deal, at, None, scorer.feeds(feeds_of(history)))
    p = scorer.probabilities(scored, (30.0,))[:, 0]
    assert deal.size >= 20
    assert log_loss_above_truth(p, chance_of_a_win(30.0)) <= 0.01


def test_permuted_endings_are_the_company_s_own(small_company: Simulation) -> None:
    before, after = (
        History.from_table(table)
        for table in (small_company.events, endings_permuted(small_company.events, 0))
    )
    end = int(before.known.max()) + 1
    (opened, until), (still, anew) = open_span(before, end), open_span(after, end)
    assert np.array_equal(opened, still)
    assert before.deals == after.deals
    closed, closed_anew = until < end, anew < end
    durations = set((until - opened)[closed].tolist())
    assert set((anew - opened)[closed_anew].tolist()) <= durations
    assert 0.8 * closed.sum() <= closed_anew.sum() <= closed.sum()
    share = [
        (win_times(h, end) != NEVER)[c].mean() for h, c in ((before, closed), (after, closed_anew))
    ]
    assert share[0] == pytest.approx(share[1], abs=0.05)
    assert (until - opened)[closed].tolist() != (anew - opened)[closed].tolist()
