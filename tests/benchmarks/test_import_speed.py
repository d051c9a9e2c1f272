"""How fast a large event log is imported, and with how much memory. Run by ``make bench``."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest

ROWS = 4_000_000
ROWS_A_DEAL = 20
PEOPLE_A_DEAL = 3
SECONDS = 60.0
GIBIBYTES = 4.0
FIRST_SECOND = 1_600_000_000
SECONDS_OF_A_LIFE = 400 * 86_400
ACTIVITIES = ("mail in", "mail out", "call", "meeting", "note", "stage moved", "opened", "won")
OPENED, WON = 6, 7
MAPPING = """
source = "crm"
[[record]]
rows = "event"
deal_id = "deal"
occurred_at = "at"
activity = "what"
person = "who"
state = { amount_changed = "amount" }
[record.activities]
opened = "deal_opened"
"mail in" = ["customer_replied", "activity_logged"]
"mail out" = "message_sent"
call = "call_made"
meeting = "meeting_held"
note = "activity_logged"
"stage moved" = { kind = "stage_changed", name = "stage" }
won = "deal_won"
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up log of `ROWS` rows in no order, and its mapping beside it."""
    folder = tmp_path_factory.mktemp("log")
    (folder / "log.toml").write_text(MAPPING, "utf-8")
    rng = np.random.default_rng(0)
    deals = ROWS // ROWS_A_DEAL
    deal = np.repeat(np.arange(deals), ROWS_A_DEAL)
    second = FIRST_SECOND + rng.integers(0, SECONDS_OF_A_LIFE, ROWS)
    what = rng.integers(0, OPENED, ROWS)
    nth = np.arange(ROWS) % ROWS_A_DEAL
    what[nth == 0], second[nth == 0] = OPENED, FIRST_SECOND
    what[nth == ROWS_A_DEAL - 1] = WON
    second[nth == ROWS_A_DEAL - 1] += SECONDS_OF_A_LIFE
    who = deal * PEOPLE_A_DEAL + rng.integers(0, PEOPLE_A_DEAL, ROWS)
    columns = {
        "deal": pa.array([f"D-{i:07}" for i in range(deals)]).take(pa.array(deal)),
        "at": pc.strftime(
            pa.array(second).cast(pa.timestamp("s", "UTC")), format="%Y-%m-%dT%H:%M:%SZ"
        ),
        "what": pa.array(ACTIVITIES).take(pa.array(what)),
        "who": pa.array([f"p{i}@customer.example" for i in range(deals * PEOPLE_A_DEAL)]).take(
            pa.array(who)
        ),
        "amount": pa.array(rng.lognormal(9, 1, deals).round(2)).take(pa.array(deal)),
        "stage": pa.array([f"stage {i}" for i in range(6)]).take(
            pa.array(rng.integers(0, 6, ROWS))
        ),
    }
    table = pa.table(columns).take(pa.array(rng.permutation(ROWS)))
    pa_csv.write_csv(table, folder / "log.csv")
    return folder / "log.csv"


def test_four_million_rows_of_csv(log: Path) -> None:
    command = "import sys; from service.cli import main; sys.exit(main())"
    arguments = ["import", "log.toml", "log.csv", "--out", "events.parquet"]
    start = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        cwd=log.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    gibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    assert ran.returncode == 0, ran.stderr
    print(f"\n{ROWS:,} rows imported in {seconds:.1f} s with {gibibytes:.1f} GiB\n{ran.stdout}")
    assert seconds <= SECONDS
    assert gibibytes <= GIBIBYTES
