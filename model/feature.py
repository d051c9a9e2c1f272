"""A feature: where its value comes from, how it may push, and what a driver says of it.

A feature's value comes from a *term*: `Count`, `Since` and their like are looked up for all
features alike (`model.terms`), `Computed` is a function of its own. A direction says how
the probability may move as the value rises: +1 up, -1 down, 0 either way. Missing is NaN and
never zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from model.asof import Snapshot
from model.vocabulary import NEVER_SEEN, OTHER

NOT_CARRIED: Final = "no source of the deal carries it"
CATEGORY_WORDS: Final = {
    OTHER: "one that few earlier deals had",
    NEVER_SEEN: "one that no earlier deal had",
}


@dataclass(frozen=True, kw_only=True)
class Count:
    """Events of any of the codes, or all activity if none is named, within `days` or in all.

    At most `most`. Missing if no feed of the deal carries any of the codes.
    """

    codes: tuple[str, ...]
    days: int | None = None
    most: float = float("inf")


@dataclass(frozen=True, kw_only=True)
class Since:
    """Days since the last event of any of the codes; missing if there was none."""

    codes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NumberField:
    """The last value of a numeric field."""

    code: str


@dataclass(frozen=True, kw_only=True)
class Category:
    """The last name of a kind, as a code of the vocabulary."""

    code: str


@dataclass(frozen=True, kw_only=True)
class FieldCategory:
    """The last text of a field, as a code of the vocabulary."""

    code: str


@dataclass(frozen=True, kw_only=True)
class LastEvent:
    """The last activity, as a code of the vocabulary."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """The win rate of the deal's "owner" or "account"."""

    who: str


@dataclass(frozen=True, kw_only=True)
class Computed:
    """A function of a snapshot.

    Parameters
    ----------
    compute
        Answers the value, NaN where it is missing.
    reads
        Where no event of these kinds is known, the value is that of a deal never heard of.
        None named: it is computed always.
    carriers
        Missing if no feed carries any of these kinds, where some are named.
    """

    compute: Callable[[Snapshot], float]
    reads: tuple[str, ...] = ()
    carriers: tuple[str, ...] = ()


Term = Count | Since | NumberField | Category | FieldCategory | LastEvent | Rate | Computed


@dataclass(frozen=True, kw_only=True)
class Feature:
    """An entry of the catalogue.

    Parameters
    ----------
    name
        Its column, with the unit where there is one.
    unit
        ``days``, ``events``, ``share``, ``category`` and the like.
    question
        What it answers.
    direction
        How the probability may move as it rises: +1, -1, or 0 for either way.
    missing
        What a missing value means.
    phrase
        What a driver says, with ``{value}``, or with ``{days}`` for a number of days in words;
        `zero`, `one` and `negative` replace it for 0, for 1, and below 0 (then of the value
        without its sign).
    term
        Where the value comes from.
    unknown
        What a driver says where the value is missing.
    words
        What stands for a category in the phrase, where it is not its own name.
    in_words
        What stands for a number in the phrase, where it is not the number.
    """

    name: str
    unit: str
    question: str
    direction: int
    missing: str
    phrase: str
    term: Term
    zero: str | None = None
    one: str | None = None
    negative: str | None = None
    unknown: str | None = None
    words: tuple[tuple[str, str], ...] = ()
    in_words: Callable[[float], str] | None = None

    @property
    def is_category(self) -> bool:
        """Whether the value is a code of the vocabulary."""
        return self.unit == "category"


def say(feature: Feature, value: float | str | None) -> str:
    """The feature's phrase for a value: a fragment that a sales leader reads at once.

    Examples
    --------
    >>> silence = Feature(name="silence_days", unit="days", direction=-1, missing="no feed",
    ...                   question="days since the last real customer contact",
    ...                   phrase="no real customer contact for {days}",
    ...                   unknown="customer contact is not on record",
    ...                   term=Since(codes=("customer_replied",)))
    >>> [say(silence, days) for days in (23.2, 1.0, 0.25)]
    ['no real customer contact for 23 days', 'no real customer contact for 1 day', \
'no real customer contact for less than a day']
    >>> say(silence, None)
    'customer contact is not on record'
    """
    if value is None:
        return feature.unknown or f"{feature.question}: not on record"
    if isinstance(value, str):
        word = dict(feature.words).get(value, CATEGORY_WORDS.get(value, value))
        return feature.phrase.format(value=word)
    if feature.in_words is not None:
        return feature.phrase.format(value=feature.in_words(value))
    if value == 0 and feature.zero is not None:
        return feature.zero
    if value == 1 and feature.one is not None:
        return feature.one
    phrase = feature.phrase
    if value < 0 and feature.negative is not None:
        phrase, value = feature.negative, -value
    if "{days}" in phrase:
        return phrase.format(days=days_in_words(value))
    shown = f"{value:.0%}" if feature.unit == "share" else number_in_words(value)
    return phrase.format(value=shown)


def name_in_words(name: str) -> str:
    """The name of a CRM's field or activity as people say it.

    Examples
    --------
    >>> [name_in_words(name) for name in ("lead_source", "LeadSource", "Number_of_Seats__c", "ARR")]
    ['lead source', 'lead source', 'number of seats', 'ARR']
    """
    bare = re.sub(r"__[a-z]$", "", name)  # as Salesforce ends the names of a company's own fields
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", bare)
    words = re.split(r"[\s_]+", spaced.strip("_ ")) if spaced.strip("_ ") else [name]
    return " ".join(word if word[1:] != word[1:].lower() else word.lower() for word in words)


def counted(count: float, noun: str, nouns: str = "") -> str:
    """A count with its noun, in the plural but for one.

    Parameters
    ----------
    nouns
        The plural; empty: the noun with an s.

    Examples
    --------
    >>> counted(1, "open deal"), counted(1200, "open deal"), counted(0.5, "day")
    ('1 open deal', '1,200 open deals', '0.5 days')
    """
    told = number_in_words(count)
    return f"{told} {noun if told == '1' else nouns or f'{noun}s'}"


def days_in_words(days: float) -> str:
    """A length of time as people say it.

    Examples
    --------
    >>> [days_in_words(days) for days in (0.0, 0.99, 1.0, 1.6, 23.2)]
    ['less than a day', 'less than a day', '1 day', '2 days', '23 days']
    """
    if abs(days) < 1.0:
        return "less than a day"
    whole = f"{days:,.0f}"
    return "1 day" if whole == "1" else f"{whole} days"


def number_in_words(value: float) -> str:
    """A number as people write it: whole from a thousand on, with commas, never 1.2e+06.

    Examples
    --------
    >>> [number_in_words(value) for value in (3.0, 0.25, 1234567.8, 1e300)]
    ['3', '0.25', '1,234,568', '1e+300']
    """
    large = 1e3 <= abs(value) < 1e15
    return f"{value:,.0f}" if large else f"{value:.3g}" if abs(value) >= 1e15 else f"{value:.6g}"
