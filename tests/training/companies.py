"""Small made-up companies: events that tell who will buy, and snapshots with a known law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from model.event_table import table_of
from model.events import DAY_US, Event
from model.history import Floats, Ints
from tests.factories import day_us, deal_event
from training.dataset import NEVER, Dataset

DEALS = 150
EVERY_DAYS = 3.0  # a deal opens
KNOWN_BEFORE = day_us(470)


def deals_events(deals: int = DEALS, *, seed: int = 0, signal: bool = True) -> list[Event]:
    """Deals whose buyers reply often; without `signal` replies tell nothing."""
    rng = np.random.default_rng(seed)
    events = []
    for number in range(deals):
        deal = f"D-{number:04d}"
        at = opened = number * EVERY_DAYS + rng.random()
        buys, life = rng.random() < 0.5, 10.0 + rng.exponential(25.0)
        often = buys if signal else rng.random() < 0.5
        told: list[tuple[str, float, dict[str, Any]]] = [
            ("deal_opened", opened, {}),
            ("stage_changed", opened, {"name": str(rng.choice(["offer", "terms"])), "number": 1.0}),
        ]
        while (at := at + rng.exponential(4.0 if often else 12.0)) < opened + life:
            told.append(("customer_replied", at, {"person": f"p-{rng.integers(3)}"}))
        won = buys and rng.random() < 0.85
        told.append(("deal_won" if won else "deal_lost", opened + life, {}))
        events += [
            deal_event(kind, when, deal_id=deal, source_id=f"{deal}/{place}", **values)
            for place, (kind, when, values) in enumerate(told)
        ]
    return events


def deals_table(deals: int = DEALS, **options: Any) -> pa.Table:
    return table_of(deals_events(deals, **options))


def late_stage_events(deals: int = 200) -> list[Event]:
    """Deals of which the won, and a tenth of the lost, stand in Negotiation for their last days."""
    events = []
    for number in range(deals):
        deal, won = f"D-{number:04d}", number % 2 == 0
        opened = number * 2.0
        end = opened + 25.0 + number * 7 % 20
        told: list[tuple[str, float, dict[str, Any]]] = [
            ("deal_opened", opened, {}),
            ("stage_changed", opened, {"name": "Proposal", "number": 1.0}),
            ("deal_won" if won else "deal_lost", end, {}),
        ]
        if won or number % 20 == 1:
            told.append(("stage_changed", end - 5.0, {"name": "Negotiation", "number": 2.0}))
        events += [
            deal_event(kind, when, deal_id=deal, source_id=f"{deal}/{place}", **values)
            for place, (kind, when, values) in enumerate(told)
        ]
    return events


def snapshots(
    deal: Ints,
    as_of_days: Floats,
    days_to_win: Floats,
    *,
    x: Floats | None = None,
    known_days: float = 10_000.0,
) -> Dataset:
    """Rows of given deals, moments (days after the start) and times to win (infinite: never)."""
    as_of = np.array([day_us(at) for at in as_of_days.tolist()], dtype=np.int64)
    ahead = np.where(np.isfinite(days_to_win), days_to_win, 0.0) * DAY_US
    return Dataset(
        deal_ids=[f"D-{number:05d}" for number in range(int(deal.max()) + 1)],
        deal=deal,
        as_of=as_of,
        weight=np.ones(len(deal)),
        x=np.zeros((len(deal), 1)) if x is None else x,
        win=np.where(np.isfinite(days_to_win), as_of + ahead.astype(np.int64), NEVER),
        countable_until=day_us(known_days),
    )
