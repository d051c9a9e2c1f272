"""What holds for every feature: it is what plain loops find, the future does not reach it, and
one deal alone has the same features as among others."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import features as features_module
from model.event_table import table_of
from model.events import Event, from_microseconds
from model.feature import say
from model.features import FeatureSet
from model.feeds import Feed, feeds_of
from model.history import Floats, History
from model.rates import ClosingLog, ClosingTable, WinRates
from model.vocabulary import Vocabulary
from tests.factories import date_of, day_us, deal_event, features_of
from tests.model.histories import (
    DAYS,
    DEALS,
    VOCABULARY,
    Heard,
    feeds,
    histories,
    make_feeds,
    times,
)
from tests.model.oracle import Oracle, Value

FEATURES = FeatureSet(VOCABULARY)
Told = dict[str, tuple[set[str], Heard]] | None
some_times = st.lists(times(), min_size=1, max_size=4)


def matrix(
    history: History, moments: list[int], told: Told, rates: WinRates | None = None
) -> dict[tuple[str, int], Floats]:
    """The features of every deal at every moment."""
    deal = np.repeat(np.arange(history.deals), len(moments))
    as_of = np.tile(np.array(moments), history.deals)
    x = FEATURES.matrix(history, deal, as_of, make_feeds(told), rates)
    return {
        (history.deal_ids[d], moment): row
        for d, moment, row in zip(deal, as_of.tolist(), x, strict=True)
    }


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


def differences(x: Floats, expected: dict[str, Value]) -> dict[str, tuple[float, Value]]:
    assert set(FEATURES.names) == set(expected)
    wanted = [expected[name] for name in FEATURES.names]
    return {
        name: (float(value), want)
        for name, value, want in zip(FEATURES.names, x, wanted, strict=True)
        if not (np.isnan(value) if want is None else value == pytest.approx(want, abs=1e-9))
    }


@settings(max_examples=80)
@given(events=histories(), told=feeds(), moments=some_times)
def test_every_feature_is_what_plain_loops_find(
    events: list[Event], told: Told, moments: list[int]
) -> None:
    history = History.from_events(events)

    for (deal, moment), x in matrix(history, moments, told, ClosingLog(history)).items():
        expected = by_loops(events, deal, moment, make_feeds(told))
        assert differences(x, expected) == {}, (deal, moment)


@settings(max_examples=25)
@given(events=histories(), cutoff=times(), days=st.integers(0, DAYS))
def test_counts_kept_until_a_cutoff_are_what_plain_loops_find(
    events: list[Event], cutoff: int, days: int
) -> None:
    history = History.from_events(events)
    rates = ClosingTable.from_json(ClosingLog(history).table(cutoff).to_json())
    moment = cutoff + timedelta(days=days) // timedelta(microseconds=1)

    for (deal, _), x in matrix(history, [moment], None, rates).items():
        assert differences(x, by_loops(events, deal, moment, None, cutoff)) == {}, deal


# The leakage properties: nothing known after a moment reaches a feature as of it.


@settings(max_examples=40)
@given(
    events=histories(),
    later=histories(first_number=1000),
    told=feeds(),
    moments=some_times,
    chance=st.randoms(use_true_random=False),
)
def test_nothing_known_later_nor_order_nor_repetition_changes_a_feature(
    events: list[Event],
    later: list[Event],
    told: Told,
    moments: list[int],
    chance: random.Random,
) -> None:
    now = from_microseconds(max(moments))
    added = [
        replace(event, known_at=max(event.known_at or now, now) + timedelta(microseconds=1 + i))
        for i, event in enumerate(later)
        if event.occurred_at <= now or i % 2
    ]
    grown = [*events, *added, *chance.sample(events, len(events) // 2)]
    chance.shuffle(grown)
    history, longer = History.from_events(events), History.from_events(grown)

    before = matrix(history, moments, told, ClosingLog(history))
    after = matrix(longer, moments, told, ClosingLog(longer))

    for key, x in before.items():
        np.testing.assert_array_equal(after[key], x, str(key))


@settings(max_examples=60)
@given(events=histories(), moment=times())
def test_what_sources_told_later_changes_no_feature(events: list[Event], moment: int) -> None:
    history = History.from_events(events)
    deal, as_of = np.arange(history.deals), np.full(history.deals, moment)

    by_then = FEATURES.matrix(history, deal, as_of, feeds_of(history, moment + 1))
    by_now = FEATURES.matrix(history, deal, as_of, feeds_of(history))

    np.testing.assert_array_equal(by_now, by_then)


def test_a_source_speaks_for_all_deals_until_it_opens_one() -> None:
    opened = deal_event(at=1)
    told = [
        opened,
        deal_event("customer_replied", at=2, deal_id="D-2", source="sales app"),
        deal_event("deal_opened", at=30, deal_id="D-2", source="sales app"),
    ]
    feeds = feeds_of(History.from_events(told))

    before, after = (features_of(told, at, feeds=feeds) for at in (29, 31))

    assert before["customer_contacts_30_days"] == 0
    assert after["customer_contacts_30_days"] is None


@settings(max_examples=20)
@given(events=histories(), others=histories(("D-8", "D-9"), first_number=1000), told=feeds())
def test_other_deals_reach_a_deal_through_feeds_and_rates_alone(
    events: list[Event], others: list[Event], told: Told
) -> None:
    moments = [day_us(DAYS / 2), day_us(DAYS * 2)]
    alone = matrix(History.from_events(events), moments, told)
    among = matrix(History.from_events([*events, *others]), moments, told)

    for key, x in alone.items():
        np.testing.assert_array_equal(among[key], x, str(key))


# One definition: alone or in a batch, from a list or a table, in chunks of any size.


@settings(max_examples=25)
@given(events=histories(), told=feeds(), moments=some_times)
def test_a_deal_alone_has_to_the_bit_the_features_it_has_among_others(
    events: list[Event], told: Told, moments: list[int]
) -> None:
    history = History.from_events(events)
    rates = ClosingLog(history).table(day_us(DAYS))
    batch = matrix(history, moments, told, rates)

    for (deal, moment), x in batch.items():
        own = History.from_events([e for e in events if e.deal_id == deal])
        alone = matrix(own, [moment], told, rates)[deal, moment]
        np.testing.assert_array_equal(alone.view(np.int64), x.view(np.int64), f"{deal} {moment}")


@settings(max_examples=15)
@given(events=histories(), told=feeds(), chunk=st.integers(1, 5), moments=some_times)
def test_chunks_and_tables_change_no_bit(
    events: list[Event], told: Told, chunk: int, moments: list[int]
) -> None:
    history = History.from_events(events)
    rates = ClosingLog(history).table(day_us(DAYS))
    expected = matrix(history, moments, told, rates)
    from_table = History.from_table(table_of(events))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features_module, "CELLS_AT_ONCE", chunk * VOCABULARY.size)
        for key, x in matrix(from_table, moments, told, rates).items():
            np.testing.assert_array_equal(x.view(np.int64), expected[key].view(np.int64), str(key))


def test_many_deals_have_the_features_that_few_have() -> None:
    """Look-ups of many strings take another way than those of few."""
    events = [
        deal_event(kind, at=at, deal_id=f"D-{i}", source_id=f"{i}-{kind}", name=f"name {i % 7}")
        for i in range(300)
        for at, kind in enumerate(
            ["deal_opened", "owner_changed", "stage_changed", "activity_logged", "deal_won"]
        )
    ]
    features = FeatureSet(
        Vocabulary(
            activities=("name 1", "name 2"),
            categories={"stage": ("name 1", "name 3"), "last_event": ("deal_won",)},
            rare={"stage": ("name 4",)},
        )
    )
    history = History.from_events(events)
    rates = ClosingLog(history).table(day_us(9))
    every = np.arange(history.deals)
    at = np.full(history.deals, day_us(9))

    x = features.matrix(history, every, at, None, rates)

    for deal in range(0, history.deals, 17):
        one = features.matrix(history, every[deal : deal + 1], at[:1], None, rates)
        np.testing.assert_array_equal(one[0], x[deal])


# What people and files see of the features.


def test_a_set_is_kept_as_json() -> None:
    some = FeatureSet(VOCABULARY, ("silence_days", "field:region", "activity:demo:count"))

    again = FeatureSet.from_json(some.to_json())

    assert again.names == some.names
    assert again.vocabulary == VOCABULARY
    assert FeatureSet.from_json(FEATURES.to_json()).names == FEATURES.names


@settings(max_examples=10)
@given(events=histories(), told=feeds(), columns=st.sets(st.integers(0, len(FEATURES.names) - 1)))
def test_some_features_are_computed_like_all(
    events: list[Event], told: Told, columns: set[int]
) -> None:
    history = History.from_events(events)
    every, at = np.arange(history.deals), np.full(history.deals, day_us(20))
    chosen = sorted(columns)
    some = FeatureSet(VOCABULARY, tuple(FEATURES.names[c] for c in chosen))

    x = some.matrix(history, every, at, make_feeds(told), ClosingLog(history))

    whole = FEATURES.matrix(history, every, at, make_feeds(told), ClosingLog(history))
    np.testing.assert_array_equal(x, whole[:, chosen])


@given(
    events=histories(("D-1",)),
    due=st.integers(0, DAYS),
    moved=st.none() | st.integers(0, DAYS),
    known_late=st.booleans(),
    told=feeds(),
    at=times().filter(lambda at: at >= day_us(2)),
)
def test_reaching_an_open_milestone_moves_every_feature_the_good_way_or_not_at_all(
    events: list[Event], due: int, moved: int | None, known_late: bool, told: Told, at: int
) -> None:
    events += [deal_event(at=0), deal_event("milestone_set", 1, name="plan", date=date_of(due))]
    if moved is not None:
        events.append(deal_event("milestone_moved", 1.5, name="plan", date=date_of(moved)))
    now = from_microseconds(at)
    happened = now - timedelta(hours=6) if known_late else now
    reached = deal_event("milestone_reached", occurred_at=happened, known=None, name="plan")
    if known_late:
        reached = replace(reached, known_at=now)

    before, after = (
        matrix(History.from_events(each), [at], told)["D-1", at]
        for each in (events, [*events, reached])
    )

    direction = np.array([feature.direction for feature in FEATURES.features])
    named = dict(zip(FEATURES.names, after - before, strict=True))
    is_free = direction == 0
    np.testing.assert_array_equal(before[is_free], after[is_free])
    np.testing.assert_array_equal(np.isnan(before), np.isnan(after))
    assert not ((after - before) * direction < 0).any(), named
    assert named["milestones_reached_share"] > 0


def test_no_snapshot_has_no_row() -> None:
    history = History.from_events([deal_event()])
    none = np.empty(0, dtype=np.int64)

    assert FEATURES.matrix(history, none, none).shape == (0, len(FEATURES.names))


def test_before_its_first_event_nothing_is_known_of_a_deal() -> None:
    found = features_of([deal_event(at=3)], at=2)

    assert found["deal_age_days"] is None
    assert found["silence_days"] is None
    assert found["quiet_days"] is None
    assert found["events_30_days"] == 0


def test_the_first_years_of_computing_are_times_too() -> None:
    event = deal_event(occurred_at=from_microseconds(0))
    history = History.from_events([event])

    x = FEATURES.matrix(history, np.array([0]), np.array([86_400_000_000]))[0]

    named = dict(zip(FEATURES.names, x, strict=True))
    assert named["deal_age_days"] == 1
    assert named["year_day"] == 1
    assert named["quarter_days_left"] == 89


def test_every_feature_says_what_it_is() -> None:
    names = FEATURES.names
    assert len(set(names)) == len(names)
    for feature in FEATURES.features:
        assert feature.direction in (-1, 0, 1)
        assert feature.question
        assert feature.unit
        assert feature.missing
        for value in (None, 0.0, 1.0, 12.34) if not feature.is_category else (None, "north"):
            assert "{" not in say(feature, value)
        assert feature.is_category == (
            feature.name in VOCABULARY.categories or feature.name == "technical_validation"
        )


def test_a_matrix_entry_is_read_as_people_say_it() -> None:
    stage, silence = FEATURES.names.index("stage"), FEATURES.names.index("silence_days")

    assert FEATURES.value(stage, 1.0) == "offer"
    assert FEATURES.value(stage, -1.0) == "(never seen)"
    assert FEATURES.value(stage, np.nan) is None
    assert FEATURES.value(silence, 0.0) == 0.0


def test_names_with_braces_stay_names() -> None:
    odd = FeatureSet(Vocabulary(activities=("{name}",), number_fields=("a{0}",)))

    assert [say(f, 12.0) for f in odd.features[-3:]] == [
        "{name}: 12 times so far",
        "{name}: last 12 days ago",
        "a{0}: 12",
    ]


def test_an_absurd_amount_changes_by_no_more_than_a_million_times() -> None:
    for first, last, told in ((1e-300, 1e300, 1e6), (1e-300, -1e300, -1e6), (2.0, 3.0, 0.5)):
        events = [deal_event("amount_changed", i, number=n) for i, n in enumerate((first, last))]
        assert features_of([deal_event(), *events], 5)["amount_change"] == told
