from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.arrivals import Arrivals
from model.errors import ScoreError
from model.forecast import Forecast, OpenDeals, forecast
from model.history import Floats

ARRIVALS = Arrivals(
    opened=100,
    window_days=100.0,
    dispersion=1.5,
    won=30,
    win_days=(0.0, 30.0, 90.0),
    win_shares=(0.0, 0.05, 0.3),
    amounts=(1_000.0, 5_000.0, 9_000.0),
)
DAYS = (20.0, 50.0, 80.0)


def open_deals(
    probability: Floats, amount: Floats | None = None, *, spread: float = 0.3, **given: Any
) -> OpenDeals:
    """Deals whose three bags disagree by `spread`."""
    inside = np.clip(probability, 1e-9, 1 - 1e-9)
    log_odds = np.log(inside / (1 - inside))
    deals = len(probability)
    return OpenDeals(
        amount=np.full(deals, 1_000.0) if amount is None else amount,
        gated=given.pop("gated", np.zeros(deals, dtype=bool)),
        probability=probability,
        bag_log_odds=np.stack([log_odds - spread, log_odds, log_odds + spread]),
        **given,
    )


def of(deals: OpenDeals, **changed: Any) -> Forecast:
    given: dict[str, Any] = {
        "won": (500.0, 0.0, 0.0),
        "arrivals": ARRIVALS,
        "shock_variance": 0.05,
        "seed": 3,
    }
    return forecast(deals, DAYS, **{**given, **changed})


@st.composite
def pipelines(draw: st.DrawFn) -> OpenDeals:
    count = draw(st.integers(0, 12))
    chance = st.floats(0.0, 1.0)
    rows = [sorted(draw(st.tuples(chance, chance, chance))) for _ in range(count)]
    amounts = [draw(st.floats(0.0, 1e6)) for _ in range(count)]
    return open_deals(
        np.array(rows).reshape(count, 3),
        np.array(amounts),
        gated=np.array([draw(st.booleans()) for _ in range(count)], dtype=bool),
        groups={"owner": np.array([draw(st.integers(0, 3)) for _ in range(count)], np.int64)},
    )


@settings(max_examples=25)
@given(deals=pipelines())
def test_parts_months_and_groups_add_up(deals: OpenDeals) -> None:
    made = of(deals)
    whole = made.whole

    assert whole.total.expected == pytest.approx(
        whole.won + whole.open.expected + whole.unopened.expected
    )
    worth = np.rint(100 * deals.counted * deals.probability[:, -1]).sum() / 100
    assert whole.open.expected == pytest.approx(worth)
    for part in ("open", "unopened", "total"):
        of_months = sum(getattr(month, part).expected for month in made.months)
        assert of_months == pytest.approx(getattr(whole, part).expected)
    assert sum(month.won for month in made.months) == whole.won
    assert sum(group.open.expected for group in made.groups["owner"]) == pytest.approx(
        whole.open.expected
    )
    assert whole.total.p10 <= whole.total.p50 <= whole.total.p90


@settings(max_examples=25)
@given(deals=pipelines(), raised=st.floats(0.0, 1.0))
def test_a_higher_probability_never_lowers_any_quantile(deals: OpenDeals, raised: float) -> None:
    higher = open_deals(
        deals.probability + raised * (1.0 - deals.probability),
        deals.amount,
        gated=deals.gated,
    )
    lower = open_deals(deals.probability, deals.amount, gated=deals.gated)

    before, after = of(lower), of(higher)

    assert (after.draws >= before.draws - 1e-6).all()
    assert after.whole.total.expected >= before.whole.total.expected - 1e-6


@settings(max_examples=25)
@given(deals=pipelines())
def test_the_draws_agree_with_the_exact_mean(deals: OpenDeals) -> None:
    made = of(deals, arrivals=None)

    # The draws' own spread is zero where a rare end never came; what chance gives each deal is not.
    chance = (deals.probability * (1.0 - deals.probability)).max(axis=1)
    spread = max(float(made.draws.std()), float(np.sqrt(deals.amount**2 @ chance)))
    away = float(made.draws.mean()) - made.whole.total.expected
    cents = 0.005 * len(deals.amount)  # to which the mean of each deal is rounded
    assert abs(away) <= 5 * spread / np.sqrt(len(made.draws)) + cents + 1e-6


def test_the_same_seed_gives_the_same_draws_and_another_one_others() -> None:
    deals = open_deals(np.full((9, 3), (0.1, 0.2, 0.4)))

    assert (of(deals).draws == of(deals).draws).all()
    assert (of(deals).draws != of(deals, seed=4).draws).any()


def test_certain_deals_leave_nothing_to_chance() -> None:
    deals = open_deals(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]), np.array([700.0, 900.0]))

    whole = of(deals, arrivals=None).whole

    assert (whole.total.p10, whole.total.p50, whole.total.p90) == (1_200.0, 1_200.0, 1_200.0)


