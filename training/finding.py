"""What one look at a model in force found, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

State = Literal["well", "unknown", "told", "retrain", "broken"]
RANKS: Final[dict[State, int]] = {"well": 0, "unknown": 1, "told": 2, "retrain": 3, "broken": 4}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one look found.

    Parameters
    ----------
    name
        ``freshness``, ``calibration``, ``drift``, ``forecast``, ``win rate``, ``closings`` ...
    state
        ``well``; ``unknown``, too little came to judge; ``told``, worth a look; ``retrain``; or
        ``broken``: the data cannot be trusted.
    words
        The finding with its figures.
    """

    name: str
    state: State
    words: str
