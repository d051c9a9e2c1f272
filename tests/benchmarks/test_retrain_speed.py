"""How long a whole retraining takes, and with how much memory. Run by ``make bench``.

The command `redflare retrain` as an analyst runs it, on simulated companies, each with a registry
of its own: without a champion, and for the largest once more beside one. Processor time and memory
are those of all its processes; what they share counts in each. ``REDFLARE_DRAW_TO`` names the file
that the figures are drawn to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import psutil
import pytest
from matplotlib.figure import Figure

from model.event_table import write_events
from training.simulate import simulate

DEALS = (10_000, 20_000, 50_000, 100_000)
SECONDS = 600.0
GIBIBYTES = 8.0
KNOWN_BEFORE, A_QUARTER_LATER = "2025-10-06", "2026-01-19"
LOOK_SECONDS = 0.2  # between two looks at the processes


class Cost(NamedTuple):
    """What a retraining took."""

    deals: int
    seconds: float
    processor_seconds: float
    gibibytes: float


def retrained(events: Path, deals: int, known_before: str, registry: Path) -> Cost:
    """Run the command, and watch its processes."""
    command = [str(Path(sys.executable).with_name("redflare")), "retrain", str(events)]
    command += ["--registry", str(registry), "--known-before", known_before, "--json"]
    command += ["--force", "--reason", "a measurement"]
    begun, most, spent = time.perf_counter(), 0, dict[int, float]()
    told = events.with_suffix(".json")
    with told.open("w") as out, subprocess.Popen(command, stdout=out) as process:
        first = psutil.Process(process.pid)
        while process.poll() is None:
            held = 0
            try:
                for each in (first, *first.children(recursive=True)):
                    held += each.memory_info().rss
                    spent[each.pid] = sum(each.cpu_times()[:2])
            except psutil.NoSuchProcess:
                pass  # one that ended while it was looked at
            most = max(most, held)
            time.sleep(LOOK_SECONDS)
    seconds = time.perf_counter() - begun
    assert process.returncode == 0
    assert json.loads(told.read_text())["promoted"]
    cost = Cost(deals, seconds, sum(spent.values()), most / 2**30)
    print(
        f"\n{deals:,} deals, known before {known_before}: {cost.seconds:.0f} s, "
        f"{cost.processor_seconds:.0f} s of processors, {cost.gibibytes:.1f} GiB"
    )
    return cost


def draw(costs: list[Cost], place: Path) -> None:
    """Time and memory against deals, beside what would be in proportion to the first."""
    with mpl.rc_context({"svg.hashsalt": "redflare", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7.0, 2.6), layout="constrained")
        first = costs[0]
        deals = [each.deals / 1000 for each in costs]
        for axes, title, values, bound, start in (
            (
                figure.add_subplot(1, 2, 1),
                "minutes",
                [each.seconds / 60 for each in costs],
                SECONDS / 60,
                first.seconds / 60,
            ),
            (
                figure.add_subplot(1, 2, 2),
                "GiB, all processes",
                [each.gibibytes for each in costs],
                GIBIBYTES,
                first.gibibytes,
            ),
        ):
            axes.plot(deals, values, "o-", color="#1f4e79")
            axes.plot(deals, [start * d / deals[0] for d in deals], ":", color="#888888")
            axes.axhline(bound, color="#b3261e", linewidth=0.8)
            axes.set(title=title, xlabel="thousand deals", ylim=(0, 1.15 * bound))
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(place, format="svg", metadata={"Date": None})


def test_a_retraining_grows_no_faster_than_the_company(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    costs = []
    for deals in DEALS:
        folder = tmp_path_factory.mktemp(f"company{deals}")
        events = folder / "events.parquet"
        write_events(simulate(deals, 1, 1, truth=False).events, events)
        costs.append(retrained(events, deals, KNOWN_BEFORE, folder / "registry"))
    again = retrained(events, DEALS[-1], A_QUARTER_LATER, folder / "registry")
    if os.environ.get("REDFLARE_DRAW_TO"):
        draw(costs, Path(os.environ["REDFLARE_DRAW_TO"]))

    smallest, largest = costs[0], costs[-1]
    grown = largest.deals / smallest.deals
    assert largest.processor_seconds <= 1.2 * grown * smallest.processor_seconds
    assert largest.gibibytes <= 1.2 * grown * smallest.gibibytes
    for each in (largest, again):
        assert each.seconds <= SECONDS
        assert each.gibibytes <= GIBIBYTES
