"""A company of large deals, made up: four milestones lead each to its planned close date.

A deal is alive or stalled, and nobody sees which. An alive one answers our messages within
days, its milestones are reached, testing and commercial talks begin in time; of a stalled one there
are automatic replies, and its owner leaves requests for an update unanswered. Only an alive one is
won, and each milestone reached doubles the chance of that in a week.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

import numpy as np
import pyarrow as pa

from model.event_table import table_of
from model.events import Event

MILESTONES: Final = ("lab test", "security review", "terms agreed", "board approval")
CRM, MAIL = "crm:large", "mail:large"
FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
WEEKS: Final = 104  # of openings
OPEN_WEEKS: Final = (5, 14)  # from the opening to the planned close date, at least and below
MAIL_KINDS: Final = ("customer_replied", "auto_reply_received", "message_sent")


def large_deals(deals: int, seed: int) -> pa.Table:
    """Everything known of a company by the end of 2025, as `model.event_table.EVENT_SCHEMA`."""
    rng = np.random.default_rng(seed)
    events = [event for number in range(deals) for event in _deal(f"L-{number:04d}", rng)]
    end = datetime(2026, 1, 1, tzinfo=UTC)
    return table_of([event for event in events if event.occurred_at < end])


def _deal(deal: str, rng: np.random.Generator) -> Iterator[Event]:
    number = count(1)

    def event(kind: str, at: datetime, **values: Any) -> Event:
        source = MAIL if kind in MAIL_KINDS else CRM
        source_id = f"{deal}/{next(number)}"
        return Event(
            deal_id=deal, kind=kind, occurred_at=at, source=source, source_id=source_id, **values
        )

    week = FIRST + timedelta(weeks=int(rng.integers(WEEKS)))
    close = (week + timedelta(weeks=int(rng.integers(*OPEN_WEEKS)), days=1)).date()
    yield event("deal_opened", week)
    yield event("amount_changed", week, number=float(np.round(rng.lognormal(14.5, 0.8), -4)))
    yield event("close_date_changed", week, date=close)
    due = [close - timedelta(days=4 + 7 * left) for left in (3, 2, 1, 0)]
    alive, untested, talks, reached = bool(rng.random() < 0.6), True, False, 0
    for each, name in zip(due, MILESTONES, strict=True):
        yield event("milestone_set", week, name=name, date=each)
    while True:
        hours = np.sort(rng.integers(8, 7 * 24 - 14, 8)).tolist()
        at = [week + timedelta(hours=hour) for hour in hours]
        yield event("message_sent", at[0])
        if rng.random() < (0.85 if alive else 0.12):
            yield event("customer_replied", at[1])
        elif rng.random() < (0.1 if alive else 0.7):
            yield event("auto_reply_received", at[1])
        if rng.random() < (0.15 if alive else 0.5):
            yield event("internal_update_requested", at[2])
        if rng.random() < (0.7 if alive else 0.1):
            yield event("internal_update_posted", at[3])
        if alive and untested and rng.random() < 0.3:
            untested = False
            yield event("technical_validation_started", at[4])
        elif alive and not untested and not talks and rng.random() < 0.3:
            talks = True
            yield event("commercial_talks_started", at[4])
        days_left = (close - week.date()).days
        is_near = reached < len(due) and (due[reached] - week.date()).days < 9
        if is_near and rng.random() < (0.8 if alive else 0.1):
            yield event("milestone_reached", at[5], name=MILESTONES[reached])
            reached += 1
        ready = (0.3 if untested else 1.0) * (1.0 if talks else 0.2)
        if alive and rng.random() < 0.03 * 2.0**reached * ready:
            yield event("deal_won", at[7])
            return
        if rng.random() < (0.01 if alive else 0.05) + (0.25 if days_left < -14 else 0.0):
            yield event("deal_lost", at[7])
            return
        alive = rng.random() < (0.95 if alive else 0.06)
        week += timedelta(weeks=1)
