"""How figures are said to people, and written to the one CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

NAMES: Final = ("part", "value", "horizon_days")  # of what a row is, beside its figures
OPENED_AFTER: Final = "opened after the origin"
MINUS: Final = "\N{MINUS SIGN}"


def percent(share: float) -> str:
    """A share for people.

    Examples
    --------
    >>> percent(0.0312)
    '3.1 %'
    """
    return f"{100 * share:.1f} %"


def number(value: float | None, digits: int = 4) -> str:
    """A figure for people, or a dash where there is none.

    Examples
    --------
    >>> number(0.41567), number(None)
    ('0.4157', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def span(key: str, row: dict[str, Any]) -> str:
    """The interval of a share, for people.

    Examples
    --------
    >>> span("won_share", {"won_share_low": 0.1, "won_share_high": 0.25})
    '10.0 to 25.0 %'
    """
    return f"{100 * row[f'{key}_low']:.1f} to {100 * row[f'{key}_high']:.1f} %"


def points(value: float, digits: int = 1) -> str:
    """A difference of shares in percentage points.

    Examples
    --------
    >>> points(0.1234)
    '+12.3'
    """
    return f"{100 * value:+.{digits}f}".replace("-", MINUS)


def signed(value: float) -> str:
    """A difference of figures.

    Examples
    --------
    >>> signed(0.00571)
    '+0.0057'
    """
    return f"{value:+.4f}".replace("-", MINUS)


def listed(words: Sequence[str]) -> str:
    """Words in a sentence; at least one.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def find(rows: Iterable[dict[str, Any]], **named: Any) -> dict[str, Any] | None:
    """The first row with these names; None where there is none."""
    return next((row for row in rows if all(row[k] == v for k, v in named.items())), None)


def of_all(row: dict[str, Any], days: float) -> bool:
    """Whether a row is of all forecasts at a horizon."""
    return bool(row["part"] == "all" and row["horizon_days"] == days)


def tidy(
    section: str,
    part: str,
    value: str,
    row: dict[str, Any],
    figure: str,
    who: str = "redflare",
) -> dict[str, Any]:
    """A row of the one CSV, with the keys of `training.section.TIDY`."""
    return {
        "section": section,
        "part": part,
        "value": value,
        "horizon_days": row["horizon_days"],
        "method": who,
        "figure": figure,
        "number": row[figure],
    }
