"""Scores of rows of features that were computed before, as notebooks and frames hold them.

The same tables, drivers and intervals as `model.scorer` uses; what needs the deal's own events
(gates, data quality) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from model.artifact import Artifact
from model.drivers import Drivers, drivers
from model.errors import RedflareError
from model.features import FeatureSet
from model.hazard import edge_weights, log_odds_by_date
from model.history import Floats
from model.interval import interval, probability_of
from model.vocabulary import UNSEEN

MONTH_DAYS: Final = 30.0


class FeatureRowError(RedflareError):
    """Rows of features cannot be used. The message names the column, or what is missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RowScores:
    """Rows scored for one number of days.

    Parameters
    ----------
    split
        Probability, average and points. Shapes (S,), (S,) and (S, F).
    low, high
        The 80 % interval. Shape (S,).
    curve, curve_low, curve_high
        The probability at each edge, and its interval. Shape (S, B).
    """

    split: Drivers
    low: Floats
    high: Floats
    curve: Floats
    curve_low: Floats
    curve_high: Floats


def usual_days(edges: Floats) -> float:
    """The edge answered for where no days are asked: that nearest to a month.

    Parameters
    ----------
    edges
        Days. Shape (B + 1,).

    Examples
    --------
    >>> usual_days(np.array([0.0, 7.0, 45.0, 120.0]))
    45.0
    """
    return float(min(edges[1:].tolist(), key=lambda days: abs(np.log(days / MONTH_DAYS))))


def score_rows(artifact: Artifact, x: Floats, days: float) -> RowScores:
    """Score rows of an artifact's features.

    Parameters
    ----------
    artifact
        Loaded and verified.
    x
        Its features, categories as codes, NaN where missing. Shape (S, F).
    days
        Ahead, above 0 and at most the last edge.

    Raises
    ------
    HorizonError
        If the days lie outside what the artifact answers.
    """
    dates = edge_weights(artifact.edges, np.append(days, artifact.edges[1:]))  # (1 + B, B)
    bins = artifact.grid.bin(x)
    tables = artifact.calibrated
    contributions, eta_bags = artifact.contributions_and_bags(bins)
    eta = tables.intercept + contributions.sum(axis=1)
    split = drivers(tables.intercept, contributions, np.broadcast_to(dates[0], eta.shape))
    shown = log_odds_by_date(eta, dates)  # (S, 1 + B)
    bags = log_odds_by_date(eta_bags, dates)  # (S, bags, 1 + B)
    low, high = interval(shown, bags.swapaxes(0, 1), artifact.missed)
    return RowScores(
        split=split,
        low=low[:, 0],
        high=high[:, 0],
        curve=probability_of(shown[:, 1:]),
        curve_low=low[:, 1:],
        curve_high=high[:, 1:],
    )


def encode(features: FeatureSet, columns: Mapping[str, Sequence[Any]]) -> Floats:
    """Columns of features as the matrix that tables are looked up by.

    Parameters
    ----------
    features
        The artifact's.
    columns
        One for each, of equal length: numbers, and categories by name; None or NaN is missing.

    Returns
    -------
    ndarray
        Shape (S, F).

    Raises
    ------
    FeatureRowError
        If a column is missing, or one of numbers holds something else.

    Examples
    --------
    >>> from model.vocabulary import Vocabulary
    >>> offers = Vocabulary(categories={"stage": ("Offer",)})
    >>> features = FeatureSet(offers, ("stage", "silence_days"))
    >>> encode(features, {"stage": ["Offer", "New", None], "silence_days": [2, None, 0.5]})
    array([[ 0. ,  2. ],
           [-1. ,  nan],
           [ nan,  0.5]])
    """
    absent = [name for name in features.names if name not in columns]
    if absent:
        raise FeatureRowError(
            f"no column {', '.join(absent[:5])}{' and others' if absent[5:] else ''}",
            f"a column for each of the model's {len(features.names)} features",
            "add them, or give the deals' events instead",
        )
    length = len(columns[features.names[0]]) if features.names else 0
    x = np.empty((length, len(features.names)))
    for column, feature in enumerate(features.features):
        values = columns[feature.name]
        if feature.is_category:
            codes = {name: code for code, name in enumerate(features.categories(feature))}
            new = UNSEEN
            if feature.name in features.vocabulary.categories:
                codes |= features.vocabulary.category_codes[feature.name]
                new = features.vocabulary.new_code(feature.name)
            x[:, column] = [
                np.nan if _is_missing(value) else float(codes.get(str(value), new))
                for value in values
            ]
            continue
        try:
            x[:, column] = [np.nan if _is_missing(value) else float(value) for value in values]
        except (TypeError, ValueError) as error:
            raise FeatureRowError(
                f"column {feature.name!r} ({error})", "numbers", "leave missing values empty"
            ) from error
    return x


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN, of whichever library


def decode(features: FeatureSet, x: Floats) -> dict[str, list[float | str | None]]:
    """The inverse of `encode`: numbers, and categories by name; None where missing.

    Parameters
    ----------
    x
        Shape (S, F).
    """
    return {
        name: [features.value(column, value) for value in x[:, column].tolist()]
        for column, name in enumerate(features.names)
    }
