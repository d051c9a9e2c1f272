"""The exact filter: what the events known at a moment say of a deal's hidden state.

For a deal open as known at the midnight that begins day t, and its events known by then,

    a_0(s)   = first(s) * L_0(s)
    a_d(s')  = [ sum_s a_{d-1}(s) P_d(s -> s') ] * L_d(s') * (1 - q(d))^[s' is won or dropped]
    P(s_{t-1} = s | known at t) = a_{t-1}(s) / sum a_{t-1}

where q(d) is the chance that a closing is entered on day d (it was not: the deal is open). With
m_c(d) the multiplier of channel c on day d, n_c(d) its events of that day known at t, and
F(k) = P(lag <= k) for the owner's habit (1 for channels known at once),

    count channels   L = base_c(s)^n_c * exp(-base_c(s) m_c F(t-1-d))       (thinned Poisson)
    once channels    L = 1 - exp(-base_c(s) m_c)  or  exp(-base_c(s) m_c)   (seen or not)

Factors without s cancel: the lag of a known event, its value, its multiplier. An event that is not
yet known enters exactly as it should, through F alone. A deal that is opened again starts anew
on that day, in a state that does not depend on what it was before.

Nothing here reads the hidden state, and nothing known at t or later: the log may be cut there.

References
----------
Rabiner, L. R. (1989), "A tutorial on hidden Markov models", Proceedings of the IEEE 77(2), the
forward procedure; thinning of Poisson processes: Kingman, J. F. C. (1993), Poisson Processes, 5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.simulation.company import LAG_DAYS, Deals
from training.simulation.record import Record
from training.simulation.seasons import Floats, Ints
from training.simulation.unfolding import Log, Reopenings
from training.simulation.world import World

WINDOW: Final = LAG_DAYS  # days whose events may still be unknown


@dataclass(frozen=True, kw_only=True)
class Recent:
    """The last `WINDOW` days before each landmark, the most recent one last."""

    before: Floats  # filter with everything older, [open states, landmarks]
    prompt: Floats  # likelihood of what is known at once, [WINDOW, open states, landmarks]
    late: Floats  # multipliers of late channels, [WINDOW, late channels, landmarks]


def filter_states(
    world: World, deals: Deals, log: Log, reopenings: Reopenings, row: Ints, day: Ints
) -> Floats:
    """P(hidden state | what is known) at moments at which deals are open as known.

    Parameters
    ----------
    world
        Whose laws the deals follow.
    deals
        On the day they open.
    log, reopenings
        What they showed; what is known later than a moment does not bear on it.
    row, day
        The moments: the deal, and the day that begins at that midnight; [moments].

    Returns
    -------
    Floats
        [open states, moments]; columns sum to 1.
    """
    start = _start(deals, reopenings, row, day)
    recent = _filter_whole_days(world, deals, log, reopenings, row, day)
    seen = _late_events(world, deals, log, row, day)
    speed = world.speed(deals)[:, row]
    base = world.base[world.late]
    known = world.lag_known[deals.log_habit[row]]  # [moments, lag]
    opened = _padded(world.first(deals)[:, row])
    first = np.where(start > deals.open_day[row], world.chain.restart(row.size), opened)
    state = recent.before
    for i in range(WINDOW):
        on = day - WINDOW + i
        date = np.maximum(on, 0)
        state = np.where(on == start, first, _morning(world, state, speed, date))
        # Day `on` has had WINDOW - i - 1 further days for its events to become known.
        unseen = np.exp(-(base.T @ (recent.late[i] * known[:, WINDOW - i - 1])))
        like = recent.prompt[i] * unseen * seen[i]
        like[[world.chain.won, world.chain.dropped]] *= 1.0 - world.closing_log[date]
        state = _normal(np.where(on >= start, state * like, state))
    return state


def _padded(first: Floats) -> Floats:
    """Live states only, as open states."""
    return np.vstack([first, np.zeros((2, first.shape[1]))])


def _normal(state: Floats) -> Floats:
    return np.asarray(state / state.sum(axis=0))


def _morning(world: World, state: Floats, speed: Floats, day: Ints) -> Floats:
    return world.chain.step(_padded(state), speed, world.season[:, day])[: len(state)]


def _start(deals: Deals, reopenings: Reopenings, row: Ints, day: Ints) -> Ints:
    """The day on which the deal was opened, for the last time before each moment."""
    start = deals.open_day[row].copy()
    for i in np.argsort(reopenings.day, kind="stable"):
        start[(row == reopenings.row[i]) & (day > reopenings.day[i])] = reopenings.day[i]
    return start


def _late_events(world: World, deals: Deals, log: Log, row: Ints, day: Ints) -> Floats:
    """Product of base_c(s) over the late events known, by day; [WINDOW, open states, moments]."""
    factor = np.ones((WINDOW, world.chain.open_states, row.size))
    order = np.flatnonzero(np.isin(log.channel, world.late))
    order = order[np.argsort(log.row[order], kind="stable")]
    ends = np.searchsorted(log.row[order], np.arange(len(deals) + 1))
    events = ends[row + 1] - ends[row]
    moment = np.repeat(np.arange(row.size), events)
    offset = np.arange(moment.size) - np.repeat(np.cumsum(events) - events, events)
    event = order[ends[row][moment] + offset]
    slot = log.day[event] - (day[moment] - WINDOW)
    seen = (slot >= 0) & (log.known_day[event] < day[moment])
    moment, event, slot = moment[seen], event[seen], slot[seen]
    np.multiply.at(factor.transpose(0, 2, 1), (slot, moment), world.base[log.channel[event]])
    return factor


@dataclass(frozen=True, kw_only=True)
class _Ages:
    """Positions of things in their arrays, by the deal's age on the day they belong to."""

    order: Ints
    ends: Ints

    @classmethod
    def of(cls, age: Ints, order: Ints, oldest: int) -> _Ages:
        return cls(order=order, ends=np.searchsorted(age[order], np.arange(oldest + 2)))

    def __getitem__(self, age: int) -> Ints:
        return self.order[self.ends[age] : self.ends[age + 1]]


