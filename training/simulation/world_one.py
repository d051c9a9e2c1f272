"""World 1: a deal is engaged, evaluates, negotiates; it may stall, and then die in silence.

    engaged -> evaluating -> negotiating -> won
    engaged, evaluating, negotiating -> stalled -> dying -> dropped
    stalled -> evaluating, negotiating; dying -> stalled      (it recovers)
    engaged, evaluating, negotiating, stalled -> dropped      (it is lost at once)
    lost -> engaged, evaluating                               (it is opened again)

With x = 0.45 skill + 0.2 readiness + fit and a = the amount's standard score, the speeds are
exp(0.35 x - 0.08 a) forward, exp(0.35 x - 0.15 a) to a win, exp(-0.45 x + 0.1 a) to a stall,
exp(0.3 x) back from one, exp(-0.3 x) to death and exp(-0.25 x) to a loss. Wins gather at the end
of a quarter, lost deals are cleared away at its beginning, holidays slow everything but decay.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from training.simulation.chain import Chain, Edge
from training.simulation.channels import channels
from training.simulation.company import Deals
from training.simulation.seasons import Floats, seasons
from training.simulation.world import World

LIVE: Final = ("engaged", "evaluating", "negotiating", "stalled", "dying")
GROUPS: Final = ("forward", "win", "worsen", "recover", "die", "lose", "reopen", "forget")
EDGES: Final = (
    ("engaged", "evaluating", 0.030, "forward"),
    ("engaged", "stalled", 0.013, "worsen"),
    ("engaged", "dropped", 0.015, "lose"),
    ("evaluating", "negotiating", 0.030, "forward"),
    ("evaluating", "stalled", 0.013, "worsen"),
    ("evaluating", "dropped", 0.006, "lose"),
    ("negotiating", "won", 0.036, "win"),
    ("negotiating", "stalled", 0.009, "worsen"),
    ("negotiating", "dropped", 0.009, "lose"),
    ("stalled", "evaluating", 0.010, "recover"),
    ("stalled", "negotiating", 0.003, "recover"),
    ("stalled", "dying", 0.022, "die"),
    ("stalled", "dropped", 0.006, "lose"),
    ("dying", "stalled", 0.003, "recover"),
    ("dying", "dropped", 0.026, "lose"),
    ("lost", "engaged", 0.0008, "reopen"),
    ("lost", "evaluating", 0.0004, "reopen"),
    ("lost", "gone", 0.05, "forget"),
)
AMOUNT_CENTRE: Final = float(np.log(40_000.0))
AMOUNT_SPREAD: Final = 0.9

# Events a day by state, in the order of LIVE, then won and dropped but not yet entered.
BASE: Final[dict[str, tuple[float, ...]]] = {
    "reply": (0.024, 0.029, 0.04, 0.0064, 0.0008, 0.024, 0.0032),
    "reply_other": (0.0048, 0.013, 0.021, 0.0024, 0.00024, 0.008, 0.0008),
    "customer_call": (0.0024, 0.004, 0.008, 0.0008, 0.00008, 0.0032, 0.0008),
    "message": (0.018, 0.018, 0.021, 0.02, 0.0098, 0.0042, 0.0014),
    "message_answered": (0.00056, 0.00056, 0.00063, 0.0013, 0.0021, 0.00014, 0.00007),
    "message_away": (0.0091, 0.0091, 0.01, 0.0091, 0.0042, 0.0021, 0.0007),
    "message_away_answered": (0.0091, 0.0091, 0.01, 0.012, 0.0077, 0.0021, 0.0007),
    "call": (0.0096, 0.0096, 0.011, 0.0096, 0.004, 0.0016, 0.0008),
    "meeting_remote": (0.0064, 0.0096, 0.0096, 0.0016, 0.00024, 0.0016, 0.00016),
    "meeting_onsite": (0.0008, 0.004, 0.0064, 0.0004, 0.00008, 0.0008, 0.00008),
    "demo": (0.0032, 0.008, 0.0016, 0.0008, 0.00008, 0.00008, 0.00008),
    "pricing_page": (0.0032, 0.0048, 0.0096, 0.0008, 0.00016, 0.0008, 0.00016),
    "proposal": (0.0004, 0.0048, 0.0096, 0.0008, 0.00016, 0.0004, 0.00016),
    "contract": (0.00008, 0.0004, 0.014, 0.0008, 0.00008, 0.008, 0.0004),
    "stage_1": (0.050, 0.120, 0.200, 0.004, 0.0010, 0.0, 0.0),
    "stage_2": (0.004, 0.060, 0.150, 0.002, 0.0005, 0.0, 0.0),
    "stage_3": (0.001, 0.015, 0.120, 0.001, 0.0003, 0.0, 0.0),
    "stage_4": (0.0003, 0.004, 0.080, 0.001, 0.0003, 0.0, 0.0),
    "stage_back": (0.002, 0.002, 0.001, 0.008, 0.0040, 0.0, 0.0),
    "to_omitted": (0.0005, 0.0005, 0.0002, 0.004, 0.0080, 0.0, 0.0),
    "to_pipeline": (0.010, 0.006, 0.002, 0.010, 0.0040, 0.0, 0.0),
    "to_best_case": (0.004, 0.012, 0.010, 0.003, 0.0010, 0.0, 0.0),
    "to_commit": (0.0005, 0.004, 0.025, 0.0015, 0.0004, 0.0, 0.0),
    "push": (0.016, 0.014, 0.0096, 0.021, 0.013, 0.0, 0.0),
    "push_far": (0.0016, 0.0016, 0.0008, 0.0072, 0.0064, 0.0, 0.0),
    "pull_in": (0.0003, 0.001, 0.005, 0.0001, 0.0001, 0.0, 0.0),
    "milestone_moved": (0.04, 0.032, 0.024, 0.064, 0.016, 0.0, 0.0),
    "milestone_reached": (0.010, 0.030, 0.050, 0.004, 0.0010, 0.0, 0.0),
    "milestone_dropped": (0.0005, 0.0005, 0.0003, 0.003, 0.0030, 0.0, 0.0),
    "must_hit": (0.0010, 0.0010, 0.0010, 0.0010, 0.0010, 0.0, 0.0),
    "talks": (0.002, 0.012, 0.100, 0.002, 0.0003, 0.0, 0.0),
    "talks_absent": (0.002, 0.003, 0.001, 0.006, 0.0030, 0.0, 0.0),
    "validation_start": (0.003, 0.040, 0.030, 0.002, 0.0003, 0.0, 0.0),
    "validation_passed": (0.020, 0.050, 0.080, 0.008, 0.0020, 0.0, 0.0),
    "validation_failed": (0.010, 0.010, 0.005, 0.030, 0.0300, 0.0, 0.0),
    "competitor": (0.002, 0.004, 0.004, 0.006, 0.0030, 0.0, 0.0),
    "amount_cut": (0.0004, 0.0016, 0.008, 0.0024, 0.0008, 0.0, 0.0),
    "amount_raised": (0.0008, 0.0024, 0.0032, 0.00032, 0.00008, 0.0, 0.0),
    "next_step": (0.008, 0.0096, 0.012, 0.0024, 0.0008, 0.0, 0.0),
    "budget": (0.001, 0.006, 0.020, 0.0005, 0.0001, 0.0, 0.0),
    "update_posted": (0.0072, 0.0088, 0.013, 0.0048, 0.0016, 0.0, 0.0),
    "update_requested": (0.0016, 0.0016, 0.0024, 0.0064, 0.0048, 0.0, 0.0),
    "escalation": (0.0005, 0.001, 0.002, 0.003, 0.0010, 0.0, 0.0),
    "owner": (0.0004, 0.0004, 0.0004, 0.0004, 0.0004, 0.0004, 0.0004),
}


def _first(deals: Deals) -> Floats:
    referred = (deals.lead_source == 0).astype(np.float64)
    evaluating = 0.08 + 0.12 * referred
    stalled = np.full(len(deals), 0.06)
    none = np.zeros(len(deals))
    return np.array([1.0 - evaluating - stalled, evaluating, none, stalled, none])


def _speed(deals: Deals) -> Floats:
    x = 0.45 * deals.skill + 0.2 * deals.readiness + deals.fit
    a = (np.log(deals.amount) - AMOUNT_CENTRE) / AMOUNT_SPREAD
    return np.exp(
        [
            0.35 * x - 0.08 * a,
            0.35 * x - 0.15 * a,
            -0.45 * x + 0.1 * a,
            0.3 * x,
            -0.3 * x,
            -0.25 * x,
            0.0 * x,
            0.0 * x,
        ]
    )


def _season() -> Floats:
    calendar = seasons()
    weekend = calendar.weekday >= 5
    slow = np.where(calendar.holiday, 0.4, 1.0)
    forward = np.where(weekend, 0.4, 1.24) * slow
    rush = 0.65 + 2.2 * np.exp(-calendar.quarter_left / 7.0)
    win = np.where(weekend, 0.03, 1.39) * np.where(calendar.holiday, 0.3, 1.0) * rush
    clearing = 0.85 + 1.1 * np.exp(-calendar.quarter_day / 8.0)
    lose = np.where(weekend, 0.1, 1.36) * np.where(calendar.holiday, 0.3, 1.0) * clearing
    one = np.ones_like(forward)
    return np.array([forward, win, one, forward, one, lose, one, one])


def _ones(deals: Deals) -> Floats:
    return np.ones(len(deals))


def _diligence(deals: Deals) -> Floats:
    return np.exp(0.15 * deals.diligence)


def _chattiness(deals: Deals) -> Floats:
    return np.exp(0.15 * deals.chattiness)


def world_one() -> World:
    """The first world.

    Examples
    --------
    >>> world_one().chain.states
    9
    """
    return World(
        chain=Chain(
            live=LIVE,
            groups=GROUPS,
            edges=tuple(Edge(origin=o, target=t, rate=r, group=g) for o, t, r, g in EDGES),
        ),
        first=_first,
        speed=_speed,
        season=_season(),
        habits={
            "none": _ones,
            "rep": _diligence,
            "rep_mail": _diligence,
            "customer": _chattiness,
            "customer_mail": _chattiness,
            "customer_crm": _chattiness,
            "internal": _diligence,
            "hopeful": lambda deals: np.exp(0.5 * deals.optimism),
            "wary": lambda deals: np.exp(-0.4 * deals.optimism),
        },
        channels=channels(BASE),
        reasons=np.array(
            [
                [0.6, 0.1, 0.1, 0.2],
                [0.4, 0.2, 0.3, 0.1],
                [0.2, 0.5, 0.3, 0.0],
                [0.5, 0.1, 0.1, 0.3],
                [0.2, 0.0, 0.1, 0.7],
            ]
        ),
    )
