"""Learn which activities, fields and categories of a company deserve features of their own."""

from __future__ import annotations

from typing import Final

import numpy as np

from model.asof import PLANS
from model.catalogue import CALENDAR
from model.events import DAY_US, KIND_CODES
from model.history import History, Ints
from model.vocabulary import KIND_OF_ACTIVITY, KIND_OF_FIELD, OTHER, Vocabulary

MOST_ACTIVITIES: Final = 60
MOST_FIELDS: Final = 100
MOST_CATEGORIES: Final = 30
MOST_EVENTS: Final = 60  # told apart as the last event
MOST_RARE: Final = 500  # rare values of a feature that are remembered
FEWEST_DEALS: Final = 5
SMALLEST_SHARE: Final = 0.005  # of the deals
NUMBER_SHARE: Final = 0.95  # a field is a number if this share of its values are


def learn_vocabulary(history: History, known_before: int) -> Vocabulary:
    """Read the names that deserve features from what was known before a time.

    Parameters
    ----------
    history
        All deals.
    known_before
        Microseconds since 1970 UTC; rows known later are not looked at.

    Returns
    -------
    Vocabulary
        The most frequent activities, the fields as numbers or categories, the categories
        of stages and the like, and the calendar features that the time span supports.
    """
    seen = history.known < known_before
    deal = np.repeat(np.arange(history.deals), np.diff(history.start))
    fewest = max(FEWEST_DEALS, round(SMALLEST_SHARE * len(np.unique(deal[seen]))))

    def frequent(rows: Ints, codes: Ints, strings: list[str], most: int) -> list[str]:
        """The strings in the most deals, most frequent first, then by the alphabet."""
        pairs = np.unique(codes[rows] * history.deals + deal[rows])
        count = np.bincount(pairs // history.deals, minlength=len(strings))
        enough = np.flatnonzero(count >= fewest).tolist()
        return [strings[c] for c in sorted(enough, key=lambda c: (-count[c], strings[c]))[:most]]

    def rows_of(kind: int) -> Ints:
        return np.flatnonzero((history.kind == kind) & seen & (history.name >= 0))

    names = list(history.names)
    activities = frequent(rows_of(KIND_OF_ACTIVITY), history.name, names, MOST_ACTIVITIES)
    categories: dict[str, tuple[str, ...]] = {}
    rare: dict[str, tuple[str, ...]] = {}
    crowded: list[str] = []

    def learn(feature: str, rows: Ints, codes: Ints, strings: list[str]) -> bool:
        rows = rows[codes[rows] >= 0]
        kept = frequent(rows, codes, strings, MOST_CATEGORIES)
        others = sorted({strings[c] for c in np.unique(codes[rows])} - set(kept))
        if not kept:
            return False
        with_other = others and OTHER not in kept
        categories[feature] = tuple(sorted(kept)) + ((OTHER,) if with_other else ())
        if len(others) > MOST_RARE:
            crowded.append(feature)
        else:
            rare[feature] = tuple(others)
        return True

    for feature, kind in (
        ("stage", "stage_changed"),
        ("forecast_category", "forecast_category_changed"),
        ("pipeline", "pipeline_changed"),
        ("currency", "currency_changed"),
    ):
        learn(feature, rows_of(KIND_CODES[kind]), history.name, names)

    number_fields: list[str] = []
    text_fields: list[str] = []
    fields = rows_of(KIND_OF_FIELD)
    for name in frequent(fields, history.name, names, MOST_FIELDS):
        rows = fields[history.name[fields] == names.index(name)]
        is_number = np.isfinite(history.number[rows])
        filled = is_number | (history.text[rows] >= 0)
        if is_number.any() and is_number[filled].mean() >= NUMBER_SHARE:
            number_fields.append(name)
        elif learn(f"field:{name}", rows, history.text, list(history.texts)):
            text_fields.append(name)

    vocabulary = Vocabulary(
        activities=tuple(activities),
        number_fields=tuple(number_fields),
        text_fields=tuple(text_fields),
    )
    codes = vocabulary.codes(history)[seen]
    count = np.bincount(codes, minlength=vocabulary.size)
    count[sorted(PLANS)] = 0  # no activity, so never the last one
    often = sorted(np.flatnonzero(count >= fewest).tolist(), key=lambda c: -count[c])[:MOST_EVENTS]
    happened = tuple(dict.fromkeys(vocabulary.code_names[c] for c in sorted(often)))
    categories["last_event"] = (*happened, OTHER)
    rare["last_event"] = tuple(sorted(set(vocabulary.code_names) - set(happened)))
    known = history.known[seen]
    span_days = (known.max() - known.min()) / DAY_US if known.size else 0.0
    return Vocabulary(
        activities=vocabulary.activities,
        number_fields=vocabulary.number_fields,
        text_fields=vocabulary.text_fields,
        categories=categories,
        rare=rare,
        crowded=tuple(crowded),
        calendar=tuple(feature.name for days, feature in CALENDAR if span_days >= days),
    )
