from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import TrainingDataError
from model.event_table import table_of
from model.events import Event
from model.history import History, Ints
from tests.factories import day_us, deal_event
from tests.training.companies import deals_events
from training.data_checks import (
    WEEK_US,
    Check,
    check_drift,
    check_record,
    check_schema,
    check_win_rate,
    compare_values,
    moved_features,
    refuse_broken,
)
from training.dataset import last_closings
from training.preparing import Options, prepare
from training.provenance import code_version, events_digest, installed_packages
from training.thresholds import read_thresholds

LIMITS = read_thresholds().data


def daily(days: int) -> Any:
    return table_of([deal_event("customer_replied", n, source_id=f"{n}") for n in range(days)])


@pytest.mark.parametrize(
    ("given", "name", "result"),
    [
        ({"known_before": day_us(101)}, "freshness", "ok"),
        ({"known_before": day_us(110)}, "freshness", "moved"),
        ({"known_before": day_us(130)}, "freshness", "broken"),
        ({"before": {"events": 80, "known_before": day_us(80)}}, "volume", "ok"),
        ({"before": {"events": 90, "known_before": day_us(80)}}, "volume", "moved"),
        ({"before": {"events": 800, "known_before": day_us(80)}}, "volume", "broken"),
        ({"before": {"events": 80, "known_before": day_us(80)}}, "rate", "ok"),
        ({"rejected": 0}, "rejects", "ok"),
        ({"rejected": 5}, "rejects", "moved"),
        ({"rejected": 100}, "rejects", "broken"),
    ],
)
def test_each_limit_tells_or_stops(given: dict[str, Any], name: str, result: str) -> None:
    found = check_record(daily(100), **({"known_before": day_us(101), "limits": LIMITS} | given))

    assert {check.name: check.result for check in found}[name] == result


def test_events_that_come_far_more_seldom_are_told() -> None:
    before = {"events": 90, "known_before": day_us(90)}
    events = daily(91)

    found = check_record(events, day_us(190), replace(LIMITS, stale_days=(500, 500)), before=before)

    assert [c.result for c in found if c.name == "rate"] == ["moved"]


def test_a_fact_told_twice_breaks_the_schema() -> None:
    twice = table_of([deal_event("customer_replied", n, source_id="1") for n in range(2)])

    assert check_schema(daily(3)).result == "ok"
    assert check_schema(twice).result == "broken"
    assert "the same source_id twice" in check_schema(twice).words


def test_a_fact_known_before_it_occurred_breaks_the_schema() -> None:
    good = daily(3)
    place = good.column_names.index("known_at")
    early = pc.subtract(good["occurred_at"], pa.scalar(1, pa.duration("us")))
    bad = good.set_column(place, good.schema.field("known_at"), early)

    assert "known before it occurred" in check_schema(bad).words
    assert check_schema(bad).result == "broken"


def test_only_broken_data_stops() -> None:
    refuse_broken([Check(name="drift", result="moved", words="silence_days moved")])
    with pytest.raises(TrainingDataError, match="data that is broken: nothing came"):
        refuse_broken([Check(name="freshness", result="broken", words="nothing came")])


@given(st.lists(st.integers(0, 60), min_size=1, max_size=300), st.integers(0, 2**32))
def test_a_sample_beside_itself_never_moved(values: list[int], seed: int) -> None:
    old = np.array(values)
    new = np.random.default_rng(seed).permutation(old)

    psi, p_value = compare_values(old, new)

    assert psi == pytest.approx(0.0, abs=1e-12)
    assert p_value == pytest.approx(1.0)


@given(st.lists(st.integers(0, 60), min_size=1), st.lists(st.integers(0, 60), min_size=1))
def test_the_index_is_never_below_zero_and_finite(one: list[int], other: list[int]) -> None:
    psi, p_value = compare_values(np.array(one), np.array(other))

    assert 0.0 <= psi < 20.0
    assert 0.0 <= p_value <= 1.0


def test_chance_alone_seldom_passes_for_a_move() -> None:
    def drawn(rng: np.random.Generator, size: int) -> Ints:
        return rng.integers(0, 40, size)

    rounds = [np.random.default_rng(seed) for seed in range(300)]
    low = sum(compare_values(drawn(rng, 400), drawn(rng, 100))[1] < 0.05 for rng in rounds)

    assert low / len(rounds) < 0.09


