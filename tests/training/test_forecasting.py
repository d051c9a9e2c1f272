from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.events import DAY_US
from model.history import Floats, History
from tests.factories import day_us, deal_event
from tests.training.companies import snapshots
from training.dataset import Dataset
from training.forecasting import PRIOR_VARIANCE, QUARTER_ENDS, arrivals_of, shocks_of

EDGES = np.array([0.0, 30.0, 90.0, 180.0])


def judged_quarters(
    variance: float, *, quarters: int = 160, seed: int = 0
) -> tuple[Dataset, Floats]:
    """Deals of probability one third within 90 days, each quarter with a shock of its own."""
    rng = np.random.default_rng(seed)
    deals = 60
    shock = rng.normal(0.0, np.sqrt(variance), quarters)
    p = 1 / (1 + np.exp(-(np.log(0.5) + shock)))
    won = rng.random((quarters, deals)) < p[:, None]
    ends = QUARTER_ENDS[day_us(0.0) < QUARTER_ENDS][:quarters]
    at = np.repeat((ends - day_us(0.0)) / DAY_US - 90.0, deals)
    data = snapshots(
        np.arange(quarters * deals),
        at,
        np.where(won.ravel(), 10.0, np.inf),
        known_days=100_000.0,
    )
    eta = np.full((quarters * deals, 3), np.log(0.5))
    eta[:, 1] = -800.0  # no win in the second interval
    return data, eta


@pytest.mark.parametrize("variance", [0.0, 0.1, 0.4])
def test_the_variance_of_the_shock_is_recovered(variance: float) -> None:
    _, told = shocks_of(judged_quarters(variance)[0], EDGES, judged_quarters(variance)[1])

    assert told["seen"] == pytest.approx(variance, abs=0.03 + 0.25 * variance)
    assert (told["days"], told["quarters"]) == (90.0, 160)


def test_several_snapshots_of_a_deal_near_a_quarters_end_count_once() -> None:
    data, eta = judged_quarters(0.1, quarters=40)
    thrice = np.repeat(np.arange(len(data.as_of)), 3)
    again = replace(
        data,
        deal=data.deal[thrice],
        as_of=data.as_of[thrice] + np.tile(np.arange(3) * DAY_US, len(data.as_of)),
        weight=data.weight[thrice],
        x=data.x[thrice],
        win=data.win[thrice],
    )

    assert shocks_of(again, EDGES, eta[thrice]) == shocks_of(data, EDGES, eta)


def test_a_short_record_is_drawn_toward_the_prior() -> None:
    data, eta = judged_quarters(1.0, quarters=8)

    _, told = shocks_of(data, EDGES, eta)

    assert PRIOR_VARIANCE < told["variance"] < told["seen"]


def test_without_a_judged_quarter_the_prior_stands() -> None:
    data, eta = judged_quarters(0.1, quarters=3)

    for told in shocks_of(data, EDGES, np.full_like(eta, np.nan)):
        assert (told["variance"], told["seen"], told["quarters"]) == (PRIOR_VARIANCE, None, 0)


def test_horizons_that_end_amid_a_quarter_tell_nothing_of_its_end() -> None:
    data, eta = judged_quarters(0.1, quarters=3)

    first, _ = shocks_of(data, EDGES, eta)

    assert (first["days"], first["quarters"]) == (30.0, 0)


def company(deals: int = 364, currency: str = "EUR") -> list[object]:
    """A deal a day; every fourth is won 20 days later for what it was raised to."""
    events = []
    for number in range(deals):
        deal_id = f"{currency}-{number:04d}"
        told = [
            ("deal_opened", 0.0, {}),
            ("currency_changed", 0.0, {"name": currency}),
            ("amount_changed", 0.0, {"number": 50.0}),
        ]
        if number % 4 == 0:
            told += [("amount_changed", 5.0, {"number": 80.0}), ("deal_won", 20.0, {})]
        events += [
            deal_event(kind, number + after, deal_id=deal_id, source_id=f"{deal_id}/{i}", **given)
            for i, (kind, after, given) in enumerate(told)
            if number + after < deals
        ]
    return events


def test_arrivals_count_openings_shares_and_what_was_won() -> None:
    history = History.from_events(company())

    (found,) = arrivals_of(history, day_us(364.0)).values()

    assert found.rate_a_day == pytest.approx(1.0, rel=0.01)
    assert found.dispersion == 1.0
    shares = dict(zip(found.win_days, found.win_shares, strict=True))
    assert shares[14.0] == 0.0
    assert shares[21.0] == pytest.approx(0.25, abs=0.01)
    assert shares[182.0] == shares[21.0]
    assert set(found.amounts) == {80.0}


def test_each_currency_has_arrivals_of_its_own() -> None:
    history = History.from_events([*company(200), *company(100, "USD")])

    found = arrivals_of(history, day_us(364.0))

    assert sorted(found) == ["EUR", "USD"]
    assert found["USD"].opened < found["EUR"].opened


def test_amounts_are_condensed_without_changing_their_mean() -> None:
    events = [
        deal_event(kind, number + after, deal_id=f"D-{number:04d}", **given)
        for number in range(301)
        for kind, after, given in (
            ("deal_opened", 0.0, {}),
            ("amount_changed", 0.0, {"number": float(number**2)}),
            ("deal_won", 1.0, {}),
        )
    ]

    (found,) = arrivals_of(History.from_events(events), day_us(400.0)).values()

    assert len(found.amounts) == 100
    assert np.mean(found.amounts) == pytest.approx(np.mean(np.arange(301.0) ** 2))
