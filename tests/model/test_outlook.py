from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from model.data_quality import DataQuality
from model.errors import ScoreError
from model.events import DAY_US, EPOCH_DAY
from model.history import History
from model.outlook import Chances, Outlook, converted, cut_moments, outlooks
from model.period import Period, quarter_until
from model.pipeline import Deal, pipeline
from model.scored import Checks
from tests.factories import date_of, day_us, deal_event

QUARTER = quarter_until(date(2026, 3, 31))


def us(day: date) -> int:
    return (day - EPOCH_DAY).days * DAY_US


def a_deal(deal_id: str = "D-1", **changed: Any) -> Deal:
    given: dict[str, Any] = {
        "index": 0,
        "deal_id": deal_id,
        "status": "open",
        "opened_us": us(date(2025, 11, 1)),
        "closed_us": None,
        "amount": 100.0,
        "currency": "EUR",
        "owner": "ann",
        "stage": None,
        "category": None,
        "segment": None,
        "close_date": None,
    }
    return Deal(**{**given, **changed})


def a_win(on: date, **changed: Any) -> Deal:
    return a_deal(status="won", closed_us=us(on), **changed)


def chances_of(probability: list[list[float]], *, unscorable: tuple[int, ...] = ()) -> Chances:
    p = np.array(probability)
    verdicts = ["unscorable" if row in unscorable else "good" for row in range(len(p))]
    return Chances(
        probability=p,
        bag_log_odds=np.log(p / (1 - p))[None],
        gated=np.zeros(len(p), dtype=bool),
        checks=[
            Checks(
                gates=(),
                data_quality=DataQuality(verdict=verdict, findings=()),  # type: ignore[arg-type]
                unusual=(),
            )
            for verdict in verdicts
        ],
    )


def looked_at(
    deals: list[Deal],
    chances: Chances | None,
    as_of: date = date(2026, 2, 9),
    period: Period = QUARTER,
) -> list[Outlook]:
    return outlooks(deals, chances, period, us(as_of), arrivals={}, shock_variance=0.04)


def test_months_that_are_over_show_what_was_won_and_those_ahead_what_may_be() -> None:
    deals = [a_win(date(2026, 1, 20)), a_win(date(2026, 2, 2)), a_deal("D-2")]

    (found,) = looked_at(deals, chances_of([[0.2, 0.5]]))

    assert [part.won for _, part in found.months] == [100.0, 100.0, 0.0]
    assert [part.open.expected for _, part in found.months] == [0.0, 20.0, pytest.approx(30.0)]
    assert found.forecast is not None
    assert found.forecast.whole.total.expected == pytest.approx(250.0)
    assert found.won == 200.0


def test_a_win_of_another_quarter_does_not_count() -> None:
    (found,) = looked_at([a_win(date(2025, 12, 31)), a_win(date(2026, 4, 1))], None)

    assert (found.won, found.won_deals) == (0.0, 0)


def test_currencies_without_rates_are_kept_apart() -> None:
    deals = [a_deal("D-1"), a_deal("D-2", currency="USD"), a_deal("D-3", currency="USD")]

    found = looked_at(deals, chances_of([[0.2, 0.5], [0.1, 0.4], [0.1, 0.1]]))

    assert [each.currency for each in found] == ["USD", "EUR"]
    assert [each.forecast.whole.open.expected for each in found if each.forecast] == [
        pytest.approx(50.0),
        pytest.approx(50.0),
    ]


def test_with_rates_currencies_are_one_sum() -> None:
    deals = converted([a_deal("D-1"), a_deal("D-2", currency="USD")], {"USD": 0.5}, "EUR")

    (found,) = looked_at(deals, chances_of([[0.2, 0.5], [0.1, 0.4]]))

    assert found.currency == "EUR"
    assert found.forecast is not None
    assert found.forecast.whole.open.expected == pytest.approx(50.0 + 20.0)


def test_a_currency_without_a_rate_is_refused_by_name() -> None:
    with pytest.raises(ScoreError, match="in GBP, which has no rate"):
        converted([a_deal(currency="GBP")], {"USD": 0.5}, "EUR")


def test_deals_without_a_number_or_an_amount_are_counted_and_left_out() -> None:
    deals = [a_deal("D-1"), a_deal("D-2"), a_deal("D-3", amount=None)]

    (found,) = looked_at(deals, chances_of([[0.5, 0.5]] * 3, unscorable=(1,)))

    assert (found.open_deals, found.unscorable, found.without_amount) == (3, 1, 1)
    assert found.forecast is not None
    assert found.forecast.whole.open.expected == pytest.approx(50.0)


def test_owners_have_what_they_won_and_what_is_open() -> None:
    deals = [
        a_win(date(2026, 1, 20), owner="bob"),
        a_deal("D-1"),
        a_deal("D-2", owner="bob"),
        a_deal("D-3", owner=None),
    ]

    (found,) = looked_at(deals, chances_of([[0.5, 0.5]] * 3))

    told = {group.name: (group.won, group.open.expected) for group in found.groups["owner"]}
    half = pytest.approx(50.0)
    assert told == {"": (0.0, half), "ann": (0.0, half), "bob": (100.0, half)}


def test_a_period_that_is_over_is_what_was_won() -> None:
    (found,) = looked_at([a_win(date(2026, 1, 20)), a_deal("D-2")], None, as_of=date(2026, 4, 2))

    assert found.forecast is None
    assert found.won == 100.0


def test_of_a_period_to_come_only_its_own_wins_count() -> None:
    as_of = us(date(2025, 12, 15))
    assert cut_moments(QUARTER, as_of)[0] == QUARTER.begin_us

    (found,) = looked_at([a_deal()], chances_of([[0.2, 0.3, 0.4, 0.5]]), as_of=date(2025, 12, 15))

    assert found.forecast is not None
    assert found.forecast.whole.open.expected == pytest.approx(30.0)


def test_without_any_deal_there_is_one_outlook_that_holds_nothing() -> None:
    (found,) = looked_at([], None)

    assert (found.currency, found.won, found.open_deals) == ("", 0.0, 0)


def test_a_pipeline_shows_deals_as_they_were_known() -> None:
    history = History.from_events(
        [
            deal_event("deal_opened", 0.0),
            deal_event("amount_changed", 0.0, number=100.0),
            deal_event("currency_changed", 0.0, name="EUR"),
            deal_event("owner_changed", 0.0, name="ann"),
            deal_event("close_date_changed", 1.0, date=date_of(40.0)),
            deal_event("field_changed", 1.0, name="region", text="north"),
            deal_event("amount_changed", 5.0, number=200.0),
            deal_event("deal_won", 9.0, known=12.0),
            deal_event("deal_opened", 20.0, deal_id="D-2"),
        ]
    )

    (before,) = pipeline(history, day_us(10.0), "region")
    after, other = pipeline(history, day_us(20.0), "region")

    assert (before.status, before.amount, before.currency) == ("open", 200.0, "EUR")
    assert (before.owner, before.segment, before.close_date) == ("ann", "north", date_of(40.0))
    assert (after.status, after.closed_us) == ("won", day_us(9.0))
    assert (other.deal_id, other.amount, other.currency) == ("D-2", None, "")


def test_a_win_that_was_taken_back_and_came_again_counts_from_the_second() -> None:
    history = History.from_events(
        [
            deal_event("deal_opened", 0.0),
            deal_event("deal_won", 2.0),
            deal_event("deal_reopened", 3.0),
            deal_event("deal_won", 7.0),
            deal_event("deal_won", 8.0),
        ]
    )

    (found,) = pipeline(history, day_us(9.0))

    assert found.closed_us == day_us(7.0)
