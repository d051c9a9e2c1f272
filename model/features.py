"""All features of a company: the catalogue plus its own activities and fields, as a matrix.

There is no second definition anywhere: training, batch and web all call `FeatureSet.matrix`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isnan, nan
from typing import Any, Final

import numpy as np

from model.asof import AsOf, Snapshot
from model.catalogue import CALENDAR, CATALOGUE
from model.catalogue.proof import VALIDATION_STATES
from model.events import KIND_CODES, KIND_WORDS
from model.feature import (
    Category,
    Count,
    Feature,
    FieldCategory,
    LastEvent,
    NumberField,
    Rate,
    Since,
    name_in_words,
)
from model.feeds import Feeds
from model.history import Floats, History, Ints
from model.own_features import OwnFeatures, declared
from model.rates import WinRates, win_rate
from model.terms import carriers, reads, ready
from model.vocabulary import KIND_OF_ACTIVITY, NEVER_SEEN, OTHER, Vocabulary

CELLS_AT_ONCE: Final = 20_000  # snapshots times codes held in memory at a time
FIXED_CATEGORIES: Final = {"technical_validation": VALIDATION_STATES}


class FeatureSet:
    """The features of one company.

    Parameters
    ----------
    vocabulary
        The company's own names.
    names
        The features to keep, in order; None keeps all.
    own
        The company's own features, of a file that it named; None where there are none.

    Examples
    --------
    >>> "silence_days" in FeatureSet(Vocabulary()).names
    True
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        names: tuple[str, ...] | None = None,
        own: OwnFeatures | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.own = own
        features = _all_features(vocabulary)
        if own is not None:
            features += own.known_to(vocabulary)
        if names is not None:
            by_name = {feature.name: feature for feature in features}
            features = tuple(by_name[name] for name in names)
        self.features = features
        self.names = tuple(feature.name for feature in features)
        self._words = [self.categories(f) if f.is_category else None for f in features]
        self._code_of = code_of = dict(KIND_CODES)
        for (kind, name), code in vocabulary.own_codes.items():
            code_of[("activity:" if kind == KIND_OF_ACTIVITY else "field:") + name] = code
        self._values = [ready(feature, code_of, vocabulary) for feature in features]
        self._rates = {
            column: feature.term.who
            for column, feature in enumerate(features)
            if isinstance(feature.term, Rate)
        }
        self._carriers = [carriers(feature.term) for feature in features]
        self._missing: dict[frozenset[str], list[int]] = {}
        # A deal has events of few codes: only features that read one of them are computed.
        self._always: set[int] = set()
        self._readers: list[set[int]] = [set() for _ in range(vocabulary.size)]
        for column, feature in enumerate(features):
            codes = [code_of[code] for code in reads(feature.term)]
            for readers in [self._readers[code] for code in codes] or [self._always]:
                readers.add(column)
        nothing = Snapshot.of_nothing()
        self._unheard = [value(nothing) for value in self._values]

    def categories(self, feature: Feature) -> tuple[str, ...]:
        """The values of a categorical feature in the order of their codes."""
        if feature.name in FIXED_CATEGORIES:
            return FIXED_CATEGORIES[feature.name]
        return self.vocabulary.categories[feature.name]

    def value(self, column: int, x: float) -> float | str | None:
        """A matrix entry as people read it: a number, a category's name, or None."""
        if isnan(x):
            return None
        words = self._words[column]
        if words is None:
            return float(x)
        return NEVER_SEEN if x < 0 else words[int(x)]

    def category_text(self, column: int, snapshot: Snapshot) -> str:
        """What a snapshot says of a categorical feature, known to the vocabulary or not."""
        term, deal = self.features[column].term, snapshot.deal
        if not isinstance(term, Category | FieldCategory):
            return self.vocabulary.code_names[deal.code[snapshot.activity[-1]]]
        last = snapshot.by_code[self._code_of[term.code]][-1]
        if isinstance(term, FieldCategory):
            return deal.texts[deal.text[last]]
        return deal.names[deal.name[last]]

    def matrix(
        self,
        history: History,
        deal: Ints,
        as_of: Ints,
        feeds: Feeds | None = None,
        rates: WinRates | None = None,
    ) -> Floats:
        """The features of snapshots.

        Parameters
        ----------
        history
            The events.
        deal
            Index into ``history.deal_ids``. Shape (S,).
        as_of
            Microseconds since 1970 UTC. Shape (S,).
        feeds
            What each source carries; None takes every kind as carried.
        rates
            Closings of owners and accounts; None leaves those features missing.

        Returns
        -------
        ndarray
            Numbers, NaN where missing; a category as its code, -1 where never seen before.
            Shape (S, F).
        """
        codes = self.vocabulary.codes(history)
        step = max(1, CELLS_AT_ONCE // self.vocabulary.size)
        if len(deal) <= step:
            return self.of(AsOf(history, self.vocabulary, codes, deal, as_of, feeds), rates)
        parts = np.empty((len(deal), len(self.features)))
        for first in range(0, len(deal), step):
            part = slice(first, first + step)
            asof = AsOf(history, self.vocabulary, codes, deal[part], as_of[part], feeds)
            parts[part] = self.of(asof, rates)
        return parts

    def of(self, asof: AsOf, rates: WinRates | None = None) -> Floats:
        """The features of snapshots already looked up. Shape (S, F)."""
        rows = [self._row(snapshot, rates) for snapshot in asof.snapshots]
        return np.array(rows, dtype=np.float64).reshape(asof.size, len(self.features))

    def _row(self, snapshot: Snapshot, rates: WinRates | None) -> list[float]:
        row = self._unheard.copy()
        readers = self._readers
        for column in self._always.union(*[readers[code] for code in snapshot.by_code]):
            row[column] = self._values[column](snapshot)
        if rates is not None:
            for column, who in self._rates.items():
                row[column] = win_rate(snapshot, rates, who)
        if snapshot.coverage is not None:
            for column in self._not_carried(snapshot.coverage.carried(snapshot)):
                row[column] = nan
        return row

    def _not_carried(self, kinds: frozenset[str]) -> list[int]:
        """The columns missing where feeds carry these kinds."""
        found = self._missing.get(kinds)
        if found is None:
            found = self._missing[kinds] = [
                column
                for column, needed in enumerate(self._carriers)
                if needed and kinds.isdisjoint(needed)
            ]
        return found

    def __reduce__(self) -> tuple[type, tuple[Vocabulary, tuple[str, ...], OwnFeatures | None]]:
        return (type(self), (self.vocabulary, self.names, self.own))

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        told = {"names": list(self.names), "vocabulary": self.vocabulary.to_json()}
        return told if self.own is None else told | {"own": self.own.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FeatureSet:
        """The inverse of `to_json`.

        Raises
        ------
        ArtifactError
            If it has own features, of a file that was not named, or is another by now.
        """
        own = None if value.get("own") is None else declared(value["own"])
        return cls(Vocabulary.from_json(value["vocabulary"]), tuple(value["names"]), own)


def _all_features(vocabulary: Vocabulary) -> tuple[Feature, ...]:
    """The catalogue, and what this company's data adds to it."""
    known = vocabulary.categories.keys() | FIXED_CATEGORIES.keys()
    features = [
        replace(f, words=last_event_words(vocabulary)) if isinstance(f.term, LastEvent) else f
        for f in CATALOGUE
        if not f.is_category or f.name in known
    ]
    features += [f for _, f in CALENDAR if f.name in vocabulary.calendar]
    for name in vocabulary.activities:
        words = name_in_words(name)
        features.append(
            Feature(
                name=f"activity:{name}:count",
                unit="events",
                question=f"{words} in all",
                unknown=f"{words}: not on record",
                direction=0,
                missing="no source of the deal carries activities",
                phrase=f"{_escaped(words)}: {{value}} times so far",
                zero=f"{words}: not once so far",
                one=f"{words}: once so far",
                term=Count(codes=(f"activity:{name}",)),
            )
        )
        features.append(
            Feature(
                name=f"activity:{name}:days",
                unit="days",
                question=f"days since {words}",
                direction=0,
                missing="it never happened",
                phrase=f"{_escaped(words)}: last {{days}} ago",
                unknown=f"{words}: not once so far",
                term=Since(codes=(f"activity:{name}",)),
            )
        )
    for name in vocabulary.number_fields:
        words = name_in_words(name)
        features.append(
            Feature(
                name=f"field:{name}",
                unit="number",
                question=words,
                direction=0,
                missing="not filled in",
                unknown=f"{words}: not filled in",
                phrase=f"{_escaped(words)}: {{value}}",
                term=NumberField(code=f"field:{name}"),
            )
        )
    for name in vocabulary.text_fields:
        words = name_in_words(name)
        features.append(
            Feature(
                name=f"field:{name}",
                unit="category",
                question=words,
                direction=0,
                missing="not filled in",
                unknown=f"{words}: not filled in",
                phrase=f"{_escaped(words)}: {{value}}",
                term=FieldCategory(code=f"field:{name}"),
            )
        )
    return tuple(features)


def last_event_words(vocabulary: Vocabulary) -> tuple[tuple[str, str], ...]:
    """What each category of ``last_event`` means: kinds in words, own fields as changed.

    Examples
    --------
    >>> words = dict(last_event_words(Vocabulary(activities=("demo",), number_fields=("seats",))))
    >>> words["message_sent"], words["demo"], words["seats"]
    ('a message of ours', 'demo', 'seats changed')
    """
    fields = dict.fromkeys((*vocabulary.number_fields, *vocabulary.text_fields))
    words = {name: f"{name_in_words(name)} changed" for name in fields}
    words |= {
        name: name_in_words(name) + (", or its change" if name in fields else "")
        for name in vocabulary.activities
    }
    words |= {OTHER: "something rare", NEVER_SEEN: "something never seen before"}
    return tuple((words | KIND_WORDS).items())


def _escaped(name: str) -> str:
    return name.replace("{", "{{").replace("}", "}}")
