"""A hypothetical event: something that may happen to an open deal, as people write it.

It is written as its kind and what the kind says: ``customer_replied``, ``meeting_held onsite``,
``close_date_changed 2026-06-30``, ``milestone_moved security review 2026-04-15``,
``stage_changed Negotiation = 4``. What becomes of a deal when it happens is for
`model.supposition` to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from math import isfinite
from typing import Final

from model.errors import WhatIfError
from model.events import EARLIEST_DATE, LATEST_DATE, NEEDS
from model.feature import name_in_words, number_in_words

MISSED: Final = "milestone_missed"
CLOSINGS: Final = ("deal_opened", "deal_won", "deal_lost", "deal_reopened")
MEETINGS: Final = ("onsite", "remote")
# What a kind may say beside what it must.
_MORE: Final[dict[str, tuple[str, ...]]] = {
    "meeting_held": ("name",),
    "competitor_named": ("name",),
    "next_step_changed": ("text",),
    "stage_changed": ("number",),
    "field_changed": ("text", "number"),
}
TAKES: Final[dict[str, tuple[str, ...]]] = {
    kind: (*needs, *_MORE.get(kind, ())) for kind, needs in NEEDS.items() if kind not in CLOSINGS
} | {MISSED: ("name",)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothetical:
    """What is supposed to happen.

    Parameters
    ----------
    kind
        A key of `TAKES`: a kind of event that leaves a deal open, or ``milestone_missed``.
    name, text, number, date
        The kind's values, as in `model.events.KINDS`.

    Raises
    ------
    WhatIfError
        If the kind cannot be supposed, lacks a value, or takes none of that sort.

    Examples
    --------
    >>> Hypothetical(kind="close_date_changed", date=date(2026, 6, 30)).notation
    'close_date_changed 2026-06-30'
    """

    kind: str
    name: str | None = None
    text: str | None = None
    number: float | None = None
    date: date | None = None

    def __post_init__(self) -> None:
        if self.kind in CLOSINGS:
            raise WhatIfError(
                f"kind {self.kind!r}",
                "something that leaves an open deal open",
                "ask what would move it; a deal that closes has no probability",
            )
        if self.kind not in TAKES:
            raise WhatIfError(
                f"kind {self.kind!r}", "one of " + ", ".join(TAKES), "choose one of these"
            )
        for column in NEEDS.get(self.kind, ("name",)):
            if getattr(self, column) in (None, ""):
                raise WhatIfError(
                    f"{self.kind} without {column}", _form(self.kind), f"give the {column}"
                )
        for column in ("name", "text", "number", "date"):
            value = getattr(self, column)
            if value is not None and column not in TAKES[self.kind]:
                raise WhatIfError(
                    f"{column} {_shown(value)!r} of {self.kind}", _form(self.kind), "leave it out"
                )
        if self.kind == "meeting_held" and self.name not in (None, *MEETINGS):
            raise WhatIfError(
                f"name {self.name!r} of a meeting", "onsite or remote", "say where, or nothing"
            )
        if self.number is not None and not isfinite(self.number):
            raise WhatIfError(f"number {self.number!r}", "a finite number", "correct it")
        if self.kind == "amount_changed" and self.number is not None and self.number < 0:
            raise WhatIfError(
                f"amount {_shown(self.number)}", "0 or more", "give the whole amount, not a change"
            )
        if self.date is not None and not EARLIEST_DATE <= self.date < LATEST_DATE:
            raise WhatIfError(
                f"date {self.date} of {self.kind}",
                f"one from {EARLIEST_DATE} to {LATEST_DATE - timedelta(days=1)}",
                "correct it",
            )

    @property
    def notation(self) -> str:
        """As `parse_hypothetical` reads it."""
        parts = [self.kind]
        if self.name is not None:
            parts.append(self.name)
        if self.kind in ("stage_changed", "field_changed"):
            value = self.number if self.text is None else self.text
            parts += [] if value is None else ["=", _shown(value)]
        else:
            values = (self.text, self.number, self.date)
            parts += [_shown(value) for value in values if value is not None]
        return " ".join(parts)

    @property
    def phrase(self) -> str:
        """In words.

        Examples
        --------
        >>> Hypothetical(kind="milestone_reached", name="security review").phrase
        'milestone reached: security review'
        >>> Hypothetical(kind="field_changed", name="lead_source", text="partner").phrase
        'lead source changed: partner'
        """
        kind, _, values = self.notation.partition(" ")
        words = kind.replace("_", " ")
        if kind == "field_changed" and self.name is not None:
            words = f"{name_in_words(self.name)} changed"
            values = values.partition(" = ")[2]
        elif kind == "stage_changed" and self.name is not None:
            values = self.name  # without its order
        elif self.number is not None:
            values = number_in_words(self.number)
        return f"{words}: {values}" if values else words


def parse_hypothetical(text: str) -> Hypothetical:
    """Read an event as people write it.

    Parameters
    ----------
    text
        The kind, then what it says: a name, a date last, a number; ``NAME = VALUE`` for a field,
        and for a stage with its order.

    Raises
    ------
    WhatIfError
        If it cannot be read or supposed.

    Examples
    --------
    >>> parse_hypothetical("milestone_moved security review 2026-04-15").name
    'security review'
    >>> parse_hypothetical("field_changed seats = 40").number
    40.0
    """
    kind, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    takes = TAKES.get(kind)
    if takes is None:
        return Hypothetical(kind=kind)  # says what is wrong with it
    name: str | None = rest or None
    if "date" in takes:
        before, _, last = rest.rpartition(" ")
        return Hypothetical(kind=kind, name=before.strip() or None, date=_date(kind, last))
    if kind == "amount_changed":
        return Hypothetical(kind=kind, number=None if name is None else _number(kind, rest))
    if kind in ("stage_changed", "field_changed") and "=" in rest:
        name, value = (part.strip() for part in rest.split("=", 1))
        if kind == "stage_changed":
            return Hypothetical(kind=kind, name=name, number=_number(kind, value))
        try:
            number = float(value)
        except ValueError:
            number = None
        return Hypothetical(kind=kind, name=name, text=value, number=number)
    if "name" not in takes and "text" not in takes and name is not None:
        raise WhatIfError(f"{kind} with {rest!r}", _form(kind), "leave it out")
    if "name" not in takes:
        return Hypothetical(kind=kind, text=name)
    return Hypothetical(kind=kind, name=name)


def _shown(value: str | float | date) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _date(kind: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise WhatIfError(
            f"date {text!r} of {kind}", _form(kind), "write the date last, as 2026-03-31"
        ) from error


def _number(kind: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise WhatIfError(f"number {text!r} of {kind}", _form(kind), "write digits") from error


def _form(kind: str) -> str:
    """How the notation of a kind goes."""
    takes = TAKES[kind]
    if kind == "field_changed":
        return f"{kind} NAME = VALUE"
    if kind == "stage_changed":
        return f"{kind} NAME, or NAME = ORDER"
    words = {"name": "NAME", "date": "2026-03-31", "number": "NUMBER", "text": "TEXT"}
    said = [words[column] for column in ("name", "text", "number", "date") if column in takes]
    return " ".join([kind, *said]) if said else f"{kind} alone"
