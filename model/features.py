"""All features of a company: the catalogue plus its own activities and fields, as a matrix.

There is no second definition anywhere: training, batch and web all call `FeatureSet.matrix`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import numpy as np

from model.asof import WINDOWS_DAYS, AsOf
from model.catalogue import CALENDAR, CATALOGUE
from model.feature import Category, Computed, Count, Feature, NumberField, Rate, Since
from model.feeds import Feeds
from model.history import Floats, History, Ints
from model.rates import WinRates
from model.signals import VALIDATION_STATES, win_rate
from model.vocabulary import Vocabulary

CELLS_AT_ONCE: Final = 200_000  # snapshots times codes held in memory at a time
FIXED_CATEGORIES: Final = {"technical_validation": VALIDATION_STATES}


class FeatureSet:
    """The features of one company.

    Parameters
    ----------
    vocabulary
        The company's own names.
    names
        The features to keep, in order; None keeps all.

    Examples
    --------
    >>> "silence_days" in FeatureSet(Vocabulary()).names
    True
    """

    def __init__(self, vocabulary: Vocabulary, names: tuple[str, ...] | None = None) -> None:
        self.vocabulary = vocabulary
        features = _all_features(vocabulary)
        if names is not None:
            by_name = {feature.name: feature for feature in features}
            features = tuple(by_name[name] for name in names)
        self.features = features
        self.names = tuple(feature.name for feature in features)
        code_of = {name: code for code, name in enumerate(vocabulary.code_names)}
        for prefix, own in (
            ("activity:", vocabulary.activity_codes),
            ("field:", vocabulary.field_codes),
        ):
            code_of.update({prefix + name: code for name, code in own.items()})
        self._code_of = code_of
        self._counts = _Block(features, Count, code_of)
        self._sinces = _Block(features, Since, code_of)

    def categories(self, feature: Feature) -> tuple[str, ...]:
        """The values of a categorical feature in the order of their codes."""
        if feature.name in FIXED_CATEGORIES:
            return FIXED_CATEGORIES[feature.name]
        return self.vocabulary.categories[feature.name]

    def value(self, column: int, x: float) -> float | str | None:
        """A matrix entry as people read it: a number, a category's name, or None."""
        feature = self.features[column]
        if np.isnan(x):
            return None
        if not feature.is_category:
            return float(x)
        return "(never seen)" if x < 0 else self.categories(feature)[int(x)]

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
        x = np.empty((asof.size, len(self.features)))
        if self._counts.size:
            x[:, self._counts.columns] = self._counts.sum(asof)
        if self._sinces.size:
            x[:, self._sinces.columns] = self._sinces.nearest(asof)
        for column, feature in self._others:
            term = feature.term
            if isinstance(term, Computed):
                x[:, column] = term.compute(asof)
            elif isinstance(term, Rate):
                x[:, column] = win_rate(asof, rates, term.who)
            elif isinstance(term, NumberField):
                last = asof.last[:, self._code_of[term.code]]
                x[:, column] = asof.value(asof.history.number, last)
            elif isinstance(term, Category):
                x[:, column] = self._category(asof, feature, term)
        return x

    @cached_property
    def _others(self) -> list[tuple[int, Feature]]:
        return [
            (column, feature)
            for column, feature in enumerate(self.features)
            if not isinstance(feature.term, Count | Since)
        ]

    def _category(self, asof: AsOf, feature: Feature, term: Category) -> Floats:
        last = asof.last[:, self._code_of[term.code]]
        history = asof.history
        is_field = term.code.startswith("field:")
        column, strings = (
            (history.text, history.texts) if is_field else (history.name, history.names)
        )
        codes = asof.string_code(column, last)
        return self.vocabulary.category(feature.name, codes, strings)

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {"names": list(self.names), "vocabulary": self.vocabulary.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FeatureSet:
        """The inverse of `to_json`."""
        return cls(Vocabulary.from_json(value["vocabulary"]), tuple(value["names"]))


class _Block:
    """All features of one kind of term, looked up together."""

    def __init__(
        self,
        features: tuple[Feature, ...],
        kind: type[Count] | type[Since],
        code_of: Mapping[str, int],
    ) -> None:
        columns: list[int] = []
        codes: list[int] = []
        windows: list[int] = []
        start: list[int] = []
        for column, feature in enumerate(features):
            term = feature.term
            if isinstance(term, Count | Since) and isinstance(term, kind):
                columns.append(column)
                start.append(len(codes))
                codes.extend(code_of[code] for code in term.codes)
                days = term.days if isinstance(term, Count) else None
                window = len(WINDOWS_DAYS) if days is None else WINDOWS_DAYS.index(days)
                windows.extend([window] * len(term.codes))
        self.size = len(columns)
        self.columns = np.array(columns, dtype=np.int64)
        self._codes = np.array(codes, dtype=np.int64)
        self._windows = np.array(windows, dtype=np.int64)
        self._start = np.array(start, dtype=np.int64)

    def sum(self, asof: AsOf) -> Floats:
        """Events counted over each feature's codes, NaN where none is carried. (S, n)."""
        counts = np.add.reduceat(asof.recent[self._windows, :, self._codes], self._start, axis=0)
        if asof.carried is not None:
            carried = np.logical_or.reduceat(asof.carried[:, self._codes].T, self._start, axis=0)
            counts = np.where(carried, counts, np.nan)
        return np.asarray(counts.T)

    def nearest(self, asof: AsOf) -> Floats:
        """Days since the latest event of each feature's codes, NaN where none. (S, n)."""
        since = asof.since_days[:, self._codes]
        return np.asarray(np.fmin.reduceat(since, self._start, axis=1))


def _all_features(vocabulary: Vocabulary) -> tuple[Feature, ...]:
    """The catalogue, and what this company's data adds to it."""
    known = vocabulary.categories.keys() | FIXED_CATEGORIES.keys()
    features = [f for f in CATALOGUE if not f.is_category or f.name in known]
    features += [f for _, f in CALENDAR if f.name in vocabulary.calendar]
    for name in vocabulary.activities:
        features.append(
            Feature(
                name=f"activity:{name}:count",
                unit="events",
                question=f"{name} in all",
                direction=0,
                missing="no source of the deal carries activities",
                phrase=f"{_escaped(name)}: {{value}} in all",
                term=Count(codes=(f"activity:{name}",)),
            )
        )
        features.append(
            Feature(
                name=f"activity:{name}:days",
                unit="days",
                question=f"days since {name}",
                direction=0,
                missing="it never happened",
                phrase=f"{_escaped(name)}: {{value}} days ago",
                term=Since(codes=(f"activity:{name}",)),
            )
        )
    for name in vocabulary.number_fields:
        features.append(
            Feature(
                name=f"field:{name}",
                unit="number",
                question=name,
                direction=0,
                missing="not filled in",
                phrase=f"{_escaped(name)} is {{value}}",
                term=NumberField(code=f"field:{name}"),
            )
        )
    for name in vocabulary.text_fields:
        features.append(
            Feature(
                name=f"field:{name}",
                unit="category",
                question=name,
                direction=0,
                missing="not filled in",
                phrase=f"{_escaped(name)} is {{value}}",
                term=Category(code=f"field:{name}"),
            )
        )
    return tuple(features)


def _escaped(name: str) -> str:
    return name.replace("{", "{{").replace("}", "}}")
