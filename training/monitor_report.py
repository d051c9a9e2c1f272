"""What monitoring found: for the terminal, as JSON, and as metrics for alerts.

References
----------
Prometheus node exporter, "Textfile Collector": a file of metrics that a job replaces whole.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from training.finding import RANKS
from training.monitor import Monitoring
from training.section import Section, Table

MOST_MOVED: Final = 8  # features shown; JSON and metrics have all


def monitor_section(found: Monitoring) -> Section:
    """For the terminal, what asks for a retraining first."""
    ordered = sorted(found.findings, key=lambda each: -RANKS[each.state])
    head = "Retrain now." if found.retrain_now else "Nothing asks for a retraining."
    if found.broken:
        head = "The data cannot be trusted: mend it first."
    tables = [
        Table(
            caption="Calibration of what was said since",
            header=(
                *("within days", "deals", "won", "said", "came"),
                *("log-loss", "slope", "intercept"),
            ),
            rows=[
                (
                    f"{each.days:g}",
                    f"{each.deals:,}",
                    f"{each.won:,}",
                    f"{each.expected:.1%}",
                    f"{each.came:.1%}",
                    f"{each.loss:.4f}",
                    "-" if each.slope is None else f"{each.slope:.2f}",
                    "-" if each.intercept is None else f"{each.intercept:+.2f}",
                )
                for each in found.horizons
            ],
        ),
        Table(
            caption=f"Month by month, won within {found.days:g} days",
            header=("said in", "deals", "said", "came", "log-loss"),
            rows=[
                (
                    each.month,
                    f"{each.deals:,}",
                    f"{each.expected:.1%}",
                    f"{each.came:.1%}",
                    f"{each.loss:.4f}",
                )
                for each in found.months
            ],
        ),
        Table(
            caption="Wins among the deals open on a day",
            header=("day", "open", "expected", "80 %", "came"),
            rows=[
                (
                    each.day,
                    f"{each.deals:,}",
                    f"{each.expected:.1f}",
                    f"{each.low:.1f} to {each.high:.1f}",
                    f"{each.came:,}",
                )
                for each in found.windows
            ],
        ),
        Table(
            caption="Today's open deals beside training",
            header=("feature", "PSI", "p", ""),
            rows=[
                (
                    each.feature,
                    f"{each.psi:.3f}",
                    f"{each.p_value:.1g}",
                    "moved" if each.moved else "",
                )
                for each in found.moved[:MOST_MOVED]
            ],
        ),
    ]
    return Section(
        key="monitor",
        title=f"{found.model_version}, known before {found.known_before[:10]}, "
        f"as of {found.as_of[:10]}",
        words=[head, *(f"{each.state}: {each.words}." for each in ordered)],
        tables=[table for table in tables if table.rows],
    )


def monitor_json(found: Monitoring) -> dict[str, Any]:
    """A form that JSON can hold."""
    return {
        "retrain_now": found.retrain_now,
        "reasons": found.reasons,
        "broken": found.broken,
        "model_version": found.model_version,
        "known_before": found.known_before,
        "as_of": found.as_of,
        "days": found.days,
        "findings": [each.__dict__ for each in found.findings],
        "calibration": [each.__dict__ for each in found.horizons],
        "months": [each.__dict__ for each in found.months],
        "drift": [each.__dict__ for each in found.moved],
        "forecast": [each.__dict__ for each in found.windows],
    }


def write_metrics(path: Path, found: Monitoring) -> None:
    """Write the metrics; the file is replaced whole, as the textfile collector wants it.

    Parameters
    ----------
    path
        Ending in ``.prom``.
    """
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    registry = CollectorRegistry()

    def gauge(name: str, help_text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"redflare_monitor_{name}", help_text, labels, registry=registry)

    gauge("retrain_now", "1 where something asks for a retraining.").set(found.retrain_now)
    gauge("data_broken", "1 where the data cannot be trusted.").set(bool(found.broken))
    at = gauge("as_of_timestamp_seconds", "The moment that was looked at.")
    at.set(datetime.fromisoformat(found.as_of).timestamp())
    cutoff = gauge("model_known_before_timestamp_seconds", "The cut-off of the model in force.")
    cutoff.set(datetime.fromisoformat(found.known_before).timestamp())
    state = gauge("state", "0 well, 1 unknown, 2 told, 3 retrain, 4 broken.", ("check",))
    for each in found.findings:
        held = state.labels(each.name)
        held.set(RANKS[each.state])
    for name in ("loss", "slope", "intercept", "deals"):
        figure = gauge(f"calibration_{name}", f"Of forecasts judged since: {name}.", ("days",))
        for horizon in found.horizons:
            value = getattr(horizon, name)
            if value is not None:
                figure.labels(f"{horizon.days:g}").set(value)
    psi = gauge("psi", "Stability index of today's open deals beside training.", ("feature",))
    for moved in found.moved:
        psi.labels(moved.feature).set(moved.psi)
    expected = gauge("expected_wins", "Of the spans judged.")
    expected.set(sum(each.expected for each in found.windows))
    came = gauge("wins", "That came in the spans judged.")
    came.set(sum(each.came for each in found.windows))
    write_to_textfile(str(path), registry)
