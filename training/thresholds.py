"""The thresholds of retraining, promotion and monitoring, in one file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any, Final

from model.errors import RedflareError

DEFAULTS: Final = Path(__file__).with_name("thresholds.toml")


class ThresholdError(RedflareError):
    """A file of thresholds cannot be used. Correct the named entry."""


@dataclass(frozen=True, kw_only=True)
class PromotionThresholds:
    """What a challenger must hold to. `thresholds.toml` says what each number means."""

    margin: float
    segment_margin: float
    level: float
    fewest_deals: int
    fewest_won: int
    segment_deals: int
    segment_won: int
    slope: tuple[float, float]
    intercept: tuple[float, float]
    segment_slope: tuple[float, float]
    segment_intercept: tuple[float, float]
    refit_mean: float
    refit_most: float
    refit_log_odds: float
    refit_deals: int
    lost_numbers: float


@dataclass(frozen=True, kw_only=True)
class DataThresholds:
    """What data must hold to. Pairs are where to warn and where to stop."""

    stale_days: tuple[float, float]
    fewer_events: tuple[float, float]
    rejected: tuple[float, float]
    rate_factor: float
    psi: float
    psi_level: float
    fewest_deals: int


@dataclass(frozen=True, kw_only=True)
class MonitorThresholds:
    """When a model in force asks for a retraining."""

    spacing_days: float
    judged_days: float
    reference_days: float
    fewest_deals: int
    fewest_won: int
    open_deals: int
    level: float
    slope: tuple[float, float]
    intercept: tuple[float, float]
    psi: float
    psi_level: float
    moved_share: float
    forecast_error: float
    new_closings: float


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """All of them."""

    promotion: PromotionThresholds
    data: DataThresholds
    monitor: MonitorThresholds


LEVELS: Final = ("level", "psi_level")
ABOVE_ZERO: Final = ("spacing_days", "judged_days", "reference_days", "rate_factor")
SIGNED: Final = ("margin", "segment_margin", "intercept", "segment_intercept")
FALLING: Final = ("fewer_events",)  # all other pairs rise
PARTS: Final[dict[str, type[Any]]] = {
    "promotion": PromotionThresholds,
    "data": DataThresholds,
    "monitor": MonitorThresholds,
}


def read_thresholds(path: Path | None = None) -> Thresholds:
    """The thresholds, with those of a file in place of the defaults.

    Parameters
    ----------
    path
        TOML; None takes the defaults alone.

    Raises
    ------
    ThresholdError
        If it is no TOML, or an entry is unknown, of another form, or can be no limit.

    Examples
    --------
    >>> read_thresholds().promotion.margin
    0.005
    """
    given = _read(DEFAULTS)
    if path is not None:
        for part, entries in _read(path).items():
            if part not in given or not isinstance(entries, dict):
                raise ThresholdError(
                    f"{path}, [{part}]", "one of " + ", ".join(PARTS), "correct the name"
                )
            for name, value in entries.items():
                _check(path, part, name, value, given[part].get(name))
            given[part] |= entries
    return Thresholds(**{name: _part(PARTS[name], entries) for name, entries in given.items()})


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ThresholdError(f"{path} ({error})", "a TOML file", "correct it") from error


def _check(path: Path, part: str, name: str, value: object, like: object) -> None:
    if like is None:
        known = ", ".join(each.name for each in fields(PARTS[part]))
        raise ThresholdError(f"{path}, {part}.{name}", f"one of {known}", "correct the name")
    pair = isinstance(like, list)
    parts: list[Any] = value if isinstance(value, list) else [value]
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in parts)
    if not numbers or isinstance(value, list) != pair or (pair and len(parts) != 2):
        raise ThresholdError(
            f"{path}, {part}.{name} = {value!r}",
            "two numbers in brackets" if pair else "a number",
            "correct it",
        )
    forms = {each.name: each.type for each in fields(PARTS[part])}
    expected = _expected(name, [float(each) for each in parts], count=forms[name] == "int")
    if expected is not None:
        raise ThresholdError(f"{path}, {part}.{name} = {value!r}", expected, "correct it")


def _expected(name: str, parts: list[float], *, count: bool) -> str | None:
    """What numbers should have been; None where they can be meant."""
    asked = (
        (all(map(isfinite, parts)), "a finite number"),
        (not count or (parts[0] >= 1.0 and parts[0].is_integer()), "a whole number of at least 1"),
        (name not in LEVELS or 0.0 < parts[0] < 1.0, "a share above 0 and below 1, as 0.05"),
        (name not in ABOVE_ZERO or parts[0] > 0.0, "a number above 0"),
        (name in SIGNED or min(parts) >= 0.0, "nothing below 0"),
        (parts == sorted(parts, reverse=name in FALLING), "the two the other way round"),
    )
    return next((expected for held, expected in asked if not held), None)


def _part(form: type[Any], entries: dict[str, Any]) -> Any:
    return form(**{k: tuple(v) if isinstance(v, list) else v for k, v in entries.items()})
