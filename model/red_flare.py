"""Red flares: what about a deal calls for its owner today, as known at a time.

A flare is raised once and stands until it clears: `red_flares` is told which stood at the last
look, and `newly_raised` tells the new ones from them. Four rules raise them: a must-hit milestone
missed, the customer silent for too long, the expected value fallen by too much within a week, and
a probability low beside what is usual for this company's open deals.

Each rule's condition is one function, of numbers or of arrays alike, so that past deals are judged
by what raises the flares of today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.asof import Snapshot
from model.catalogue.contact import CONTACT
from model.errors import ScoreError
from model.events import DAY_US
from model.feature import days_in_words
from model.gates import Gate

GATE_MISSED: Final = "gate missed"
SILENCE: Final = "silence"
VALUE_FALLEN: Final = "value fallen"
LOW_PROBABILITY: Final = "low probability"
WEEK_US: Final = 7 * DAY_US
LONGEST_HORIZON_DAYS: Final = 90.0  # of the probabilities that rules look at
LOW_CLEARS: Final = 1.25  # times its limit, from where on a probability is no longer low


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
    low_share
        Of the usual probability of open deals, below which one is low.
    """

    silence_days: float
    fallen_share: float
    fallen_amount: float
    low_share: float


DEFAULT_THRESHOLDS: Final = Thresholds(
    silence_days=60.0, fallen_share=0.4, fallen_amount=0.0, low_share=0.7
)
"""Chosen by `training.early_choice` over four simulated companies of both worlds: of all that raise
at most one flare an owner and week (of 7 open deals) and whose deals are won within 90 days at most
two thirds as often as all open deals, those that flare most of the lost amount 30 days or more
before the loss. Measured by ``python -m pytest tests/benchmarks/test_early.py -s``:

==============================  ==========================  ==========================
all red flares                  the choosing companies      two held-out companies
------------------------------  --------------------------  --------------------------
thresholds                      flares  early  lost  won    flares  early  lost  won
==============================  ==========================  ==========================
the defaults                      0.83  47.1%  1.08  0.65     0.88  51.7%  1.04  0.71
without low probability           0.25  17.3%  1.14  0.73     0.26  19.1%  1.18  0.73
without silence                   0.65  46.4%  1.09  0.61     0.70  51.0%  1.05  0.67
without a fallen value            0.79  46.9%  1.09  0.64     0.84  51.5%  1.05  0.70
low probability alone             0.62  46.2%  1.10  0.59     0.66  50.7%  1.06  0.66
silence alone                     0.22  15.7%  1.16  0.70     0.22  18.0%  1.21  0.67
silence alone, of 28 days         0.54  34.5%  1.03  0.96     0.53  36.7%  0.99  0.99
a fallen value alone              0.08   6.1%  1.01  0.92     0.08   6.3%  0.99  0.96
a fallen value alone, by 20%      0.60  29.4%  1.00  0.96     0.45  24.1%  1.01  0.98
silence of 42 days                0.95  48.6%  1.06  0.73     1.00  52.8%  1.02  0.77
silence of 28 days                1.15  51.5%  1.03  0.83     1.19  54.9%  0.99  0.87
fallen by 30%                     1.00  48.3%  1.07  0.69     0.98  52.6%  1.03  0.73
low at 0.5 of usual               0.51  27.5%  1.15  0.62     0.55  29.1%  1.14  0.67
low at 0.8 of usual               0.94  54.5%  1.05  0.70     0.99  59.6%  1.03  0.76
==============================  ==========================  ==========================

Flares are those of an owner and week; early is the share of the lost amount; lost and won are what
came of the flared within 90 days, as multiples of all open deals'. "Alone" keeps missed gates.
"""


@dataclass(frozen=True, kw_only=True)
class RedFlare:
    """One rule's flare for one deal.

    Parameters
    ----------
    rule
        `GATE_MISSED`, `SILENCE`, `VALUE_FALLEN` or `LOW_PROBABILITY`.
    since
        When the gate was missed, the silence passed its limit, or the rest was first seen;
        microseconds since 1970 UTC.
    phrase
        Why, in words.
    subject
        The milestone, where one is missed; empty otherwise.
    fallen_from
        The expected value it fell from, where it fell: the flare clears when the value is back
        within the set share of it.
    """

    rule: str
    since: int
    phrase: str
    subject: str = ""
    fallen_from: float | None = None


