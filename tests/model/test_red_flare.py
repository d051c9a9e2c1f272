"""A red flare is raised when a rule says so, once, until it clears."""

from __future__ import annotations

import numpy as np
import pytest

from model.asof import AsOf, Snapshot
from model.errors import ScoreError
from model.events import Event
from model.history import History
from model.red_flare import (
    DEFAULT_THRESHOLDS,
    RedFlare,
    newly_raised,
    silence_flare,
    value_flare,
)
from model.vocabulary import Vocabulary
from tests.factories import day_us, deal_event

LIMIT = DEFAULT_THRESHOLDS.silence_days


def known_at(events: list[Event], at: float) -> Snapshot:
    history = History.from_events(events)
    vocabulary = Vocabulary()
    asof = AsOf(
        history, vocabulary, vocabulary.codes(history), np.array([0]), np.array([day_us(at)])
    )
    return asof.snapshots[0]


@pytest.mark.parametrize(
    ("events", "at", "since"),
    [
        ([], LIMIT - 0.1, None),
        ([], LIMIT + 3, LIMIT),
        ([deal_event("customer_replied", 5)], LIMIT + 4, None),
        ([deal_event("customer_replied", 5)], LIMIT + 6, LIMIT + 5),
        ([deal_event("auto_reply_received", 5)], LIMIT + 3, LIMIT),
        ([deal_event("customer_replied", 5, known=LIMIT + 9)], LIMIT + 3, LIMIT),
        ([deal_event("deal_lost", 5)], LIMIT + 3, None),
    ],
    ids=["recent", "never", "reply", "old reply", "auto-reply", "not known yet", "closed"],
)
def test_silence_past_its_limit_raises_a_flare(
    events: list[Event], at: float, since: float | None
) -> None:
    flare = silence_flare(known_at([deal_event(), *events], at))
    if since is None:
        assert flare is None
    else:
        assert flare is not None
        assert flare.since == pytest.approx(day_us(since), abs=1_000)


@pytest.mark.parametrize(
    ("before", "now", "raised"),
    [(100, 100, False), (100, 71, False), (100, 70, True), (0, 0, False), (70, 100, False)],
)
def test_expected_value_fallen_by_the_set_share_raises_a_flare(
    before: float, now: float, raised: bool
) -> None:
    assert (value_flare(day_us(7), before, now) is not None) == raised


def test_an_expected_value_that_is_no_amount_is_refused() -> None:
    with pytest.raises(ScoreError, match=r"expected value nan: expected a finite amount"):
        value_flare(0, float("nan"), 1.0)


def test_a_flare_is_raised_once_until_it_clears() -> None:
    first = RedFlare(rule="silence", since=1, phrase="quiet")
    assert newly_raised((), (first,)) == (first,)
    assert newly_raised((first,), (first,)) == ()
    assert newly_raised((), (first,)) == (first,)
