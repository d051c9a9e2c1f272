"""The figures of a backtest: by horizon, by kind of deal, and beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.events import DAY_US, KIND_CODES
from model.history import NONE, Floats, History, Ints
from training.backtest import Backtest, Forecasts
from training.baselines import BASELINES
from training.bootstrap import DealBootstrap, share_interval
from training.metrics import brier_parts, calibration_line, riskiest_lift
from training.quality import quality
from training.record import day_of
from training.standing import Standing

SMALLEST_COUNT: Final = 30  # deals that a value of its own needs
AGE_BOUNDS_DAYS: Final = (0.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0)
AMOUNT_BANDS: Final = 4
BANDS: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
OTHER: Final = "other"
UNKNOWN: Final = "not known"
ASKED_MOST_DAYS: Final = 30.0  # the horizon shown where one must do: that nearest to a month
PARTS: Final = {
    "all": "all forecasts",
    "opened after the origin": "deals opened after the origin",
    "origin": "origin",
    "stage": "stage",
    "age": "age",
    "amount": "amount",
    "owner": "owner",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """Some of the forecasts.

    Parameters
    ----------
    part
        One of `PARTS`.
    value
        Which of its values; empty where the part has but one.
    rows
        Of the forecasts. Shape (r,).
    """

    part: str
    value: str
    rows: Ints


@dataclass(frozen=True, kw_only=True)
class Report:
    """All figures, each a row with the names of what it is a figure of.

    Parameters
    ----------
    facts
        Record, origins, horizons.
    figures
        For each part, value and horizon the figures of `figures_of`.
    baselines
        For each baseline, horizon, and all or new deals its figures, and ours minus theirs.
    reliability
        For each horizon and band of probability the forecasts, and the share that was won.
    """

    facts: dict[str, Any]
    figures: list[dict[str, Any]]
    baselines: list[dict[str, Any]]
    reliability: list[dict[str, Any]]

    @property
    def days(self) -> list[float]:
        """The horizons at which anything could be judged: at least one, rising."""
        unjudged = self.facts["horizons_not_judged_days"]
        return [days for days in self.facts["horizons_days"] if days not in unjudged]

    @property
    def main_days(self) -> float:
        """The horizon shown where one must do: of those judged."""
        return min(self.days, key=lambda days: abs(np.log(days / ASKED_MOST_DAYS)))


def build_report(tested: Backtest, smallest: int = SMALLEST_COUNT, seed: int = 0) -> Report:
    """Put a backtest into figures.

    Parameters
    ----------
    tested
        What was forecast and what came.
    smallest
        Deals that a stage, owner or other value needs; the rest are pooled as ``other``.
    seed
        Of the bootstrap.
    """
    forecasts = tested.forecasts
    deal = forecasts.deal
    draws = DealBootstrap(seed)
    every = slices(tested, smallest)
    figures, baselines, reliability = [], [], []
    for column, days in enumerate(forecasts.days.tolist()):
        for each in every:
            rows = each.rows[forecasts.counted[each.rows, column]]
            named = {"part": each.part, "value": each.value, "horizon_days": days}
            if rows.size:
                p, won = forecasts.probability[rows, column], forecasts.won[rows, column]
                figures.append(named | figures_of(won, p, deal[rows], draws))
                if each.part in ("all", "opened after the origin"):
                    baselines += _beside(forecasts, rows, column, deal, draws, named)
        counted = np.flatnonzero(forecasts.counted[:, column])
        if counted.size:
            reliability += bands_of(
                forecasts.won[counted, column],
                forecasts.probability[counted, column],
                deal[counted],
                days,
            )
    return Report(
        facts=_facts(tested), figures=figures, baselines=baselines, reliability=reliability
    )


def figures_of(
    won: NDArray[np.bool_], p: Floats, deal: Ints, draws: DealBootstrap
) -> dict[str, Any]:
    """Every figure of some forecasts; None where it cannot be said.

    Parameters
    ----------
    won, p, deal
        Of each forecast; at least one. Shape (R,).
    draws
        Over the deals.
    """
    weight = np.ones(len(won))
    parts = brier_parts(won, p, weight)
    line = calibration_line(won, p, weight)
    error = draws.calibration_error(deal, won, p)
    share = share_interval(deal, won)
    slope = draws.calibration_slope(deal, won, p)
    return {
        "deals": len(np.unique(deal)),
        "mean_probability": float(p.mean()),
        **quality(won, p, weight),
        "won_share_low": share.low,
        "won_share_high": share.high,
        "reliability": parts.reliability,
        "resolution": parts.resolution,
        "uncertainty": parts.uncertainty,
        "calibration_slope": line.slope if line else None,
        "calibration_slope_low": slope.low if slope else None,
        "calibration_slope_high": slope.high if slope else None,
        "calibration_intercept": line.intercept if line else None,
        "ece_low": error.low,
        "ece_high": error.high,
        "ece_by_chance": draws.error_by_chance(deal, p),
        "riskiest_tenth_lift": riskiest_lift(won, p, weight),
    }


def bands_of(won: NDArray[np.bool_], p: Floats, deal: Ints, days: float) -> list[dict[str, Any]]:
    """What came of the forecasts of each band of probability that has any."""
    band = np.clip(np.searchsorted(BANDS, p, side="right") - 1, 0, len(BANDS) - 2)
    found = []
    for number in np.unique(band).tolist():
        rows = band == number
        share = share_interval(deal[rows], won[rows])
        found.append(
            {
                "horizon_days": days,
                "low": BANDS[number],
                "high": BANDS[number + 1],
                "rows": int(rows.sum()),
                "deals": len(np.unique(deal[rows])),
                "mean_probability": float(p[rows].mean()),
                "won_share": share.value,
                "won_share_low": share.low,
                "won_share_high": share.high,
            }
        )
    return found


def _beside(
    forecasts: Forecasts,
    rows: Ints,
    column: int,
    deal: Ints,
    draws: DealBootstrap,
    named: dict[str, Any],
) -> list[dict[str, Any]]:
    found = []
    for name in BASELINES:
        theirs = forecasts.baselines[name][rows, column]
        both = rows[np.isfinite(theirs)]
        if both.size:
            won, ours = forecasts.won[both, column], forecasts.probability[both, column]
            theirs = forecasts.baselines[name][both, column]
            difference = draws.log_loss_difference(deal[both], won, ours, theirs)
            weight = np.ones(len(both))
            found.append(
                named
                | {"baseline": name, "deals": len(np.unique(deal[both]))}
                | quality(won, theirs, weight)
                | {
                    "our_log_loss": quality(won, ours, weight)["log_loss"],
                    "difference": difference.value,
                    "difference_low": difference.low,
                    "difference_high": difference.high,
                }
            )
    return found


def slices(tested: Backtest, smallest: int) -> list[Slice]:
    """All forecasts, and each part's values; every part adds up to all but the new deals alone."""
    forecasts, standing = tested.forecasts, tested.forecasts.standing
    everything = np.arange(len(forecasts.deal))
    found = [
        Slice(part="all", value="", rows=everything),
        Slice(part="opened after the origin", value="", rows=np.flatnonzero(forecasts.new)),
    ]
    for number, origin in enumerate(tested.origins):
        rows = np.flatnonzero(forecasts.origin == number)
        found.append(Slice(part="origin", value=day_of(origin.known_before_us), rows=rows))
    amounts, amount_names = amount_bands(standing.amount)
    ages, age_names = age_bands(standing.age_days)
    for part, (code, names) in {
        "stage": _words(standing, "stage", stage_places(tested.record.history)),
        "age": (ages, age_names),
        "amount": (amounts, amount_names),
        "owner": _words(standing, "owner"),
    }.items():
        found += _by_value(part, code, names, forecasts.deal, smallest)
    return found