def _filter_whole_days(
    world: World, deals: Deals, log: Log, reopenings: Reopenings, row: Ints, day: Ints
) -> Recent:
    """Filter with all events of each day, and keep the last `WINDOW` days for each moment.

    What is more than `WINDOW` days old is wholly known at the moment, so `Recent.before` sees
    nothing that was not.
    """
    count, states = len(deals), world.chain.open_states
    speed, record, habits = world.speed(deals), Record(deals), world.habit_table(deals)
    age_asked = day - deals.open_day[row]
    oldest = np.full(count, -1)
    np.maximum.at(oldest, row, age_asked)
    last = int(oldest.max(initial=-1))
    age_shown = log.day - deals.open_day[log.row]
    moments = _Ages.of(age_asked, np.argsort(age_asked, kind="stable"), last)
    shown_at = _Ages.of(age_shown, np.lexsort((log.channel, age_shown)), last)
    age_again = reopenings.day - deals.open_day[reopenings.row]
    # Rings over the last days, by age modulo their length.
    state_ring = np.ones((WINDOW + 1, states, count))
    prompt_ring = np.ones((WINDOW, states, count))
    late_ring = np.zeros((WINDOW, len(world.late), count))
    recent = Recent(
        before=np.ones((states, row.size)),
        prompt=np.ones((WINDOW, states, row.size)),
        late=np.zeros((WINDOW, len(world.late), row.size)),
    )
    state = _padded(world.first(deals))
    for age in range(last + 1):
        asked = moments[age]
        ages = np.arange(age - WINDOW, age) % WINDOW
        recent.before[:, asked] = state_ring[(age - WINDOW - 1) % (WINDOW + 1)][:, row[asked]]
        recent.prompt[:, :, asked] = prompt_ring[ages][:, :, row[asked]]
        recent.late[:, :, asked] = late_ring[ages][:, :, row[asked]]
        rows = np.flatnonzero(oldest > age)
        on = deals.open_day[rows] + age
        now = state[:, rows]
        if age:
            now = _morning(world, now, speed[:, rows], on)
            again = np.isin(rows, reopenings.row[age_again == age])
            now[:, again] = world.chain.restart(int(again.sum()))
        shown = world.exposure(habits, record, rows, on)
        prompt, late = _day_likelihood(world, log, shown_at[age], rows, shown, record)
        prompt_ring[age % WINDOW][:, rows] = prompt
        late_ring[age % WINDOW][:, rows] = shown[world.late]
        now = now * prompt * late
        now[[world.chain.won, world.chain.dropped]] *= 1.0 - world.closing_log[on]
        state[:, rows] = state_ring[age % (WINDOW + 1)][:, rows] = _normal(now)
    return recent


def _day_likelihood(
    world: World, log: Log, events: Ints, rows: Ints, shown: Floats, record: Record
) -> tuple[Floats, Floats]:
    """Likelihood of a day's events by state, of prompt and of late channels; updates the record.

    Parameters
    ----------
    world, log
        The laws, and what was shown.
    events
        Positions in the log of the day's events, by channel; those of deals not in `rows` are
        left out.
    rows
        The deals, ascending.
    shown
        Multipliers m_c of the day, [channels, rows].
    record
        As of that morning; as of the evening afterwards.

    Returns
    -------
    tuple[Floats, Floats]
        [open states, rows] each.
    """
    prompt = np.exp(-(world.base[world.prompt].T @ shown[world.prompt]))
    late = np.exp(-(world.base[world.late].T @ shown[world.late]))
    events = events[np.isin(log.row[events], rows)]
    for c in np.unique(log.channel[events]):
        channel, base = world.channels[c], world.base[c][:, None]
        mine = events[log.channel[events] == c]
        at = np.searchsorted(rows, log.row[mine])
        # The likelihood of no event is in already, as exp(-base m): once channels divide by it.
        factor = (
            np.repeat(base, at.size, axis=1) if channel.count else np.expm1(base * shown[c, at])
        )
        np.multiply.at((late if channel.late else prompt).T, at, factor.T)
        channel.rule.apply(record, log.row[mine], log.value[mine], log.day[mine])
    return prompt, late
