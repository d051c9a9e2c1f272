from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.arrivals import Arrivals, mixed
from model.errors import ScoreError
from model.outlook import arrivals_converted


def arrivals(**changed: object) -> Arrivals:
    given = {
        "opened": 50,
        "window_days": 100.0,
        "dispersion": 1.0,
        "won": 10,
        "win_days": (0.0, 7.0, 14.0),
        "win_shares": (0.0, 0.1, 0.3),
        "amounts": (10.0, 30.0),
    }
    return Arrivals(**{**given, **changed})  # type: ignore[arg-type]


@given(days=st.lists(st.floats(0.0, 400.0), min_size=2, max_size=6).map(sorted))
def test_wins_never_fall_with_time(days: list[float]) -> None:
    assert (np.diff(arrivals().wins_until(days)) >= -1e-12).all()


@given(day=st.floats(0.0, 60.0))
def test_wins_are_the_area_below_the_shares(day: float) -> None:
    steps = np.linspace(0.0, day, 20_001)
    shares = np.interp(steps, (0.0, 7.0, 14.0), (0.0, 0.1, 0.3))

    assert np.isclose(arrivals().wins_until([day])[0], 0.5 * np.trapezoid(shares, steps), atol=1e-6)


def test_few_wins_make_the_number_of_wins_uncertain() -> None:
    assert arrivals(won=3).spread(30.0) > arrivals(won=300).spread(30.0)


def test_openings_that_bunch_make_it_uncertain_too() -> None:
    assert arrivals(dispersion=3.0).spread(30.0) > arrivals().spread(30.0)


def test_json_keeps_all_of_it() -> None:
    told = arrivals()

    assert Arrivals.from_json(json.loads(json.dumps(told.to_json()))) == told


@given(
    parts=st.lists(
        st.builds(
            arrivals,
            opened=st.integers(0, 1000),
            window_days=st.floats(7.0, 400.0),
            win_days=st.sampled_from([(0.0, 7.0, 14.0), (0.0, 5.0, 90.0)]),
            win_shares=st.sampled_from([(0.0, 0.1, 0.3), (0.0, 0.0, 0.05), (0.0, 0.0, 0.0)]),
        ),
        min_size=1,
        max_size=4,
    ),
    day=st.floats(0.0, 400.0),
)
def test_all_currencies_together_win_as_many_deals_as_each_alone(
    parts: list[Arrivals], day: float
) -> None:
    alone = sum(each.wins_until([day])[0] for each in parts)

    assert np.isclose(mixed(parts).wins_until([day])[0], alone)


def test_converted_amounts_to_come_are_those_of_each_currency_converted() -> None:
    shares = {"win_days": (0.0, 30.0), "window_days": 90.0}
    euros = arrivals(opened=1000, won=50, win_shares=(0.0, 0.05), amounts=(100.0,) * 50, **shares)
    dollars = arrivals(opened=200, won=60, win_shares=(0.0, 0.3), amounts=(900.0, 1100.0), **shares)

    (made,) = arrivals_converted({"EUR": euros, "USD": dollars}, {"USD": 0.5}, "EUR").values()

    quarter = [91.0]
    assert np.isclose(
        made.mean_amount * made.wins_until(quarter)[0],
        100.0 * euros.wins_until(quarter)[0] + 500.0 * dollars.wins_until(quarter)[0],
    )
    assert {round(amount) for amount in made.amounts} >= {100, 450, 550}


def test_openings_of_a_currency_that_bunch_count_by_their_number() -> None:
    made = mixed([arrivals(opened=300), arrivals(opened=100, dispersion=5.0)])

    assert made.dispersion == 2.0
    assert made.opened == 400


def test_openings_in_a_currency_without_a_rate_are_not_left_out_silently() -> None:
    told = {"EUR": arrivals(), "JPY": arrivals()}

    with pytest.raises(ScoreError, match="JPY, which has no rate"):
        arrivals_converted(told, {}, "EUR")


def test_a_currency_in_which_no_deal_opens_any_more_needs_no_rate() -> None:
    assert arrivals_converted({"EUR": arrivals(), "DEM": arrivals(opened=0)}, {}, "EUR") == {
        "EUR": arrivals()
    }