def _by_value(part: str, code: Ints, names: list[str], deal: Ints, smallest: int) -> list[Slice]:
    """A slice for each value of enough deals, in the order of codes, and the rest as one."""
    found, rest = [], np.zeros(len(code), dtype=bool)
    for value in np.unique(code).tolist():
        rows = code == value
        if len(np.unique(deal[rows])) < smallest:
            rest |= rows
        else:
            found.append(Slice(part=part, value=names[value], rows=np.flatnonzero(rows)))
    if rest.any():
        taken = {each.value for each in found}
        name = OTHER if OTHER not in taken else f"({OTHER})"
        found.append(Slice(part=part, value=name, rows=np.flatnonzero(rest)))
    return found


def stage_places(history: History) -> dict[int, float]:
    """Where each stage stands in the course of a deal, by its code: the median of its numbers."""
    at = (history.kind == KIND_CODES["stage_changed"]) & np.isfinite(history.number)
    name, number = history.name[at], history.number[at]
    return {code: float(np.median(number[name == code])) for code in np.unique(name).tolist()}


def _words(
    standing: Standing, name: str, places: Mapping[int, float] | None = None
) -> tuple[Ints, list[str]]:
    """Codes in the order of their places, else of the alphabet, those of no word last."""
    met, code = np.unique(standing.words[name], return_inverse=True)
    words = [UNKNOWN if each == NONE else standing.spelt[name][each] for each in met.tolist()]
    place_of = [(places or {}).get(each, np.inf) for each in met.tolist()]
    order = sorted(range(len(words)), key=lambda i: (met[i] == NONE, place_of[i], words[i]))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[code], [words[i] for i in order]


