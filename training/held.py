"""Whether calibration held: of what was said of deals whose outcome is known since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.clustered import NORMAL_95, calibration
from training.finding import Finding
from training.metrics import losses
from training.said import Said
from training.thresholds import MonitorThresholds


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """Calibration of forecasts within some days; slope and intercept None where no line fits.

    Parameters
    ----------
    days
        Ahead.
    deals, won
        Judged, and how many of them were won in time of any forecast.
    expected, came
        Mean of what was said, and the share of forecasts that came true, as in `Month`: alike where
        what was said is right. Means by deal would not be, nor deals won: a deal that is won soon
        is asked about no more.
    loss
        Mean log-loss, nats.
    slope, intercept
        As in `training.clustered`, each with its standard error.
    """

    days: float
    deals: int
    won: int
    expected: float
    came: float
    loss: float
    slope: float | None
    slope_error: float | None
    intercept: float | None
    intercept_error: float | None


@dataclass(frozen=True, kw_only=True)
class Month:
    """Forecasts made in one month: their mean, and the share that came true."""

    month: str
    deals: int
    forecasts: int
    expected: float
    came: float
    loss: float


def horizon_of(judged: Said, number: int, days: float) -> Horizon:
    """What was said of one horizon, the column of that number."""
    rows = judged.counted[:, number]
    deal, won, p = judged.deal[rows], judged.won[rows, number], judged.probability[rows, number]
    line = calibration(deal, won, p)
    slope, intercept = line["slope"], line["intercept"]
    return Horizon(
        days=days,
        deals=len(np.unique(deal)),
        won=len(np.unique(deal[won])),
        expected=float(p.mean()) if len(p) else float("nan"),
        came=float(won.mean()) if len(p) else float("nan"),
        loss=float(losses(won, p).mean()) if len(p) else float("nan"),
        slope=slope,
        slope_error=_error(line, "slope"),
        intercept=intercept,
        intercept_error=_error(line, "intercept"),
    )


def _error(line: Mapping[str, float | None], name: str) -> float | None:
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    return None if low is None or high is None else (high - low) / (2.0 * NORMAL_95)


def months_of(judged: Said, number: int) -> list[Month]:
    """By the month in which forecasts were made."""
    rows = np.flatnonzero(judged.counted[:, number])
    month = judged.as_of[rows].astype("datetime64[us]").astype("datetime64[M]")
    found = []
    for each in np.unique(month):
        part = rows[month == each]
        won, p = judged.won[part, number], judged.probability[part, number]
        found.append(
            Month(
                month=str(each),
                deals=len(np.unique(judged.deal[part])),
                forecasts=len(part),
                expected=float(p.mean()),
                came=float(won.mean()),
                loss=float(losses(won, p).mean()),
            )
        )
    return found


def calibration_finding(horizons: Sequence[Horizon], limits: MonitorThresholds) -> Finding:
    """Shown to lie outside a band: by intervals that hold for all horizons at once."""
    enough = [
        each
        for each in horizons
        if each.deals >= limits.fewest_deals
        and max(each.won, each.deals * each.expected) >= limits.fewest_won
        and each.deals * (1.0 - min(each.came, each.expected)) >= limits.fewest_won
    ]
    if not enough:
        most = max(horizons, key=lambda each: each.deals)
        words = (
            f"{most.deals:,} deals since the cut-off, {most.won:,} of them won within "
            f"{most.days:g} days of a forecast, are too few to judge calibration: "
            f"{limits.fewest_deals:,} are needed, {limits.fewest_won:,} of them won or expected so"
        )
        return Finding(name="calibration", state="unknown", words=words)
    far = [words for each in enough for words in _outside(each, limits, 2 * len(enough))]
    if far:
        return Finding(name="calibration", state="retrain", words="; ".join(far))
    told = ", ".join(
        f"{each.days:g} days: slope {_two(each.slope)}, intercept {_two(each.intercept)}"
        for each in enough
    )
    holds = "calibration holds"
    if any(_is_outside(each, limits) for each in enough):
        holds = "calibration may be off, but is not shown to be by so few deals,"
    return Finding(name="calibration", state="well", words=f"{holds} within {told}")


def _is_outside(horizon: Horizon, limits: MonitorThresholds) -> bool:
    """Whether a figure itself lies outside its band, whatever its interval."""
    asked = ((horizon.slope, limits.slope), (horizon.intercept, limits.intercept))
    return any(value is not None and not low <= value <= high for value, (low, high) in asked)


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _outside(horizon: Horizon, limits: MonitorThresholds, tests: int) -> list[str]:
    from scipy.stats import norm

    if horizon.intercept is None:  # all forecasts came out alike: no line fits, and no interval
        said = f"what was said of {horizon.deals:,} deals came true"
        expected = f"where {horizon.expected:.1%} was expected"
        return [f"within {horizon.days:g} days {horizon.came:.1%} of {said}, {expected}"]
    z = float(norm.isf(limits.level / (2 * tests)))
    asked = (
        ("slope", horizon.slope, horizon.slope_error, limits.slope),
        ("intercept", horizon.intercept, horizon.intercept_error, limits.intercept),
    )
    return [
        f"within {horizon.days:g} days the calibration {name} over {horizon.deals:,} deals is "
        f"{value:.2f} ({value - z * error:.2f} to {value + z * error:.2f}), outside "
        f"{low:g} to {high:g}"
        for name, value, error, (low, high) in asked
        if value is not None
        and error is not None
        and (value - z * error > high or value + z * error < low)
    ]
