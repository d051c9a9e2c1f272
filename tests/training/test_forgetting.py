from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from model.event_table import table_of
from model.events import DAY_US
from model.history import Floats, Ints
from tests.factories import day_us
from tests.training.companies import deals_events, deals_table
from training import forgetting
from training.forgetting import Forgetting, choose_half_life
from training.preparing import Learning, Options, prepare
from training.twins import twins

K = day_us(900)
OPTIONS = Options(edges_days=(20.0,), spacing_days=7.0)


def test_where_nothing_changed_nothing_is_forgotten() -> None:
    with threadpool_limits(1):
        found = choose_half_life(prepare(deals_table(320), K, OPTIONS), seed=0)

    assert found.half_life_days is None
    assert np.isinf(next(iter(found.losses)))
    assert "no forgetting is shown to forecast later deals better" in found.words


def test_too_little_to_choose_by_forgets_nothing_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forgetting, "FEWEST_ROWS", 10_000)
    found = choose_half_life(prepare(deals_table(150), day_us(450), OPTIONS), seed=0)

    assert found == Forgetting(half_life_days=None, losses={})
    assert "too little is known since" in found.words


def test_old_rows_count_for_less_and_all_for_as_much_as_before() -> None:
    events = deals_table(150)
    plain = prepare(events, day_us(450), OPTIONS).data
    told = prepare(
        events, day_us(450), Options(edges_days=(20.0,), spacing_days=7.0, half_life_days=90.0)
    ).data

    assert told.weight.sum() == pytest.approx(plain.weight.sum())
    ages = (day_us(450) - plain.as_of) / 86_400e6
    ratio = told.weight / plain.weight
    assert ratio == pytest.approx(ratio[0] * 2.0 ** ((ages[0] - ages) / 90.0))


def test_deals_that_repeat_each_other_are_on_one_side_of_each_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = deals_events(320)
    again = [
        replace(each, deal_id=f"{each.deal_id}-again", source_id=f"{each.source_id}-again")
        for each in events
    ]
    learning = prepare(table_of([*events, *again]), K, OPTIONS)
    group = twins(learning.history)
    asked_of: list[int] = []

    def told(of: Learning, fit: Ints, _won: Ints, asked: Ints, *_: object) -> Floats:
        deal = of.data.deal
        assert not set(group[deal[fit]]) & set(group[deal[asked]])
        asked_of.append(len(asked))
        return np.zeros((forgetting.TREES // forgetting.STAGE + 1, len(asked)))

    monkeypatch.setattr(forgetting, "_told", told)
    choose_half_life(learning, seed=0)

    assert len(np.unique(group)) < learning.history.deals
    assert min(asked_of) > 0


def test_trees_learn_from_no_row_whose_end_was_unknown_at_the_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learning, (days,) = prepare(deals_table(320), K, OPTIONS), OPTIONS.edges_days
    ends: list[float] = []

    def told(of: Learning, fit: Ints, _won: Ints, asked: Ints, split: int, *_: object) -> Floats:
        ends.append(float((of.data.as_of[fit].max() - split) / DAY_US) + days)
        assert of.data.as_of[asked].min() >= split
        return np.zeros((forgetting.TREES // forgetting.STAGE + 1, len(asked)))

    monkeypatch.setattr(forgetting, "_told", told)
    choose_half_life(learning, seed=0)

    assert -7.0 < max(ends) <= 0.0
