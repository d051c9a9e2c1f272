"""Values that training never saw are named, and only those."""

from __future__ import annotations

import numpy as np

from model.asof import DealRows, Snapshot
from model.events import Event
from model.features import FeatureSet
from model.history import History
from model.unusual import SeenRanges, Unusual, ranges_to_json
from model.vocabulary import Vocabulary
from tests.factories import day_us, deal_event

VOCABULARY = Vocabulary(
    text_fields=("region",),
    categories={"stage": ("offer",), "field:region": ("north",), "last_event": ("deal_opened",)},
    calendar=("week_day",),
)
FEATURES = FeatureSet(
    VOCABULARY, ("amount", "stage", "field:region", "last_event", "week_day", "silence_days")
)
SEEN = SeenRanges(FEATURES, {"amount": [10.0, 90.0], "week_day": [1.0, 2.0]})


def unusual(*events: Event) -> tuple[Unusual, ...]:
    history = History.from_events([deal_event("deal_opened"), *events])
    codes = VOCABULARY.codes(history)
    moment = np.array([day_us(20)])
    x = FEATURES.matrix(history, np.array([0]), moment)[0]
    return SEEN.unusual(x[None], [Snapshot(DealRows(history, codes, 0), int(moment[0]))])[0]


def test_a_number_beyond_what_training_saw_is_named_with_what_it_saw() -> None:
    (found,) = unusual(
        deal_event("amount_changed", 0.1, number=200.0), deal_event("deal_opened", 0.2)
    )

    assert (found.feature, found.value) == ("amount", 200.0)
    assert "outside the 10 to 90 that training saw" in found.phrase


def test_a_number_at_the_edge_of_what_training_saw_is_usual() -> None:
    for number in (10.0, 90.0):
        assert not unusual(
            deal_event("amount_changed", 0.1, number=number), deal_event("deal_opened", 0.2)
        )


def test_a_new_category_is_named_and_counts_as_the_average() -> None:
    found = unusual(
        deal_event("stage_changed", 0.1, name="procurement"),
        deal_event("field_changed", 0.2, name="region", text="west"),
        deal_event("must_hit_declared", 0.3, name="pilot"),  # no activity
    )

    assert {(each.feature, each.value) for each in found} == {
        ("stage", "procurement"),
        ("field:region", "west"),
        ("last_event", "region"),
    }
    assert all("counted as the average" in each.phrase for each in found)
    assert any("procurement" in each.phrase for each in found)


def test_known_categories_the_calendar_and_what_is_missing_are_usual() -> None:
    assert (
        unusual(deal_event("stage_changed", 0.1, name="offer"), deal_event("deal_opened", 1)) == ()
    )


def test_the_ranges_leave_missing_values_out() -> None:
    x = np.array([[1.0, np.nan, 5.0], [3.0, np.nan, np.nan]])

    assert ranges_to_json(("a", "b", "c"), x) == {"a": [1.0, 3.0], "c": [5.0, 5.0]}
