"""The words that a company's own data adds to the catalogue: activities, fields, categories.

Learned once at training, kept in the artifact, and applied to every history alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from model.events import KIND_CODES, KINDS
from model.history import NONE, Floats, History, Ints

OTHER: Final = "(other)"  # stands for categories seen in training but too rare to learn from
UNSEEN: Final = -1.0  # the matrix's code of a category that training never saw
FEW: Final = 64  # below this many look-ups, looking each up beats a table of all
KIND_OF_ACTIVITY: Final = KIND_CODES["activity_logged"]
KIND_OF_FIELD: Final = KIND_CODES["field_changed"]


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The names that have features of their own.

    Parameters
    ----------
    activities
        Names of `activity_logged` with counts of their own.
    number_fields
        Names of `field_changed` read as numbers.
    categories
        For each categorical feature its values in the order of their codes.
    rare
        For each categorical feature the values that count as `OTHER`.
    calendar
        The calendar features that the training data was long enough to learn.
    """

    activities: tuple[str, ...] = ()
    number_fields: tuple[str, ...] = ()
    text_fields: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rare: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calendar: tuple[str, ...] = ()

    @cached_property
    def size(self) -> int:
        """How many codes there are: the kinds, the activities, the fields."""
        return len(KINDS) + len(self.activities) + len(self.number_fields) + len(self.text_fields)

    @cached_property
    def activity_codes(self) -> dict[str, int]:
        """The code of each activity with a name of its own."""
        return {name: len(KINDS) + i for i, name in enumerate(self.activities)}

    @cached_property
    def field_codes(self) -> dict[str, int]:
        """The code of each field with a feature of its own."""
        first = len(KINDS) + len(self.activities)
        return {name: first + i for i, name in enumerate(self.number_fields + self.text_fields)}

    @cached_property
    def code_names(self) -> tuple[str, ...]:
        """The name of every code: a kind, an activity's or a field's name."""
        return (*KINDS, *self.activities, *self.number_fields, *self.text_fields)

    def codes(self, history: History) -> Ints:
        """Every row's code: its kind, or its activity's or field's own code. Shape (N,)."""
        code = history.kind
        for kind, own in (
            (KIND_OF_ACTIVITY, self.activity_codes),
            (KIND_OF_FIELD, self.field_codes),
        ):
            if own:
                rows = np.flatnonzero(history.kind == kind)
                if rows.size:
                    code = code.copy() if code is history.kind else code
                    code[rows] = look_up(history.name[rows], history.names, own, kind, kind)
        return code

    @cached_property
    def category_codes(self) -> dict[str, dict[str, int]]:
        """For each categorical feature the code of each value, rare ones as `OTHER`."""
        codes = {}
        for name, values in self.categories.items():
            own = {value: code for code, value in enumerate(values)}
            own.update(dict.fromkeys(self.rare.get(name, ()), own.get(OTHER, NONE)))
            codes[name] = own
        return codes

    def category(self, feature: str, codes: Ints, strings: Sequence[str]) -> Floats:
        """The feature's codes of strings; NaN where missing, `UNSEEN` where never seen.

        Parameters
        ----------
        feature
            A key of `categories`.
        codes
            Codes into `strings`, -1 where missing. Shape (S,).
        """
        own = self.category_codes[feature]
        found = look_up(codes, strings, own, NONE, len(own) + 1)
        return np.where(found > len(own), np.nan, found.astype(np.float64))

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {
            "activities": list(self.activities),
            "number_fields": list(self.number_fields),
            "text_fields": list(self.text_fields),
            "categories": {name: list(values) for name, values in self.categories.items()},
            "rare": {name: list(values) for name, values in self.rare.items()},
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
            calendar=tuple(value["calendar"]),
        )


def look_up(
    codes: Ints, strings: Sequence[str], own: Mapping[str, int], unknown: int, missing: int
) -> Ints:
    """Translate codes of strings into codes of `own`.

    Examples
    --------
    >>> look_up(np.array([1, 0, -1]), ["call", "demo"], {"demo": 7}, -1, -2).tolist()
    [7, -1, -2]
    """
    if codes.size < FEW:
        found = [own.get(strings[c], unknown) if c >= 0 else missing for c in codes.tolist()]
        return np.array(found, dtype=np.int64)
    table = np.array([own.get(s, unknown) for s in strings] + [missing], dtype=np.int64)
    return table[codes]
