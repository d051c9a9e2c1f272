"""Win rates: what others' closings say, as known at the time, and never the deal itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from model.events import Event
from model.features import FeatureSet
from model.history import History
from model.rates import PRIOR, WHO, ClosingLog, ClosingTable
from model.vocabulary import Vocabulary
from tests.factories import day_us, deal_event
from tests.model.histories import DAYS, histories

RATES = FeatureSet(Vocabulary(), ("owner_win_rate", "account_win_rate"))


def deal(name: str, owner: str | None = "ann", **ends: float) -> list[Event]:
    """A deal of an owner with closings, by kind and day: ``won=5, reopened=6``."""
    events = [deal_event(deal_id=name)]
    if owner is not None:
        events.append(deal_event("owner_changed", deal_id=name, name=owner))
    return events + [deal_event(f"deal_{kind}", at, deal_id=name) for kind, at in ends.items()]


def owner_rate(
    events: list[Event], at: float, of: str = "D-1", cutoff: float | None = None
) -> float | None:
    """As of a day, by what was known then, or by the table of a cut-off."""
    history = History.from_events(events)
    index = np.array([list(history.deal_ids).index(of)])
    log = ClosingLog(history)
    rates = log if cutoff is None else log.table(day_us(cutoff))
    rate = RATES.matrix(history, index, np.array([day_us(at)]), None, rates)[0, 0]
    return None if np.isnan(rate) else float(rate)


def expected(won: int, closed: int, all_won: int, all_closed: int) -> float:
    return (won + PRIOR * all_won / all_closed) / (closed + PRIOR)


OTHERS = [
    *deal("D-2", won=3),
    *deal("D-3", lost=4),
    *deal("D-4", won=5),
    *deal("D-5", owner="bob", lost=6),
]


@pytest.mark.parametrize(
    ("at", "rate"),
    [
        (2.9, None),
        (3, expected(1, 1, 1, 1)),
        (4, expected(1, 2, 1, 2)),
        (5.5, expected(2, 3, 2, 3)),
        (9, expected(2, 3, 2, 4)),
    ],
)
def test_a_rate_counts_what_had_closed(at: float, rate: float | None) -> None:
    assert owner_rate([*deal("D-1"), *OTHERS], at) == pytest.approx(rate)


def test_an_owner_without_closings_has_the_rate_of_all() -> None:
    assert owner_rate([*deal("D-1", owner="eve"), *OTHERS], 9) == pytest.approx(0.5)


def test_a_deal_without_owner_has_no_rate() -> None:
    assert owner_rate([*deal("D-1", owner=None), *OTHERS], 9) is None


def test_a_closing_counts_when_it_is_known() -> None:
    late = deal_event("deal_won", 1, known=8, deal_id="D-9")
    events = [*deal("D-1"), *OTHERS, *deal("D-9"), late]

    assert owner_rate(events, 7) == pytest.approx(expected(2, 3, 2, 4))
    assert owner_rate(events, 8) == pytest.approx(expected(3, 4, 3, 5))


@pytest.mark.parametrize("ends", [{"won": 2}, {"lost": 2}, {"won": 2, "reopened": 3}])
def test_the_deal_itself_never_counts(ends: dict[str, float]) -> None:
    expected_rate = owner_rate([*deal("D-1"), *OTHERS], 9)

    assert owner_rate([*deal("D-1", **ends), *OTHERS], 9) == pytest.approx(expected_rate)
    assert owner_rate(deal("D-1", **ends), 9) is None


@pytest.mark.parametrize("ends", [{}, {"won": 7}, {"lost": 7}, {"won": 2, "reopened": 4}])
def test_in_hindsight_a_table_tells_no_deal_from_another(ends: dict[str, float]) -> None:
    events = [*deal("D-1", won=7), *deal("D-9", owner="bob", **ends), *OTHERS]

    one, other = (owner_rate(events, 5, of, cutoff=9) for of in ("D-1", "D-9"))

    assert one == other
    assert owner_rate(events, 9, "D-1", cutoff=9) != other


def test_a_reopened_deal_has_not_closed_and_one_closed_twice_counts_once() -> None:
    back = deal("D-9", won=2, reopened=3)
    again = [*back, deal_event("deal_lost", 7, deal_id="D-9")]

    assert owner_rate([*deal("D-1"), *OTHERS, *back], 6) == pytest.approx(expected(2, 3, 2, 4))
    assert owner_rate([*deal("D-1"), *OTHERS, *again], 6) == pytest.approx(expected(2, 3, 2, 4))
    assert owner_rate([*deal("D-1"), *OTHERS, *again], 9) == pytest.approx(expected(2, 4, 2, 5))


def test_a_deal_merged_into_another_has_not_closed() -> None:
    merged = [
        *deal("D-9"),
        deal_event("deal_lost", 4, deal_id="D-9", name="merged into D-2"),
    ]

    assert owner_rate([*deal("D-1"), *OTHERS, *merged], 9) == owner_rate([*deal("D-1"), *OTHERS], 9)
    assert owner_rate([*merged, *OTHERS], 9, of="D-9") == pytest.approx(expected(2, 3, 2, 4))


def test_a_deal_counts_for_who_owned_it_when_it_closed() -> None:
    handed_over = [
        *deal("D-9", owner="bob"),
        deal_event("owner_changed", 1, deal_id="D-9", name="ann"),
        deal_event("deal_won", 2, deal_id="D-9"),
        deal_event("owner_changed", 3, deal_id="D-9", name="bob"),
    ]

    assert owner_rate([*deal("D-1"), *OTHERS, *handed_over], 9) == pytest.approx(
        expected(3, 4, 3, 5)
    )


def test_an_owner_logged_after_the_closing_was_known_changes_nothing() -> None:
    closed = [*deal("D-9", owner="bob"), deal_event("deal_won", 2, deal_id="D-9")]
    logged_late = deal_event("owner_changed", 1, known=7, deal_id="D-9", name="ann")
    before = owner_rate([*deal("D-1"), *OTHERS, *closed], 6)

    assert owner_rate([*deal("D-1"), *OTHERS, *closed, logged_late], 6) == before
    assert owner_rate([*deal("D-1"), *OTHERS, *closed, logged_late], 9) == pytest.approx(
        expected(2, 3, 3, 5)
    )


@settings(max_examples=30)
@given(histories())
def test_the_table_of_a_cutoff_is_the_log_just_before_it(events: list[Event]) -> None:
    history = History.from_events(events)
    log, cutoff = ClosingLog(history), day_us(DAYS / 2)
    table = ClosingTable.from_json(log.table(cutoff).to_json())

    for who in WHO:
        for name in (*history.names, "nobody"):
            kept = table.counts(who, name, cutoff)
            assert kept == log.counts(who, name, cutoff - 1), (who, name)


def test_a_table_knows_names_and_not_their_numbers() -> None:
    events = [*deal("D-1"), *OTHERS]
    table = ClosingLog(History.from_events(events)).table(day_us(9))
    alone = History.from_events(deal("D-1"))

    rate = RATES.matrix(alone, np.array([0]), np.array([day_us(10)]), None, table)[0, 0]

    assert table.table["owner"] == {"ann": (2, 3), "bob": (0, 1), "": (2, 4)}
    assert table.table["account"] == {"": (2, 4)}
    assert rate == pytest.approx(expected(2, 3, 2, 4))


def test_without_rates_they_are_missing() -> None:
    history = History.from_events([*deal("D-1"), *OTHERS])

    assert np.isnan(RATES.matrix(history, np.array([0]), np.array([day_us(9)]))).all()