def test_customers_who_fall_silent_are_found_and_a_quiet_company_is_not_accused() -> None:
    events = deals_events(240, signal=False)
    middle = day_us(360)
    # From the middle on nobody replies, but for each deal's very first reply.
    silent = [
        event
        for event in events
        if event.kind != "customer_replied"
        or (event.occurred_at.timestamp() * 1e6 < middle)
        or event.source_id.endswith("/2")
    ]
    options = Options(edges_days=(20.0,), spacing_days=14.0)

    still = prepare(table_of(events), day_us(720), options)
    moved = prepare(table_of(silent), day_us(720), options)

    assert moved_features(still, middle, LIMITS) == []
    found = [name for name, _, _ in moved_features(moved, middle, LIMITS) or []]
    assert "silence_days" in found or "customer_contacts_30_days" in found
    assert [check.result for check in check_drift(still, middle, LIMITS)] == ["ok", "ok"]
    assert moved_features(moved, day_us(715), LIMITS) is None
    told = [check.words for check in check_drift(moved, middle, LIMITS)]
    assert any("moved since" in words for words in told)


def slow_and_quick(deals: int) -> list[Event]:
    """Every sixth deal is slow, so that of those open at a moment most are."""
    events = []
    for number in range(deals):
        opened, life = 0.4 * number, 160.0 if number % 6 == 0 else 9.0 + number % 7
        told = [("deal_opened", opened), ("deal_won" if number % 2 else "deal_lost", opened + life)]
        told += [
            ("customer_replied", opened + at)
            for at in np.arange(3.0, life, 7.0 + number % 5).tolist()
        ]
        events += [
            deal_event(kind, at, deal_id=f"D-{number}", source_id=f"{number}/{place}")
            for place, (kind, at) in enumerate(told)
        ]
    return events


def test_soon_after_a_champion_a_company_that_stays_as_it_is_has_moved_in_nothing() -> None:
    """Deals open this week are older and slower than deals at large, as in every other week."""
    cutoff = day_us(480)  # the last deal opens then
    options = Options(edges_days=(20.0,), spacing_days=7.0)
    learning = prepare(table_of(slow_and_quick(1200)), cutoff, options)

    for weeks in (1, 2, 4, 26):
        assert moved_features(learning, cutoff - weeks * WEEK_US, LIMITS) == []
    assert moved_features(learning, cutoff - WEEK_US + 1, LIMITS) is None


def test_a_share_won_that_fell_is_told() -> None:
    events = [
        event
        for event in deals_events(240)
        if not (event.kind == "deal_won" and event.occurred_at.timestamp() * 1e6 > day_us(360))
        or int(event.deal_id[2:]) % 5 == 0
    ]
    learning = prepare(table_of(events), day_us(720), Options(edges_days=(20.0,), spacing_days=14))

    rate = check_drift(learning, day_us(360), LIMITS)[0]

    assert (rate.name, rate.result) == ("win rate", "moved")
    by_little = check_win_rate(learning.history, day_us(360), replace(LIMITS, psi=100.0))
    assert by_little.result == "ok"
    by_chance = check_win_rate(learning.history, day_us(360), replace(LIMITS, psi_level=1e-30))
    assert by_chance.result == "ok"


def test_a_deal_that_was_reopened_or_merged_is_not_counted_as_closed() -> None:
    """Not in the share won, nor where features are looked through for what tells the outcome."""
    events = []
    for number in range(90):
        deal, ends = f"D-{number}", [("deal_lost", 10.0 if number % 2 else 2.0)]
        if number < 30:
            ends.append(("deal_reopened", 11.0))
        for kind, at in [("deal_opened", 0.0), *ends]:
            why = {"name": "merged into D-99"} if kind == "deal_lost" and number >= 60 else {}
            events.append(deal_event(kind, at, deal_id=deal, source_id=f"{deal}/{at}", **why))
    history = History.from_table(table_of(events))
    limits = replace(LIMITS, fewest_deals=0)

    closed = last_closings(history, day_us(20))

    assert (closed >= 0).sum() == 30
    assert (last_closings(history, day_us(10.5)) >= 0).sum() == 60
    words = check_win_rate(history, day_us(5), limits).words
    assert "of 15 deals closed since" in words
    assert "of 15 before" in words


def test_the_digest_is_of_the_events_and_not_of_their_order() -> None:
    events = daily(50)
    order = np.random.default_rng(0).permutation(50)

    assert events_digest(events.take(order)) == events_digest(events)
    assert events_digest(events.slice(0, 49)) != events_digest(events)


def test_the_code_and_its_packages_are_named() -> None:
    assert set(code_version()) >= {"version", "digest"}
    assert "numpy==" in installed_packages()
