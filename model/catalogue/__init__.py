"""The catalogue: every feature that any company has, once.

What a company's own data adds (its activities and fields) is made by `model.features`.
"""

from __future__ import annotations

from typing import Final

from model.catalogue.activity import ACTIVITY
from model.catalogue.calendar import CALENDAR
from model.catalogue.company import COMPANY
from model.catalogue.contact import CONTACTS
from model.catalogue.course import COURSE
from model.catalogue.promises import PROMISES
from model.catalogue.proof import PROOF
from model.feature import Feature

__all__ = ["CALENDAR", "CATALOGUE"]

CATALOGUE: Final[tuple[Feature, ...]] = (
    *CONTACTS,
    *PROMISES,
    *PROOF,
    *COURSE,
    *COMPANY,
    *ACTIVITY,
)
