"""Scores of many deals as tables: a row a deal with its drivers, or a row for each day asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa

from model.gates import gate
from model.history import Floats, History, Ints
from model.scorer import Checks, Scored, Scorer

NAMED_DRIVERS: Final = 3  # of each deal in a table
UTC_TIME: Final = pa.timestamp("us", tz="UTC")
WITHIN_SCHEMA: Final = pa.schema(
    [
        ("deal_id", pa.string()),
        ("as_of", UTC_TIME),
        ("days", pa.float64()),
        ("probability", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("basis", pa.string()),
    ]
)


def within_table(
    scorer: Scorer,
    history: History,
    deal: Ints,
    as_of: Ints,
    days: Sequence[float],
    scored: Scored,
) -> pa.Table:
    """P(won within each of some days), with its 80 % interval; empty where unscorable.

    Parameters
    ----------
    deal, as_of
        As given to `Scorer.score_many`, checks asked for. Shape (S,).
    days
        Ahead.

    Returns
    -------
    Table
        Of `WITHIN_SCHEMA`, the open deals alone.
    """
    rows = np.flatnonzero(scored.is_open)
    shown = _scorable(scored)[rows]
    ends = [scorer.intervals(scored, np.array(day)) for day in days]
    columns = {
        "probability": scorer.probabilities(scored, days),
        "low": np.stack([low for low, _ in ends], axis=1),
        "high": np.stack([high for _, high in ends], axis=1),
    }
    return pa.table(
        {
            "deal_id": np.repeat(np.array(history.deal_ids, dtype=object)[deal[rows]], len(days)),
            "as_of": pa.array(np.repeat(as_of[rows], len(days))).cast(UTC_TIME),
            "days": np.tile(days, len(rows)),
            "basis": [scorer.basis] * (len(rows) * len(days)),
        }
        | {
            name: pa.array(values[rows].ravel(), mask=np.repeat(~shown, len(days)))
            for name, values in columns.items()
        },
        schema=WITHIN_SCHEMA,
    )


def driver_table(
    scorer: Scorer,
    history: History,
    deal: Ints,
    as_of: Ints,
    close_by: date,
    days: Floats,
    scored: Scored,
) -> pa.Table:
    """The open deals by one date: probability, interval, gate, data quality, main drivers.

    Parameters
    ----------
    deal, as_of, days
        As given to `Scorer.score_many`, drivers and checks asked for. Shape (S,).

    Returns
    -------
    Table
        Numbers are empty where the deal is unscorable; `reasons` then says why.
    """
    if scored.split is None:
        raise ValueError("scored without drivers")
    rows = np.flatnonzero(scored.is_open)
    hidden = ~_scorable(scored)[rows]
    low, high = scorer.intervals(scored, days)
    own = scored.split.probability[rows]
    checks = [check for check in scored.checks if check is not None]

    def number(values: Floats) -> pa.Array:
        return pa.array(values, mask=hidden)

    columns: dict[str, Any] = {
        "deal_id": pa.array([history.deal_ids[i] for i in deal[rows].tolist()], pa.string()),
        "as_of": pa.array(as_of[rows]).cast(UTC_TIME),
        "close_by": pa.array([close_by] * len(rows), pa.date32()),
        "probability": number(own),
        "low": number(low[rows]),
        "high": number(high[rows]),
        "gated_probability": number(np.where([_missed(check) for check in checks], 0.0, own)),
        "average_probability": number(scored.split.average[rows]),
        "data_quality": pa.array([c.data_quality.verdict for c in checks], pa.string()),
        "reasons": pa.array([_reasons(check) for check in checks], pa.string()),
    }
    points = scored.split.points[rows]
    for place, column in enumerate(_strongest(points).T):
        points_of = points[np.arange(len(rows)), column]
        values = zip(
            column.tolist(), scored.x[rows, column].tolist(), points_of.tolist(), strict=True
        )
        phrases = [scorer.driver(j, x, p).phrase for j, x, p in values]
        columns[f"driver_{place + 1}"] = pa.array(phrases, pa.string(), mask=hidden)
        columns[f"points_{place + 1}"] = number(points_of)
    columns["basis"] = pa.array([scorer.basis] * len(rows), pa.string())
    columns["model_version"] = pa.array([scorer.artifact.model_version] * len(rows), pa.string())
    return pa.table(columns)


def _scorable(scored: Scored) -> Any:
    return np.array([check is not None and check.scorable for check in scored.checks], dtype=bool)


def _missed(check: Checks) -> bool:
    gates = gate(check.gates, 0.0)
    return gates is not None and bool(gates.missed)


def _reasons(check: Checks) -> str:
    said = [finding.phrase for finding in check.data_quality.findings]
    return "; ".join([*said, *(unusual.phrase for unusual in check.unusual)])


def _strongest(points: Floats) -> Ints:
    """The features that add or take the most of each row, strongest first."""
    named = min(NAMED_DRIVERS, points.shape[1])
    strongest = np.argpartition(-np.abs(points), named - 1, axis=1)[:, :named]
    order = np.argsort(-np.abs(np.take_along_axis(points, strongest, axis=1)), axis=1)
    return np.asarray(np.take_along_axis(strongest, order, axis=1))
