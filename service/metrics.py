"""What is measured of a running service, for Prometheus.

References
----------
Prometheus, "Metric and label naming": base units, a unit and ``total`` in the name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from model.events import microseconds
from model.scorer import Scorer
from service.storage import inbox, outbox
from service.storage.database import Database
from service.storage.errors import StoreUnavailable

SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
Cause = Literal["request", "delivery", "tick"]
Clock = Callable[[], datetime]


class Metrics:
    """What one process counts and times.

    Attributes
    ----------
    deliveries
        Requests to webhooks by source and outcome: ``kept``, ``repeated``, ``unverified``,
        ``refused``, ``unavailable``.
    worked
        Deliveries worked on by source and outcome: ``done``, ``failed``.
    requests
        All requests by the answer's status.
    score_seconds
        How long a score takes, by what asks for it.
    ticked
        Deals that time alone has changed by outcome: ``done``, ``failed``.
    write_backs
        Attempts by destination and outcome: ``sent``, ``retried``, ``parked``.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = Counter(
            "redflare_deliveries",
            "Webhook requests by source and outcome.",
            ["source", "outcome"],
            registry=self.registry,
        )
        self.worked = Counter(
            "redflare_deliveries_worked",
            "Deliveries worked on by source and outcome.",
            ["source", "outcome"],
            registry=self.registry,
        )
        self.requests = Counter(
            "redflare_requests", "Requests by status.", ["status"], registry=self.registry
        )
        self.score_seconds = Histogram(
            "redflare_score_seconds",
            "How long a score takes, by what asks for it.",
            ["cause"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.ticked = Counter(
            "redflare_deals_ticked",
            "Open deals looked at anew because a day went by, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.write_backs = Counter(
            "redflare_write_backs",
            "Attempts to write back by destination and outcome.",
            ["destination", "outcome"],
            registry=self.registry,
        )

    @contextmanager
    def scoring(self, cause: Cause) -> Iterator[None]:
        """Time a score."""
        began = time.perf_counter()
        yield
        self.score_seconds.labels(cause).observe(time.perf_counter() - began)

    def watch_model(self, scorer: Callable[[], Scorer | None], clock: Clock) -> None:
        """Tell the model in force and its age too."""
        self.registry.register(_OfModel(scorer, clock))

    def watch_database(self, database: Database, clock: Clock) -> None:
        """Tell what waits in a database too."""
        self.registry.register(_OfDatabase(database, clock))

    def exposed(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)


class _OfModel(Collector):
    """The model in force."""

    def __init__(self, scorer: Callable[[], Scorer | None], clock: Clock) -> None:
        self._scorer = scorer
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        scorer = self._scorer()
        version = GaugeMetricFamily(
            "redflare_model", "1 of the version in force.", labels=["version"]
        )
        age = GaugeMetricFamily(
            "redflare_model_age_seconds", "Since the cut-off of what the model learned from."
        )
        if scorer is not None:
            version.add_metric([scorer.artifact.model_version], 1)
            age.add_metric([], (microseconds(self._clock()) - scorer.known_before) / 1e6)
        yield version
        yield age


class _OfDatabase(Collector):
    """What waits, whichever process works on it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("redflare_database_up", "Whether the database answers.")
        waiting = GaugeMetricFamily(
            "redflare_queue_depth", "What waits, by queue.", labels=["queue"]
        )
        age = GaugeMetricFamily(
            "redflare_queue_age_seconds", "How long what is due waits, by queue.", labels=["queue"]
        )
        parked = GaugeMetricFamily("redflare_parked", "Write-backs that were given up.")
        retrying = GaugeMetricFamily(
            "redflare_retrying", "Write-backs that failed and are tried again later."
        )
        failed = GaugeMetricFamily("redflare_failed", "Deliveries that could not be used.")
        try:
            now = microseconds(self._clock())
            with self._database.reading() as connection:
                received = inbox.waiting(connection)
                pending = outbox.waiting(connection, at=now)
                parked.add_metric([], outbox.parked(connection))
                retrying.add_metric([], outbox.retrying(connection))
                failed.add_metric([], inbox.failed(connection))
        except StoreUnavailable:
            up.add_metric([], 0)
            yield up
            return
        for queue, (depth, oldest) in {"inbox": received, "outbox": pending}.items():
            waiting.add_metric([queue], depth)
            age.add_metric([queue], 0.0 if oldest is None else max(0.0, (now - oldest) / 1e6))
        up.add_metric([], 1)
        yield from (up, waiting, age, parked, retrying, failed)
