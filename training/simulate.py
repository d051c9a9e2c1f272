"""A believable company, simulated, with the truth about every deal.

Owners of different skill work the deals of accounts through seasons, holidays and quarter-ends;
activity is logged late, milestones slip, deals die in silence. Each deal has a hidden state that
makes its events and its end (`training.simulation.chain`, `.world`), so the exact filter
(`.sieve`) says how probable a win by a date is given everything that the events known at a moment
show: no model can do better on average than that `p_observable` (`.truth`).

What the filter takes as known beside the events: the laws of the world, and what each owner and
account is like. Both can be learned from the events of many deals, not from those of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import RedflareError
from model.event_table import write_events
from model.places import whole_file
from training.simulation.company import open_deals
from training.simulation.listing import list_events
from training.simulation.truth import TRUTH_SCHEMA, tell_truth
from training.simulation.unfolding import unfold
from training.simulation.world import World
from training.simulation.world_one import world_one
from training.simulation.world_two import world_two

WORLDS: Final[dict[int, Callable[[], World]]] = {1: world_one, 2: world_two}
CHUNK_DEALS: Final = 8192  # lived through together; the events do not depend on who asks for truth


class SimulationError(RedflareError):
    """A company cannot be simulated as asked. Ask for another number of deals, seed or world."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A simulated company.

    Parameters
    ----------
    events
        Of `model.event_table.EVENT_SCHEMA`, sorted; everything known when the record ends.
    truth
        Of `TRUTH_SCHEMA`: one row for each deal, moment and number of days; None if not asked for.
    """

    events: pa.Table
    truth: pa.Table | None

    def write(self, out_dir: Path | str) -> list[Path]:
        """Write ``events.parquet``, and ``truth.parquet`` where there is a truth.

        Parameters
        ----------
        out_dir
            Made if it does not exist.

        Returns
        -------
        list[Path]
            The files written.
        """
        out = Path(out_dir)
        out.mkdir(parents=True, exist_ok=True)
        written = [out / "events.parquet"]
        write_events(self.events, written[0])
        if self.truth is not None:
            written.append(out / "truth.parquet")
            with whole_file(written[1]) as part:
                pq.write_table(self.truth, part, compression="zstd")
        return written


def simulate(
    deals: int,
    seed: int,
    world: int = 1,
    *,
    truth: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Simulate a company.

    Parameters
    ----------
    deals
        How many deals it opens, at least 1.
    seed
        Not negative; the same arguments give the same company to the last byte.
    world
        1, or 2 for the differently built one.
    truth
        Whether to say the truth as well; the events are the same either way.
    progress
        Called with the number of deals just finished.

    Returns
    -------
    Simulation
        Events and truth.

    Raises
    ------
    SimulationError
        If there is no such world, or deals or seed are out of range.

    Examples
    --------
    >>> company = simulate(20, seed=7)
    >>> company.events.column_names[:3]
    ['deal_id', 'kind', 'occurred_at']
    >>> company.truth.column_names
    ['deal_id', 'as_of', 'days', 'p_observable', 'p_state', 'won']
    """
    _check(deals, seed, world)
    laws = WORLDS[world]()
    founding, *streams = np.random.SeedSequence([seed, world]).spawn(1 + -(-deals // CHUNK_DEALS))
    company = open_deals(deals, laws.units, laws.planless, np.random.default_rng(founding))
    width = max(6, len(str(deals - 1)))
    events, truths = [], []
    for i, stream in enumerate(streams):
        chunk = company.take(slice(i * CHUNK_DEALS, (i + 1) * CHUNK_DEALS))
        ids = pa.array([f"D-{number:0{width}d}" for number in chunk.number.tolist()])
        living, listing = (np.random.default_rng(part) for part in stream.spawn(2))
        lived = unfold(laws, chunk, living)
        events.append(list_events(laws, chunk, lived, ids, seed, listing))
        if truth:
            truths.append(tell_truth(laws, chunk, lived, ids))
        if progress is not None:
            progress(len(chunk))
    return Simulation(
        events=pa.concat_tables(events).combine_chunks(),
        truth=pa.concat_tables(truths).cast(TRUTH_SCHEMA).combine_chunks() if truth else None,
    )


def _check(deals: int, seed: int, world: int) -> None:
    if deals < 1:
        raise SimulationError(f"deals {deals}", "at least 1", "ask for more deals")
    if seed < 0:
        raise SimulationError(f"seed {seed}", "0 or more", "choose another seed")
    if world not in WORLDS:
        worlds = " or ".join(str(number) for number in WORLDS)
        raise SimulationError(f"world {world}", worlds, "choose one of these")
