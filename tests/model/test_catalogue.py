"""What the catalogue's features mean, one sentence at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model.catalogue import CATALOGUE
from model.events import Event
from model.feeds import HOUR_US, Feed
from model.vocabulary import OTHER, Vocabulary
from tests.factories import date_of, day_us, deal_event, features_of

OPENED = deal_event("deal_opened")


def find(events: list[Event], at: float, *names: str, **given: Any) -> Any:
    """Some features of one deal; one alone without its list."""
    found = features_of([OPENED, *events], at, **given)
    return found[names[0]] if len(names) == 1 else [found[name] for name in names]


def test_the_catalogue_names_every_feature_once() -> None:
    names = [feature.name for feature in CATALOGUE]

    assert len(names) == len(set(names))


# The customer's contact.


def test_silence_is_counted_from_the_last_real_contact() -> None:
    reply = deal_event("customer_replied", at=5)
    meeting = deal_event("meeting_held", at=7)

    assert find([reply], 20, "silence_days") == 15
    assert find([reply, meeting], 20, "silence_days") == 13


def test_silence_is_counted_from_the_opening_if_the_customer_never_spoke() -> None:
    assert find([], 20, "silence_days") == 20


def test_an_auto_reply_is_not_customer_contact_and_does_not_reset_the_silence() -> None:
    events = [deal_event("customer_replied", at=2), deal_event("auto_reply_received", at=18)]

    names = ("silence_days", "customer_contacts_14_days", "auto_replies_since_contact")
    assert find(events, 20, *names) == [18, 0, 1]


def test_our_own_messages_and_calls_are_not_customer_contact() -> None:
    events = [deal_event("message_sent", at=18), deal_event("call_made", at=19)]

    names = ("silence_days", "our_silence_days", "customer_contacts_30_days")
    assert find(events, 20, *names) == [20, 1, 0]


def test_messages_are_unanswered_since_the_last_contact() -> None:
    events = [deal_event("message_sent", at=at) for at in (1, 2, 6, 7, 8)]
    reply = deal_event("customer_replied", at=5)

    assert find(events, 10, "unanswered_messages") == 5
    assert find([*events, reply], 10, "unanswered_messages") == 3


@pytest.mark.parametrize(("age", "counted"), [(13.9, 1), (14, 0), (14.1, 0)])
def test_a_window_ends_when_its_days_are_over(age: float, counted: int) -> None:
    reply = deal_event("customer_replied", at=20 - age)

    assert find([reply], 20, "customer_contacts_14_days") == counted


def test_people_are_counted_once_and_only_if_known() -> None:
    events = [
        deal_event("customer_replied", at=at, person=person)
        for at, person in ((1, "ann"), (2, "ann"), (3, "bob"), (4, None))
    ]

    assert find(events, 10, "customer_people_90_days") == 2
    assert find(events, 91.5, "customer_people_90_days") == 2
    assert find(events, 92.5, "customer_people_90_days") == 1
    assert find(events, 94, "customer_people_90_days") == 0


def test_only_meetings_named_onsite_were_on_site() -> None:
    events = [
        deal_event("meeting_held", at=at, name=name)
        for at, name in enumerate(("onsite", "remote", None, "onsite"))
    ]

    assert find(events, 10, "meetings_60_days", "onsite_meetings_90_days") == [4, 2]


# Milestones.


def milestone(kind: str, at: float, due: float | None = None, name: str = "pilot") -> Event:
    date = None if due is None else date_of(due)
    return deal_event(f"milestone_{kind}", at=at, name=name, date=date)


def test_a_milestone_is_overdue_only_after_the_end_of_its_due_date() -> None:
    events = [milestone("set", 1, due=10)]  # the tests' day begins at 9 o'clock: 15 hours are left

    end = 10 + 15 / 24
    names = ("milestones_overdue", "milestone_overdue_days")
    assert find(events, 10, *names) == [0, 0]
    assert find(events, end, *names) == [0, 0]
    assert find(events, end + 2, *names) == [1, pytest.approx(2)]


def test_a_moved_milestone_counts_as_slippage_and_is_due_later() -> None:
    events = [milestone("set", 1, due=10), milestone("moved", 5, due=17)]

    names = ("milestone_slippage_days", "milestones_overdue", "milestones_open")
    assert find(events, 12, *names) == [7, 0, 1]
    late = 18 - (17 + 15 / 24)
    assert find(events, 18, *names) == [pytest.approx(7 + late), 1, 1]


def test_a_milestone_moved_forward_is_no_slippage() -> None:
    events = [milestone("set", 1, due=10), milestone("moved", 5, due=8)]

    assert find(events, 6, "milestone_slippage_days") == 0


def test_a_milestone_reached_late_slipped_and_is_overdue_no_more() -> None:
    events = [milestone("set", 1, due=10), milestone("reached", 13)]

    names = ("milestones_overdue", "milestones_reached_share", "milestones_open")
    assert find(events, 20, *names) == [0, 1, 0]
    assert find(events, 20, "milestone_slippage_days") == pytest.approx(3 - 15 / 24)


def test_a_milestone_reached_in_time_did_not_slip() -> None:
    events = [milestone("set", 1, due=10), milestone("reached", 10.5)]

    assert find(events, 20, "milestone_slippage_days") == 0


def test_a_dropped_milestone_counts_no_more() -> None:
    events = [
        milestone("set", 1, due=3),
        milestone("set", 1, due=30, name="contract"),
        milestone("dropped", 2),
    ]

    names = ("milestones_overdue", "milestones_open", "milestones_reached_share")
    assert find(events, 20, *names) == [0, 1, 0]
    assert find([events[0], events[2]], 20, *names) == [None, None, None]


def test_a_milestone_set_again_is_open_again() -> None:
    events = [milestone("set", 1, due=3), milestone("reached", 2), milestone("set", 4, due=30)]

    names = ("milestones_open", "milestones_reached_share", "milestone_slippage_days")
    assert find(events, 20, *names) == [1, 0, 27]


def test_an_overdue_milestone_slips_until_it_is_reached_the_first_time() -> None:
    missed = [milestone("set", 1, due=10)]
    late = 13 - (10 + 15 / 24)

    assert find(missed, 13, "milestone_slippage_days") == pytest.approx(late)
    for told in ([13], [13, 16]):
        events = missed + [milestone("reached", at) for at in told]
        assert find(events, 20, "milestone_slippage_days") == pytest.approx(late)


def test_milestones_reached_lately_are_counted_for_30_days() -> None:
    events = [milestone("set", 1, due=10), milestone("reached", 8)]

    assert find(events, 8, "milestones_reached_30_days") == 1
    assert find(events, 37.9, "milestones_reached_30_days") == 1
    assert find(events, 38, "milestones_reached_30_days") == 0


def test_a_milestone_is_no_activity() -> None:
    replied = [deal_event("customer_replied", at=3)]
    plans = [
        milestone("set", 4, due=10),
        deal_event("must_hit_declared", at=4, name="pilot"),
        milestone("moved", 5, due=11),
        milestone("reached", 6),
    ]

    names = ("quiet_days", "events_7_days", "events_30_days")
    assert find(replied + plans, 9, *names) == find(replied, 9, *names)


def test_without_milestones_nothing_is_said_of_them() -> None:
    names = ("milestones_overdue", "milestone_slippage_days", "milestones_open")
    assert find([], 20, *names) == [None, None, None]


# Commercial talks and technical validation.


def close_date(at: float, planned: float) -> Event:
    return deal_event("close_date_changed", at=at, date=date_of(planned))


def test_days_are_left_without_talks_until_they_start() -> None:
    events = [close_date(0, 30), deal_event("commercial_talks_absent", at=1)]
    names = ("commercial_talks", "commercial_talks_days", "no_talks_days_left")

    assert find(events, 20, *names) == [0, None, 10 + 15 / 24]
    events.append(deal_event("commercial_talks_started", at=15))
    assert find(events, 20, *names) == [1, 5, None]


def test_technical_validation_stands_as_last_said() -> None:
    steps = [
        deal_event(f"technical_validation_{step}", at=at)
        for at, step in ((2, "started"), (5, "failed"), (9, "passed"))
    ]
    names = ("technical_validation", "technical_validation_days")

    assert find([], 1, *names) == ["not started", None]
    assert find(steps, 3, *names) == ["started", 1]
    assert find(steps, 8, *names) == ["failed", 3]
    assert find(steps, 10, *names) == ["passed", 1]


def test_a_competitor_named_twice_is_named() -> None:
    named = [deal_event("competitor_named", at=at, name="rival") for at in (1, 2)]

    assert find(named, 0.5, "competitor_named") == 0
    assert find(named, 3, "competitor_named") == 1


# The deal's course.


def test_a_close_date_is_pushed_when_it_moves_later() -> None:
    events = [close_date(0, 30), close_date(5, 40), close_date(9, 35), close_date(12, 45)]
    names = ("close_date_pushes", "close_date_pushed_days")

    assert find(events, 20, *names) == [2, 20]
    assert find(events[:1], 20, *names) == [0, 0]
    assert find([], 20, *names) == [None, None]


def test_a_close_date_is_overdue_after_its_end() -> None:
    assert find([close_date(0, 10)], 10, "close_date_days") == 15 / 24
    assert find([close_date(0, 10)], 11, "close_date_days") == 15 / 24 - 1


def stage(at: float, name: str, order: float | None) -> Event:
    return deal_event("stage_changed", at=at, name=name, number=order)


def test_a_stage_of_lower_order_is_a_step_back() -> None:
    events = [stage(1, "new", 1), stage(2, "demo", 3), stage(3, "new", 1), stage(4, "offer", 2)]

    assert find(events, 5, "stage_steps_back", "stage_days") == [1, 1]
    assert find(events[:2], 5, "stage_steps_back") == 0
    assert find([stage(1, "new", None)], 5, "stage_steps_back") is None


def test_the_amount_is_compared_with_the_first() -> None:
    events = [deal_event("amount_changed", at=at, number=n) for at, n in ((1, 200.0), (2, 150.0))]
    names = ("amount", "amount_change")

    assert find(events, 3, *names) == [150, -0.25]
    assert find(events[:1], 3, *names) == [200, 0]
    assert find([], 3, *names) == [None, None]
    free = [deal_event("amount_changed", at=0.5, number=0.0), *events]
    assert find(free, 3, *names) == [150, None]


def test_what_came_before_the_opening_is_remembered() -> None:
    earlier = deal_event("meeting_held", at=-12)

    assert find([earlier], 5, "before_opening_days", "deal_age_days") == [12, 5]
    assert find([], 5, "before_opening_days") == 0


def test_a_deal_heard_of_but_not_opened_has_no_age() -> None:
    events = [deal_event("meeting_held", at=1)]
    found = features_of(events, 5)

    assert found["deal_age_days"] is None
    assert found["silence_days"] == 4


def test_two_requests_wait_for_an_update() -> None:
    events = [
        deal_event("internal_update_requested", at=2),
        deal_event("internal_update_posted", at=3),
        deal_event("internal_update_requested", at=5),
        deal_event("internal_update_requested", at=8),
    ]
    names = ("internal_requests_unanswered", "internal_update_days")

    assert find(events, 10, *names) == [2, 7]
    assert find(events[:1], 10, *names) == [1, 10]


# The company's own activities and fields.

OWN = Vocabulary(
    activities=("demo",),
    number_fields=("seats",),
    text_fields=("region",),
    categories={
        "stage": ("new", "offer"),
        "field:region": ("north", OTHER),
        "last_event": ("demo", "deal_opened", OTHER),
    },
    rare={"field:region": ("west",), "last_event": ("message_sent",)},
)


def test_activities_are_counted_by_name() -> None:
    events = [
        deal_event("activity_logged", at=at, name=name)
        for at, name in enumerate(("demo", "lunch", "demo", "deal_opened"))
    ]
    names = ("activity:demo:count", "activity:demo:days", "deal_age_days", "last_event")

    assert find(events, 2.5, *names, vocabulary=OWN) == [2, 0.5, 2.5, "demo"]
    assert find([], 3, *names, vocabulary=OWN) == [0, None, 3, "deal_opened"]


def test_an_activity_named_like_a_kind_is_an_activity() -> None:
    vocabulary = Vocabulary(activities=("deal_opened",), number_fields=("customer_replied",))
    events = [
        deal_event("activity_logged", at=7, name="deal_opened"),
        deal_event("field_changed", at=8, name="customer_replied", number=5.0),
    ]
    names = ("deal_age_days", "activity:deal_opened:days", "silence_days", "field:customer_replied")

    assert find(events, 10, *names, vocabulary=vocabulary) == [10, 3, 10, 5]


@pytest.mark.parametrize(
    ("region", "read"), [("north", "north"), ("west", OTHER), ("mars", "(never seen)")]
)
def test_rare_values_are_others_and_new_ones_were_never_seen(region: str, read: str) -> None:
    field = deal_event("field_changed", at=1, name="region", text=region)

    assert find([field], 2, "field:region", vocabulary=OWN) == read


def test_fields_hold_their_last_value() -> None:
    events = [
        deal_event("field_changed", at=at, name=name, number=number, text=text)
        for at, name, number, text in (
            (1, "seats", 10.0, None),
            (2, "seats", 0.0, None),
            (3, "region", None, "north"),
            (4, "region", None, None),
            (5, "colour", None, "red"),
        )
    ]

    assert find(events, 1.5, "field:seats", "field:region", vocabulary=OWN) == [10, None]
    assert find(events, 3.5, "field:seats", "field:region", vocabulary=OWN) == [0, "north"]
    assert find(events, 6, "field:seats", "field:region", vocabulary=OWN) == [0, None]


# Feeds.

CRM = Feed(kinds=frozenset({"deal_opened", "stage_changed", "deal_won", "internal_update_posted"}))
MAIL = Feed(kinds=frozenset({"customer_replied", "message_sent"}))
CONTACT_FEATURES = ("silence_days", "customer_contacts_14_days", "unanswered_messages")


def test_a_kind_that_no_source_carries_is_missing_and_not_zero() -> None:
    assert find([], 20, *CONTACT_FEATURES, feeds={"crm": CRM}) == [None, None, None]
    assert find([], 20, *CONTACT_FEATURES, feeds={"crm": CRM, "mail": MAIL}) == [20, 0, 0]
    assert find([], 20, *CONTACT_FEATURES) == [20, 0, 0]


def test_another_crm_does_not_speak_for_this_ones_deals() -> None:
    other = Feed(kinds=frozenset({"deal_opened", "escalation_raised"}))
    feeds = {"crm": CRM, "other crm": other}

    assert find([], 20, "escalations_30_days", feeds=feeds) is None
    theirs = [deal_event("deal_opened", deal_id="D-2", source="other crm")]
    assert find(theirs, 20, "escalations_30_days", feeds=feeds, deal="D-2") == 0


def test_a_mailbox_connected_later_does_not_speak_of_earlier() -> None:
    mail = Feed(kinds=MAIL.kinds, heard=np.array([day_us(15)]))
    feeds = {"crm": CRM, "mail": mail}

    assert find([], 14, "silence_days", "unanswered_messages", feeds=feeds) == [None, None]
    assert find([], 16, "silence_days", "unanswered_messages", feeds=feeds) == [16, 0]


def until(day: float, kinds: frozenset[str]) -> Feed:
    """A feed heard hourly until a day."""
    return Feed(kinds=kinds, heard=day_us(day) - np.arange(500)[::-1] * HOUR_US)


def test_a_feed_stopped_for_everyone_is_not_silence() -> None:
    reply = deal_event("customer_replied", at=8, source="mail")
    feeds = {"crm": CRM, "mail": until(10, MAIL.kinds)}
    names = ("silence_days", "customer_contacts_14_days", "stage_days")
    moved = stage(9, "new", 1)

    assert find([reply, moved], 12, *names, feeds=feeds) == [4, 1, 3]  # a long weekend is not yet
    assert find([reply, moved], 30, *names, feeds=feeds) == [2, 1, 21]
    assert find([], 30, "silence_days", feeds=feeds) == 10


def test_a_stopped_crm_does_not_stop_the_mailbox() -> None:
    events = [
        deal_event("customer_replied", at=25, source="mail"),
        deal_event("internal_update_posted", at=8),
    ]
    feeds = {"crm": until(10, CRM.kinds), "mail": until(30, MAIL.kinds)}
    names = ("silence_days", "internal_update_days", "deal_age_days")

    assert find(events, 30, *names, feeds=feeds) == [5, 2, 10]
    assert find([], 30, *names, feeds=feeds) == [30, 10, 10]
