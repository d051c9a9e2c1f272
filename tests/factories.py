"""Small factories: an event, a deal's features, with all but the point of the test filled in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np

from model.events import Event, microseconds
from model.features import FeatureSet
from model.feeds import Feeds
from model.history import History
from model.rates import WinRates
from model.vocabulary import Vocabulary

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)  # a Monday
_ids = count(1)


def day(days: float) -> datetime:
    """The moment so many days after the start of all tests' time."""
    return START + timedelta(days=days)


def day_us(days: float) -> int:
    """`day` in microseconds since 1970."""
    return microseconds(day(days))


def date_of(days: float) -> date:
    """The calendar date of `day`."""
    return day(days).date()


def deal_event(kind: str = "deal_opened", at: float = 0.0, **overrides: Any) -> Event:
    """An event of one deal, `at` days after the start; `known` in days where it is logged late."""
    known = overrides.pop("known", None)
    values: dict[str, Any] = {
        "deal_id": "D-1",
        "kind": kind,
        "occurred_at": day(at),
        "known_at": None if known is None else day(known),
        "source": "crm",
        "source_id": f"event-{next(_ids):06d}",
    }
    return Event(**{**values, **overrides})


def features_of(
    events: list[Event],
    at: float,
    *,
    deal: str = "D-1",
    vocabulary: Vocabulary | None = None,
    feeds: Feeds | None = None,
    rates: WinRates | None = None,
) -> dict[str, float | str | None]:
    """Every feature of a deal `at` days after the start, as people read it."""
    history = History.from_events(events)
    features = FeatureSet(vocabulary or Vocabulary())
    x = features.matrix(
        history,
        np.array([list(history.deal_ids).index(deal)]),
        np.array([day_us(at)]),
        feeds,
        rates,
    )[0]
    return {name: features.value(i, x[i]) for i, name in enumerate(features.names)}
