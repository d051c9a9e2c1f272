"""The filter and the truth, against sums over every path written out by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from training.simulation import rules
from training.simulation.chain import Chain, Edge
from training.simulation.company import LAG_DAYS, Deals, open_deals
from training.simulation.record import Record
from training.simulation.seasons import ALL_DAYS, Floats, Ints
from training.simulation.sieve import filter_states
from training.simulation.truth import HORIZON_DAYS, win_chances
from training.simulation.unfolding import Log, Reopenings, Unfolding, unfold
from training.simulation.world import Channel, World
from training.simulation.world_one import world_one
from training.simulation.world_two import world_two

MOST_UNSEEN = 25  # events of one channel and day; rates here are far below 1


def tiny_world() -> World:
    edges = (
        ("warm", "won", 0.08, "good"),
        ("warm", "cold", 0.15, "bad"),
        ("cold", "warm", 0.05, "good"),
        ("cold", "dropped", 0.1, "bad"),
        ("lost", "warm", 0.2, "bad"),
        ("lost", "cold", 0.1, "bad"),
        ("lost", "gone", 0.1, "bad"),
    )
    rng = np.random.default_rng(5)
    return World(
        chain=Chain(
            live=("warm", "cold"),
            groups=("good", "bad"),
            edges=tuple(Edge(origin=o, target=t, rate=r, group=g) for o, t, r, g in edges),
        ),
        first=lambda deals: np.tile([[0.7], [0.3]], (1, len(deals))),
        speed=lambda deals: np.exp([0.5 * deals.skill, -0.5 * deals.skill]),
        season=rng.uniform(0.3, 2.0, (2, ALL_DAYS)),
        habits={"none": lambda deals: np.exp(0.3 * deals.diligence)},
        channels=(
            Channel(kind="customer_replied", base=(0.5, 0.1, 0.2, 0.05), count=True),
            Channel(kind="call_made", base=(0.6, 0.2, 0.1, 0.05), count=True, late=True),
            Channel(kind="meeting_held", base=(0.3, 0.02, 0.1, 0.05), count=True, late=True),
            Channel(
                kind="commercial_talks_started",
                base=(0.3, 0.05, 0.1, 0.02),
                rule=rules.Once("talks"),
            ),
            Channel(kind="internal_update_posted", base=(0.1, 0.4, 0.2, 0.3)),
        ),
        reasons=np.full((2, 4), 0.25),
    )


def one(deals: Deals, row: int) -> Deals:
    return deals.take(slice(row, row + 1))


def morning_matrix(world: World, deal: Deals, day: int) -> Floats:
    """P(s -> s') written out edge by edge, [states, states]."""
    chain = world.chain
    names = [*chain.live, "won", "dropped", "lost", "gone"]
    speed = world.speed(deal)[:, 0]
    matrix = np.eye(len(names))
    for i, name in enumerate(names):
        out = [e for e in chain.edges if e.origin == name]
        group = [chain.groups.index(e.group) for e in out]
        rate = [e.rate * speed[g] * world.season[g, day] for e, g in zip(out, group, strict=True)]
        total = math.fsum(rate)
        for edge, r in zip(out, rate, strict=True):
            matrix[i, names.index(edge.target)] += (1.0 - math.exp(-total)) * r / total
        if out:
            matrix[i, i] = math.exp(-total)
    return matrix


def day_likelihoods(
    world: World, deal: Deals, log: Log, start: int, moment: int
) -> dict[int, list[float]]:
    """P(what of each day is known at the moment | state), up to factors without the state.

    Unseen events are summed over one count at a time, instead of the closed form of thinning.
    """
    record, habits = Record(deal), world.habit_table(deal)
    likelihoods = {}
    row = np.zeros(1, dtype=np.int64)
    lag = world.lag[deal.log_habit[0]]
    for day in range(int(deal.open_day[0]), moment):
        shown = world.exposure(habits, record, row, np.array([day]))[:, 0]
        like = [1.0] * world.chain.open_states
        for c, channel in enumerate(world.channels):
            mine = (log.channel == c) & (log.day == day)
            seen = int(mine.sum())
            all_known = not channel.late or moment - day > LAG_DAYS
            p_known = 1.0 if all_known else math.fsum(lag[: moment - day])
            for s in range(world.chain.open_states):
                mean = world.base[c, s] * shown[c]
                if channel.count:
                    like[s] *= math.fsum(
                        math.exp(-mean)
                        * mean**n
                        / math.factorial(n)
                        * math.comb(n, seen)
                        * p_known**seen
                        * (1.0 - p_known) ** (n - seen)
                        for n in range(seen, seen + (1 if p_known == 1.0 else MOST_UNSEEN))
                    )
                else:
                    like[s] *= 1.0 - math.exp(-mean) if seen else math.exp(-mean)
            for event in np.flatnonzero(mine):
                at = slice(event, event + 1)
                channel.rule.apply(record, log.row[at], log.value[at], log.day[at])
        for s in (world.chain.won, world.chain.dropped):
            like[s] *= 1.0 - world.closing_log[day]
        if day >= start:
            likelihoods[day] = like
    return likelihoods


def paths_posterior(
    world: World, deal: Deals, log: Log, start: int, first: Floats, moment: int
) -> Floats:
    """P(state | known) as a sum over every path of states."""
    like = day_likelihoods(world, deal, log, start, moment)
    moves = {day: morning_matrix(world, deal, day) for day in like}
    weight = np.zeros(world.chain.open_states)
    for path in itertools.product(range(world.chain.open_states), repeat=len(like)):
        chance = first[path[0]]
        for (day, of_day), s, before in zip(like.items(), path, (None, *path), strict=False):
            chance *= of_day[s]
            if before is not None:
                chance *= moves[day][before, s]
        weight[path[-1]] += chance
    return weight / weight.sum()


def forward_posterior(
    world: World, deal: Deals, log: Log, start: int, first: Floats, moment: int
) -> Floats:
    """The same sum, a day at a time, for histories too long for all paths."""
    state = np.zeros(0)
    for day, like in day_likelihoods(world, deal, log, start, moment).items():
        size = world.chain.open_states
        state = first if day == start else state @ morning_matrix(world, deal, day)[:size, :size]
        state = state * like
        state = state / state.sum()
    return state


def open_moments(deals: Deals, lived: Unfolding, ages: range) -> tuple[Ints, Ints]:
    """Moments at which deals are open as known, with the last opening known by then."""
    row, day = [], []
    for deal in range(len(deals)):
        for age in ages:
            moment = int(deals.open_day[deal]) + age
            closed = lived.closings.known_day[lived.closings.row == deal]
            again = lived.reopenings.day[lived.reopenings.row == deal]
            if (closed < moment).sum() == (again < moment).sum():
                row.append(deal)
                day.append(moment)
    return np.array(row), np.array(day)


def known_then(log: Log, deal: int, moment: int) -> Log:
    kept = log.known_before(moment)
    mine = kept.row == deal
    return Log(
        row=np.zeros(int(mine.sum()), dtype=np.int64),
        day=kept.day[mine],
        known_day=kept.known_day[mine],
        channel=kept.channel[mine],
        value=kept.value[mine],
    )


def opening_of(
    world: World, deal: Deals, reopenings: Reopenings, row: int, moment: int
) -> tuple[int, Floats]:
    again = reopenings.day[(reopenings.row == row) & (reopenings.day < moment)]
    if again.size:
        return int(again.max()), world.chain.restart(1)[:, 0]
    return int(deal.open_day[0]), np.append(world.first(deal)[:, 0], [0.0, 0.0])


def lived_deals(world: World, count: int, seed: int) -> tuple[Deals, Unfolding]:
    rng = np.random.default_rng(seed)
    deals = open_deals(count, (1.0, 0.0, 0.0), (), rng)
    return deals, unfold(world, deals, rng)


def test_the_filter_is_the_sum_over_all_paths_of_the_hidden_state() -> None:
    world = tiny_world()
    deals, lived = lived_deals(world, 30, seed=1)
    row, day = open_moments(deals, lived, range(1, 6))
    filtered = filter_states(world, deals, lived.log, lived.reopenings, row, day)
    for i, (deal, moment) in enumerate(zip(row, day, strict=True)):
        its = one(deals, deal)
        start, first = opening_of(world, its, lived.reopenings, deal, moment)
        known = known_then(lived.log, deal, moment)
        expected = paths_posterior(world, its, known, start, first, moment)
        np.testing.assert_allclose(filtered[:, i], expected, atol=1e-12)


@pytest.mark.parametrize("make_world", [tiny_world, world_one, world_two])
def test_the_filter_is_right_on_long_histories_with_late_events_and_reopenings(
    make_world: Callable[[], World],
) -> None:
    world = make_world()
    deals, lived = lived_deals(world, 40, seed=2)
    ages = range(LAG_DAYS - 1, 46, 3) if make_world is tiny_world else range(30, 90, 50)
    row, day = open_moments(deals, lived, ages)
    filtered = filter_states(world, deals, lived.log, lived.reopenings, row, day)
    reopened = 0
    for i, (deal, moment) in enumerate(zip(row, day, strict=True)):
        its = one(deals, deal)
        start, first = opening_of(world, its, lived.reopenings, deal, moment)
        reopened += start > its.open_day[0]
        known = known_then(lived.log, deal, moment)
        expected = forward_posterior(world, its, known, start, first, moment)
        np.testing.assert_allclose(filtered[:, i], expected, atol=1e-10)
    assert len(row) > 20
    assert reopened > 0 or make_world is not tiny_world


@pytest.mark.parametrize("make_world", [world_one, world_two])
def test_events_known_later_do_not_bear_on_the_filter(make_world: Callable[[], World]) -> None:
    world = make_world()
    deals, lived = lived_deals(world, 200, seed=3)
    log, row, day = lived.log, lived.landmarks.row, lived.landmarks.day
    whole = filter_states(world, deals, log, lived.reopenings, row, day)
    # Half of the landmarks tried have events that had happened and were not yet known.
    pending = [
        bool(np.any((log.row == deal) & (log.day < moment) & (log.known_day >= moment)))
        for deal, moment in zip(row, day, strict=True)
    ]
    tried = [*np.flatnonzero(pending)[:8], *np.flatnonzero(np.logical_not(pending))[:8]]
    assert len(tried) == 16
    for i in tried:
        then = log.known_before(int(day[i]))
        again = lived.reopenings.day < day[i]
        openings = Reopenings(row=lived.reopenings.row[again], day=lived.reopenings.day[again])
        cut = filter_states(world, deals, then, openings, row[i : i + 1], day[i : i + 1])
        np.testing.assert_allclose(cut[:, 0], whole[:, i], atol=1e-13)


@pytest.mark.parametrize("make_world", [tiny_world, world_one, world_two])
def test_win_chances_are_powers_of_the_daily_chain(make_world: Callable[[], World]) -> None:
    world = make_world()
    deals, lived = lived_deals(world, 12, seed=4)
    row = np.arange(12)
    day = deals.open_day + 5
    state = np.random.default_rng(0).dirichlet(np.ones(world.chain.open_states), (1, 12))
    chances = win_chances(world, deals, row, day, np.moveaxis(state, 2, 0))
    for deal in row:
        its = one(deals, deal)
        ahead = np.append(state[0, deal], [0.0, 0.0])
        expected = {}
        for passed in range(1, HORIZON_DAYS[-1] + 1):
            today = int(day[deal]) + passed - 1
            ahead = ahead @ morning_matrix(world, its, today)
            entered = ahead[world.chain.dropped] * world.closing_log[today]
            ahead[world.chain.dropped] -= entered
            ahead[world.chain.lost] += entered
            expected[passed] = ahead[world.chain.won]
        expected_at = [expected[days] for days in HORIZON_DAYS]
        np.testing.assert_allclose(chances[:, 0, deal], expected_at, atol=1e-12)
    assert lived.events > 0


def test_drawn_states_follow_the_chain() -> None:
    world = tiny_world()
    deals = open_deals(1, (1.0, 0.0, 0.0), (), np.random.default_rng(6))
    many = replace(
        deals.take(slice(0, 1)),
        **{name: np.repeat(getattr(deals, name), 40_000) for name in ("skill", "number")},
    )
    matrix = morning_matrix(world, deals, 3)
    season = np.repeat(world.season[:, 3:4], 40_000, axis=1)
    for state in (0, 1, world.chain.lost):
        drawn = world.chain.draw(
            np.full(40_000, state), world.speed(many), season, np.random.default_rng(state)
        )
        share = np.bincount(drawn, minlength=world.chain.states) / 40_000
        np.testing.assert_allclose(share, matrix[state], atol=4 * 0.5 / math.sqrt(40_000))
