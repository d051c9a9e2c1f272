"""The words that a company's own data adds to the catalogue: activities, fields, categories.

Learned once at training, kept in the artifact, and applied to every history alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from model.events import KIND_CODES, KINDS
from model.history import History, Ints

OTHER: Final = "(other)"  # stands for categories seen in training but too rare to learn from
NEVER_SEEN: Final = "(never seen)"  # stands for categories that training never saw
UNSEEN: Final = -1  # the matrix's code of a category that training never saw
FEW: Final = 64  # below this many look-ups, looking each up beats a table of all
KIND_OF_ACTIVITY: Final = KIND_CODES["activity_logged"]
KIND_OF_FIELD: Final = KIND_CODES["field_changed"]
KINDS_WITH_NAMES: Final = (KIND_OF_ACTIVITY, KIND_OF_FIELD)  # whose names are codes


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The names that have features of their own.

    Parameters
    ----------
    activities
        Names of `activity_logged` with counts of their own.
    number_fields
        Names of `field_changed` read as numbers.
    text_fields
        Names of `field_changed` read as categories.
    categories
        For each categorical feature its values in the order of their codes.
    rare
        For each categorical feature the values that count as `OTHER`.
    crowded
        The categorical features with too many such values to remember: there a value that is no
        category counts as `OTHER`, whether training saw it or not.
    calendar
        The calendar features that the training data was long enough to learn.
    """

    activities: tuple[str, ...] = ()
    number_fields: tuple[str, ...] = ()
    text_fields: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rare: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    crowded: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()

    @cached_property
    def size(self) -> int:
        """How many codes there are: the kinds, the activities, the fields."""
        return len(KINDS) + len(self.activities) + len(self.number_fields) + len(self.text_fields)

    @cached_property
    def own_codes(self) -> dict[tuple[int, str], int]:
        """The code of each (kind, name) that has one of its own."""
        named = [(KIND_OF_ACTIVITY, name) for name in self.activities]
        named += [(KIND_OF_FIELD, name) for name in self.number_fields + self.text_fields]
        return {each: len(KINDS) + i for i, each in enumerate(named)}

    @cached_property
    def code_names(self) -> tuple[str, ...]:
        """The name of every code: a kind, an activity's or a field's name."""
        return (*KINDS, *self.activities, *self.number_fields, *self.text_fields)

    def codes(self, history: History) -> Ints:
        """Every row's code: its kind, or its activity's or field's own code. Shape (N,)."""
        own, names = self.own_codes, history.names
        if history.kind.size < FEW:
            kinds, name = history.kind.tolist(), history.name.tolist()
            found = [
                own.get((k, names[n]), k) if k in KINDS_WITH_NAMES and n >= 0 else k
                for k, n in zip(kinds, name, strict=True)
            ]
            return np.array(found, dtype=np.int64)
        code = history.kind.copy()
        for kind in KINDS_WITH_NAMES:
            rows = np.flatnonzero((history.kind == kind) & (history.name >= 0))
            table = np.array([own.get((kind, name), kind) for name in names], dtype=np.int64)
            code[rows] = table[history.name[rows]]
        return code

    @cached_property
    def category_codes(self) -> dict[str, dict[str, int]]:
        """For each categorical feature the code of each value, rare ones as `OTHER`."""
        codes = {}
        for name, values in self.categories.items():
            own = {value: code for code, value in enumerate(values)}
            own.update(dict.fromkeys(self.rare.get(name, ()), own.get(OTHER, UNSEEN)))
            codes[name] = own
        return codes

    def new_code(self, feature: str) -> int:
        """The code of a value of a categorical feature that `category_codes` does not know.

        Examples
        --------
        >>> words = Vocabulary(categories={"stage": ("new", OTHER)}, crowded=("stage",))
        >>> words.new_code("stage")
        1
        """
        return self.category_codes[feature][OTHER] if feature in self.crowded else UNSEEN

    @cached_property
    def event_categories(self) -> list[float]:
        """The category of ``last_event`` for each code."""
        own = self.category_codes["last_event"]
        return [float(own.get(name, UNSEEN)) for name in self.code_names]

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {
            "activities": list(self.activities),
            "number_fields": list(self.number_fields),
            "text_fields": list(self.text_fields),
            "categories": {name: list(values) for name, values in self.categories.items()},
            "rare": {name: list(values) for name, values in self.rare.items()},
            "crowded": list(self.crowded),
            "calendar": list(self.calendar),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Vocabulary:
        """The inverse of `to_json`."""
        return cls(
            activities=tuple(value["activities"]),
            number_fields=tuple(value["number_fields"]),
            text_fields=tuple(value["text_fields"]),
            categories={name: tuple(values) for name, values in value["categories"].items()},
            rare={name: tuple(values) for name, values in value["rare"].items()},
            crowded=tuple(value.get("crowded", ())),
            calendar=tuple(value["calendar"]),
        )
