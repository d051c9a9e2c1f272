"""Calibration slope and calibration in the large, with intervals that count deals."""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.history import Floats, Ints
from training.metrics import CLIP, calibration_line

NEWTON_STEPS: Final = 50
NORMAL_95: Final = 1.959964  # normal quantile of a 95 % interval


def calibration(deal: Ints, won: NDArray[np.bool_], p: Floats) -> dict[str, float | None]:
    """Calibration slope (Cox's) and calibration in the large, with 95 % intervals by deal.

    The slope is that of ``logit P(won) = a + b logit p``; the intercept that of
    ``logit P(won) = a + logit p``: below 0, too much was promised. The intervals are of the
    sandwich variance with the deals as clusters.

    Parameters
    ----------
    deal, won, p
        Of each forecast. Shape (R,).

    Returns
    -------
    dict
        ``slope`` and ``intercept``, each with ``_low`` and ``_high``. The slope is None where no
        line fits, the intercept only where one outcome came.
    """
    nothing: dict[str, float | None] = dict.fromkeys(
        f"{name}{end}" for name in ("slope", "intercept") for end in ("", "_low", "_high")
    )
    if len(won) == 0 or won.all() or not won.any():
        return nothing
    held = np.clip(p, CLIP, 1.0 - CLIP)
    logit = np.log(held) - np.log1p(-held)
    _, place = np.unique(deal, return_inverse=True)
    large = _in_the_large(won, logit)
    q = 1.0 / (1.0 + np.exp(-(logit + large)))
    score = np.bincount(place, weights=won - q)
    error = sqrt(float(score @ score)) / float((q * (1.0 - q)).sum())
    found = nothing | {
        "intercept": large,
        "intercept_low": large - NORMAL_95 * error,
        "intercept_high": large + NORMAL_95 * error,
    }
    line = calibration_line(won, p, np.ones(len(p)))
    if line is None:
        return found
    q = 1.0 / (1.0 + np.exp(-(line.intercept + line.slope * logit)))
    weight = q * (1.0 - q)
    both = np.stack(
        [np.bincount(place, weights=won - q), np.bincount(place, weights=(won - q) * logit)]
    )
    information = np.array(
        [
            [weight.sum(), (weight * logit).sum()],
            [(weight * logit).sum(), (weight * logit**2).sum()],
        ]
    )
    inverse = np.linalg.inv(information)
    slope_error = sqrt(float((inverse @ both @ both.T @ inverse)[1, 1]))
    return found | {
        "slope": line.slope,
        "slope_low": line.slope - NORMAL_95 * slope_error,
        "slope_high": line.slope + NORMAL_95 * slope_error,
    }


def _in_the_large(won: NDArray[np.bool_], logit: Floats) -> float:
    """The shift a with ``mean 1 / (1 + exp(-(logit + a)))`` the share won, by Newton's method."""
    shift = 0.0
    for _ in range(NEWTON_STEPS):
        q = 1.0 / (1.0 + np.exp(-(logit + shift)))
        step = float((won - q).sum() / max((q * (1.0 - q)).sum(), 1e-12))
        shift += float(np.clip(step, -2.0, 2.0))
        if abs(step) < 1e-10:
            break
    return shift
