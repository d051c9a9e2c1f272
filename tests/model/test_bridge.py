from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bridge import (
    AMOUNT,
    BARS,
    EVENTS,
    LOST,
    NEW,
    PULLED_IN,
    PUSHED_OUT,
    REMOVED,
    RETRAINING,
    TIME,
    UNOPENED,
    WON,
    Bridge,
    Path,
    bridge,
)
from model.errors import ScoreError
from model.events import DAY_US, EPOCH_DAY
from model.period import quarter_until
from model.pipeline import Deal

QUARTER = quarter_until(date(2026, 3, 31))
INSIDE, BEYOND = date(2026, 3, 15), date(2026, 5, 15)
IN_FEBRUARY = (date(2026, 2, 1) - EPOCH_DAY).days * DAY_US
LAST_YEAR = (date(2025, 6, 1) - EPOCH_DAY).days * DAY_US


def a_deal(deal_id: str = "D-1", **changed: Any) -> Deal:
    given: dict[str, Any] = {
        "index": 0,
        "deal_id": deal_id,
        "status": "open",
        "opened_us": LAST_YEAR,
        "closed_us": None,
        "amount": 1_000.0,
        "currency": "EUR",
        "owner": None,
        "stage": None,
        "category": None,
        "segment": None,
        "close_date": INSIDE,
    }
    return Deal(**{**given, **changed})


def won(**changed: Any) -> Deal:
    return a_deal(status="won", closed_us=IN_FEBRUARY, **changed)


def moved(
    before: Deal | None, after: Deal | None, *steps: float, then: float = 0.5, now: float = 0.5
) -> dict[str, int]:
    """The bars of one deal that are not zero; its path goes over the steps."""
    waited, planned, told = steps or (then, then, now)
    made = bridge(
        [before] if before else [],
        [after] if after else [],
        QUARTER,
        then={"D-1": then} if before and before.status == "open" else {},
        now={"D-1": now} if after and after.status == "open" else {},
        paths={"D-1": Path(then=then, waited=waited, planned=planned, told=told, now=now)},
    )
    return {bar: cents for bar, cents in made.bars.items() if cents}


def test_each_reason_has_a_bar_of_its_own() -> None:
    lost = a_deal(status="lost", closed_us=IN_FEBRUARY)
    pushed = a_deal(close_date=BEYOND)

    assert moved(a_deal(), won()) == {WON: 50_000}
    assert moved(a_deal(), lost) == {LOST: -50_000}
    assert moved(None, a_deal()) == {NEW: 50_000}
    assert moved(lost, a_deal()) == {NEW: 50_000}
    assert moved(a_deal(), None) == {REMOVED: -50_000}
    assert moved(a_deal(), pushed, 0.5, 0.2, 0.2, now=0.2) == {PUSHED_OUT: -30_000}
    assert moved(pushed, a_deal(), 0.5, 0.7, 0.7, now=0.7) == {PULLED_IN: 20_000}
    assert moved(a_deal(), a_deal(amount=1_500.0)) == {AMOUNT: 25_000}
    assert moved(a_deal(), a_deal(), 0.4, 0.4, 0.4, now=0.4) == {TIME: -10_000}
    assert moved(a_deal(), a_deal(), 0.5, 0.5, 0.8, now=0.8) == {EVENTS: 30_000}
    assert moved(a_deal(), a_deal(), 0.5, 0.5, 0.5, now=0.6) == {RETRAINING: 10_000}


def test_a_close_date_moved_within_the_period_is_an_event() -> None:
    later = a_deal(close_date=INSIDE + timedelta(days=9))

    assert moved(a_deal(), later, 0.5, 0.4, 0.4, now=0.4) == {EVENTS: -10_000}


def test_a_win_of_another_period_takes_the_deal_out_of_this_one() -> None:
    assert moved(a_deal(), replace(won(), closed_us=LAST_YEAR)) == {WON: -50_000}


def test_a_corrected_amount_of_a_win_is_no_win() -> None:
    assert moved(won(), won(amount=800.0)) == {AMOUNT: -20_000}


def test_a_deal_of_another_currency_now_is_neither_removed_nor_new() -> None:
    left, come = (
        bridge(
            before, after, QUARTER, then={"D-1": 0.5}, now={"D-1": 0.5}, paths={}, recoined={"D-1"}
        )
        for before, after in (([a_deal()], []), ([], [a_deal(amount=900.0)]))
    )

    assert {bar: cents for bar, cents in left.bars.items() if cents} == {AMOUNT: -500_00}
    assert {bar: cents for bar, cents in come.bars.items() if cents} == {AMOUNT: 450_00}


def test_a_win_taken_back_is_less_won() -> None:
    assert moved(won(), a_deal()) == {WON: -50_000}


def test_a_deal_that_lost_its_number_is_removed_from_the_forecast() -> None:
    made = bridge([a_deal()], [a_deal()], QUARTER, then={"D-1": 0.5}, now={}, paths={})

    assert made.bars[REMOVED] == -50_000


def test_deals_not_yet_opened_have_a_bar_and_no_deal() -> None:
    made = bridge([], [], QUARTER, then={}, now={}, paths={}, unopened=(10.004, 7.0))

    assert (made.before, made.bars[UNOPENED], made.after) == (1_000, -300, 700)
    assert made.moves == ()


def test_a_path_that_leads_elsewhere_is_refused() -> None:
    path = Path(then=0.5, waited=0.5, planned=0.5, told=0.5, now=0.9)

    with pytest.raises(ScoreError, match="a path from the one to the other shown"):
        bridge(
            [a_deal()], [a_deal()], QUARTER, then={"D-1": 0.5}, now={"D-1": 0.6},
            paths={"D-1": path},
        )  # fmt: skip


chance = st.floats(0.0, 1.0)
amounts = st.one_of(st.none(), st.floats(0.0, 1e8))


@st.composite
def weeks(draw: st.DrawFn) -> Bridge:
    """Any two pipelines with any probabilities, bridged."""
    before, after, then, now, paths = [], [], {}, {}, {}
    for number in range(draw(st.integers(0, 8))):
        deal_id = f"D-{number}"
        for pipeline, shown in ((before, then), (after, now)):
            status = draw(st.sampled_from(("open", "open", "open", "won", "lost", None)))
            if status is None:
                continue
            closed = None if status == "open" else draw(st.sampled_from((IN_FEBRUARY, LAST_YEAR)))
            planned = draw(st.sampled_from((INSIDE, BEYOND, None)))
            amount = draw(amounts)
            pipeline.append(
                a_deal(deal_id, status=status, closed_us=closed, amount=amount, close_date=planned)
            )
            if status == "open" and draw(st.booleans()):
                shown[deal_id] = draw(chance)
        if deal_id in then and deal_id in now:
            paths[deal_id] = Path(
                then=then[deal_id],
                waited=draw(chance),
                planned=draw(chance),
                told=draw(chance),
                now=now[deal_id],
            )
    to_come = (draw(st.floats(0.0, 1e8)), draw(st.floats(0.0, 1e8)))
    return bridge(before, after, QUARTER, then=then, now=now, paths=paths, unopened=to_come)


@given(made=weeks())
def test_the_bars_add_up_to_the_cent(made: Bridge) -> None:
    assert made.before + sum(made.bars.values()) == made.after
    assert tuple(made.bars) == BARS


@given(made=weeks())
def test_a_bar_is_the_sum_of_its_deals(made: Bridge) -> None:
    for bar in BARS:
        if bar != UNOPENED:
            assert sum(move.cents for move in made.of(bar)) == made.bars[bar]
    assert all(move.cents for move in made.moves)
