"""Every feature of random histories, against an oracle of plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.events import Event
from model.features import FeatureSet
from model.feeds import Feed
from model.history import History
from model.rates import ClosingLog
from tests.model.histories import DEALS, VOCABULARY, Heard, feeds, histories, make_feeds, times
from tests.model.oracle import Oracle, Value

FEATURES = FeatureSet(VOCABULARY)
Told = dict[str, tuple[set[str], Heard]] | None


def by_loops(
    events: list[Event],
    deal: str,
    as_of: int,
    carried: dict[str, Feed] | None,
    counted_before: int | None = None,
) -> dict[str, Value]:
    return Oracle(
        events=[e for e in events if e.deal_id == deal],
        as_of=as_of,
        vocabulary=VOCABULARY,
        feeds=carried,
        others=[[e for e in events if e.deal_id == other] for other in DEALS if other != deal],
        counted_before=counted_before,
    ).features()


def differences(x: np.ndarray, expected: dict[str, Value]) -> dict[str, tuple[float, Value]]:
    assert set(FEATURES.names) == set(expected)
    wanted = [expected[name] for name in FEATURES.names]
    return {
        name: (float(value), want)
        for name, value, want in zip(FEATURES.names, x, wanted, strict=True)
        if not (np.isnan(value) if want is None else value == pytest.approx(want, abs=1e-9))
    }


@settings(max_examples=120)
@given(events=histories(), told=feeds(), moments=st.lists(times(), min_size=1, max_size=4))
def test_every_feature_is_what_plain_loops_find(
    events: list[Event], told: Told, moments: list[int]
) -> None:
    history, carried = History.from_events(events), make_feeds(told)
    deal = np.repeat(np.arange(history.deals), len(moments))
    as_of = np.tile(moments, history.deals)

    x = FEATURES.matrix(history, deal, as_of, carried, ClosingLog(history))

    for row, index, moment in zip(x, deal, as_of.tolist(), strict=True):
        expected = by_loops(events, history.deal_ids[index], moment, carried)
        assert differences(row, expected) == {}, (history.deal_ids[index], moment)
