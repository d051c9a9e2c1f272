"""What may be set about the served review, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.review.question import Rates, read_rates
from service.settings import SettingError

SEGMENT: Final = "REDFLARE_REVIEW_SEGMENT"
TARGET: Final = "REDFLARE_REVIEW_TARGET"
RATES: Final = "REDFLARE_REVIEW_RATES"
FISCAL_YEAR_MONTH: Final = "REDFLARE_REVIEW_FISCAL_YEAR_MONTH"


@dataclass(frozen=True, kw_only=True)
class ReviewSettings:
    """How the served review reads the company.

    Parameters
    ----------
    segment, target, rates, fiscal_year_month
        As in `service.review.question.Question`.
    """

    segment: str | None = None
    target: float | None = None
    rates: Rates | None = None
    fiscal_year_month: int = 1

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ReviewSettings:
        """Read the settings; what is not set keeps its default.

        Raises
        ------
        SettingError
            If a value is not of its kind.
        ScoreError
            If the rates cannot be used.

        Examples
        --------
        >>> ReviewSettings.from_environment({"REDFLARE_REVIEW_TARGET": "2500000"}).target
        2500000.0
        """
        rates = environment.get(RATES)
        month = environment.get(FISCAL_YEAR_MONTH, "1")
        if month not in map(str, range(1, 13)):
            raise SettingError(
                f"{FISCAL_YEAR_MONTH} {month!r}", "a month from 1 to 12", "set it so"
            )
        return cls(
            segment=environment.get(SEGMENT) or None,
            target=_amount(environment.get(TARGET)),
            rates=read_rates(Path(rates)) if rates else None,
            fiscal_year_month=int(month),
        )


def _amount(text: str | None) -> float | None:
    if not text:
        return None
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0 <= amount < float("inf"):
        raise SettingError(f"{TARGET} {text!r}", "an amount", "set it as a number, such as 2500000")
    return amount
