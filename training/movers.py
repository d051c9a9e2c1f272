"""What a change of models does to each open deal's score, before it is in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.history import Floats


@dataclass(frozen=True, kw_only=True)
class Mover:
    """An open deal whose score changes with the model.

    Parameters
    ----------
    deal_id
        The deal.
    before, after
        Its probability under the champion and under the challenger.
    """

    deal_id: str
    before: float
    after: float

    @property
    def shift(self) -> float:
        """By how much it changes."""
        return self.after - self.before


def movers(deal_ids: Sequence[str], before: Floats, after: Floats) -> list[Mover]:
    """Every open deal with its scores under both models, the largest shift first.

    Examples
    --------
    >>> from numpy import array
    >>> [each.deal_id for each in movers(["A", "B"], array([0.2, 0.3]), array([0.3, 0.1]))]
    ['B', 'A']
    """
    found = [
        Mover(deal_id=deal_id, before=float(a), after=float(b))
        for deal_id, a, b in zip(deal_ids, before, after, strict=True)
    ]
    return sorted(found, key=lambda mover: (-abs(mover.shift), mover.deal_id))
