"""The deals of a world, lived through day by day: the log of what they show, and their outcome.

One day of a deal: in the morning the hidden state steps; during the day the channels show events
at rates given by the new state; in the evening a closing that is not yet in the CRM may be entered.
All deals of one age live that day together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.simulation.company import LANDMARK_DAYS, Deals
from training.simulation.record import Record
from training.simulation.seasons import ALL_DAYS, LAST_DAY, Bools, Floats, Ints
from training.simulation.world import LOSS_REASONS, World

NEVER: Final = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, kw_only=True)
class Log:
    """What deals showed, in the order in which it happened; every field [events]."""

    row: Ints  # the deal
    day: Ints  # on which it happened
    known_day: Ints
    channel: Ints  # index of the world's channels
    value: Floats

    def known_before(self, day: Ints | int) -> Log:
        """The events known before the midnight that begins `day`."""
        keep = self.known_day < day
        return Log(
            row=self.row[keep],
            day=self.day[keep],
            known_day=self.known_day[keep],
            channel=self.channel[keep],
            value=self.value[keep],
        )


@dataclass(frozen=True, kw_only=True)
class Closings:
    """Deals that ended and the day on which the CRM says so; every field [closings]."""

    row: Ints
    day: Ints
    known_day: Ints
    won: Bools
    reason: Ints  # index of `LOSS_REASONS`, -1 for a won deal


@dataclass(frozen=True, kw_only=True)
class Reopenings:
    """Lost deals that were opened again, known at once; every field [reopenings]."""

    row: Ints
    day: Ints


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Midnights that begin a day, at which a deal was open as known; every field [landmarks]."""

    row: Ints
    day: Ints
    state: Ints  # the hidden state at that moment


@dataclass(frozen=True, kw_only=True)
class Unfolding:
    """Everything that happened to some deals."""

    log: Log
    closings: Closings
    reopenings: Reopenings
    landmarks: Landmarks
    won_day: Ints  # [n], NEVER for a deal not won

    @property
    def events(self) -> int:
        """How many events the log holds."""
        return len(self.log.row)


def unfold(world: World, deals: Deals, rng: np.random.Generator) -> Unfolding:
    """Live the deals through until they are over, or the simulation is.

    Parameters
    ----------
    world
        Whose laws they follow.
    deals
        On the day they open.
    rng
        The source of chance.

    Returns
    -------
    Unfolding
        Landmarks lie every `LANDMARK_DAYS` days after a deal's own random phase, wherever the deal
        is open as known then, up to the end of the record: nothing else picks them.
    """
    chain = world.chain
    count = len(deals)
    speed, record, habits = world.speed(deals), Record(deals), world.habit_table(deals)
    state = _draw_first(world.first(deals), rng)
    closed_day = np.full(count, NEVER)
    reason = np.full(count, -1)
    won_day = np.full(count, NEVER)
    log: list[tuple[Ints, ...]] = []
    values: list[Floats] = []
    closings: list[tuple[Ints, ...]] = []
    reopenings: list[tuple[Ints, ...]] = []
    landmarks: list[tuple[Ints, ...]] = []
    rows = np.arange(count)
    age = 0
    while True:
        rows = rows[(state[rows] != chain.gone) & (deals.open_day[rows] + age < ALL_DAYS)]
        if rows.size == 0:
            break
        day = deals.open_day[rows] + age
        before = state[rows]
        if age:
            asked = (age - deals.phase[rows]) % LANDMARK_DAYS == 0
            asked &= (before < chain.open_states) & (day <= LAST_DAY)
            landmarks.append((rows[asked], day[asked], before[asked]))
            after = chain.draw(before, speed[:, rows], world.season[:, day], rng)
            state[rows] = after
            ended = (after != before) & ((after == chain.won) | (after == chain.dropped))
            closed_day[rows[ended]] = day[ended]
            won_day[rows[after == chain.won]] = closed_day[rows[after == chain.won]]
            fell = ended & (after == chain.dropped)
            reason[rows[fell]] = _draw_reason(world, before[fell], rng)
            again = (before == chain.lost) & (after < len(chain.live))
            reopenings.append((rows[again], day[again]))
            reason[rows[again]] = -1
        is_open = state[rows] < chain.open_states
        today, active = day[is_open], rows[is_open]
        if active.size:
            for entry, value in _show(world, deals, record, habits, state, active, today, rng):
                log.append(entry)
                values.append(value)
        over = (state[active] == chain.won) | (state[active] == chain.dropped)
        entered = over & (rng.random(active.size) < world.closing_log[today])
        logged, logged_day = active[entered], today[entered]
        is_won = state[logged] == chain.won
        closings.append((logged, closed_day[logged], logged_day, is_won, reason[logged]))
        state[logged] = np.where(is_won, chain.gone, chain.lost)
        age += 1
    row, log_day, known_day, channel = _columns(log, 4)
    closed_row, closed, closed_known, closed_won, closed_reason = _columns(closings, 5)
    return Unfolding(
        log=Log(
            row=row,
            day=log_day,
            known_day=known_day,
            channel=channel,
            value=np.concatenate(values) if values else np.zeros(0),
        ),
        closings=Closings(
            row=closed_row,
            day=closed,
            known_day=closed_known,
            won=closed_won.astype(np.bool_),
            reason=closed_reason,
        ),
        reopenings=Reopenings(**dict(zip(("row", "day"), _columns(reopenings, 2), strict=True))),
        landmarks=Landmarks(
            **dict(zip(("row", "day", "state"), _columns(landmarks, 3), strict=True))
        ),
        won_day=won_day,
    )


