"""Unusual input: values that training never saw, for which the model can only guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from model.asof import Snapshot
from model.catalogue import CALENDAR
from model.feature import say
from model.features import FeatureSet
from model.history import Floats
from model.vocabulary import UNSEEN

CALENDAR_NAMES: Final = frozenset(feature.name for _, feature in CALENDAR)  # they come round again


@dataclass(frozen=True, kw_only=True, slots=True)
class Unusual:
    """A feature's value outside what training saw.

    Parameters
    ----------
    feature
        Its name in the catalogue.
    value
        The number, or the new category.
    phrase
        The fact and what was seen, in words.
    """

    feature: str
    value: float | str
    phrase: str


class SeenRanges:
    """The least and the greatest value of each feature in training.

    A number beyond them counts as the nearest one seen; a new category adds nothing, as the
    average does.

    Parameters
    ----------
    features
        Of the artifact.
    ranges
        ``[least, greatest]`` by the feature's name; a feature left out has none.
    """

    def __init__(self, features: FeatureSet, ranges: Mapping[str, list[float]]) -> None:
        self._features = features
        low, high = np.full((2, len(features.names)), np.nan)
        for column, feature in enumerate(features.features):
            if feature.is_category:
                low[column], high[column] = 0.0, np.inf
            elif feature.name in ranges and feature.name not in CALENDAR_NAMES:
                low[column], high[column] = ranges[feature.name]
        self._low, self._high = low, high
        self._outside = [
            f": outside the {least:,.6g} to {most:,.6g} that training saw"
            for least, most in zip(low.tolist(), high.tolist(), strict=True)
        ]

    def unusual(self, x: Floats, snapshots: Sequence[Snapshot]) -> list[tuple[Unusual, ...]]:
        """The features of each deal outside what training saw.

        Parameters
        ----------
        x
            Their features. Shape (S, F).
        snapshots
            The S deals they were computed from.
        """
        found: list[list[Unusual]] = [[] for _ in snapshots]
        rows, columns = np.nonzero((x < self._low) | (x > self._high))
        values = zip(rows.tolist(), columns.tolist(), x[rows, columns].tolist(), strict=True)
        for row, column, value in values:
            found[row].append(self._name(column, value, snapshots[row]))
        return [tuple(each) for each in found]

    def _name(self, column: int, x: float, snapshot: Snapshot) -> Unusual:
        feature = self._features.features[column]
        if feature.is_category and x == UNSEEN:
            value = self._features.category_text(column, snapshot)
            phrase = f"{say(feature, value)}: new since training, and so counted as the average"
            return Unusual(feature=feature.name, value=value, phrase=phrase)
        phrase = say(feature, x) + self._outside[column]
        return Unusual(feature=feature.name, value=x, phrase=phrase)


def ranges_to_json(names: tuple[str, ...], x: Floats) -> dict[str, Any]:
    """The ranges of a matrix of features, missing values left out.

    Parameters
    ----------
    names
        Of the columns.
    x
        Shape (S, F).

    Examples
    --------
    >>> ranges_to_json(("a", "b"), np.array([[1.0, np.nan], [3.0, np.nan]]))
    {'a': [1.0, 3.0]}
    """
    return {
        name: [float(np.nanmin(column)), float(np.nanmax(column))]
        for name, column in zip(names, x.T, strict=True)
        if not np.isnan(column).all()
    }
