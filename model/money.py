"""Whole cents: the one way in which amounts are rounded, so that whatever is made of them adds up.

What a deal is worth, its amount times its probability, is rounded to a cent before it is added to
anything. So the list of deals, groups, months, the whole quarter and the bridge between two weeks
come to the same.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from model.history import Floats

CENTS: Final = 100  # in a unit of any currency


def cents(amount: float) -> int:
    """An amount in whole cents; a half goes to the even one.

    Examples
    --------
    >>> cents(12.344), cents(0.125)
    (1234, 12)
    """
    return round(amount * CENTS)


def whole_cents(amounts: Floats) -> Floats:
    """The same of many. Any shape.

    Examples
    --------
    >>> whole_cents(np.array([12.344, 0.125]))
    array([1234.,   12.])
    """
    return np.asarray(np.rint(amounts * CENTS))