def _columns(parts: list[tuple[Ints, ...]], width: int) -> list[Ints]:
    if not parts:
        return [np.zeros(0, dtype=np.int64) for _ in range(width)]
    return [np.concatenate([part[i] for part in parts]).astype(np.int64) for i in range(width)]


def _draw_first(first: Floats, rng: np.random.Generator) -> Ints:
    reach = np.cumsum(first, axis=0)
    return np.asarray((rng.random(first.shape[1]) * reach[-1] >= reach).sum(axis=0), dtype=np.int64)


def _draw_reason(world: World, origin: Ints, rng: np.random.Generator) -> Ints:
    reach = np.cumsum(world.reasons[origin], axis=1)
    pick = (rng.random((len(origin), 1)) >= reach).sum(axis=1)
    return np.asarray(np.minimum(pick, len(LOSS_REASONS) - 1), dtype=np.int64)


def _show(
    world: World,
    deals: Deals,
    record: Record,
    habits: Floats,
    state: Ints,
    rows: Ints,
    day: Ints,
    rng: np.random.Generator,
) -> list[tuple[tuple[Ints, ...], Floats]]:
    """Draw today's events of `rows`, and write them to the record.

    The channels' superposition is one Poisson count a deal, then a channel for each event: most
    days show nothing, so this is much quicker than a draw for each channel, and the same.
    """
    rate = world.base[:, state[rows]] * world.exposure(habits, record, rows, day)
    events = rng.poisson(rate.sum(axis=0))
    which = np.repeat(np.arange(rows.size), events)
    if which.size == 0:
        return []
    reach = np.cumsum(rate[:, which], axis=0)
    channel = (rng.random(which.size) * reach[-1] >= reach).sum(axis=0)
    order = np.lexsort((which, channel))
    which, channel = which[order], channel[order]
    shown: list[tuple[tuple[Ints, ...], Floats]] = []
    for c in np.unique(channel):
        law = world.channels[c]
        hits = which[channel == c]
        if not law.count:
            hits = np.unique(hits)
        hit, on = rows[hits], day[hits]
        value = law.rule.value(record, hit, on, rng)
        law.rule.apply(record, hit, value, on)
        known = on
        if law.late:
            reach_lag = world.lag_known[deals.log_habit[hit]]
            known = on + (rng.random((hit.size, 1)) >= reach_lag).sum(axis=1)
        shown.append(((hit, on, known, np.full(hit.size, c)), value))
    return shown
