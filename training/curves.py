"""What each feature's value adds: the tables' own effect of it, with the spread over the bags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from model.artifact import Artifact
from model.features import FeatureSet
from model.hazard import edge_weights, log_odds, probability
from model.history import Floats
from model.interval import SPREAD, probability_of

DIRECTIONS: Final = {
    1: "held: more never lowers the probability",
    -1: "held: more never raises the probability",
    0: "free: as the record has it",
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """The effect of one bin of a feature.

    Parameters
    ----------
    value
        What the bin holds, in words.
    low, high
        The numbers that it holds, above `low` and up to `high`; None where it has no bound, and
        for categories and missing values.
    points
        What it adds to the average deal's probability: 0.05 is five percentage points.
    points_low, points_high
        The 80 % interval over the bags.
    share
        Of the forecasts that had such a value.
    """

    value: str
    low: float | None
    high: float | None
    points: float
    points_low: float
    points_high: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The learned effect of one feature.

    Parameters
    ----------
    feature, question, unit, direction
        As the catalogue has them; the direction in words.
    strength
        The mean size of its points over the forecasts.
    is_category
        Whether steps are names rather than ranges.
    steps
        Numbers rising, or categories; then the missing value, where it occurs.
    """

    feature: str
    question: str
    unit: str
    direction: str
    strength: float
    is_category: bool
    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {
            "feature": self.feature,
            "question": self.question,
            "unit": self.unit,
            "direction": self.direction,
            "strength": self.strength,
            "steps": [step.__dict__ for step in self.steps],
        }


def learned_curves(artifact: Artifact, shown: Floats, days: float) -> list[Curve]:
    """The curves of all features that add anything, the strongest first.

    With eta0 the log-odds of the average evidence and f_bj the main effect of feature j at edge b,
    purified of its interactions, a value v adds

        P(eta0 + f_j(v)) - P(eta0),      P the probability of a win within the days.

    Parameters
    ----------
    artifact
        Whose tables are read.
    shown
        Features of the forecasts: which values occur, and how often. Shape (n, F).
    days
        The horizon asked about.
    """
    tables, grid = artifact.calibrated, artifact.grid
    weights = edge_weights(artifact.edges, np.array(days))
    features = FeatureSet.from_json(artifact.features)
    average = float(probability(tables.intercept, weights))
    # Each bag's own calibration stretches its effects; where it lies does not touch them.
    own = artifact.bag_calibrations or (artifact.calibration,) * tables.bags
    slopes = np.stack([each.slopes for each in own]) / artifact.calibration.slopes  # (bags, B)
    bins = grid.bin(shown)
    curves = []
    for j, (feature, bounds) in enumerate(zip(features.features, grid.features, strict=True)):
        effect = tables.mains[:, :, j, : bounds.bins + 1]  # (bags, B, own bins and missing)
        own_effect = np.moveaxis(effect, 1, 2) * slopes[:, None, :]
        own_mean = tables.intercept + effect.mean(axis=0).T
        mean = probability(own_mean, weights)
        low = high = mean
        if tables.bags > 1:
            # What no feature tells is no part of an effect: the bags' spread alone.
            half = SPREAD * log_odds(tables.intercept + own_effect, weights).std(axis=0, ddof=1)
            shown_odds = log_odds(own_mean, weights)
            low, high = probability_of(shown_odds - half), probability_of(shown_odds + half)
        count = np.bincount(bins[:, j], minlength=bounds.bins + 2)[: bounds.bins + 1]
        share = count / max(len(bins), 1)
        names, lows, highs = _values(features, j, bounds.thresholds, bounds.bins)
        steps = tuple(
            Step(
                value=names[place],
                low=lows[place],
                high=highs[place],
                points=float(mean[place] - average),
                points_low=float(low[place] - average),
                points_high=float(high[place] - average),
                share=float(share[place]),
            )
            for place in range(bounds.bins + 1)
            if place < bounds.bins or share[place] > 0
        )
        strength = float(share @ np.abs(mean - average))
        if strength > 0.0:
            curves.append(
                Curve(
                    feature=feature.name,
                    question=feature.question,
                    unit=feature.unit,
                    direction=DIRECTIONS[bounds.direction],
                    strength=strength,
                    is_category=feature.is_category,
                    steps=steps,
                )
            )
    return sorted(curves, key=lambda curve: (-curve.strength, curve.feature))


def _values(
    features: FeatureSet, column: int, thresholds: tuple[float, ...], bins: int
) -> tuple[list[str], list[float | None], list[float | None]]:
    """The name and bounds of each bin, the missing one last."""
    feature = features.features[column]
    if feature.is_category:
        names = [str(features.value(column, float(code))) for code in range(bins)]
        return [*names, "not known"], [None] * (bins + 1), [None] * (bins + 1)
    lows: list[float | None] = [None, *thresholds]
    highs: list[float | None] = [*thresholds, None]
    names = [_range(a, b) for a, b in zip(lows, highs, strict=True)]
    return [*names, "not known"], [*lows, None], [*highs, None]


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "any" if high is None else f"up to {high:,.4g}"
    return f"over {low:,.4g}" if high is None else f"over {low:,.4g}, up to {high:,.4g}"