def age_bands(age_days: Floats) -> tuple[Ints, list[str]]:
    """Bands of age with their names; days not known come last.

    Examples
    --------
    >>> codes, names = age_bands(np.array([3.0, 20.0, 400.0, np.nan]))
    >>> [names[code] for code in codes]
    ['under 14 days', '14 to 30 days', 'over 365 days', 'not known']
    """
    bounds = [f"{days:g}" for days in AGE_BOUNDS_DAYS]
    names = [f"under {bounds[1]} days"]
    names += [f"{a} to {b} days" for a, b in pairwise(bounds[1:])]
    names += [f"over {bounds[-1]} days", UNKNOWN]
    code = np.searchsorted(AGE_BOUNDS_DAYS[1:], age_days, side="right")
    return np.where(np.isnan(age_days), len(names) - 1, code), names


def amount_bands(amount: Floats) -> tuple[Ints, list[str]]:
    """Bands of about as many forecasts each, cut at amounts of two digits.

    Examples
    --------
    >>> codes, names = amount_bands(np.array([1_000.0, 20_400.0, 31_000.0, 52_000.0, np.nan]))
    >>> [names[code] for code in codes]
    ['under 16,000', '16,000 to 26,000', '26,000 to 36,000', '36,000 and more', 'not known']
    """
    known = amount[np.isfinite(amount)]
    cuts: list[float] = []
    if known.size:
        quantiles = np.quantile(known, np.arange(1, AMOUNT_BANDS) / AMOUNT_BANDS)
        rounded = {float(f"{cut:.1e}") for cut in quantiles.tolist()}
        cuts = sorted(cut for cut in rounded if known.min() < cut <= known.max())
    said = [f"{cut:,.6g}" if cut < 1e5 else f"{cut:,.0f}" for cut in cuts]
    names = ["any amount"]
    if said:
        names = [f"under {said[0]}"]
        names += [f"{a} to {b}" for a, b in pairwise(said)]
        names += [f"{said[-1]} and more"]
    code = np.searchsorted(np.array(cuts), amount, side="right")
    names.append(UNKNOWN)
    return np.where(np.isnan(amount), len(names) - 1, code), names


def _facts(tested: Backtest) -> dict[str, Any]:
    record, forecasts = tested.record, tested.forecasts
    said = tested.forecasts.counted.any(axis=1)
    return {
        "record": {
            "from": day_of(record.begin_us),
            "until": day_of(record.end_us - 1),
            "deals": record.history.deals,
            "events": int(record.history.kind.size),
            "closing_lag_days": (record.end_us - record.countable_until) / DAY_US,
        },
        "spacing_days": tested.plan.spacing_days,
        "horizons_days": forecasts.days.tolist(),
        "horizons_not_judged_days": forecasts.days[~forecasts.counted.any(axis=0)].tolist(),
        "forecasts": int(said.sum()),
        "deals": len(np.unique(forecasts.deal[said])),
        "without_number": {
            "forecasts": int(tested.unscorable.size),
            "deals": len(np.unique(tested.unscorable)),
        },
        "origins": [
            {
                "known_before": day_of(origin.known_before_us),
                "until": day_of(origin.until_us),
                "model_version": origin.artifact.model_version,
                "deals_learned": origin.artifact.facts["training"]["deals"],
                "won_learned": origin.artifact.facts["training"]["won"],
                "forecasts": int((said & (forecasts.origin == number)).sum()),
            }
            for number, origin in enumerate(tested.origins)
        ],
        "left_out": [
            {"known_before": day_of(each.known_before_us), "reason": each.reason}
            for each in tested.left_out
        ],
        "baselines_without_grounds": [
            name for name, p in forecasts.baselines.items() if not np.isfinite(p).any()
        ],
    }
