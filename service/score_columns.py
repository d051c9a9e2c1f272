"""Scores of many deals as tables: a row a deal with its drivers, or a row for each day asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.gates import gate
from model.history import Floats, History, Ints
from model.scored import Checks, Scored
from model.scorer import Scorer

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
        ("gated_probability", pa.float64()),
        ("data_quality", pa.string()),
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
    """P(won within each of some days), its 80 % interval, gated: empty where unscorable.

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
    checks = [check for check in scored.checks if check is not None]
    ends = [scorer.intervals(scored, np.array(day)) for day in days]
    own = scorer.probabilities(scored, days)[rows].ravel()
    each = np.arange(len(rows)).repeat(len(days))
    hidden = _hidden(checks)[each]
    numbers = {
        "probability": own,
        "low": np.stack([low for low, _ in ends], axis=1)[rows].ravel(),
        "high": np.stack([high for _, high in ends], axis=1)[rows].ravel(),
    }
    verdicts = np.array([check.data_quality.verdict for check in checks], dtype=object)
    return pa.table(
        {
            "deal_id": np.array(history.deal_ids, dtype=object)[deal[rows]][each],
            "as_of": pa.array(as_of[rows][each]).cast(UTC_TIME),
            "days": np.tile(days, len(rows)),
            **{name: pa.array(values, mask=hidden) for name, values in numbers.items()},
            "gated_probability": _gated(own, _missed(checks)[each], hidden),
            "data_quality": pa.array(verdicts[each], pa.string()),
            "basis": [scorer.basis] * len(each),
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
    low, high = scorer.intervals(scored, days)
    own = scored.split.probability[rows]
    checks = [check for check in scored.checks if check is not None]
    hidden = _hidden(checks)

    def number(values: Floats) -> pa.Array:
        return pa.array(values, mask=hidden)

    columns: dict[str, Any] = {
        "deal_id": pa.array([history.deal_ids[i] for i in deal[rows].tolist()], pa.string()),
        "as_of": pa.array(as_of[rows]).cast(UTC_TIME),
        "close_by": pa.array([close_by] * len(rows), pa.date32()),
        "probability": number(own),
        "low": number(low[rows]),
        "high": number(high[rows]),
        "gated_probability": _gated(own, _missed(checks), hidden),
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


def riskiest_rows(table: pa.Table, rows_a_deal: int, most: int) -> pa.Table:
    """The rows of the deals least probable at their last row, those of a deal together.

    As forecasts see it: a missed gate counts as zero; deals without a number come last.

    Parameters
    ----------
    table
        Of `within_table` or `driver_table`.
    rows_a_deal
        Side by side.
    most
        Deals.
    """
    last = slice(rows_a_deal - 1, None, rows_a_deal)
    own, gated = (table[name].to_numpy()[last] for name in ("probability", "gated_probability"))
    deals = np.lexsort((own, np.nan_to_num(gated), np.isnan(own)))[:most]
    return table.take((deals[:, None] * rows_a_deal + np.arange(rows_a_deal)).ravel())


def _hidden(checks: Sequence[Checks]) -> NDArray[np.bool_]:
    return np.array([not check.scorable for check in checks], dtype=bool)


def _missed(checks: Sequence[Checks]) -> NDArray[np.bool_]:
    gates = [gate(check.gates, None) for check in checks]
    return np.array([each is not None and bool(each.missed) for each in gates], dtype=bool)


def _gated(own: Floats, missed: NDArray[np.bool_], hidden: NDArray[np.bool_]) -> pa.Array:
    """Zero by declaration where a gate is missed, whatever else is known of the deal."""
    return pa.array(np.where(missed, 0.0, own), mask=hidden & ~missed)


def _reasons(check: Checks) -> str:
    said = [finding.phrase for finding in check.data_quality.findings]
    return "; ".join([*said, *(unusual.phrase for unusual in check.unusual)])


def _strongest(points: Floats) -> Ints:
    """The features that add or take the most of each row, strongest first."""
    # Stable, as a single score orders them: of equals the first in the catalogue.
    return np.argsort(-np.abs(points), axis=1, kind="stable")[:, :NAMED_DRIVERS]
