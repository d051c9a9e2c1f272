"""Many moments scored part by part, so that what is held of them stays small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from model.feeds import Feeds
from model.history import History, Ints
from model.scored import Scored
from model.scorer import Scorer

ROWS_AT_ONCE: Final = 20_000


def parts(rows: int) -> int:
    """In how many parts so many rows are scored.

    Examples
    --------
    >>> parts(0), parts(20_000), parts(20_001)
    (0, 1, 2)
    """
    return -(-rows // ROWS_AT_ONCE)


def scored_parts(
    scorer: Scorer,
    history: History,
    deal: Ints,
    as_of: Ints,
    feeds: Feeds,
    *,
    checked: bool = False,
) -> Iterator[tuple[slice, Scored]]:
    """Each part of the moments, and what scoring it answers.

    Parameters
    ----------
    deal, as_of
        Index of each deal and its moment, microseconds since 1970 UTC. Shape (R,).
    feeds
        As `Scorer.feeds` answers them.
    checked
        Whether to ask too what else is to be said of each deal.
    """
    for number in range(parts(len(deal))):
        part = slice(number * ROWS_AT_ONCE, (number + 1) * ROWS_AT_ONCE)
        yield (
            part,
            scorer.score_many(history, deal[part], as_of[part], None, feeds, checked=checked),
        )
