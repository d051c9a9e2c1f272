"""Why a deal is not open at a moment, for the error that refuses to score it."""

from __future__ import annotations

import numpy as np

from model.errors import ScoreError
from model.events import KIND_CODES, from_microseconds
from model.history import History

_OPENED = KIND_CODES["deal_opened"]
_CLOSED = {KIND_CODES["deal_won"]: "won", KIND_CODES["deal_lost"]: "lost"}


def not_open(history: History, deal: int, as_of: int) -> ScoreError:
    """The error of a deal that is not open: not opened yet, never opened, won or lost.

    Parameters
    ----------
    history
        Of the deal, perhaps with others; what became known later tells when it was opened.
    deal
        Index into ``history.deal_ids``.
    as_of
        The moment, microseconds since 1970 UTC.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from model.events import Event, microseconds
    >>> opened = Event(deal_id="D-1", kind="deal_opened", source="crm", source_id="1",
    ...                occurred_at=datetime(2026, 1, 5, tzinfo=UTC))
    >>> early = microseconds(datetime(2026, 1, 4, tzinfo=UTC))
    >>> print(not_open(History.from_events([opened]), 0, early))
    deal 'D-1', not opened yet: expected a deal open at 2026-01-04T00:00:00+00:00, as known then. \
Remedy: ask for a time from 2026-01-05T00:00:00+00:00 on, when its opening was known.
    """
    rows = np.arange(history.start[deal], history.start[deal + 1])
    openings = history.known[rows[history.kind[rows] == _OPENED]]
    known = rows[history.known[rows] <= as_of]
    closings = known[np.isin(history.kind[known], list(_CLOSED))]
    state, remedy = "never opened", "bring its events whole: they must tell of its opening"
    if openings.size and openings.min() > as_of:
        first = from_microseconds(int(openings.min())).isoformat()
        state = "not opened yet"
        remedy = f"ask for a time from {first} on, when its opening was known"
    elif openings.size and closings.size:
        last = closings[-1]  # a history is in the order of time
        when = from_microseconds(int(history.occurred[last])).date()
        state = f"{_CLOSED[int(history.kind[last])]} on {when}"
        remedy = "ask for a time when it was open"
    return ScoreError(
        f"deal {history.deal_ids[deal]!r}, {state}",
        f"a deal open at {from_microseconds(as_of).isoformat()}, as known then",
        remedy,
    )
