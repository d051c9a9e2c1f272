from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.arrivals import Arrivals


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