def is_silent(days: ArrayLike, thresholds: Thresholds) -> NDArray[np.bool_]:
    """Whether days of silence pass the limit; never where they are NaN."""
    return np.asarray(np.asarray(days, dtype=np.float64) >= thresholds.silence_days)


def has_fallen(before: ArrayLike, now: ArrayLike, thresholds: Thresholds) -> NDArray[np.bool_]:
    """Whether an expected value fell by as much as counts; never where one is NaN."""
    start = np.asarray(before, dtype=np.float64)
    fallen = start - np.asarray(now, dtype=np.float64)
    least = np.maximum(thresholds.fallen_amount, thresholds.fallen_share * start)
    return np.asarray((fallen > 0) & (fallen >= least))


def is_low(
    probability: ArrayLike, usual: ArrayLike, stood: ArrayLike, thresholds: Thresholds
) -> NDArray[np.bool_]:
    """Whether a probability is low beside the usual one; never where one is NaN.

    Where it `stood` as low it stays so until `LOW_CLEARS` times the limit is reached, lest a flare
    comes and goes with every small change.
    """
    limit = thresholds.low_share * np.asarray(usual, dtype=np.float64)
    limit = limit * np.where(stood, LOW_CLEARS, 1.0)
    return np.asarray(np.asarray(probability, dtype=np.float64) < limit)


def contact_silence_days(snapshot: Snapshot) -> float:
    """Days since the customer's last real contact, or since the opening if there was none.

    Machines' replies are no contact. NaN where no feed of the deal carries contact at all, since
    then nobody can tell.
    """
    coverage = snapshot.coverage
    if coverage is not None and coverage.carried(snapshot).isdisjoint(CONTACT):
        return nan
    return snapshot.since_or_opening_days(*CONTACT)


def flare_horizon_days(edges: ArrayLike) -> float:
    """Within how many days of a moment the rules ask for a win, given a model's horizon edges.

    One that moves along with the moment, so that the value does not fall by the mere passing of
    time, as it would toward a fixed date.

    Examples
    --------
    >>> flare_horizon_days([0.0, 7.0, 30.0]), flare_horizon_days([0.0, 30.0, 180.0])
    (30.0, 90.0)
    """
    return min(LONGEST_HORIZON_DAYS, float(np.max(edges)))


def usual_probability(judged: Sequence[Mapping[str, Any]], days: float) -> float:
    """How often this company's open deals were won within so many days, linear between edges.

    Parameters
    ----------
    judged
        The artifact's fact of this name: ``days`` and ``won_share`` of each edge, ascending.
    days
        Ahead, above 0.

    Returns
    -------
    float
        0 to 1; NaN past the furthest edge that was judged.

    Examples
    --------
    >>> usual_probability([{"days": 30.0, "won_share": 0.1}, {"days": 90.0, "won_share": 0.3}], 60)
    0.2
    """
    edges = [0.0, *(float(edge["days"]) for edge in judged)]
    shares = [0.0, *(float(edge["won_share"]) for edge in judged)]
    return float(np.interp(days, edges, shares, right=nan))