def test_a_deal_with_a_missed_gate_counts_for_nothing() -> None:
    deals = open_deals(np.ones((1, 3)), gated=np.array([True]))

    assert of(deals, arrivals=None).whole.total.p90 == 500.0


def test_a_deal_without_an_amount_counts_for_nothing() -> None:
    deals = open_deals(np.ones((2, 3)), np.array([np.nan, 200.0]))

    assert of(deals, arrivals=None).whole.open.expected == 200.0


def test_without_deals_there_is_what_was_won() -> None:
    made = of(OpenDeals.none(3), arrivals=None)

    assert made.whole.total.p10 == made.whole.total.p90 == 500.0
    assert made.reach(500.0) == 1.0
    assert made.reach(500.01) == 0.0


def test_a_shock_widens_the_range_and_keeps_the_mean() -> None:
    deals = open_deals(np.full((200, 3), (0.1, 0.2, 0.4)), spread=0.0)

    calm, rough = (
        of(deals, arrivals=None, shock_variance=variance).whole for variance in (0.0, 0.3)
    )

    assert rough.total.expected == calm.total.expected
    assert rough.total.p90 - rough.total.p10 > 2 * (calm.total.p90 - calm.total.p10)


def test_bags_far_apart_and_a_wide_shock_leave_the_mean_at_what_is_shown() -> None:
    shown = (0.1, 0.2, 0.4)
    deals = open_deals(np.full((200, 3), shown), spread=3.0)

    made = of(deals, arrivals=None, shock_variance=1.0, won=(0.0, 0.0, 0.0))

    # Bags and shocks all have their turn, so that only the deals' own coins are left to chance.
    error = 1_000.0 * np.sqrt(200 * shown[-1] * (1.0 - shown[-1]) / len(made.draws))
    assert made.whole.open.expected == pytest.approx(200 * 1_000.0 * shown[-1])
    assert abs(made.draws.mean() - made.whole.open.expected) <= 3 * error


@pytest.mark.parametrize("shown", [(0.5, 0.5, 0.5), (0.3, 0.5, 0.6)])
def test_what_is_won_by_january_stays_won_by_march(shown: tuple[float, ...]) -> None:
    made = of(open_deals(np.array([shown])), arrivals=None, won=(0.0, 0.0, 0.0))

    for month, gained in zip(made.months, np.diff(shown, prepend=0.0), strict=True):
        assert month.open.p10 == 0.0
        assert gained or month.open.p90 == 0.0


def test_independent_deals_of_agreeing_bags_spread_as_the_binomial_does() -> None:
    deals = open_deals(np.full((400, 3), (0.1, 0.2, 0.5)), spread=0.0)

    made = of(deals, arrivals=None, shock_variance=0.0)

    assert made.draws.std() == pytest.approx(1_000.0 * np.sqrt(400 * 0.25), rel=0.05)


def test_what_is_won_before_a_period_begins_does_not_count() -> None:
    deals = open_deals(np.array([[1.0, 1.0, 1.0], [0.25, 0.5, 0.75]]))

    made = of(deals, arrivals=None, won=(0.0, 0.0, 0.0), begun=False)

    assert len(made.months) == 2
    assert made.whole.open.expected == pytest.approx(500.0)
    assert made.whole.open.p90 == 1_000.0


def test_amounts_won_in_earlier_months_count_in_the_whole_alone() -> None:
    made = of(OpenDeals.none(3), arrivals=None, earlier=250.0)

    assert made.whole.won == 750.0
    assert sum(month.won for month in made.months) == 500.0


def test_deals_not_yet_opened_come_as_often_as_they_did() -> None:
    made = of(OpenDeals.none(3), shock_variance=0.0)

    # One a day; by 80 days the mean share is the area below the line of shares.
    wins = 30 * 0.025 + 50 * (0.05 + (0.05 + 0.25 * 50 / 60)) / 2
    assert made.whole.unopened.expected == pytest.approx(wins * 5_000.0)
    assert made.whole.unopened.p10 < made.whole.unopened.p50 < made.whole.unopened.p90


def test_probabilities_outside_zero_to_one_are_refused() -> None:
    with pytest.raises(ScoreError, match="outside 0 to 1"):
        open_deals(np.array([[0.1, 0.2, np.nan]]))


def test_dates_that_do_not_rise_are_refused() -> None:
    with pytest.raises(ScoreError, match="days that rise"):
        forecast(
            OpenDeals.none(2),
            (5.0, 5.0),
            won=(0.0, 0.0),
            arrivals=None,
            shock_variance=0.0,
            seed=0,
        )


def test_amounts_won_of_another_number_than_dates_are_refused() -> None:
    with pytest.raises(ScoreError, match="as many of each"):
        of(OpenDeals.none(3), won=(0.0,))
