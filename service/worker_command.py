"""The command `worker`: works on deliveries in a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import threading

import click

from service.database_commands import DATABASE


@click.command()
@DATABASE
def worker(url: str) -> None:
    """Work on what serve --no-worker takes: score deliveries, tick, write back.

    Several may work on one PostgreSQL database. Stops on SIGTERM or Ctrl-C when what it works on is
    done.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is imported
    from service.composition import compose

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    service = compose(url, os.environ)
    service.worker.start()
    scorer = service.models.scorer
    model = "no model" if scorer is None else f"model {scorer.artifact.model_version}"
    click.echo(f"Working on {service.database.name} with {model}")
    stopped.wait()
    service.close()
