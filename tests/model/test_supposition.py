"""What would be known of a deal: events appended to a copy, and those that cannot happen."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import WhatIfError
from model.events import KINDS, Event, microseconds
from model.features import FeatureSet
from model.feeds import Feed
from model.gates import find_gates
from model.history import History
from model.hypothetical import parse_hypothetical
from model.supposition import snapshot_of, suppose
from tests.factories import date_of, day, day_us, deal_event
from tests.model.histories import VOCABULARY, histories

NOW = 50.0
FEATURES = FeatureSet(VOCABULARY)
FEEDS = {
    "crm": Feed(kinds=frozenset(KINDS) - {"customer_replied", "call_made", "escalation_raised"}),
    "mail": Feed(kinds=frozenset({"customer_replied"})),
}
DEAL = [
    deal_event(),
    deal_event("stage_changed", 1, name="offer", number=2.0),
    deal_event("milestone_set", 2, name="security review", date=date_of(60)),
    deal_event("milestone_moved", 20, name="security review", date=date_of(70)),
    deal_event("milestone_set", 3, name="contract", date=date_of(40)),
    deal_event("milestone_set", 3, name="pilot", date=date_of(30)),
    deal_event("milestone_reached", 30, name="pilot"),
    deal_event("close_date_changed", 4, date=date_of(80)),
]


def supposed(*texts: str, events: list[Event] | None = None) -> History:
    history = History.from_events(events or DEAL)
    return suppose(
        history, 0, day_us(NOW), [parse_hypothetical(text) for text in texts], FEATURES, FEEDS
    )


def seen(history: History) -> dict[str, float | str | None]:
    """Every feature at the moment."""
    now = np.array([day_us(NOW)])
    x = FEATURES.matrix(history, np.array([0]), now, FEEDS)[0]
    return {name: FEATURES.value(i, x[i]) for i, name in enumerate(FEATURES.names)}


def test_an_event_supposed_happens_now_and_last() -> None:
    then = supposed("next_step_changed", "customer_replied")

    assert seen(then)["silence_days"] == 0.0
    assert seen(then)["next_step_days"] == 0.0
    assert then.known[-2:].tolist() == [day_us(NOW)] * 2
    assert then.sources[then.source[-1]] == "mail"
    assert then.sources[then.source[-2]] == "crm"


def test_supposing_is_as_if_the_event_had_been_told() -> None:
    real = deal_event("close_date_changed", NOW, date=date_of(90), source_id="x")

    assert seen(supposed("close_date_changed 2026-04-05")) == seen(
        History.from_events([*DEAL, real])
    )


def test_events_happen_in_the_order_given() -> None:
    asked_last = supposed("customer_replied", "message_sent")
    answered = supposed("message_sent", "customer_replied")

    assert seen(asked_last)["unanswered_messages"] == 1.0
    assert seen(answered)["unanswered_messages"] == 0.0


@given(known=histories(), at=st.integers(0, 60))
def test_supposing_never_changes_the_history(known: list[Event], at: int) -> None:
    opened = deal_event(at=-1, deal_id="D-1", source="crm")
    history = History.from_events([opened, *known])
    kept = {f.name: np.copy(getattr(history, f.name)) for f in fields(history)}
    names = list(history.names)

    for text in ("customer_replied", "amount_changed 5", "milestone_set new 2027-01-01"):
        then = suppose(history, 0, day_us(at), [parse_hypothetical(text)], FEATURES, FEEDS)
        assert list(then.deal_ids) == [history.deal_ids[0]]
        assert (then.known <= day_us(at)).all()

    assert history.names == names
    for name, values in kept.items():
        np.testing.assert_array_equal(getattr(history, name), values)


def test_a_milestone_missed_is_as_if_its_due_date_had_passed() -> None:
    before, after = seen(supposed()), seen(supposed("milestone_missed security review"))

    assert before["milestones_overdue"] == 1.0
    assert after["milestones_overdue"] == 2.0
    late_days = 1.375  # missed in every time zone
    assert after["milestone_slippage_days"] == before["milestone_slippage_days"] + late_days
    assert after["milestones_reached_share"] == before["milestones_reached_share"]


@pytest.mark.parametrize("at", [50.0, 49.625, 50.5, 50.124, 50.126])
@pytest.mark.parametrize("zone", ["UTC", "Etc/GMT+12", "Etc/GMT-14"])
def test_the_due_date_of_one_missed_has_just_ended_in_every_time_zone(at: float, zone: str) -> None:
    events = [
        *DEAL[:3],
        deal_event("field_changed", 1, name="time_zone", text=zone),
        deal_event("must_hit_declared", 5, name="security review"),
    ]
    history = History.from_events(events)
    missed = [parse_hypothetical("milestone_missed security review")]
    then = suppose(history, 0, day_us(at), missed, FEATURES, FEEDS)
    [gate] = find_gates(snapshot_of(then, day_us(at), FEATURES, FEEDS))

    assert gate.state == "missed"
    assert gate.days_left is not None
    assert -2.1 <= gate.days_left <= 0.0
    x = FEATURES.matrix(then, np.array([0]), np.array([day_us(at)]), FEEDS)[0]
    assert 0.5 <= x[FEATURES.names.index("milestone_overdue_days")] < 1.5


def test_a_must_hit_milestone_reached_or_withdrawn_is_not_missed() -> None:
    must = [*DEAL, deal_event("must_hit_declared", 5, name="contract")]

    def state(*texts: str) -> str:
        then = supposed(*texts, events=must)
        return find_gates(snapshot_of(then, day_us(NOW), FEATURES, FEEDS))[0].state

    assert state() == "missed"
    assert state("milestone_reached contract") == "reached"
    assert state("must_hit_withdrawn contract") == "withdrawn"
    assert state("milestone_moved contract 2026-06-01") == "missed"


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("contract", [deal_event("milestone_dropped", 45, name="contract")]),
        ("contract", [deal_event("milestone_dropped", 35, name="contract")]),
        ("signature", []),
    ],
    ids=["dropped after its miss", "dropped before it was due", "never set"],
)
def test_a_gate_on_a_milestone_not_open_can_be_reached_or_withdrawn(
    name: str, events: list[Event]
) -> None:
    must = [*DEAL, deal_event("must_hit_declared", 5, name=name), *events]

    def state(*texts: str) -> str:
        then = supposed(*texts, events=must)
        [gate] = find_gates(snapshot_of(then, day_us(NOW), FEATURES, FEEDS))
        return gate.state

    assert state(f"milestone_reached {name}") == "reached"
    assert state(f"must_hit_withdrawn {name}") == "withdrawn"


def test_a_gate_can_be_declared_and_withdrawn_where_no_source_ever_did() -> None:
    kinds = FEEDS["crm"].kinds - {"must_hit_declared", "must_hit_withdrawn"}
    feeds = {"crm": Feed(kinds=kinds)}
    both = ("must_hit_declared contract", "must_hit_withdrawn contract")
    texts = [parse_hypothetical(text) for text in both]
    history = History.from_events(DEAL)

    then = suppose(history, 0, day_us(NOW), texts, FEATURES, feeds)
    [gate] = find_gates(snapshot_of(then, day_us(NOW), FEATURES, feeds))
    assert (gate.state, then.sources[then.source[-1]]) == ("withdrawn", "crm")


def test_a_milestone_supposed_can_be_reached_next() -> None:
    then = supposed("milestone_set audit 2026-03-31", "milestone_reached audit")

    assert seen(then)["milestones_reached_share"] == 0.5


def test_a_stage_that_the_deal_was_in_has_its_order() -> None:
    back = [*DEAL, deal_event("stage_changed", 9, name="new", number=1.0)]

    assert seen(supposed("stage_changed offer", events=back))["stage_steps_back"] == 1.0
    assert seen(supposed("stage_changed terms = 0.5", events=back))["stage_steps_back"] == 2.0


REFUSED: dict[str, tuple[str, str]] = {
    "an unknown milestone": (
        "milestone_reached securty review",
        "expected an open or a must-hit milestone of this deal: contract, security review.",
    ),
    "one reached already": ("milestone_reached pilot", "expected an open or a must-hit milestone"),
    "one overdue already": (
        "milestone_missed contract",
        "expected a milestone whose due date lies ahead. Remedy: leave it out: it is overdue",
    ),
    "one that exists": ("milestone_set contract 2026-06-01", "Remedy: use milestone_moved for"),
    "no gate": (
        "must_hit_withdrawn contract",
        "expected a must-hit milestone of this deal: it has none",
    ),
    "a gate on nothing": ("must_hit_declared audit", "expected an open milestone of this deal"),
    "a close date gone by": (
        "close_date_changed 2026-02-23",
        "date 2026-02-23 of close_date_changed: expected a date from 2026-02-24 on",
    ),
    "a due date gone by": (
        "milestone_moved contract 2026-01-01",
        "Remedy: choose a later date, or milestone_missed for one that passed",
    ),
    "an unknown stage": (
        "stage_changed negotiation = 4",
        "name 'negotiation': expected one that the model has met: new, offer, terms.",
    ),
    "a stage without its order": (
        "stage_changed terms",
        "without its order: expected its order among the stages. Remedy: write it as stage_chang",
    ),
    "an unknown activity": ("activity_logged dinner", "name 'dinner': expected one that the mo"),
    "an unknown field": ("field_changed colour = red", "name 'colour': expected one that the m"),
    "an unknown value": ("field_changed region = mars", "text 'mars': expected one that the mo"),
    "a text for a number": ("field_changed seats = many", "field 'seats' = 'many': expected a n"),
    "a kind that no source carries": (
        "escalation_raised",
        "kind 'escalation_raised': expected a kind that the sources of this deal carry: account_",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_happen_to_the_deal_is_refused_with_the_reason(case: str) -> None:
    text, said = REFUSED[case]

    with pytest.raises(WhatIfError) as refusal:
        supposed(text)
    assert said in str(refusal.value)


def test_what_only_other_deals_or_later_times_tell_is_no_milestone_of_the_deal() -> None:
    others: list[Any] = [
        deal_event("milestone_set", 2, name="audit", date=date_of(70), deal_id="D-2"),
        deal_event("milestone_set", 60, name="audit", date=date_of(70)),
    ]

    with pytest.raises(WhatIfError, match="expected an open or a must-hit milestone"):
        supposed("milestone_reached audit", events=[*DEAL, *others])


def test_the_snapshot_of_a_supposed_deal_is_at_the_moment() -> None:
    snapshot = snapshot_of(supposed("customer_replied"), day_us(NOW), FEATURES, FEEDS)

    assert snapshot.as_of == microseconds(day(NOW))
    assert snapshot.age_days[snapshot.of("customer_replied")[0]] == 0.0
