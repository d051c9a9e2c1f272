"""Random histories: a few deals, little time, so that everything ties and overlaps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from hypothesis import strategies as st

from model.events import KINDS, Event
from model.feeds import HOUR_US, Feed
from model.vocabulary import OTHER, Vocabulary
from tests.factories import START, date_of, day_us

DAYS = 45
DEALS = ("D-1", "D-2", "D-3")
SOURCES = ("crm", "mail", "calendar")
STAGES = ("new", "offer", "terms", "demo", "pilot")
VOCABULARY = Vocabulary(
    activities=("demo", "call_made"),  # one as a kind is called, one as a stage
    number_fields=("seats",),
    text_fields=("region", "demo"),
    categories={
        "stage": ("new", "offer", OTHER),
        "forecast_category": ("commit",),
        "pipeline": ("new", "offer", "terms"),
        "currency": ("EUR", OTHER),
        "field:region": ("north", "south", OTHER),
        "field:demo": ("north",),
        "last_event": ("stage_changed", "demo", "customer_replied", OTHER),
    },
    rare={
        "stage": ("terms",),
        "forecast_category": ("offer",),
        "field:region": ("west",),
        "last_event": ("deal_opened",),
    },
    calendar=("week_day", "quarter_days_left", "year_day"),
)
NAMES = {
    "stage_changed": STAGES,
    "pipeline_changed": STAGES,
    "forecast_category_changed": ("commit", "offer", "best case"),
    "currency_changed": ("EUR", "USD"),
    "owner_changed": ("ann", "bob", "demo"),
    "account_changed": ("north", "acme"),
    "field_changed": ("seats", "region", "demo", "unknown"),
    "activity_logged": ("demo", "call_made", "seats", "walk"),
    "meeting_held": ("onsite", "remote", None),
    "competitor_named": ("rival", None),
}
MILESTONES = ("pilot", "contract", "demo")
# Kinds that features follow from one event to the next are drawn more often.
OFTEN = [
    "deal_opened",
    "deal_won",
    "deal_lost",
    "deal_reopened",
    "stage_changed",
    "amount_changed",
    "close_date_changed",
    "owner_changed",
    "customer_replied",
    "meeting_held",
    "message_sent",
    "field_changed",
    "activity_logged",
    "milestone_set",
    "milestone_moved",
    "milestone_reached",
    "milestone_dropped",
]
# Times on a coarse grid tie often; some lie a little beside it.
moments = st.builds(
    lambda quarters, beside: timedelta(days=quarters / 4, microseconds=beside),
    st.integers(0, DAYS * 4),
    st.sampled_from([0, 0, 0, 1, 7_654_321]),
)
lags = st.sampled_from([0, 0, 0, 0.25, 1.5, 20])


@st.composite
def events(draw: st.DrawFn, number: int, deals: tuple[str, ...] = DEALS) -> Event:
    kind = draw(st.sampled_from([*OFTEN, *KINDS]))
    names: tuple[str | None, ...] = MILESTONES if "milestone" in kind else NAMES.get(kind, ("x",))
    occurred = START + draw(moments)
    values: dict[str, Any] = {}
    if kind in ("amount_changed", "stage_changed", "field_changed"):
        number_values = [0.0, 1.0, 2.0, 3.0, 12.5]
        values["number"] = draw(
            st.sampled_from(number_values if kind == "amount_changed" else [None, *number_values])
        )
    if kind == "field_changed":
        values["text"] = draw(st.sampled_from([None, "north", "south", "west", "mars"]))
    if kind in ("close_date_changed", "milestone_set", "milestone_moved"):
        values["date"] = date_of(draw(st.integers(0, DAYS)))
    return Event(
        deal_id=draw(st.sampled_from(deals)),
        kind=kind,
        occurred_at=occurred,
        known_at=occurred + timedelta(days=draw(lags)),
        name=draw(st.sampled_from(names)),
        person=draw(st.sampled_from([None, "p1", "p2", "p3"])),
        source=draw(st.sampled_from(SOURCES)),
        source_id=f"{draw(st.integers(0, 99)):02d}-{number}",
        **values,
    )


@st.composite
def histories(
    draw: st.DrawFn, deals: tuple[str, ...] = DEALS, first_number: int = 0, most: int = 40
) -> list[Event]:
    """Up to `most` events of some deals, numbered from `first_number`."""
    return [draw(events(first_number + i, deals)) for i in range(draw(st.integers(1, most)))]


Heard = list[tuple[int, int, int]]  # runs: the first day, how many times, hours apart


def make_feeds(told: dict[str, tuple[set[str], Heard]] | None) -> dict[str, Feed] | None:
    """The feeds of a short description."""
    if told is None:
        return None
    found = {}
    for source, (kinds, heard) in told.items():
        always = {"crm": {"deal_opened", "stage_changed"}, "mail": {"customer_replied"}}
        runs = [day_us(first) + np.arange(n) * apart * HOUR_US for first, n, apart in heard]
        found[source] = Feed(
            kinds=frozenset(kinds | always.get(source, set())),
            heard=np.unique(np.concatenate([np.empty(0, dtype=np.int64), *runs])),
            since={kind: day_us(len(kind) * 5 % (DAYS + 10)) for kind in kinds if len(kind) % 3},
        )
    return found


def feeds() -> st.SearchStrategy[dict[str, tuple[set[str], Heard]] | None]:
    """Of some sources what they carry, to `make_feeds`: they may begin late, stop, come again."""
    run = st.tuples(st.integers(-30, DAYS), st.sampled_from([1, 60, 150]), st.integers(1, 5))
    some_kinds = st.sets(st.sampled_from(sorted({*OFTEN[4:], *list(KINDS)[16:]})), max_size=25)
    return st.none() | st.dictionaries(
        st.sampled_from([*SOURCES, "forum"]), st.tuples(some_kinds, st.lists(run, max_size=2))
    )


def times() -> st.SearchStrategy[int]:
    """Moments to look at, microseconds: on events and a little beside them."""
    return st.builds(
        lambda quarters, beside: day_us(quarters / 4) + beside,
        st.integers(-4, (DAYS + 30) * 4),
        st.sampled_from([0, 0, -1, 1]),
    )
