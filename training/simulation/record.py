"""The visible record of deals: what the CRM shows this morning, kept as events arrive.

How likely an event is today depends on the record as of this morning, never on what is logged
late: everything here is known on the day it happens, so simulation and filter see the same record.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from training.simulation.company import Deals

STAGES: Final = ("Qualification", "Discovery", "Evaluation", "Proposal", "Negotiation")
CATEGORIES: Final = ("omitted", "pipeline", "best_case", "commit")
MILESTONES: Final = ("technical evaluation", "security review", "commercial agreement")
COMPETITORS: Final = ("Blauwerk", "Norvanta", "Quillstone", "Tessaro")
NEXT_STEPS: Final = (
    "agree the evaluation plan",
    "send the revised proposal",
    "meet the budget owner",
    "answer the security questions",
    "review terms with purchasing",
)
FLAGS: Final = ("talks", "competitor", "budget")
UNTESTED, TESTING, TESTED, FAILED = range(4)


class Record:
    """The CRM's present view of deals; every field [n], milestones [slots, n].

    Parameters
    ----------
    deals
        The deals on the day they open.
    """

    def __init__(self, deals: Deals) -> None:
        count = len(deals)
        self.owner = deals.owner.copy()
        self.owners = deals.owners
        self.stage = np.zeros(count, dtype=np.int64)
        self.category = deals.category.copy()
        self.amount = deals.amount.copy()
        self.close_day = deals.close_day.copy()
        self.due_day = deals.due_day.copy()
        self.pending = deals.due_day >= 0  # milestones neither reached nor dropped
        self.must_hit = deals.must_hit.copy()
        self.validation = np.full(count, UNTESTED)
        self.flags = {flag: np.zeros(count, dtype=np.bool_) for flag in FLAGS}
        self.last_contact = np.full(count, -1)  # the contact who replied last
        self.last_call = np.full(count, -1)  # the day of our last call
