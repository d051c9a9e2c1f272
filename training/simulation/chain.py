"""The hidden state of a deal: a Markov chain that steps once a day.

States 0 .. L-1 are the world's own (engaged, stalled, ...). Four more follow for every world:

    L      won       it was won; whether the CRM says so is another matter
    L + 1  dropped   it was lost, and the CRM does not say so yet
    L + 2  lost      it was lost and the CRM says so; it may be opened again
    L + 3  gone      it was lost for good (in the simulation also: won and logged)

On the morning of day d a deal in state s moves to s' along an edge e = (s, s') with the rate

    r_e(d) = base_e * speed_{g(e)}(deal) * season_{g(e)}(d)          (g(e): the edge's group)
    P(s -> s') = (1 - exp(-R_s)) r_e / R_s,    R_s = sum of r_e over the edges out of s

Speeds are known when the deal opens and seasons are known in advance, so nothing that happens
later, and nothing that is only seen, changes the chain: the chain makes the events, not the events
the chain. In the evening of day d a won or dropped deal is entered in the CRM with the chance q(d).

Arrays are state-major: a distribution over states is [states, n].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from training.simulation.seasons import Floats, Ints


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One way from a state to another; `rate` is per day at speed and season 1."""

    origin: str
    target: str
    rate: float
    group: str


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The states and edges of a world.

    Parameters
    ----------
    live
        Names of the states of a deal still in play.
    groups
        Names of the groups of edges that share speed and season.
    edges
        Every edge; the states ``won``, ``dropped``, ``lost`` and ``gone`` may be targets, and
        ``lost`` an origin.

    Examples
    --------
    >>> chain = Chain(live=("on",), groups=("go",), edges=(
    ...     Edge(origin="on", target="won", rate=0.1, group="go"),))
    >>> one = np.ones((1, 1))
    >>> chain.step(np.array([[1.0], [0], [0], [0], [0]]), one, one)[:2, 0].round(4).tolist()
    [0.9048, 0.0952]
    """

    live: tuple[str, ...]
    groups: tuple[str, ...]
    edges: tuple[Edge, ...]

    @property
    def won(self) -> int:
        """The state of a won deal."""
        return len(self.live)

    @property
    def dropped(self) -> int:
        """The state of a lost deal of which the CRM does not know."""
        return len(self.live) + 1

    @property
    def open_states(self) -> int:
        """How many states, the first ones, a deal can be in that is open as known."""
        return len(self.live) + 2

    @property
    def lost(self) -> int:
        """The state of a deal known to be lost."""
        return len(self.live) + 2

    @property
    def gone(self) -> int:
        """The state that nothing leaves."""
        return len(self.live) + 3

    @property
    def states(self) -> int:
        """How many states there are."""
        return len(self.live) + 4

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate((*self.live, "won", "dropped", "lost", "gone"))}

    @cached_property
    def _exits(self) -> dict[int, tuple[Ints, Floats, Ints]]:
        """By origin: targets, base rates and groups of the edges out of it."""
        exits: dict[int, tuple[Ints, Floats, Ints]] = {}
        for origin in dict.fromkeys(edge.origin for edge in self.edges):
            out = [edge for edge in self.edges if edge.origin == origin]
            exits[self._index[origin]] = (
                np.array([self._index[edge.target] for edge in out]),
                np.array([edge.rate for edge in out]),
                np.array([self.groups.index(edge.group) for edge in out]),
            )
        return exits

    def step(self, state: Floats, speed: Floats, season: Floats) -> Floats:
        """Distribution of the state after one morning.

        Parameters
        ----------
        state
            Distribution before, [states, n] or [states, k, n].
        speed, season
            Multipliers of each group, [groups, n].

        Returns
        -------
        Floats
            Of the shape of `state`.
        """
        pace = speed * season
        after = state.copy()
        for origin, (targets, base, group) in self._exits.items():
            rate = base[:, None] * pace[group]
            total = rate.sum(axis=0)
            leaving = state[origin] * -np.expm1(-total)
            after[origin] -= leaving
            share = leaving / total
            for i, target in enumerate(targets):
                after[target] += share * rate[i]
        return after

    def enter(self, state: Floats, chance: Floats) -> None:
        """Move, in place, the dropped deals that the CRM learns of in the evening to lost."""
        logged = state[self.dropped] * chance
        state[self.dropped] -= logged
        state[self.lost] += logged

    def draw(self, state: Ints, speed: Floats, season: Floats, rng: np.random.Generator) -> Ints:
        """Draw the state after one morning of each deal, [n] from [n]."""
        pace = speed * season
        chance = rng.random(len(state))
        after = state.copy()
        for origin, (targets, base, group) in self._exits.items():
            rows = np.flatnonzero(state == origin)
            if rows.size == 0:
                continue
            reach = np.cumsum(base[:, None] * pace[group][:, rows], axis=0)
            moving = -np.expm1(-reach[-1])
            moved = chance[rows] < moving
            # Given that it moves, chance / moving is uniform again and picks the edge.
            pick = (chance[rows] / moving * reach[-1] >= reach).sum(axis=0)
            target = targets[np.minimum(pick, len(targets) - 1)]
            after[rows[moved]] = target[moved]
        return after

    def restart(self, count: int) -> Floats:
        """Distribution over the open states of deals just opened again, [open states, count].

        The edges from lost to live states are of one group, so its speed cancels.
        """
        first = np.zeros((self.open_states, count))
        targets, base, _ = self._exits[self.lost]
        for target, rate in zip(targets, base, strict=True):
            if target < self.open_states:
                first[target] = rate
        return np.asarray(first / first.sum(axis=0))