def red_flares(
    snapshot: Snapshot,
    gates: Sequence[Gate],
    *,
    now: float | None,
    week_before: float | None,
    horizon_days: float,
    usual: float | None = None,
    standing: Sequence[RedFlare] = (),
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> tuple[RedFlare, ...]:
    """The flares that stand for a deal, each with the time since when.

    Parameters
    ----------
    snapshot
        The deal as known at a time.
    gates
        Its must-hit milestones as known then, of `model.gates.find_gates`.
    now, week_before
        Probability of a win within `horizon_days`, as scored then and a week before, each by the
        artifact in force then; None where there is none.
    horizon_days
        `flare_horizon_days` of the model, which the phrases name.
    usual
        `usual_probability` within these days, by the artifact of now; None leaves that rule out.
    standing
        The flares that stood at the last look.

    Returns
    -------
    tuple of RedFlare
        Empty where none stands, or the deal is not open.

    Raises
    ------
    ScoreError
        If a probability is not from 0 to 1.
    """
    for probability in (now, week_before, usual):
        _check_probability(probability)
    if not snapshot.is_open:
        return ()
    stood = {(flare.rule, flare.subject): flare for flare in standing}
    found = [_gate_flare(snapshot.as_of, gate) for gate in gates if gate.state == "missed"]
    found.append(silence_flare(snapshot, thresholds))
    if now is not None:
        found.append(_fall_flare(snapshot, now, week_before, horizon_days, stood, thresholds))
        if usual is not None:
            low_stood = (LOW_PROBABILITY, "") in stood
            low = is_low(now, usual, low_stood, thresholds)
            found.append(_low_flare(snapshot.as_of, now, usual, horizon_days) if low else None)
    return tuple(_kept(flare, stood) for flare in found if flare is not None)


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
        None while contact is recent, nobody can tell, or the deal is not open.
    """
    silent_days = contact_silence_days(snapshot)
    if not snapshot.is_open or not is_silent(silent_days, thresholds):
        return None
    return RedFlare(
        rule=SILENCE,
        since=snapshot.as_of - int((silent_days - thresholds.silence_days) * DAY_US),
        phrase=f"no real customer contact for {days_in_words(silent_days)}",
    )


def value_flare(
    as_of: int,
    week_before: float,
    now: float,
    horizon_days: float,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> RedFlare | None:
    """The flare of a deal whose expected value has fallen by too much in a week.

    Parameters
    ----------
    as_of
        Microseconds since 1970 UTC.
    week_before, now
        Expected value, amount times probability, a week earlier and at `as_of`.
    horizon_days
        Within which the probabilities are of a win.

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
    >>> value_flare(0, 50_000.0, 25_000.0, 90.0).phrase
    'expected value within 90 days fallen by 50% in a week'
    """
    for value in (week_before, now):
        if not 0 <= value < float("inf"):
            raise ScoreError(
                f"expected value {value:g}", "a finite amount of at least 0", "check the amount"
            )
    if not has_fallen(week_before, now, thresholds):
        return None
    return RedFlare(
        rule=VALUE_FALLEN,
        since=as_of,
        phrase=(
            f"expected value within {days_in_words(horizon_days)} fallen by "
            f"{1 - now / week_before:.0%} in a week"
        ),
        fallen_from=week_before,
    )


def newly_raised(standing: Sequence[RedFlare], now: Sequence[RedFlare]) -> tuple[RedFlare, ...]:
    """The flares of now that did not stand before: each is raised once until it clears."""
    stood = {(flare.rule, flare.subject) for flare in standing}
    return tuple(flare for flare in now if (flare.rule, flare.subject) not in stood)


def _gate_flare(as_of: int, gate: Gate) -> RedFlare | None:
    if gate.days_left is None:
        return None
    return RedFlare(
        rule=GATE_MISSED,
        since=min(as_of + round(gate.days_left * DAY_US), as_of),
        phrase=f"must-hit milestone {gate.name!r} missed, it was due {gate.due}",
        subject=gate.name,
    )


def _fall_flare(
    snapshot: Snapshot,
    now: float,
    week_before: float | None,
    horizon_days: float,
    stood: Mapping[tuple[str, str], RedFlare],
    thresholds: Thresholds,
) -> RedFlare | None:
    """A fall that is not made good yet, or a new one within the week."""
    value = max(snapshot.number("amount_changed"), 0.0) * now
    if isnan(value):
        return None
    earlier = stood.get((VALUE_FALLEN, ""))
    start = None if earlier is None else earlier.fallen_from
    if start is not None and has_fallen(start, value, thresholds):
        return earlier
    if week_before is None:
        return None
    then = Snapshot(snapshot.deal, snapshot.as_of - WEEK_US, snapshot.coverage)
    before = max(then.number("amount_changed"), 0.0) * week_before
    if isnan(before):
        return None
    return value_flare(snapshot.as_of, before, value, horizon_days, thresholds)


def _low_flare(as_of: int, now: float, usual: float, horizon_days: float) -> RedFlare:
    return RedFlare(
        rule=LOW_PROBABILITY,
        since=as_of,
        phrase=(
            f"{now:.0%} to be won within {days_in_words(horizon_days)}, where {usual:.0%} is "
            "usual for open deals"
        ),
    )


def _kept(flare: RedFlare, stood: Mapping[tuple[str, str], RedFlare]) -> RedFlare:
    """The flare with the time it was first raised, where it stood before."""
    before = stood.get((flare.rule, flare.subject))
    if before is None or before.since >= flare.since:
        return flare
    return RedFlare(
        rule=flare.rule,
        since=before.since,
        phrase=flare.phrase,
        subject=flare.subject,
        fallen_from=flare.fallen_from,
    )


def _check_probability(probability: float | None) -> None:
    if probability is not None and not 0.0 <= probability <= 1.0:
        raise ScoreError(
            f"probability {probability:g}", "a number from 0 to 1", "give None where there is none"
        )
