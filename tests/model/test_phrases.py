"""What a driver says: a fragment that a sales leader reads at once, for every feature and value."""

from __future__ import annotations

import re

import pytest

from model.catalogue import CALENDAR, CATALOGUE
from model.events import KIND_WORDS, KINDS
from model.feature import Feature, say
from model.features import FeatureSet
from model.vocabulary import NEVER_SEEN, OTHER, Vocabulary

VOCABULARY = Vocabulary(
    activities=("demo", "both"),
    number_fields=("seats", "both"),
    text_fields=("region", "Lead_Source__c"),
    categories={
        "last_event": (*KINDS, "demo", "both", "seats", "region"),
        "stage": ("Offer", OTHER),
        "forecast_category": ("Commit",),
        "pipeline": ("New business",),
        "currency": ("EUR",),
        "field:region": ("north",),
        "field:Lead_Source__c": ("partner",),
    },
    calendar=tuple(feature.name for _, feature in CALENDAR),
)
FEATURES = {feature.name: feature for feature in FeatureSet(VOCABULARY).features}

# By feature: what is said of 0, of 1, of a typical value, and where it is missing.
SAID: dict[str, tuple[float, str, str, str, str]] = {
    "silence_days": (
        23.2,
        "no real customer contact for less than a day",
        "no real customer contact for 1 day",
        "no real customer contact for 23 days",
        "customer contact is not on record",
    ),
    "customer_contacts_14_days": (
        3,
        "no real customer contact in the last 14 days",
        "one real customer contact in the last 14 days",
        "3 real customer contacts in the last 14 days",
        "customer contact is not on record",
    ),
    "customer_people_90_days": (
        4,
        "nobody known of the customer was in contact in the last 90 days",
        "one person of the customer was in contact in the last 90 days",
        "4 people of the customer were in contact in the last 90 days",
        "customer contact is not on record",
    ),
    "unanswered_messages": (
        2,
        "no message of ours is unanswered",
        "one of our messages is unanswered",
        "2 of our messages are unanswered",
        "our messages are not on record",
    ),
    "our_silence_days": (
        5,
        "we last made contact less than a day ago",
        "we last made contact 1 day ago",
        "we last made contact 5 days ago",
        "no contact of ours is on record",
    ),
    "auto_replies_since_contact": (
        2,
        "no automatic reply since the last real customer contact",
        "one automatic reply since the last real customer contact",
        "2 automatic replies since the last real customer contact",
        "automatic replies are not on record",
    ),
    "customer_replied_count": (
        7,
        "no reply of the customer so far",
        "one reply of the customer so far",
        "7 replies of the customer so far",
        "replies are not on record",
    ),
    "call_made_days": (
        9,
        "our last call was less than a day ago",
        "our last call was 1 day ago",
        "our last call was 9 days ago",
        "no call of ours is on record",
    ),
    "milestones_overdue": (
        2,
        "no milestone is overdue",
        "one milestone is overdue",
        "2 milestones are overdue",
        "no milestone is set",
    ),
    "milestones_reached_share": (
        0.25,
        "no milestone is reached",
        "all milestones are reached",
        "25% of the milestones are reached",
        "no milestone is set",
    ),
    "commercial_talks": (
        1,
        "commercial talks have not started",
        "commercial talks have started",
        "commercial talks have started",
        "commercial talks are not on record",
    ),
    "no_talks_days_left": (
        -12,
        "less than a day left to the planned close date without commercial talks",
        "1 day left to the planned close date without commercial talks",
        "the planned close date passed 12 days ago without commercial talks",
        "no planned close date waits for commercial talks",
    ),
    "close_date_pushes": (
        3,
        "the close date was never pushed",
        "the close date was pushed once",
        "the close date was pushed 3 times",
        "no close date is planned",
    ),
    "close_date_days": (
        -4.6,
        "the planned close date is less than a day away",
        "the planned close date is 1 day away",
        "the planned close date passed 5 days ago",
        "no close date is planned",
    ),
    "amount": (
        1_250_000.0,
        "the amount is 0",
        "the amount is 1",
        "the amount is 1,250,000",
        "no amount is set",
    ),
    "amount_change": (
        -0.2,
        "the amount is what it was at first",
        "the amount rose by 100% since the first",
        "the amount fell by 20% since the first",
        "no amount is set",
    ),
    "owner_win_rate": (
        0.31,
        "the owner wins about 0% of deals",
        "the owner wins about 100% of deals",
        "the owner wins about 31% of deals",
        "no closed deal of the owner is known",
    ),
    "events_7_days": (
        12,
        "no activity in the last 7 days",
        "one activity in the last 7 days",
        "12 activities in the last 7 days",
        "nothing is on record",
    ),
    "week_day": (2.4, "it is Monday", "it is Tuesday", "it is Wednesday", "the date is not known"),
    "quarter_days_left": (
        12.4,
        "the quarter ends in less than a day",
        "the quarter ends in 1 day",
        "the quarter ends in 12 days",
        "the date is not known",
    ),
    "year_day": (
        365.5,
        "it is January",
        "it is January",
        "it is December",
        "the date is not known",
    ),
    "activity:demo:count": (
        3,
        "demo: not once so far",
        "demo: once so far",
        "demo: 3 times so far",
        "demo: not on record",
    ),
    "activity:demo:days": (
        3,
        "demo: last less than a day ago",
        "demo: last 1 day ago",
        "demo: last 3 days ago",
        "demo: not once so far",
    ),
    "field:seats": (40, "seats: 0", "seats: 1", "seats: 40", "seats: not filled in"),
}


