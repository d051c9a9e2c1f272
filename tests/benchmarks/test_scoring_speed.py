"""How fast deals are scored: one in process, many from a file. Run by ``make bench``."""

from __future__ import annotations

import resource
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from model.artifact import Artifact
from model.event_table import event_from_row, read_events, write_events
from model.events import microseconds
from model.history import History
from model.scorer import Scorer
from service.cli import main
from training.fit import train
from training.preparing import Options
from training.simulate import simulate

KNOWN_BEFORE = datetime(2026, 1, 5, tzinfo=UTC)
AS_OF = datetime(2026, 1, 12, tzinfo=UTC)
COPIES = 50  # of the company, for a file of 100,000 deals
DEALS = 2_000
REPEATS = 2_000
ONE_DEAL_MEDIAN_MS = 0.4
ONE_DEAL_P99_MS = 1.0
HUNDRED_THOUSAND_SECONDS = 10.0


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company of `DEALS` deals and an artifact trained on it."""
    folder = tmp_path_factory.mktemp("company")
    events = simulate(DEALS, 1, truth=False).events
    write_events(events, folder / "events.parquet")
    artifact = train(events, microseconds(KNOWN_BEFORE), Options(edges_days=(14, 45, 90, 180)))
    artifact.save(folder / "artifact")
    return folder


@pytest.fixture(scope="module")
def large_company(company: Path) -> Path:
    """The company's deals `COPIES` times under other names, none closed: 100,000 open deals."""
    events = read_events(company / "events.parquet")
    closing = pc.is_in(events["kind"], pa.array(["deal_won", "deal_lost", "deal_reopened"]))
    events = events.filter(pc.invert(closing))
    copies = []
    for copy in range(COPIES):
        named = events.set_column(
            0, "deal_id", pc.binary_join_element_wise(f"{copy:03d}", events["deal_id"], "-")
        )
        place = named.column_names.index("source_id")
        own = pc.binary_join_element_wise(f"{copy:03d}", events["source_id"], "-")
        copies.append(named.set_column(place, "source_id", own))
    write_events(pa.concat_tables(copies), company / "large.parquet")
    return company / "large.parquet"


def test_one_deal_from_events_to_score_with_drivers(company: Path) -> None:
    scorer = Scorer(Artifact.load(company / "artifact"))
    table = read_events(company / "events.parquet")
    history = History.from_table(table)
    sizes = history.start[1:] - history.start[:-1]
    lives = []
    for deal in range(history.deals):
        if sizes[deal] == 20:
            rows = table.slice(int(history.start[deal]), 20).to_pylist()
            events = [event_from_row(row) for row in rows]
            try:
                scorer.score(History.from_events(events), AS_OF, days=60)
            except ValueError:
                continue  # closed by then
            lives.append(events)
    assert lives
    seconds = []
    for repeat in range(REPEATS):
        events = lives[repeat % len(lives)]
        start = time.perf_counter()
        scorer.score(History.from_events(events), AS_OF, days=60)
        seconds.append(time.perf_counter() - start)
    seconds.sort()
    median = statistics.median(seconds) * 1000
    p99 = seconds[int(0.99 * REPEATS)] * 1000
    print(f"\none deal of 20 events: median {median:.3f} ms, p99 {p99:.3f} ms")
    assert median <= ONE_DEAL_MEDIAN_MS
    assert p99 <= ONE_DEAL_P99_MS


def test_a_file_of_100_000_deals(company: Path, large_company: Path) -> None:
    start = time.perf_counter()
    status = main(
        [
            "score",
            str(large_company),
            *("--artifact", str(company / "artifact")),
            *("--as-of", AS_OF.isoformat()),
            *("--close-by", "2026-03-31"),
            *("--out", str(company / "scores.parquet")),
        ]
    )
    seconds = time.perf_counter() - start
    assert status == 0
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    events = read_events(large_company).num_rows
    print(
        f"\n{COPIES * DEALS:,} deals, {events:,} events, scored from a file with drivers: "
        f"{seconds:.1f} s; at most {own:.1f} GiB here and {children:.1f} GiB in a worker"
    )
    assert seconds <= HUNDRED_THOUSAND_SECONDS
