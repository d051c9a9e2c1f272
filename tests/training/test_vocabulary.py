"""Which names of a company's own become features."""

from __future__ import annotations

import numpy as np

from model.events import Event
from model.features import FeatureSet
from model.grid import MAX_BINS
from model.history import History
from model.vocabulary import OTHER, UNSEEN, Vocabulary
from tests.factories import day_us, deal_event
from training.vocabulary import (
    FEWEST_DEALS,
    MOST_CATEGORIES,
    MOST_EVENTS,
    MOST_RARE,
    learn_vocabulary,
)


def learn(events: list[Event], until: float = 900) -> Vocabulary:
    return learn_vocabulary(History.from_events(events), day_us(until))


def in_deals(deals: int, kind: str, at: float = 0, **values: object) -> list[Event]:
    """One such event in each of so many deals."""
    return [deal_event(kind, at, deal_id=f"D-{i}", **values) for i in range(deals)]


def test_names_of_enough_deals_become_features() -> None:
    vocabulary = learn(
        [
            *in_deals(FEWEST_DEALS + 1, "activity_logged", name="demo"),
            *in_deals(FEWEST_DEALS, "activity_logged", name="call"),
            *in_deals(FEWEST_DEALS, "activity_logged", name="audit"),
            *in_deals(FEWEST_DEALS - 1, "activity_logged", name="lunch"),
            *[deal_event("activity_logged", at, name="spam") for at in range(20)],
        ]
    )

    assert vocabulary.activities == ("demo", "audit", "call")


def test_what_is_known_later_is_not_looked_at() -> None:
    events = [
        *in_deals(9, "activity_logged", name="demo"),
        *in_deals(9, "activity_logged", at=5, name="call"),
    ]

    assert learn(events, until=5).activities == ("demo",)


def test_a_field_is_a_number_if_nearly_all_its_values_are() -> None:
    vocabulary = learn(
        [
            *in_deals(20, "field_changed", name="seats", number=3.0),
            deal_event("field_changed", 1, name="seats", text="many"),
            *in_deals(20, "field_changed", at=2, name="seats"),  # emptied
            *in_deals(20, "field_changed", name="mixed", number=3.0),
            *in_deals(20, "field_changed", at=1, name="mixed", text="many"),
            *in_deals(20, "field_changed", name="region", text="north"),
            *in_deals(20, "field_changed", name="empty"),
        ]
    )

    assert vocabulary.number_fields == ("seats",)
    assert vocabulary.text_fields == ("mixed", "region")
    assert vocabulary.categories["field:region"] == ("north",)


def test_a_field_of_many_values_keeps_the_frequent_and_remembers_the_rare() -> None:
    events = []
    for i in range(MOST_CATEGORIES + 10):
        text = f"value {i:02d}"
        events += in_deals(10 + i, "field_changed", at=i, name="product", text=text)
    events += [
        deal_event("field_changed", deal_id=f"D-{i}", name="product", text=f"code {i:04d}")
        for i in range(MOST_RARE - 10)
    ]

    vocabulary = learn(events)

    kept, rare = vocabulary.categories["field:product"], vocabulary.rare["field:product"]
    assert kept[-1] == OTHER
    assert kept[:-1] == tuple(f"value {i:02d}" for i in range(10, MOST_CATEGORIES + 10))
    assert len(rare) == MOST_RARE
    assert not set(rare) & set(kept)
    assert vocabulary.new_code("field:product") == UNSEEN


def test_where_rare_values_are_too_many_to_remember_no_value_is_unseen() -> None:
    events = in_deals(20, "field_changed", name="campaign", text="spring")
    events += [
        deal_event("field_changed", deal_id=f"D-{i}", at=1, name="campaign", text=f"code {i:04d}")
        for i in range(MOST_RARE + 1)
    ]

    vocabulary = learn(events)

    assert vocabulary.categories["field:campaign"] == ("spring", OTHER)
    assert vocabulary.crowded == ("field:campaign",)
    assert "field:campaign" not in vocabulary.rare
    history = History.from_events(events)
    every, then = np.arange(history.deals), np.full(history.deals, day_us(30))
    x = FeatureSet(vocabulary, ("field:campaign",)).matrix(history, every, then)
    assert set(x.ravel().tolist()) <= {0.0, 1.0}
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


def test_a_field_whose_values_are_all_rare_is_no_feature() -> None:
    events = [
        deal_event("field_changed", deal_id=f"D-{i}", name="note", text=f"note {i}")
        for i in range(50)
    ]

    assert learn(events).text_fields == ()


def test_a_value_called_other_is_no_second_other() -> None:
    vocabulary = learn(
        [
            *in_deals(9, "stage_changed", name=OTHER),
            *in_deals(9, "stage_changed", at=1, name="new"),
            deal_event("stage_changed", 2, name="odd"),
        ]
    )

    assert vocabulary.categories["stage"] == (OTHER, "new")
    assert vocabulary.category_codes["stage"] == {OTHER: 0, "new": 1, "odd": 0}


def test_the_last_event_has_no_more_categories_than_bins() -> None:
    events = []
    for i in range(50):
        events += in_deals(9, "activity_logged", at=i, name=f"activity {i}")
        events += in_deals(10, "field_changed", at=i, name=f"field {i}", number=1.0)

    vocabulary = learn(events)

    categories = vocabulary.categories["last_event"]
    assert len(categories) == MOST_EVENTS + 1 <= MAX_BINS
    assert set(categories) | set(vocabulary.rare["last_event"]) >= set(vocabulary.code_names)


def test_a_season_is_learned_from_a_long_enough_record() -> None:
    def calendar(days: float) -> tuple[str, ...]:
        return learn([deal_event(), deal_event("call_made", days)], until=9000).calendar

    assert calendar(27) == ()
    assert calendar(28) == ("week_day",)
    assert calendar(366) == ("week_day", "quarter_days_left")
    assert calendar(729) == ("week_day", "quarter_days_left")
    assert calendar(730) == ("week_day", "quarter_days_left", "year_day")


def test_every_vocabulary_makes_features_and_is_kept_as_json() -> None:
    vocabulary = learn(
        [
            *in_deals(9, "activity_logged", name="demo"),
            *in_deals(9, "stage_changed", name="new"),
            *in_deals(9, "field_changed", name="region", text="north"),
            *in_deals(9, "field_changed", name="seats", number=1.0),
        ]
    )

    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    names = FeatureSet(vocabulary).names
    assert {"activity:demo:count", "stage", "field:region", "field:seats"} <= set(names)
    assert "pipeline" not in names
