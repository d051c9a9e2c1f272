"""A feature: where its value comes from, how it may push, and what a driver says of it.

A feature's value comes from a *term*: `Count`, `Since` and their like are looked up for all
features alike (`model.terms`), `Computed` is a function of its own. A direction says how
the probability may move as the value rises: +1 up, -1 down, 0 either way. Missing is NaN and
never zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from model.asof import Snapshot

NOT_CARRIED: Final = "no source of the deal carries it"


@dataclass(frozen=True, kw_only=True)
class Count:
    """Events of any of the codes, or of all if none is named, within `days` or in all.

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
    """The last thing that happened, as a code of the vocabulary."""


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
        What a driver says, with ``{value}``; `zero` and `one` replace it for 0 and 1.
    term
        Where the value comes from.
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

    @property
    def is_category(self) -> bool:
        """Whether the value is a code of the vocabulary."""
        return self.unit == "category"


def say(feature: Feature, value: float | str | None) -> str:
    """The feature's phrase for a value.

    Examples
    --------
    >>> silence = Feature(name="silence_days", unit="days", direction=-1, missing="no feed",
    ...                   question="days since the last real customer contact",
    ...                   phrase="no real customer contact for {value} days",
    ...                   term=Since(codes=("customer_replied",)))
    >>> say(silence, 23.2)
    'no real customer contact for 23 days'
    >>> say(silence, None)
    'days since the last real customer contact: not known'
    """
    if value is None:
        return f"{feature.question}: not known"
    if isinstance(value, str):
        return feature.phrase.format(value=value)
    if value == 0 and feature.zero is not None:
        return feature.zero
    if value == 1 and feature.one is not None:
        return feature.one
    if feature.unit in ("days", "events", "people", "milestones"):
        shown = f"{value:.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"
        return feature.phrase.format(value=shown)
    if feature.unit == "share":
        return feature.phrase.format(value=f"{value:.0%}")
    return feature.phrase.format(value=f"{value:,.6g}")
