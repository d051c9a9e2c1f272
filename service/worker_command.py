"""The command `worker`: works on deliveries in a process of its own."""

from __future__ import annotations

import os
import signal
import threading

import click

from service.database_commands import DATABASE
from service.logs import LOG_FORMAT, set_up


@click.command()
@DATABASE
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Answer GET /metrics on this port of 127.0.0.1; 0 takes a free one.",
)
@LOG_FORMAT
def worker(url: str, metrics_port: int | None, log_format: str) -> None:
    """Work on what serve --no-worker takes: score deliveries, tick, write back.

    Several may work on one PostgreSQL database. Stops on SIGTERM or Ctrl-C when what it works on is
    done.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is imported
    from service.composition import compose

    set_up(log_format)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    service = compose(url, os.environ)
    service.worker.start()
    scorer = service.models.scorer
    model = "no model" if scorer is None else f"model {scorer.artifact.model_version}"
    measured = ""
    if metrics_port is not None:
        from prometheus_client import start_http_server

        from service.composition import utc_now

        service.metrics.watch_model(lambda: service.models.scorer, utc_now)
        service.metrics.watch_database(service.database, utc_now)
        server, _ = start_http_server(metrics_port, "127.0.0.1", service.metrics.registry)
        measured = f", measured on http://127.0.0.1:{server.server_port}/metrics"
    click.echo(f"Working on {service.database.name} with {model}{measured}")
    stopped.wait()
    service.close()
