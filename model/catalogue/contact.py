"""How the customer and we keep in touch: silence, contacts, people, answers."""

from __future__ import annotations

from functools import partial
from typing import Final

from model.asof import Snapshot
from model.feature import NOT_CARRIED, Computed, Count, Feature, Since
from model.history import NONE

CONTACT: Final = ("customer_replied", "meeting_held")  # a human of the customer was there
OUTREACH: Final = ("message_sent", "call_made")


def silence_days(snapshot: Snapshot) -> float:
    """Days since the customer's last real contact, or since the opening if there was none."""
    return snapshot.since_or_opening_days(*CONTACT)


def customer_people(snapshot: Snapshot, days: float) -> float:
    """How many different people of the customer were in contact within `days`."""
    person, age_days = snapshot.deal.person, snapshot.age_days
    people = {person[i] for kind in CONTACT for i in snapshot.of(kind) if age_days[i] < days}
    return float(len(people - {NONE}))


def onsite_meetings(snapshot: Snapshot, days: float) -> float:
    """Meetings named ``onsite`` within `days`."""
    deal, age_days = snapshot.deal, snapshot.age_days
    recent = [deal.name[i] for i in snapshot.of("meeting_held") if age_days[i] < days]
    return float(sum([name != NONE and deal.names[name] == "onsite" for name in recent]))


def since_contact(snapshot: Snapshot, kind: str) -> float:
    """Events of `kind` since the customer's last real contact."""
    return snapshot.count_after(kind, *CONTACT)


CONTACTS: Final[tuple[Feature, ...]] = (
    Feature(
        name="silence_days",
        unit="days",
        question="days since the last real customer contact",
        direction=-1,
        missing=NOT_CARRIED,
        phrase="no real customer contact for {days}",
        unknown="customer contact is not on record",
        term=Computed(compute=silence_days, reads=(*CONTACT, "deal_opened"), carriers=CONTACT),
    ),
    *(
        Feature(
            name=f"customer_contacts_{days}_days",
            unit="events",
            question=f"real customer contacts in {days} days",
            direction=1,
            missing=NOT_CARRIED,
            phrase=f"{{value}} real customer contacts in the last {days} days",
            zero=f"no real customer contact in the last {days} days",
            one=f"one real customer contact in the last {days} days",
            unknown="customer contact is not on record",
            term=Count(codes=CONTACT, days=days),
        )
        for days in (14, 30, 90)
    ),
    Feature(
        name="customer_people_90_days",
        unit="people",
        question="different customer people in contact in 90 days",
        direction=1,
        missing=NOT_CARRIED,
        phrase="{value} people of the customer were in contact in the last 90 days",
        zero="nobody known of the customer was in contact in the last 90 days",
        one="one person of the customer was in contact in the last 90 days",
        unknown="customer contact is not on record",
        term=Computed(compute=partial(customer_people, days=90), reads=CONTACT, carriers=CONTACT),
    ),
    Feature(
        name="unanswered_messages",
        unit="events",
        question="our messages since the last real customer contact",
        direction=-1,
        missing=NOT_CARRIED,
        phrase="{value} of our messages are unanswered",
        zero="no message of ours is unanswered",
        one="one of our messages is unanswered",
        unknown="our messages are not on record",
        term=Computed(
            compute=partial(since_contact, kind="message_sent"),
            reads=("message_sent",),
            carriers=("message_sent",),
        ),
    ),
    Feature(
        name="our_silence_days",
        unit="days",
        question="days since our last contact",
        direction=0,
        missing="we never made contact, or " + NOT_CARRIED,
        phrase="we last made contact {days} ago",
        unknown="no contact of ours is on record",
        term=Since(codes=(*OUTREACH, "meeting_held")),
    ),
    Feature(
        name="auto_replies_since_contact",
        unit="events",
        question="auto-replies since the last real customer contact",
        direction=-1,
        missing=NOT_CARRIED,
        phrase="{value} automatic replies since the last real customer contact",
        zero="no automatic reply since the last real customer contact",
        one="one automatic reply since the last real customer contact",
        unknown="automatic replies are not on record",
        term=Computed(
            compute=partial(since_contact, kind="auto_reply_received"),
            reads=("auto_reply_received",),
            carriers=("auto_reply_received",),
        ),
    ),
    Feature(
        name="meetings_60_days",
        unit="events",
        question="meetings in 60 days",
        direction=1,
        missing=NOT_CARRIED,
        phrase="{value} meetings in the last 60 days",
        zero="no meeting in the last 60 days",
        one="one meeting in the last 60 days",
        unknown="meetings are not on record",
        term=Count(codes=("meeting_held",), days=60),
    ),
    Feature(
        name="onsite_meetings_90_days",
        unit="events",
        question="on-site meetings in 90 days",
        direction=1,
        missing=NOT_CARRIED,
        phrase="{value} on-site meetings in the last 90 days",
        zero="no on-site meeting in the last 90 days",
        one="one on-site meeting in the last 90 days",
        unknown="meetings are not on record",
        term=Computed(
            compute=partial(onsite_meetings, days=90),
            reads=("meeting_held",),
            carriers=("meeting_held",),
        ),
    ),
    *(
        Feature(
            name=f"{kind}_count",
            unit="events",
            question=f"{several} in all",
            direction=0,
            missing=NOT_CARRIED,
            phrase=f"{{value}} {several} so far",
            zero=f"no {one} so far",
            one=f"one {one} so far",
            unknown=f"{kept} are not on record",
            term=Count(codes=(kind,)),
        )
        for kind, one, several, kept in (
            ("customer_replied", "reply of the customer", "replies of the customer", "replies"),
            ("message_sent", "message of ours", "messages of ours", "our messages"),
            ("call_made", "call of ours", "calls of ours", "our calls"),
            ("meeting_held", "meeting", "meetings", "meetings"),
        )
    ),
    *(
        Feature(
            name=f"{kind}_days",
            unit="days",
            question=f"days since {what}",
            direction=0,
            missing="it never happened, or " + NOT_CARRIED,
            phrase=f"{what} was {{days}} ago",
            unknown=f"no {never} is on record",
            term=Since(codes=(kind,)),
        )
        for kind, what, never in (
            ("customer_replied", "the customer's last reply", "reply of the customer"),
            ("call_made", "our last call", "call of ours"),
        )
    ),
)
