"""Deals that repeat each other exactly stand on one side of every division.

Deals whose events say the same, day by day, are one case seen several times: with one to learn
from and its twin to judge by, remembering would look like understanding, and too little shrinkage
would be chosen.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from model.asof import LOST, REOPENED, WON
from model.events import DAY_US
from model.history import Floats, History, Ints
from training.dataset import deal_of_rows
from training.judging import deal_share

# So many deals alike are no repetition but a record that tells hardly anything of each.
MOST_TWINS: Final = 10
MOST_TWINS_SHARE: Final = 0.01  # of the deals, where that is more


def division_share(history: History) -> Floats:
    """`deal_share` of each deal, twins sharing the lowest among them. Shape (D,)."""
    share = deal_share(history.deal_ids)
    group = twins(history)
    lowest = np.ones(int(group.max(initial=-1)) + 1)
    np.minimum.at(lowest, group, share)
    return lowest[group]


def twins(history: History) -> Ints:
    """The group of each deal: the same for deals whose events say the same. Shape (D,).

    What is compared is every event but the closings: its kind, name, text, number and date, and
    the days since the deal's first event. Who wrote it is not.
    """
    deal = deal_of_rows(history)
    first = np.full(history.deals, np.iinfo(np.int64).max)
    np.minimum.at(first, deal, history.occurred)
    told = ~np.isin(history.kind, (WON, LOST, REOPENED))
    said = np.zeros(int(told.sum()), dtype=np.int64)  # the same number for events that say the same
    for column in (
        history.kind,
        history.name,
        history.text,
        history.number,
        history.date,
        (history.occurred - first[deal]) // DAY_US,
    ):
        values, code = np.unique(column[told], return_inverse=True)
        _, said = np.unique(said * len(values) + code, return_inverse=True)
    order = np.lexsort((said, deal[told]))
    ends = np.bincount(deal[told], minlength=history.deals).cumsum()
    groups: dict[bytes, int] = {}
    group = np.array(
        [
            groups.setdefault(events.tobytes(), len(groups))
            for events in np.split(said[order], ends)[: history.deals]
        ],
        dtype=np.int64,
    )
    many = np.bincount(group)[group] > max(MOST_TWINS, MOST_TWINS_SHARE * history.deals)
    return np.where(many, len(groups) + np.arange(history.deals), group)
