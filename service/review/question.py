"""What a review is asked: the week, the period, and how its amounts are read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from model.errors import ScoreError
from model.events import microseconds
from model.period import Period


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What currencies are worth.

    Parameters
    ----------
    reporting
        ISO 4217 code of the sums.
    worth
        What one unit of each other currency is worth in `reporting`.
    """

    reporting: str
    worth: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a week.

    Parameters
    ----------
    as_of
        Nothing known later is used.
    since
        The moment of the review before it.
    period
        Whose won amount is forecast.
    segment
        Name of the field that divides deals into segments; None for none.
    target
        Won amount to reach, in the currency of the sums; None for none.
    rates
        None keeps currencies apart.
    fiscal_year_month
        The month with which the fiscal year begins.
    hindsight
        Allow moments before an artifact's cut-off.
    seed
        Of the forecast's draws.
    """

    as_of: datetime
    since: datetime
    period: Period
    segment: str | None = None
    target: float | None = None
    rates: Rates | None = None
    fiscal_year_month: int = 1
    hindsight: bool = False
    seed: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the period is over."""
        return microseconds(self.as_of) >= self.period.end_us


def read_rates(path: Path) -> Rates:
    """The rates of a TOML file: ``reporting = "EUR"`` and, below ``[rates]``, ``USD = 0.92``.

    Raises
    ------
    ScoreError
        If it is no such file, or a rate is no number above 0.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScoreError(f"{path} ({error})", "a TOML file of rates", "correct it") from error
    reporting, worth = told.get("reporting"), told.get("rates")
    if not isinstance(reporting, str) or not isinstance(worth, dict):
        raise ScoreError(
            f"{path} without reporting or rates",
            'reporting = "EUR" and a table [rates]',
            "say the currency of the sums, and what one unit of each other one is worth in it",
        )
    for currency, rate in worth.items():
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
            raise ScoreError(f"{path}, {currency} = {rate!r}", "a number above 0", "correct it")
    return Rates(reporting=reporting, worth={name: float(rate) for name, rate in worth.items()})
