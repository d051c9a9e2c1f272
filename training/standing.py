"""How deals stood at given moments, in words: stage, owner, forecast category, amount, age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np

from model.asof import AsOf, Snapshot
from model.events import DAY_US
from model.history import NONE, Floats, History, Ints
from model.vocabulary import Vocabulary

KIND_OF_WORD: Final = {
    "stage": "stage_changed",
    "owner": "owner_changed",
    "pipeline": "pipeline_changed",
    "forecast_category": "forecast_category_changed",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """Deals at moments, as known then. All arrays of shape (R,).

    Parameters
    ----------
    words
        For each of `KIND_OF_WORD`, and ``field:NAME`` for text fields asked for, codes into
        `spelt`; -1 where none was known.
    spelt
        For each of `words` what its codes stand for.
    age_days
        Since the deal was opened; NaN if the opening is not known.
    amount
        In the deal's currency; NaN where none is known.
    close_days
        To the end of the planned close date, negative when overdue; NaN where none is known.
    """

    words: dict[str, Ints]
    spelt: dict[str, Sequence[str]]
    age_days: Floats
    amount: Floats
    close_days: Floats

    def take(self, rows: Ints) -> Standing:
        """Some of the rows."""
        return Standing(
            words={name: codes[rows] for name, codes in self.words.items()},
            spelt=self.spelt,
            age_days=self.age_days[rows],
            amount=self.amount[rows],
            close_days=self.close_days[rows],
        )

    @classmethod
    def joined(cls, parts: Sequence[Standing]) -> Standing:
        """The rows of several; a field that only some looked up is unknown in the others."""
        names = {name: part.spelt[name] for part in parts for name in part.words}
        return cls(
            words={
                name: np.concatenate(
                    [part.words.get(name, np.full(len(part.amount), NONE)) for part in parts]
                )
                for name in names
            },
            spelt=names,
            age_days=np.concatenate([part.age_days for part in parts]),
            amount=np.concatenate([part.amount for part in parts]),
            close_days=np.concatenate([part.close_days for part in parts]),
        )

    def word(self, name: str, row: int) -> str | None:
        """What a code of one row stands for."""
        code = int(self.words[name][row])
        return None if code == NONE else self.spelt[name][code]


def standing_of(
    history: History, deal: Ints, as_of: Ints, text_fields: Sequence[str] = ()
) -> Standing:
    """Look up how deals stood.

    Parameters
    ----------
    history
        The events; what was known later than a moment is not looked at.
    deal
        Index into ``history.deal_ids``; side by side, rows of one deal are quicker. Shape (R,).
    as_of
        Microseconds since 1970 UTC. Shape (R,).
    text_fields
        Names of `field_changed` to look up too.
    """
    vocabulary = Vocabulary(text_fields=tuple(text_fields))
    fields = {f"field:{name}": code for (_, name), code in vocabulary.own_codes.items()}
    asof = AsOf(history, vocabulary, vocabulary.codes(history), deal, as_of)
    words: dict[str, list[int]] = {name: [] for name in (*KIND_OF_WORD, *fields)}
    numbers: list[tuple[float, float, float]] = []
    for snapshot in asof.snapshots:
        for name, kind in KIND_OF_WORD.items():
            rows = snapshot.of(kind)
            words[name].append(snapshot.deal.name[rows[-1]] if rows else NONE)
        for name, code in fields.items():
            rows = snapshot.by_code.get(code, [])
            words[name].append(snapshot.deal.text[rows[-1]] if rows else NONE)
        numbers.append(_numbers(snapshot))
    columns = np.array(numbers, dtype=np.float64).reshape(-1, 3).T
    return Standing(
        words={name: np.array(codes, dtype=np.int64) for name, codes in words.items()},
        spelt={
            name: history.texts if name in fields else history.names
            for name in (*KIND_OF_WORD, *fields)
        },
        age_days=columns[0].copy(),
        amount=columns[1].copy(),
        close_days=columns[2].copy(),
    )


def _numbers(snapshot: Snapshot) -> tuple[float, float, float]:
    opened, planned = snapshot.of("deal_opened"), snapshot.of("close_date_changed")
    now = snapshot.as_of / DAY_US
    return (
        now - snapshot.deal.occurred[opened[-1]] / DAY_US if opened else nan,
        snapshot.number("amount_changed"),
        snapshot.deal.date[planned[-1]] + 1.0 - now if planned else nan,
    )
