"""Commands as a user runs them: their moments, and what they answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from service import cli

AS_OF = "2026-01-12"
NOW = datetime(2026, 1, 12, tzinfo=UTC)
CLOSE_BY = "2026-03-31"
Ran = tuple[int, str, str]
Run = Callable[..., Ran]


def done(ran: Ran) -> str:
    status, out, err = ran
    assert (status, err) == (cli.DONE, "")
    return out


def refusal(ran: Ran) -> str:
    status, out, err = ran
    assert (status, out) == (cli.UNUSABLE, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    return err


def forecast(score: dict[str, Any]) -> float:
    """The probability that forecasts use: zero once a gate is missed."""
    gates, own = score["gates"], score["probability"]
    return float(own if gates is None else gates["gated_probability"])
