"""The truth: what can be known of a deal at a moment, and what will come of it.

At the midnight that begins day t, with the filter's P(s | known) and the chain run on over the days
t, t + 1, ... with the seasons that everybody knows,

    p_observable(t, k) = sum_s P(s | known at t) P(won by t + k | s)
    p_state(t, k)      = P(won by t + k | the hidden state)

A deal is won by t + k if it is won, by the day it happened, on a day before t + k; one that was won
before t and not entered yet counts. A deal lost in between may be opened again and won.

`p_observable` is exact: sums over all states and days, no sampling. It departs from the true number
by floating-point rounding alone, less than `P_OBSERVABLE_ERROR`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from training.simulation.company import Deals
from training.simulation.seasons import EPOCH_DAYS, Floats, Ints
from training.simulation.sieve import filter_states
from training.simulation.unfolding import Unfolding
from training.simulation.world import World

HORIZON_DAYS: Final = (7, 14, 30, 60, 90)
P_OBSERVABLE_ERROR: Final = 1e-10
TRUTH_SCHEMA: Final = pa.schema(
    [
        pa.field("deal_id", pa.string(), nullable=False),
        pa.field("as_of", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("days", pa.int64(), nullable=False),
        pa.field("p_observable", pa.float64(), nullable=False),
        pa.field("p_state", pa.float64(), nullable=False),
        pa.field("won", pa.bool_(), nullable=False),
    ],
    metadata={"p_observable_error": repr(P_OBSERVABLE_ERROR)},
)


def win_chances(world: World, deals: Deals, row: Ints, day: Ints, state: Floats) -> Floats:
    """P(won within the days of `HORIZON_DAYS`), given distributions over the state.

    Parameters
    ----------
    world
        Whose laws the deals follow.
    deals
        On the day they open.
    row, day
        The moments: the deal, and the day that begins at that midnight; [moments].
    state
        Distributions over the open states in the night before, [open states, k, moments].

    Returns
    -------
    Floats
        [horizons, k, moments].
    """
    chain = world.chain
    speed = world.speed(deals)[:, row]
    full = np.concatenate([state, np.zeros((2, *state.shape[1:]))])
    chances = np.empty((len(HORIZON_DAYS), *state.shape[1:]))
    for ahead in range(HORIZON_DAYS[-1]):
        full = chain.step(full, speed, world.season[:, day + ahead])
        chain.enter(full, world.closing_log[day + ahead])
        if ahead + 1 in HORIZON_DAYS:
            chances[HORIZON_DAYS.index(ahead + 1)] = full[chain.won]
    return chances


def tell_truth(world: World, deals: Deals, lived: Unfolding, deal_ids: pa.Array) -> pa.Table:
    """The truth at every landmark.

    Parameters
    ----------
    world, deals, lived
        The laws, the deals and what happened to them.
    deal_ids
        Of the deals, [n].

    Returns
    -------
    pa.Table
        Of `TRUTH_SCHEMA`, sorted by deal, moment and days.
    """
    order = np.lexsort((lived.landmarks.day, lived.landmarks.row))
    row, day = lived.landmarks.row[order], lived.landmarks.day[order]
    seen = filter_states(world, deals, lived.log, lived.reopenings, row, day)
    hidden = np.zeros_like(seen)
    hidden[lived.landmarks.state[order], np.arange(row.size)] = 1.0
    chances = win_chances(world, deals, row, day, np.stack([seen, hidden], axis=1))
    horizons = np.array(HORIZON_DAYS)
    won = lived.won_day[row][:, None] < day[:, None] + horizons
    midnight = (day + EPOCH_DAYS).astype("datetime64[D]").astype("datetime64[us]")
    asked = np.repeat(np.arange(row.size), len(horizons))
    return pa.Table.from_arrays(
        [
            deal_ids.take(pa.array(row[asked])),
            pa.array(midnight[asked]).cast(TRUTH_SCHEMA.field("as_of").type),
            pa.array(np.tile(horizons, row.size)),
            pa.array(np.clip(chances[:, 0].T.ravel(), 0.0, 1.0)),
            pa.array(np.clip(chances[:, 1].T.ravel(), 0.0, 1.0)),
            pa.array(won.ravel()),
        ],
        schema=TRUTH_SCHEMA,
    )
