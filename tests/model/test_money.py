"""The quarter, its parts and the bridge come to the same, to the cent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.arrivals import Arrivals
from model.bridge import bridge
from model.money import cents
from model.outlook import cut_moments, outlooks
from model.pipeline import Deal
from tests.model.test_outlook import QUARTER, a_deal, a_win, chances_of, us

ARRIVALS = Arrivals(
    opened=100,
    window_days=100.0,
    dispersion=1.5,
    won=30,
    win_days=(0.0, 30.0, 90.0, 150.0),
    win_shares=(0.0, 0.05, 0.3, 0.4),
    amounts=(999.99, 5_000.005, 9_000.0),
)
AMOUNTS = st.one_of(st.none(), st.floats(0.0, 1e6), st.sampled_from((0.01, 0.05, 1.0, 33.335)))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), as_of=st.sampled_from((date(2026, 2, 9), date(2025, 12, 15))))
def test_the_quarter_its_groups_its_months_and_the_bridge_agree_to_the_cent(
    data: st.DataObject, as_of: date
) -> None:
    cuts = len(cut_moments(QUARTER, us(as_of)))
    amounts = data.draw(st.lists(AMOUNTS, min_size=1, max_size=8))
    opened: list[Deal] = [
        a_deal(f"D-{n}", amount=amount, owner=data.draw(st.sampled_from(("ann", "bob"))))
        for n, amount in enumerate(amounts)
    ]
    won = [
        a_win(date(2026, 1, 20), deal_id=f"W-{n}", amount=amount)
        for n, amount in enumerate(data.draw(st.lists(AMOUNTS, max_size=4)))
    ]
    chance = st.floats(1e-6, 0.999)
    rows = [sorted(data.draw(st.tuples(*[chance] * cuts))) for _ in opened]
    of_open = replace(
        chances_of(rows), gated=np.array([data.draw(st.booleans()) for _ in opened], dtype=bool)
    )
    p, begun = of_open.probability, QUARTER.begin_us <= us(as_of)
    inside = np.where(of_open.gated, 0.0, p[:, -1] - (0.0 if begun else p[:, 0]))
    shown = {deal.deal_id: float(each) for deal, each in zip(opened, inside, strict=True)}
    deals = [*opened, *(won if begun else [])]

    (outlook,) = outlooks(
        deals, of_open, QUARTER, us(as_of), arrivals={"EUR": ARRIVALS}, shock_variance=0.04
    )

    made = outlook.forecast
    assert made is not None
    to_come = made.whole.unopened.expected
    led = bridge([], deals, QUARTER, then={}, now=shown, paths={}, unopened=(0.0, to_come))
    assert led.after == cents(made.whole.total.expected)
    of_months = sum(cents(part.total.expected) for _, part in outlook.months)
    assert of_months == led.after
    groups = outlook.groups["owner"]
    whole = cents(made.whole.won) + cents(made.whole.open.expected)
    assert sum(cents(group.won) + cents(group.open.expected) for group in groups) == whole
    for group in groups:
        mine = [deal for deal in opened if deal.owner == group.name]
        each = [cents((deal.amount or 0.0) * shown[deal.deal_id]) for deal in mine]
        assert cents(group.open.expected) == sum(each)
