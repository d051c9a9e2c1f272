"""Red flares: what about a deal calls for its owner today, as known at a time.

A flare is raised once and stands until it clears: `newly_raised` tells the new ones from those
that stood already. Gates are a rule of their own and not among these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from model.asof import Snapshot
from model.catalogue.contact import CONTACT
from model.errors import ScoreError
from model.events import DAY_US
from model.feature import days_in_words

SILENCE: Final = "silence"
VALUE_FALLEN: Final = "value fallen"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From where on a rule raises its flare.

    Parameters
    ----------
    silence_days
        Days without real contact with the customer; machines' replies are none.
    fallen_share
        Of the expected value (amount times probability), lost within a week.
    fallen_amount
        The least loss of expected value that counts, in the deal's currency.
    """

    silence_days: float
    fallen_share: float
    fallen_amount: float


# Round numbers to begin with: no evaluation over past deals has chosen them yet.
DEFAULT_THRESHOLDS: Final = Thresholds(silence_days=21.0, fallen_share=0.3, fallen_amount=0.0)


@dataclass(frozen=True, kw_only=True)
class RedFlare:
    """One rule's flare for one deal.

    Parameters
    ----------
    rule
        `SILENCE` or `VALUE_FALLEN`.
    since
        When the silence passed its limit, or when the fall was seen; microseconds since 1970 UTC.
    phrase
        Why, in words.
    """

    rule: str
    since: int
    phrase: str


def silence_flare(
    snapshot: Snapshot, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> RedFlare | None:
    """The flare of a deal whose customer has been silent for too long.

    Parameters
    ----------
    snapshot
        The deal as known at a time; days stand still while its feed is stopped.

    Returns
    -------
    RedFlare or None
        None while contact is recent, or the deal is not open.
    """
    if not snapshot.is_open:
        return None
    silent_days = snapshot.since_or_opening_days(*CONTACT)
    over_days = silent_days - thresholds.silence_days
    if not over_days >= 0:
        return None
    return RedFlare(
        rule=SILENCE,
        since=snapshot.as_of - int(over_days * DAY_US),
        phrase=f"no real customer contact for {days_in_words(silent_days)}",
    )


def value_flare(
    as_of: int, week_before: float, now: float, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> RedFlare | None:
    """The flare of a deal whose expected value has fallen by too much in a week.

    Parameters
    ----------
    as_of
        Microseconds since 1970 UTC.
    week_before, now
        Expected value, amount times probability, a week earlier and at `as_of`.

    Returns
    -------
    RedFlare or None
        None if it has not fallen so far.

    Raises
    ------
    ScoreError
        If a value is below zero, infinite or missing.

    Examples
    --------
    >>> value_flare(0, 50_000.0, 30_000.0).phrase
    'expected value fallen by 40% in a week'
    """
    for value in (week_before, now):
        if not 0 <= value < float("inf"):
            raise ScoreError(
                f"expected value {value:g}", "a finite amount of at least 0", "check the amount"
            )
    fallen = week_before - now
    if fallen <= 0 or fallen < max(thresholds.fallen_amount, thresholds.fallen_share * week_before):
        return None
    return RedFlare(
        rule=VALUE_FALLEN,
        since=as_of,
        phrase=f"expected value fallen by {fallen / week_before:.0%} in a week",
    )


def newly_raised(standing: tuple[RedFlare, ...], now: tuple[RedFlare, ...]) -> tuple[RedFlare, ...]:
    """The flares of now whose rule did not stand before: each is raised once until it clears."""
    rules = {flare.rule for flare in standing}
    return tuple(flare for flare in now if flare.rule not in rules)
