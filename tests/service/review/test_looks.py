"""A company looked at from several moments, each scored once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pytest

from model.events import DAY_US, microseconds
from model.history import History
from model.outlook import chances, cut_moments
from model.period import Period, quarter_until, week_begin
from model.scorer import Scorer
from service.batch import load_scorer
from service.review.looks import Looks
from service.review.question import Question

if TYPE_CHECKING:
    from training.simulate import Simulation

AS_OF = week_begin("2026-W03")
QUARTER = quarter_until(AS_OF.date() + timedelta(days=78))
QUESTION = Question(as_of=AS_OF, since=AS_OF - timedelta(days=7), period=QUARTER)


@pytest.fixture(scope="module")
def history(small_company: Simulation) -> History:
    table = small_company.events
    latest = pc.unique(table["deal_id"]).sort().slice(540)
    return History.from_table(table.filter(pc.is_in(table["deal_id"], latest)))


def test_a_moment_is_scored_once_for_all_periods_and_as_if_it_were_looked_at_alone(
    history: History, small_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = load_scorer(small_artifact)
    scored = Scorer.score_many
    calls = []

    def counted(self: Scorer, *given: Any, **named: Any) -> Any:
        calls.append(given)
        return scored(self, *given, **named)

    looks = Looks(history, QUESTION)
    now = microseconds(AS_OF)
    week = Period(first=AS_OF.date(), last=AS_OF.date() + timedelta(days=6))
    asked = [(now - 7 * DAY_US, QUARTER), (now, week), (now, QUARTER), (now - 7 * DAY_US, week)]
    with monkeypatch.context() as patch:
        patch.setattr(Scorer, "score_many", counted)
        found = [looks.week(scorer, as_of, period, None) for as_of, period in asked]
    assert len(calls) == 2

    for (as_of, period), made in zip(asked, found, strict=True):
        deal = np.array([deal.index for deal in made.opened])
        alone = chances(scorer, history, deal, as_of, cut_moments(period, as_of))
        assert len(deal) > 10
        assert made.of_open is not None
        assert np.array_equal(made.of_open.probability, alone.probability)
        assert np.array_equal(made.of_open.bag_log_odds, alone.bag_log_odds)
        assert list(made.of_open.checks) == list(alone.checks)
        assert made.deals == looks.week(None, as_of, period, None).deals
