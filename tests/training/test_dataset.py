"""The learning data: moments while open, what came of them, and nothing known later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.asof import AsOf
from model.events import DAY_US, Event, microseconds
from model.features import FeatureSet
from model.feeds import feeds_of
from model.history import History
from model.rates import ClosingLog
from model.vocabulary import Vocabulary
from tests.factories import day_us, deal_event
from tests.model.histories import DAYS, histories
from training.dataset import (
    EVENT_SHARE,
    NEVER,
    Dataset,
    build_dataset,
    closing_lag,
    open_span,
    win_times,
)
from training.vocabulary import learn_vocabulary

PLAIN = FeatureSet(Vocabulary(), ("deal_age_days", "silence_days", "owner_win_rate"))
EDGES = np.array([0.0, 3.0, 10.0, 20.0])
K = 60.0  # days after the start, when knowledge ends


def dataset(events: list[Event], *, spacing: float = 1.0, seed: int = 0, until: float = K) -> Any:
    return build_dataset(
        History.from_events(events), PLAIN, day_us(until), spacing_days=spacing, seed=seed
    )


def ends(*kinds_and_days: tuple[str, float] | tuple[str, float, float]) -> list[Event]:
    """An opened deal and what ended it: (kind, day) or (kind, day, day known)."""
    events = [deal_event()]
    for kind, at, *known in kinds_and_days:
        events.append(deal_event(f"deal_{kind}", at, known=known[0] if known else None))
    return events


def rows_at(data: Dataset) -> list[float]:
    """The moments in days after the start."""
    return ((data.as_of - day_us(0)) / DAY_US).tolist()


# Outcomes.


def test_a_deal_merged_into_another_is_learned_from_as_no_loss_once_that_is_known() -> None:
    other = [deal_event(deal_id="D-2"), deal_event("deal_won", 30, deal_id="D-2")]
    merged = [deal_event(), deal_event("deal_lost", 20, name="merged into D-2")]

    assert {data.deal_ids[deal] for data in [dataset([*merged, *other])] for deal in data.deal} == {
        "D-2"
    }
    before, never = (dataset([*some, *other], until=15) for some in (merged, merged[:1]))
    assert rows_at(before) == rows_at(never)
    np.testing.assert_array_equal(before.x, never.x)


@pytest.mark.parametrize(
    ("story", "won_on"),
    [
        ([("won", 5)], 5),
        ([("lost", 5)], None),
        ([], None),
        ([("won", 5), ("reopened", 6)], None),
        ([("won", 5), ("reopened", 6), ("won", 9)], 9),
        ([("won", 5), ("won", 5.5), ("reopened", 6), ("lost", 7)], None),
        ([("won", 5), ("lost", 8)], None),
        ([("lost", 5), ("reopened", 6), ("won", 9)], 9),
        ([("won", 5), ("won", 7)], 5),
        ([("won", 5, 59)], 5),
        ([("won", 5, 60)], None),
        ([("won", 5), ("reopened", 6, 61)], 5),
    ],
)
def test_the_outcome_is_the_first_win_that_stands(story: Any, won_on: float | None) -> None:
    win = win_times(History.from_events(ends(*story)), day_us(K))

    assert win.tolist() == [NEVER if won_on is None else day_us(won_on)]


def test_a_win_counts_in_the_edge_it_falls_into() -> None:
    data = dataset(ends(("won", 12)))
    won, risk = data.won(EDGES), data.at_risk(EDGES)

    for day, row_won, row_risk in zip(rows_at(data), won, risk, strict=True):
        left = 12 - day
        assert row_won.tolist() == [0 < left <= 3, 3 < left <= 10, 10 < left <= 20]
        assert row_risk.tolist() == [True, left > 3, left > 10]
    assert rows_at(data)
    assert max(rows_at(data)) < 12


def test_a_win_on_an_edge_belongs_to_the_edge_it_ends() -> None:
    data = Dataset(
        deal_ids=["D-1"],
        deal=np.zeros(2, dtype=np.int64),
        as_of=np.array([0, 1]),
        weight=np.ones(2),
        x=np.zeros((2, 0)),
        win=np.full(2, 3 * DAY_US),
        countable_until=20 * DAY_US,
    )

    assert data.won(EDGES).tolist() == [[True, False, False], [True, False, False]]
    assert data.countable(EDGES).tolist() == [[True, True, True], [True, True, False]]


def test_a_win_not_yet_known_counts_in_the_first_edge() -> None:
    data = dataset(ends(("won", 5, 9)))
    late = np.array(rows_at(data)) >= 5

    assert late.any()
    assert data.won(EDGES)[late].tolist() == [[True, False, False]] * int(late.sum())
    assert data.at_risk(EDGES)[late, 0].all()


def test_a_lost_deal_stays_at_risk_and_is_never_won() -> None:
    data = dataset(ends(("lost", 12)))

    assert data.rows
    assert data.at_risk(EDGES).all()
    assert not data.won(EDGES).any()
    assert np.isinf(data.days_to_win()).all()


@pytest.mark.parametrize("story", [[("won", 42)], [("lost", 42)], []])
def test_what_counts_does_not_depend_on_the_outcome(story: Any) -> None:
    late = [deal_event("deal_lost", 20, known=25, deal_id="D-2"), deal_event(deal_id="D-2")]
    data = dataset([*ends(*story), *late])
    lag = closing_lag(History.from_events([*ends(*story), *late]), day_us(K))

    mine = data.take(data.deal == 0)

    assert lag > 0
    assert mine.countable_until == day_us(K) - lag
    for as_of, row in zip(mine.as_of, mine.countable(EDGES), strict=True):
        assert row.tolist() == [as_of + e * DAY_US <= day_us(K) - lag for e in EDGES[1:]]


def test_the_lag_is_that_of_nearly_all_closings() -> None:
    lags = np.linspace(0, 1, 101)
    events = [deal_event("deal_won", 5, known=5 + lag, deal_id=f"D-{lag}") for lag in lags]

    assert closing_lag(History.from_events(events), day_us(K)) == pytest.approx(0.99 * DAY_US)
    assert closing_lag(History.from_events([deal_event()]), day_us(K)) == 0


# Moments.


def test_a_deal_is_seen_only_while_known_as_open() -> None:
    story = [("lost", 12, 14), ("reopened", 20, 21), ("won", 30, 33)]
    days = np.array(rows_at(dataset([*ends(*story), deal_event("meeting_held", -5)])))

    assert ((days >= 0) & (days < 14) | (days >= 21) & (days < 33)).all()
    for first, last in ((0, 14), (21, 33)):
        assert ((days >= first) & (days < last)).sum() >= last - first - 1


def test_a_deal_logged_late_is_seen_from_when_it_was_known() -> None:
    events = [deal_event(known=10), deal_event("message_sent", 3), deal_event("deal_won", 20)]

    assert min(rows_at(dataset(events))) >= 10
    opened, until = open_span(History.from_events(events), day_us(K))
    assert (opened.tolist(), until.tolist()) == ([day_us(10)], [day_us(20)])


def test_an_open_deal_is_seen_until_knowledge_ends() -> None:
    days = rows_at(dataset([deal_event()], spacing=7))

    assert np.diff(days).tolist() == pytest.approx([7] * (len(days) - 1))
    assert 0 <= days[0] < 7
    assert K - 7 <= days[-1] < K


def test_deals_are_seen_at_different_phases() -> None:
    data = dataset([deal_event(deal_id=f"D-{i}") for i in range(200)], spacing=7)
    first = [rows_at(data.take(data.deal == i))[0] for i in range(200)]

    counts, _ = np.histogram(first, bins=4, range=(0, 7))
    assert counts.min() > 25


def test_deals_that_never_opened_are_not_seen() -> None:
    events = [deal_event("meeting_held"), deal_event(deal_id="D-2"), deal_event("deal_won", 3)]

    assert set(dataset(events).deal.tolist()) == {1}


def busy_deals(deals: int, each: int = 30) -> list[Event]:
    return [
        deal_event(kind, at, deal_id=f"D-{i}", source_id=f"{i}-{at}")
        for i in range(deals)
        for at, kind in enumerate(["deal_opened", *["message_sent"] * each, "deal_lost"])
    ]


def test_a_fifth_of_the_moments_after_events_weigh_a_fifth() -> None:
    events = busy_deals(40)
    data = dataset(events, spacing=7)
    moments = {(e.deal_id, microseconds(e.occurred_at)) for e in events}
    after = np.array(
        [
            (data.deal_ids[deal], as_of) in moments
            for deal, as_of in zip(data.deal.tolist(), data.as_of.tolist(), strict=True)
        ]
    )

    assert 0.15 < after.sum() / len(moments) < 0.25
    assert data.weight[after].sum() == pytest.approx(EVENT_SHARE * data.weight.sum())
    assert (data.weight[~after] == 1).all()


def test_events_of_one_moment_are_one_moment() -> None:
    events = busy_deals(20)
    doubled = [deal_event("call_made", i % 30 + 1, deal_id=f"D-{i % 20}") for i in range(200)]

    once, twice = dataset(events), dataset([*events, *doubled])

    assert once.as_of.tolist() == twice.as_of.tolist()


def test_a_seed_draws_again_and_the_same_seed_the_same() -> None:
    events = busy_deals(10)

    assert dataset(events, seed=1).as_of.tolist() == dataset(events, seed=1).as_of.tolist()
    assert dataset(events, seed=1).as_of.tolist() != dataset(events, seed=2).as_of.tolist()


def test_other_deals_move_no_moment() -> None:
    events = busy_deals(10)
    alone = dataset(events)
    among = dataset([deal_event(deal_id="A-1"), *events])

    assert among.as_of[among.deal > 0].tolist() == alone.as_of.tolist()


def test_of_too_many_moments_an_even_part_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    events = busy_deals(40)
    every = dataset(events)
    monkeypatch.setattr("training.dataset.MOST_SNAPSHOTS", every.rows // 4)

    part = dataset(events)

    moments = set(zip(every.deal.tolist(), every.as_of.tolist(), strict=True))
    kept = set(zip(part.deal.tolist(), part.as_of.tolist(), strict=True))
    assert 0.2 < part.rows / every.rows < 0.3
    assert kept < moments
    after = [(data.weight != 1).mean() for data in (every, part)]
    assert after[1] == pytest.approx(after[0], rel=0.3)
    assert part.weight[part.weight != 1].sum() == pytest.approx(EVENT_SHARE * part.weight.sum())


def test_nothing_to_learn_from_is_no_row() -> None:
    data = dataset([deal_event("meeting_held")])

    assert data.rows == 0
    assert data.x.shape == (0, 3)


# Features, and what must not reach them.


@settings(max_examples=25)
@given(events=histories(), until=st.integers(5, DAYS), seed=st.integers(0, 3))
def test_what_is_known_later_changes_nothing(events: list[Event], until: int, seed: int) -> None:
    cutoff = day_us(until)
    earlier = [e for e in events if e.known_at is not None and microseconds(e.known_at) < cutoff]
    if not earlier:
        return

    def learned(some: list[Event]) -> tuple[Vocabulary, Dataset]:
        history = History.from_events(some)
        vocabulary = learn_vocabulary(history, cutoff)
        feeds = feeds_of(history, cutoff)
        data = build_dataset(
            history, FeatureSet(vocabulary), cutoff, spacing_days=2.0, seed=seed, feeds=feeds
        )
        return vocabulary, data

    vocabulary, data = learned(events)
    vocabulary_then, data_then = learned(earlier)

    assert vocabulary == vocabulary_then
    assert [data.deal_ids[d] for d in data.deal] == [data_then.deal_ids[d] for d in data_then.deal]
    np.testing.assert_array_equal(data.as_of, data_then.as_of)
    np.testing.assert_array_equal(data.weight, data_then.weight)
    np.testing.assert_array_equal(data.win, data_then.win)
    np.testing.assert_array_equal(data.x, data_then.x)
    assert data.countable_until == data_then.countable_until


@settings(max_examples=20)
@given(events=histories())
def test_the_rows_are_those_of_the_matrix_and_open(events: list[Event]) -> None:
    history = History.from_events(events)
    features = FeatureSet(learn_vocabulary(history, day_us(K)))
    data = build_dataset(history, features, day_us(K), spacing_days=3.0, seed=0)

    x = features.matrix(history, data.deal, data.as_of, None, ClosingLog(history))
    np.testing.assert_array_equal(data.x, x)
    codes = features.vocabulary.codes(history)
    asof = AsOf(history, features.vocabulary, codes, data.deal, data.as_of)
    assert asof.is_open.all()
