"""A hundred processes killed at random steps and random moments, on each database.

``python -m pytest tests/benchmarks/test_kills.py -s``
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from service.storage.database import Database
from tests.service.conftest import (  # noqa: F401 - fixtures
    database,
    open_deals,
    postgresql,
    postgresql_template,
    scorer,
    sqlite_template,
    url,
)
from tests.service.killed import SERVER, work
from tests.service.test_killed import check, finish, killed_at, plan  # noqa: F401 - a fixture

KILLS = 100


def killed_within(own: dict[str, Any], seconds: float) -> bool:
    """Work in another process, killed after a time, wherever it is; whether it was."""
    process = SERVER.Process(target=work, args=(own | {"steps": 0, "names": []},))
    process.start()
    process.join(seconds)
    if process.is_alive():
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    return process.exitcode != 0


def test_a_hundred_kills(database: Database, plan: dict[str, Any]) -> None:  # noqa: F811 - fixtures
    rng = np.random.default_rng(7)
    kills = rounds = 0
    while kills < KILLS:
        rounds += 1
        again = plan | {name: f"{plan[name]}-{rounds}" for name in ("acknowledged", "told")}
        with database.writing() as connection:
            for table in ("outbox", "flares", "scores", "events", "deals", "inbox"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
        while kills < KILLS:
            if rng.random() < 0.5:
                was_killed = killed_at(again, int(rng.integers(1, 40)), [])
            else:
                was_killed = killed_within(again, float(rng.uniform(0.05, 1.5)))
            kills += was_killed
            if not was_killed:
                break
        Path(again["told"]).touch()
        finish(again)
        check(database, again)
    print(f"{database.name}: {kills} kills in {rounds} rounds, nothing lost or done twice")
