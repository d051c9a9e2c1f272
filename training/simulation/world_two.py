"""World 2: built otherwise, with feeds that are missing and signs that no count can show.

A deal is scouted, then passes a trial and a board's decision of several phases each, so the chance
of a win rises and falls with the time since the last step instead of being constant:

    scouting -> trial_1 -> trial_2 -> trial_3 -> board_1 -> board_2 -> won
    trial, board -> haggling -> board_1, won, dropped, ghost   (it is loud, and mostly lost)
    scouting, trial -> paused -> trial_1, ghost, dropped
    ghost -> paused, dropped; lost -> scouting

Other than in world 1:

- Skill saturates: with x = tanh(skill) + 0.2 readiness + fit, speeds are exp(0.2 x) forward and to
  a win, exp(-0.3 x) to a setback or loss, exp(0.3 x) back from one, exp(-0.2 x) to silence.
- Deals of a middling amount do best: with a the amount's standard score, wins go by
  exp(-0.15 min(a^2, 4)).
- A triple decides: wins go by exp(0.35 g), setbacks by exp(-0.35 g), with the sign g =
  (-1)^(odd industry + odd lead source + amount above the middle). No two of the three say anything.
- The law changes on day `SHIFT_DAY`: wins are 0.75 times as fast from then on, setbacks 1.4 times.
- Wins gather at the ends of months, not of quarters.
- Replies are most frequent in the states from which least is won, messages where nobody answers.
- In trial and board the customer's two contacts take turns, in haggling one of them writes again
  and again: what tells is the order of the replies.
- In trial and board our calls keep a weekly rhythm, elsewhere as many come whenever they come.
- ``crm:simulated-south`` has no mail, and so no replies, messages or auto-replies;
  ``crm:simulated-west`` has no milestones and no internal updates.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from training.simulation.chain import Chain, Edge
from training.simulation.channels import channels
from training.simulation.company import UNITS, Deals
from training.simulation.seasons import ALL_DAYS, Floats, seasons
from training.simulation.world import World

LIVE: Final = (
    "scouting",
    "trial_1",
    "trial_2",
    "trial_3",
    "board_1",
    "board_2",
    "haggling",
    "paused",
    "ghost",
)
GROUPS: Final = ("forward", "win", "worsen", "recover", "die", "lose", "reopen", "forget")
EDGES: Final = (
    ("scouting", "trial_1", 0.036, "forward"),
    ("scouting", "paused", 0.010, "worsen"),
    ("scouting", "dropped", 0.018, "lose"),
    ("trial_1", "trial_2", 0.090, "forward"),
    ("trial_1", "haggling", 0.006, "worsen"),
    ("trial_1", "paused", 0.009, "worsen"),
    ("trial_1", "dropped", 0.004, "lose"),
    ("trial_2", "trial_3", 0.090, "forward"),
    ("trial_2", "haggling", 0.006, "worsen"),
    ("trial_2", "paused", 0.009, "worsen"),
    ("trial_3", "board_1", 0.090, "forward"),
    ("trial_3", "haggling", 0.010, "worsen"),
    ("trial_3", "paused", 0.006, "worsen"),
    ("trial_3", "dropped", 0.008, "lose"),
    ("board_1", "board_2", 0.080, "forward"),
    ("board_1", "haggling", 0.014, "worsen"),
    ("board_1", "dropped", 0.008, "lose"),
    ("board_2", "won", 0.085, "win"),
    ("board_2", "haggling", 0.012, "worsen"),
    ("board_2", "dropped", 0.016, "lose"),
    ("haggling", "board_1", 0.012, "recover"),
    ("haggling", "won", 0.003, "win"),
    ("haggling", "dropped", 0.024, "lose"),
    ("haggling", "ghost", 0.008, "die"),
    ("paused", "trial_1", 0.016, "recover"),
    ("paused", "ghost", 0.022, "die"),
    ("paused", "dropped", 0.005, "lose"),
    ("ghost", "paused", 0.002, "recover"),
    ("ghost", "dropped", 0.022, "lose"),
    ("lost", "scouting", 0.0012, "reopen"),
    ("lost", "gone", 0.05, "forget"),
)
SHIFT_DAY: Final = 520  # 2025-03-05
AMOUNT_CENTRE: Final = float(np.log(40_000.0))
AMOUNT_SPREAD: Final = 0.9

# Events a day by state, in the order of LIVE, then won and dropped but not yet entered.
BASE: Final[dict[str, tuple[float, ...]]] = {
    "reply_same": (0.010, 0.006, 0.006, 0.008, 0.008, 0.010, 0.065, 0.005, 0.0006, 0.012, 0.002),
    "reply_switch": (0.012, 0.026, 0.028, 0.030, 0.036, 0.040, 0.022, 0.003, 0.0004, 0.014, 0.001),
    "message": (0.016, 0.014, 0.014, 0.014, 0.015, 0.015, 0.022, 0.014, 0.020, 0.004, 0.002),
    "message_answered": (
        *(0.0005, 0.0004, 0.0004, 0.0004, 0.0005, 0.0005),
        *(0.0007, 0.0016, 0.0036, 0.0001, 0.0001),
    ),
    "message_away": (0.008, 0.007, 0.007, 0.007, 0.007, 0.007, 0.011, 0.006, 0.008, 0.002, 0.001),
    "message_away_answered": (
        *(0.008, 0.007, 0.007, 0.007, 0.008, 0.008),
        *(0.011, 0.009, 0.014, 0.002, 0.001),
    ),
    "call_in_rhythm": (0.02, 0.22, 0.22, 0.22, 0.20, 0.20, 0.04, 0.02, 0.03, 0.01, 0.005),
    "call_off_rhythm": (
        *(0.012, 0.006, 0.006, 0.006, 0.008, 0.008),
        *(0.028, 0.012, 0.014, 0.003, 0.001),
    ),
    "meeting_remote": (
        *(0.006, 0.008, 0.008, 0.008, 0.012, 0.010),
        *(0.012, 0.001, 0.0002, 0.001, 0.0001),
    ),
    "meeting_onsite": (
        *(0.0005, 0.002, 0.002, 0.004, 0.009, 0.006),
        *(0.004, 0.0003, 0.0001, 0.001, 0.0001),
    ),
    "demo": (
        *(0.004, 0.010, 0.003, 0.001, 0.0005, 0.0005),
        *(0.0005, 0.0005, 0.0001, 0.0001, 0.0001),
    ),
    "pricing_page": (
        *(0.003, 0.003, 0.003, 0.004, 0.006, 0.012),
        *(0.010, 0.001, 0.0003, 0.001, 0.0002),
    ),
    "proposal": (
        *(0.0003, 0.001, 0.002, 0.010, 0.012, 0.004),
        *(0.006, 0.0005, 0.0001, 0.0005, 0.0002),
    ),
    "contract": (
        *(0.0001, 0.0002, 0.0002, 0.001, 0.006, 0.018),
        *(0.004, 0.0003, 0.0001, 0.008, 0.0005),
    ),
    "stage_1": (0.04, 0.12, 0.12, 0.12, 0.15, 0.15, 0.10, 0.003, 0.001, 0.0, 0.0),
    "stage_2": (0.003, 0.04, 0.07, 0.10, 0.12, 0.12, 0.08, 0.002, 0.0005, 0.0, 0.0),
    "stage_3": (0.001, 0.005, 0.010, 0.05, 0.12, 0.12, 0.06, 0.001, 0.0005, 0.0, 0.0),
    "stage_4": (0.0003, 0.001, 0.002, 0.006, 0.04, 0.09, 0.03, 0.001, 0.0005, 0.0, 0.0),
    "stage_back": (0.002, 0.001, 0.001, 0.001, 0.001, 0.001, 0.006, 0.007, 0.003, 0.0, 0.0),
    "to_omitted": (
        *(0.0005, 0.0003, 0.0003, 0.0003, 0.0002, 0.0002),
        *(0.001, 0.004, 0.007, 0.0, 0.0),
    ),
    "to_pipeline": (0.008, 0.006, 0.005, 0.004, 0.002, 0.001, 0.006, 0.010, 0.005, 0.0, 0.0),
    "to_best_case": (0.003, 0.006, 0.009, 0.012, 0.012, 0.008, 0.010, 0.003, 0.001, 0.0, 0.0),
    "to_commit": (0.0004, 0.001, 0.003, 0.006, 0.015, 0.025, 0.008, 0.001, 0.0005, 0.0, 0.0),
    "push": (0.016, 0.014, 0.012, 0.010, 0.008, 0.006, 0.020, 0.020, 0.014, 0.0, 0.0),
    "push_far": (0.002, 0.001, 0.001, 0.001, 0.001, 0.0005, 0.004, 0.009, 0.007, 0.0, 0.0),
    "pull_in": (
        *(0.0002, 0.0003, 0.0005, 0.001, 0.003, 0.005),
        *(0.0005, 0.0001, 0.0001, 0.0, 0.0),
    ),
    "milestone_moved": (0.04, 0.03, 0.03, 0.03, 0.025, 0.02, 0.06, 0.06, 0.015, 0.0, 0.0),
    "milestone_reached": (0.008, 0.02, 0.03, 0.04, 0.05, 0.05, 0.02, 0.003, 0.001, 0.0, 0.0),
    "milestone_dropped": (
        *(0.0005, 0.0005, 0.0005, 0.0005, 0.0003, 0.0003),
        *(0.002, 0.003, 0.003, 0.0, 0.0),
    ),
    "must_hit": (0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.0, 0.0),
    "talks": (0.001, 0.003, 0.006, 0.02, 0.08, 0.10, 0.05, 0.002, 0.0003, 0.0, 0.0),
    "talks_absent": (0.002, 0.003, 0.003, 0.003, 0.001, 0.0005, 0.002, 0.005, 0.003, 0.0, 0.0),
    "validation_start": (0.003, 0.10, 0.05, 0.03, 0.01, 0.005, 0.01, 0.001, 0.0003, 0.0, 0.0),
    "validation_passed": (0.01, 0.02, 0.04, 0.10, 0.06, 0.05, 0.02, 0.004, 0.001, 0.0, 0.0),
    "validation_failed": (0.01, 0.012, 0.010, 0.006, 0.003, 0.002, 0.02, 0.015, 0.02, 0.0, 0.0),
    "competitor": (0.002, 0.003, 0.003, 0.004, 0.004, 0.003, 0.010, 0.004, 0.002, 0.0, 0.0),
    "amount_cut": (0.0005, 0.001, 0.001, 0.002, 0.006, 0.006, 0.012, 0.002, 0.0005, 0.0, 0.0),
    "amount_raised": (0.001, 0.002, 0.002, 0.003, 0.003, 0.002, 0.001, 0.0003, 0.0001, 0.0, 0.0),
    "next_step": (0.010, 0.010, 0.010, 0.010, 0.012, 0.012, 0.006, 0.003, 0.001, 0.0, 0.0),
    "budget": (0.001, 0.002, 0.003, 0.006, 0.012, 0.016, 0.006, 0.0005, 0.0001, 0.0, 0.0),
    "update_posted": (0.008, 0.008, 0.008, 0.008, 0.010, 0.012, 0.012, 0.004, 0.002, 0.0, 0.0),
    "update_requested": (
        *(0.002, 0.0015, 0.0015, 0.0015, 0.002, 0.003),
        *(0.005, 0.006, 0.005, 0.0, 0.0),
    ),
    "escalation": (
        *(0.0003, 0.0004, 0.0004, 0.0005, 0.001, 0.001),
        *(0.010, 0.002, 0.0008, 0.0, 0.0),
    ),
    "owner": (0.0004,) * 11,
}


def _first(deals: Deals) -> Floats:
    first = np.zeros((len(LIVE), len(deals)))
    first[LIVE.index("scouting")] = 0.85
    first[LIVE.index("trial_1")] = 0.15
    return first


def _speed(deals: Deals) -> Floats:
    x = np.tanh(deals.skill) + 0.2 * deals.readiness + deals.fit
    a = (np.log(deals.amount) - AMOUNT_CENTRE) / AMOUNT_SPREAD
    triple = 0.35 * (-1.0) ** (deals.industry + deals.lead_source + (a > 0.0))
    none = 0.0 * x
    return np.exp(
        [
            0.2 * x,
            0.2 * x - 0.15 * np.minimum(a**2, 4.0) + triple,
            -0.3 * x - triple,
            0.3 * x,
            -0.2 * x,
            -0.3 * x,
            none,
            none,
        ]
    )


def _season() -> Floats:
    calendar = seasons()
    weekend = calendar.weekday >= 5
    after = np.arange(ALL_DAYS) >= SHIFT_DAY
    forward = np.where(weekend, 0.5, 1.2) * np.where(calendar.holiday, 0.5, 1.0)
    rush = 0.75 + 1.2 * np.exp(-calendar.month_left / 4.0)
    win = np.where(weekend, 0.03, 1.39) * np.where(calendar.holiday, 0.3, 1.0) * rush
    lose = np.where(weekend, 0.1, 1.36) * np.where(calendar.holiday, 0.4, 1.0)
    one = np.ones(ALL_DAYS)
    return np.array(
        [
            forward,
            win * np.where(after, 0.75, 1.0),
            np.where(after, 1.4, 1.0),
            forward,
            one,
            lose,
            one,
            one,
        ]
    )


def _ones(deals: Deals) -> Floats:
    return np.ones(len(deals))


def _diligence(deals: Deals) -> Floats:
    return np.exp(0.2 * deals.diligence)


def _chattiness(deals: Deals) -> Floats:
    return np.exp(0.2 * deals.chattiness)


def _has_mail(deals: Deals) -> Floats:
    return np.asarray(deals.unit != UNITS.index("crm:simulated-south"), dtype=np.float64)


def _has_updates(deals: Deals) -> Floats:
    return np.asarray(deals.unit != UNITS.index("crm:simulated-west"), dtype=np.float64)


def world_two() -> World:
    """The second world.

    Examples
    --------
    >>> world_two().chain.states
    13
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
            "rep_mail": lambda deals: _diligence(deals) * _has_mail(deals),
            "customer": _chattiness,
            "customer_mail": lambda deals: _chattiness(deals) * _has_mail(deals),
            "internal": lambda deals: _diligence(deals) * _has_updates(deals),
            "hopeful": lambda deals: np.exp(0.5 * deals.optimism),
            "wary": lambda deals: np.exp(-0.4 * deals.optimism),
        },
        channels=channels(BASE),
        reasons=np.array(
            [
                [0.6, 0.1, 0.1, 0.2],
                *[[0.4, 0.1, 0.4, 0.1]] * 3,
                *[[0.3, 0.4, 0.3, 0.0]] * 2,
                [0.1, 0.6, 0.3, 0.0],
                [0.7, 0.0, 0.1, 0.2],
                [0.1, 0.0, 0.1, 0.8],
            ]
        ),
        units=(0.6, 0.25, 0.15),
        planless=(UNITS.index("crm:simulated-west"),),
    )
