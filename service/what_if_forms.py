"""What ``POST /v1/what-if`` answers, as clients read it in the OpenAPI document.

Documentation alone: the answer is the model's own `WhatIf`. Tests hold the two together.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from model.what_if import STATEMENT
from service.forms import Form, IntervalForm

EXAMPLE_WHAT_IF_ANSWER: Final[dict[str, Any]] = {
    "schema_version": 1,
    "deal_id": "D-1",
    "as_of": "2026-01-19T08:00:00+00:00",
    "close_by": "2026-03-31",
    "days": 71.66666666666667,
    "events": ["meeting_held onsite"],
    "phrases": ["meeting held: onsite"],
    "before": 0.25,
    "after": 0.3125,
    "interval_before": {"low": 0.1875, "high": 0.3125},
    "interval_after": {"low": 0.25, "high": 0.375},
    "gated_before": None,
    "gated_after": None,
    "average_probability": 0.1875,
    "drivers": [
        {
            "feature": "onsite_meetings_90_days",
            "before": 0.0,
            "after": 1.0,
            "points": 0.046875,
            "phrase": "1 on-site meeting in 90 days",
        }
    ],
    "other_points": 0.015625,
    "curve": [
        {"days": 30.0, "by": "2026-02-18T08:00:00+00:00", "before": 0.125, "after": 0.15625},
        {"days": 90.0, "by": "2026-04-19T08:00:00+00:00", "before": 0.28125, "after": 0.34375},
    ],
    "best": [
        {
            "action": "commercial talks",
            "event": "commercial_talks_started",
            "phrase": "commercial talks start",
            "after": 0.375,
            "points": 0.125,
            "gated_after": None,
            "evidence": {
                "band_low": 0.125,
                "band_high": 0.25,
                "band_days": 30.0,
                "window_days": 14.0,
                "won_within_days": 90.0,
                "took_deals": 80,
                "took_won": 28,
                "others_deals": 400,
                "others_won": 80,
                "phrase": "of 80 such deals that saw it within 14 days, 35% were won in the 90 "
                "days after; of 400 that did not, 20%",
            },
        }
    ],
    "statement": STATEMENT,
    "basis": "model",
    "model_version": "m-0123456789abcdef",
    "hindsight": False,
}


class MovedForm(Form):
    """How one feature's part changes."""

    feature: str = Field(description="Its name in the catalogue.")
    before: float | str | None = Field(description="Its value as known; null: missing.")
    after: float | str | None = Field(description="Its value as supposed; null: missing.")
    points: float = Field(description="Probability added by the change; 0.05 is 5 %.")
    phrase: str = Field(description="The fact in words, as supposed.")


class CurvePairForm(Form):
    """The probability that the deal is won within so many days, as it is and as supposed."""

    days: float = Field(description="From as_of.")
    by: datetime = Field(description="The moment they end.")
    before: float = Field(ge=0.0, le=1.0, description="As known.")
    after: float = Field(ge=0.0, le=1.0, description="As supposed.")


class EvidenceForm(Form):
    """What past deals as probable as this one, with the action still open, did."""

    band_low: float = Field(description="Their predicted probability, at least.")
    band_high: float = Field(description="Their predicted probability, at most.")
    band_days: float = Field(description="Days ahead of that prediction.")
    window_days: float = Field(description="In which they saw the action, or did not.")
    won_within_days: float = Field(
        description="Wins are counted so many days from the end of that window, for both groups; "
        "only deals still open then are."
    )
    took_deals: int = Field(description="Deals that saw it.")
    took_won: int = Field(description="Those of them won.")
    others_deals: int = Field(description="Deals that did not.")
    others_won: int = Field(description="Those of them won.")
    phrase: str = Field(description="In words; below 20 deals on a side, too few to say.")


class OpenActionForm(Form):
    """An action still open for the deal, supposed alone."""

    action: str = Field(description="Its name.")
    event: str = Field(description="The event supposed: its kind and what the kind says.")
    phrase: str = Field(description="What happens, in words.")
    after: float = Field(ge=0.0, le=1.0, description="The probability with it.")
    points: float = Field(description="Probability added by it.")
    gated_after: float | None = Field(
        description="Zero while a must-hit milestone is missed still, else as after; null without "
        "one."
    )
    evidence: EvidenceForm | None = Field(description="Null where the record shows none.")


class WhatIfAnswer(Form):
    """What hypothetical events would make of the probability: association, not causation."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_WHAT_IF_ANSWER]})

    schema_version: Literal[1] = Field(description="Of this form.")
    deal_id: str = Field(description="The deal.")
    as_of: datetime = Field(description="When they happen; nothing known later was used.")
    close_by: date | None = Field(
        description="The date asked about, inclusive; null where days were asked."
    )
    days: float = Field(description="From as_of to the end of close_by.")
    events: list[str] = Field(description="What is supposed: each kind and what the kind says.")
    phrases: list[str] = Field(description="The same in words.")
    before: float = Field(ge=0.0, le=1.0, description="The model's probability as known.")
    after: float = Field(ge=0.0, le=1.0, description="The same as supposed.")
    interval_before: IntervalForm = Field(description="The interval of before.")
    interval_after: IntervalForm = Field(description="The interval of after.")
    gated_before: float | None = Field(
        description="Zero while a must-hit milestone is missed, else as before; null without one."
    )
    gated_after: float | None = Field(description="The same as supposed.")
    average_probability: float = Field(
        ge=0.0, le=1.0, description="Of the average evidence, the same before and after."
    )
    drivers: list[MovedForm] = Field(
        description="The main features whose value changes, strongest first."
    )
    other_points: float = Field(
        description="What all else adds, values that stay but count otherwise among it: before, "
        "the drivers' points and other_points add up to after."
    )
    curve: list[CurvePairForm] = Field(description="At the model's own edges.")
    best: list[OpenActionForm] = Field(
        description="As many as asked, the largest rise first; what clears missed must-hit "
        "milestones leads."
    )
    statement: str = Field(description="What all this is, and is not.")
    basis: Literal["model", "base rate"] = Field(
        description="base rate: too few deals had closed to learn what events tell; its intervals "
        "hold the true probability in 5 or 6 of 10 answers, not 8."
    )
    model_version: str = Field(description="Of the model: equal versions give equal answers.")
    hindsight: bool = Field(description="Whether as_of lies before the model's cut-off.")
