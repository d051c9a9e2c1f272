"""A world: how deals of one simulated company live, and what they show of it.

Every kind of event has a channel. On day d, a deal in hidden state s shows the channel c with

    rate_c(s, d) = base_c(s) * habit_c(deal) * clock_c(d) * factor_c(record as of that morning)

``count`` channels show Poisson(rate) events a day, the others (`once`) one event with the chance
1 - exp(-rate). Given s, the deal and the record, channels are independent. An event of a `late`
channel is logged `lag` days later, with the lag's distribution given by the owner's habit; all
other events are known at once. What an event says beside its kind does not depend on s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from training.simulation.chain import Chain
from training.simulation.company import LAG_DAYS, Deals, lag_chances
from training.simulation.record import Record
from training.simulation.rules import Rule
from training.simulation.seasons import Floats, Ints, clocks, closing_log_chance

LOSS_REASONS: Final = ("no decision", "price", "competitor", "silence")


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One way in which a deal shows itself.

    Parameters
    ----------
    kind, name
        Of the event, see `model.events.KINDS`; the name may be None.
    base
        Events a day by open state (the live ones, won, dropped).
    clock
        A key of `clocks`.
    habit
        A key of the world's habits.
    rule
        How the record bears on it, and what it does to the record.
    writes
        How the event's value is shown (`training.simulation.listing`): ``nothing``, ``number``,
        ``span``, ``date``, ``stage``, ``category``, ``owner``, ``competitor``, ``next_step``,
        ``yes`` (the text), ``reply`` and ``message`` (a contact, in a thread) or ``answered`` (a
        message and the auto-reply to it).
    count, late
        Whether several a day can be, and whether it is logged late; what is late is a count and
        leaves the record alone.
    mail
        Whether it comes from the mail feed.
    """

    kind: str
    base: tuple[float, ...]
    name: str | None = None
    clock: str = "office"
    habit: str = "none"
    rule: Rule = field(default_factory=Rule)
    writes: str = "nothing"
    count: bool = False
    late: bool = False
    mail: bool = False


@dataclass(frozen=True, kw_only=True)
class World:
    """One simulated company's laws.

    Parameters
    ----------
    chain
        The hidden states.
    first
        Distribution of the state of a deal on the day it opens, [live states, n].
    speed
        Of each group of edges, [groups, n].
    season
        Of each group of edges, [groups, ALL_DAYS].
    habits
        How much of a kind of work a deal gets, by name, each [n].
    channels
        What a deal shows.
    reasons
        P(reason | the state it was lost from), [live states, LOSS_REASONS].
    units
        Share of deals in each CRM.
    planless
        The CRMs that keep no milestones.
    """

    chain: Chain
    first: Callable[[Deals], Floats]
    speed: Callable[[Deals], Floats]
    season: Floats
    habits: dict[str, Callable[[Deals], Floats]]
    channels: tuple[Channel, ...]
    reasons: Floats
    units: tuple[float, ...] = (1.0, 0.0, 0.0)
    planless: tuple[int, ...] = ()

    @cached_property
    def base(self) -> Floats:
        """Events a day, [channels, open states]."""
        return np.array([channel.base for channel in self.channels])

    @cached_property
    def late(self) -> Ints:
        """The channels logged late."""
        return np.flatnonzero([channel.late for channel in self.channels])

    @cached_property
    def prompt(self) -> Ints:
        """The channels known at once."""
        return np.flatnonzero([not channel.late for channel in self.channels])

    @cached_property
    def lag(self) -> Floats:
        """P(lag = days) by log habit, [3, LAG_DAYS + 1]."""
        return lag_chances()

    @cached_property
    def lag_known(self) -> Floats:
        """P(lag <= days) by log habit, [3, LAG_DAYS + 1]; exactly 1 in the end."""
        known = np.minimum(np.cumsum(self.lag, axis=1), 1.0)
        known[:, LAG_DAYS] = 1.0
        return known

    @cached_property
    def closing_log(self) -> Floats:
        """P(a closing is entered in the CRM on that day), [ALL_DAYS]."""
        return closing_log_chance()

    @cached_property
    def _clock(self) -> tuple[Floats, Ints]:
        names = list(dict.fromkeys(channel.clock for channel in self.channels))
        table = np.array([clocks()[name] for name in names])
        return table, np.array([names.index(channel.clock) for channel in self.channels])

    @cached_property
    def _habit(self) -> tuple[list[str], Ints]:
        names = list(dict.fromkeys(channel.habit for channel in self.channels))
        return names, np.array([names.index(channel.habit) for channel in self.channels])

    def habit_table(self, deals: Deals) -> Floats:
        """Every habit in use, [habits, n]: made once, then given to `exposure`."""
        return np.array([self.habits[name](deals) for name in self._habit[0]])

    def exposure(self, habits: Floats, record: Record, rows: Ints, day: Ints) -> Floats:
        """What multiplies `base` today, whatever the hidden state.

        Parameters
        ----------
        habits
            From `habit_table`, [habits, n].
        record
            As of this morning.
        rows, day
            The deals, and the day for each, [rows].

        Returns
        -------
        Floats
            [channels, rows].
        """
        table, clock = self._clock
        shown = habits[:, rows][self._habit[1]] * table[:, day][clock]
        for c, channel in enumerate(self.channels):
            factor = channel.rule.factor(record, rows, day)
            if factor is not None:
                shown[c] *= factor
        return np.asarray(shown)