@pytest.mark.parametrize("name", SAID)
def test_a_driver_says_its_value_in_words(name: str) -> None:
    value, zero, one, typical, missing = SAID[name]
    told = [say(FEATURES[name], each) for each in (0.0, 1.0, value, None)]
    assert told == [zero, one, typical, missing]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("last_event", "message_sent", "the last activity on record: a message of ours"),
        ("last_event", "seats", "the last activity on record: seats changed"),
        ("last_event", "region", "the last activity on record: region changed"),
        ("last_event", "demo", "the last activity on record: demo"),
        ("last_event", "both", "the last activity on record: both, or its change"),
        ("last_event", OTHER, "the last activity on record: something rare"),
        ("last_event", NEVER_SEEN, "the last activity on record: something never seen before"),
        ("stage", "Offer", "the stage is Offer"),
        ("stage", OTHER, "the stage is one that few earlier deals had"),
        ("stage", NEVER_SEEN, "the stage is one that no earlier deal had"),
        ("field:region", "north", "region: north"),
        ("field:Lead_Source__c", "partner", "lead source: partner"),
        ("field:Lead_Source__c", OTHER, "lead source: one that few earlier deals had"),
        ("last_event", "Lead_Source__c", "the last activity on record: lead source changed"),
        ("technical_validation", "not started", "technical validation has not started"),
        ("technical_validation", "failed", "technical validation failed"),
    ],
)
def test_a_category_is_told_in_words(name: str, value: str, said: str) -> None:
    assert say(FEATURES[name], value) == said


@pytest.mark.parametrize("feature", FEATURES.values(), ids=lambda feature: feature.name)
def test_every_phrase_is_a_plain_fragment(feature: Feature) -> None:
    values: list[float | str | None] = [None, 0.0, 0.4, 1.0, 1.4, 2.0, 12.0, 365.0]
    values += [-1.0, -40.0] if feature.negative else []
    if feature.is_category:
        features = FeatureSet(VOCABULARY)
        values = [None, *features.categories(feature), OTHER, NEVER_SEEN]
    for value in values:
        said = say(feature, value)
        assert said == said.strip()
        assert not re.search(r"\b1 [a-z]+s\b", said), said
        assert not re.search(r"[a-z]_[a-z]|[{}()]|not known:|not carried|\bnan\b|e[+]", said), said
        if value is None:
            assert feature.unknown is not None
            assert said == feature.unknown


def test_every_kind_is_told_in_words() -> None:
    assert list(KIND_WORDS) == list(KINDS)
    assert not any("_" in words for words in KIND_WORDS.values())


def test_every_feature_of_the_catalogue_has_words_for_a_missing_value() -> None:
    calendar = [feature for _, feature in CALENDAR]
    assert [f.name for f in (*CATALOGUE, *calendar) if not f.unknown] == []
