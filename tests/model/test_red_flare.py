"""A red flare is raised when a rule says so, once, until it clears."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.asof import AsOf, Snapshot
from model.errors import ScoreError
from model.events import Event
from model.feeds import Feed, Feeds
from model.gates import find_gates
from model.history import History
from model.red_flare import (
    GATE_MISSED,
    LOW_PROBABILITY,
    SILENCE,
    VALUE_FALLEN,
    RedFlare,
    Thresholds,
    contact_silence_days,
    newly_raised,
    red_flares,
    silence_flare,
    usual_probability,
    value_flare,
)
from model.vocabulary import Vocabulary
from tests.factories import date_of, day_us, deal_event
from tests.model.histories import histories, times

LIMIT = 21.0
THRESHOLDS = Thresholds(silence_days=LIMIT, fallen_share=0.3, fallen_amount=0.0, low_share=0.5)
JUDGED = [{"days": 30.0, "won_share": 0.1}, {"days": 90.0, "won_share": 0.3}]
probabilities = st.none() | st.floats(0.0, 1.0)


def known_at(events: list[Event], at: float, feeds: Feeds | None = None) -> Snapshot:
    return snapshot_of(History.from_events(events), day_us(at), feeds)


def snapshot_of(history: History, as_of: int, feeds: Feeds | None = None) -> Snapshot:
    plain = Vocabulary()
    deal, moment = np.array([0]), np.array([as_of])
    return AsOf(history, plain, plain.codes(history), deal, moment, feeds).snapshots[0]


def flares_of(
    events: list[Event], as_of: int, standing: tuple[RedFlare, ...] = (), **scores: Any
) -> tuple[RedFlare, ...]:
    """Of the first deal, by the rules of these tests; scores are missing unless given."""
    history = History.from_events(events)
    given_scores = {"now": None, "week_before": None, **scores}
    return red_flares(
        snapshot_of(history, as_of),
        find_gates(snapshot_of(history, as_of)),
        horizon_days=90.0,
        standing=standing,
        thresholds=THRESHOLDS,
        **given_scores,
    )


def rules(flares: tuple[RedFlare, ...]) -> set[str]:
    return {flare.rule for flare in flares}


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
    flare = silence_flare(known_at([deal_event(), *events], at), THRESHOLDS)
    if since is None:
        assert flare is None
    else:
        assert flare is not None
        assert flare.since == pytest.approx(day_us(since), abs=1_000)


def test_a_deal_whose_feeds_carry_no_contact_is_not_called_silent() -> None:
    told = known_at([deal_event()], LIMIT + 3, {"crm": Feed(kinds=frozenset({"deal_opened"}))})
    assert np.isnan(contact_silence_days(told))
    assert silence_flare(told, THRESHOLDS) is None


@given(st.lists(st.floats(0, 60), max_size=6), st.lists(st.floats(0, 60), max_size=6))
def test_an_auto_reply_never_resets_the_clock_of_silence(
    replies: list[float], machines: list[float]
) -> None:
    heard = [deal_event(), *(deal_event("customer_replied", at) for at in replies)]
    with_machines = heard + [deal_event("auto_reply_received", at) for at in machines]
    for at in (10.0, LIMIT, 35.0, 70.0):
        assert flares_of(with_machines, day_us(at)) == flares_of(heard, day_us(at))


@pytest.mark.parametrize(
    ("before", "now", "raised"),
    [(100, 100, False), (100, 71, False), (100, 70, True), (0, 0, False), (70, 100, False)],
)
def test_expected_value_fallen_by_the_set_share_raises_a_flare(
    before: float, now: float, raised: bool
) -> None:
    assert (value_flare(day_us(7), before, now, 90.0, THRESHOLDS) is not None) == raised


def test_an_expected_value_that_is_no_amount_is_refused() -> None:
    with pytest.raises(ScoreError, match=r"expected value nan: expected a finite amount"):
        value_flare(0, float("nan"), 1.0, 90.0)


def test_a_probability_that_is_none_is_refused() -> None:
    with pytest.raises(ScoreError, match=r"probability 1.2: expected a number from 0 to 1"):
        flares_of([deal_event()], day_us(1), now=1.2)


def test_each_rule_raises_its_flare_and_says_why() -> None:
    events = [
        deal_event(),
        deal_event("amount_changed", 0, number=10_000.0),
        deal_event("milestone_set", 1, name="pilot", date=date_of(10)),
        deal_event("must_hit_declared", 1, name="pilot"),
    ]
    found = flares_of(events, day_us(30), now=0.04, week_before=0.2, usual=0.1)
    assert {flare.rule: flare.phrase for flare in found} == {
        GATE_MISSED: f"must-hit milestone 'pilot' missed, it was due {date_of(10)}",
        SILENCE: "no real customer contact for 30 days",
        VALUE_FALLEN: "expected value within 90 days fallen by 80% in a week",
        LOW_PROBABILITY: "4% to be won within 90 days, where 10% is usual for open deals",
    }
    assert found[0].since == day_us(10 + 15 / 24), "the end of its due date in UTC"


def test_a_closed_deal_has_no_flare() -> None:
    events = [deal_event(), deal_event("deal_lost", 25)]
    assert flares_of(events, day_us(30), now=0.0, week_before=0.5, usual=0.3) == ()


def test_the_expected_value_of_a_week_before_takes_the_amount_known_then() -> None:
    raised_amount = deal_event("amount_changed", 20, number=400.0, known=28)
    events = [deal_event(), deal_event("amount_changed", 0, number=1000.0), raised_amount]
    events.append(deal_event("customer_replied", 20))
    assert flares_of(events, day_us(27), now=0.5, week_before=0.5) == ()
    (fallen,) = flares_of(events, day_us(30), now=0.5, week_before=0.5)
    assert (fallen.rule, fallen.fallen_from) == (VALUE_FALLEN, 500.0)


def test_a_fall_stands_until_the_value_is_back_and_is_raised_once() -> None:
    events = [deal_event(), deal_event("amount_changed", 0, number=100.0)]
    events += [deal_event("customer_replied", 7.0 * week) for week in range(8)]
    standing: tuple[RedFlare, ...] = ()
    told = []
    for week, (before, now) in enumerate(
        [(0.5, 0.3), (0.3, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.2)], start=1
    ):
        found = flares_of(events, day_us(7.0 * week), standing, now=now, week_before=before)
        told.append((bool(found), bool(newly_raised(standing, found))))
        standing = found
    assert told == [(True, True), (True, False), (True, False), (False, False), (True, True)]


def test_a_low_probability_clears_only_when_it_is_well_above_its_limit() -> None:
    events = [deal_event()]
    standing: tuple[RedFlare, ...] = ()
    stood = []
    for now in (0.21, 0.19, 0.21, 0.24, 0.26, 0.24):
        standing = flares_of(events, day_us(1), standing, now=now, usual=0.4)
        stood.append(rules(standing) == {LOW_PROBABILITY})
    assert stood == [False, True, True, True, False, False]


def test_two_missed_gates_are_two_flares() -> None:
    events = [deal_event()]
    for name, due in (("pilot", 3), ("contract", 9)):
        events.append(deal_event("milestone_set", 1, name=name, date=date_of(due)))
        events.append(deal_event("must_hit_declared", 1, name=name))
    first = flares_of(events, day_us(5))
    both = flares_of(events, day_us(12), first)
    assert [flare.subject for flare in newly_raised(first, both)] == ["contract"]


def test_the_usual_probability_lies_between_the_edges_that_were_judged() -> None:
    assert usual_probability(JUDGED, 60.0) == pytest.approx(0.2)
    assert usual_probability(JUDGED, 15.0) == pytest.approx(0.05)
    assert np.isnan(usual_probability(JUDGED, 91.0))


@given(histories(("D-1",)), times(), probabilities, probabilities, st.none() | st.floats(0, 1))
def test_what_is_known_later_changes_no_flare(
    events: list[Event],
    as_of: int,
    now: float | None,
    week_before: float | None,
    usual: float | None,
) -> None:
    known = [event for event in events if snapshot_time(event) <= as_of]
    scores = {"now": now, "week_before": week_before, "usual": usual}
    if known:
        assert flares_of(events, as_of, **scores) == flares_of(known, as_of, **scores)
    else:
        assert flares_of(events, as_of, **scores) == ()


def snapshot_time(event: Event) -> int:
    """When an event became known, microseconds since 1970."""
    return int(History.from_events([event]).known[0])


@given(
    histories(("D-1",)), st.lists(st.tuples(probabilities, st.floats(0, 1)), min_size=2, max_size=9)
)
def test_a_flare_is_raised_once_until_it_clears(
    events: list[Event], scores: list[tuple[float | None, float]]
) -> None:
    standing: tuple[RedFlare, ...] = ()
    week_before = None
    for week, (now, usual) in enumerate(scores):
        as_of = day_us(7.0 * week)
        found = flares_of(events, as_of, standing, now=now, week_before=week_before, usual=usual)
        before = {(flare.rule, flare.subject): flare.since for flare in standing}
        for flare in found:
            key = (flare.rule, flare.subject)
            assert flare.since <= as_of
            assert flare.since <= before.get(key, as_of)
            assert (flare in newly_raised(standing, found)) == (key not in before)
        assert len({(flare.rule, flare.subject) for flare in found}) == len(found)
        standing, week_before = found, now
