"""The words that a company's own data adds to the catalogue: activities, fields, categories.

Learned once at training, kept in the artifact, and applied to every history alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.events import KIND_CODES, KINDS
from model.history import NONE, Floats, History, Ints

OTHER: Final = "(other)"  # stands for categories seen in training but too rare to learn from
UNSEEN: Final = -1  # the matrix's code of a category that training never saw
FEW: Final = 64  # below this many look-ups, looking each up beats a table of all
KIND_OF_ACTIVITY: Final = KIND_CODES["activity_logged"]
KIND_OF_FIELD: Final = KIND_CODES["field_changed"]
KIND_NAMES: Final = tuple(KINDS)
FOLLOWED: Final = (  # kinds that features follow from one event to the next
    "deal_won",
    "deal_lost",
    "stage_changed",
    "amount_changed",
    "close_date_changed",
    "customer_replied",
    "auto_reply_received",
    "message_sent",
    "meeting_held",
    "internal_update_posted",
    "internal_update_requested",
    "milestone_set",
    "milestone_moved",
    "milestone_reached",
    "milestone_dropped",
    "commercial_talks_started",
    "technical_validation_started",
    "technical_validation_passed",
    "technical_validation_failed",
)
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
    def own_codes(self) -> dict[tuple[int, str], int]:
        """The code of each (kind, name) that has one of its own."""
        named = [(KIND_OF_ACTIVITY, name) for name in self.activities]
        named += [(KIND_OF_FIELD, name) for name in self.number_fields + self.text_fields]
        return {each: len(KINDS) + i for i, each in enumerate(named)}

    @cached_property
    def code_names(self) -> tuple[str, ...]:
        """The name of every code: a kind, an activity's or a field's name."""
        return (*KINDS, *self.activities, *self.number_fields, *self.text_fields)

    @cached_property
    def kind_of_code(self) -> Ints:
        """The kind that each code is of. Shape (C,)."""
        own = [kind for kind, _ in self.own_codes]
        return np.array([*range(len(KINDS)), *own], dtype=np.int64)

    @cached_property
    def is_followed(self) -> NDArray[np.bool_]:
        """Whether each code is one of `FOLLOWED`. Shape (C,)."""
        return np.isin(self.kind_of_code, [KIND_CODES[kind] for kind in FOLLOWED])

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
            of_kind = {name: c for (k, name), c in own.items() if k == kind}
            code[rows] = look_up(history.name[rows][None], names, [of_kind], kind, kind)[0]
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

    def category_rows(self, features: Sequence[str], codes: Ints, strings: Sequence[str]) -> Floats:
        """Each feature's codes of strings; NaN where missing, `UNSEEN` where never seen.

        Parameters
        ----------
        features
            Keys of `categories`. Length n.
        codes
            Codes into `strings`, -1 where missing. Shape (n, S).

        Returns
        -------
        ndarray
            Of shape (n, S).
        """
        own = [self.category_codes[feature] for feature in features]
        return look_up(codes, strings, own, UNSEEN, np.nan)

    @cached_property
    def event_categories(self) -> Floats:
        """The category of ``last_event`` for each code, and NaN. Shape (C + 1,)."""
        codes = np.append(np.arange(self.size), NONE)
        rows = self.category_rows(["last_event"], codes[None], self.code_names)
        return np.asarray(rows[0])

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
    codes: Ints,
    strings: Sequence[str],
    own: Sequence[Mapping[str, int]],
    unknown: float,
    missing: float,
) -> Floats:
    """Translate codes of strings into codes of one's own.

    Parameters
    ----------
    codes
        Codes into `strings`, -1 where missing. Shape (n, S).
    own
        For each row the codes to translate to. Length n.

    Examples
    --------
    >>> look_up(np.array([[1, 0, -1]]), ["call", "demo"], [{"demo": 7}], -1, -2).tolist()
    [[7.0, -1.0, -2.0]]
    """
    if codes.size < FEW:
        found = [
            [mine.get(strings[c], unknown) if c >= 0 else missing for c in row]
            for mine, row in zip(own, codes.tolist(), strict=True)
        ]
        return np.array(found, dtype=np.float64)
    # A history may know far more strings than are asked for here: only those are looked at.
    translated = np.empty(codes.shape)
    for to, mine, row in zip(translated, own, codes, strict=True):
        asked = np.zeros(len(strings) + 1, dtype=bool)
        asked[row] = True
        table = np.full(len(strings) + 1, missing)
        for code in asked[:-1].nonzero()[0].tolist():
            table[code] = mine.get(strings[code], unknown)
        to[:] = table[row]
    return translated
