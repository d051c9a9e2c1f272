"""What the API answers, as clients read it in the OpenAPI document.

Documentation alone: a score is answered as the model's own `Score` gives it. Tests hold the two
together.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

EXAMPLE_SCORE: Final[dict[str, Any]] = {
    "schema_version": 1,
    "deal_id": "D-1",
    "as_of": "2026-01-19T08:00:00+00:00",
    "close_by": "2026-03-31",
    "days": 71.66666666666667,
    "probability": 0.25,
    "average_probability": 0.1875,
    "drivers": [
        {
            "feature": "customer_replied_days",
            "value": 4.5,
            "points": 0.09375,
            "phrase": "the customer's last reply was 4 days ago",
        }
    ],
    "other_points": -0.03125,
    "curve": [
        {"days": 30.0, "by": "2026-02-18T08:00:00+00:00", "probability": 0.125},
        {"days": 90.0, "by": "2026-04-19T08:00:00+00:00", "probability": 0.28125},
    ],
    "model_version": "m-0123456789abcdef",
    "hindsight": False,
}
EXAMPLE_PROBLEM: Final[dict[str, Any]] = {
    "type": "urn:redflare:problem:event",
    "title": "An event breaks the schema",
    "status": 422,
    "detail": "events[3]: occurred_at 2026-01-14T16:02:11: expected a time with its UTC offset. "
    "Remedy: append Z for UTC, or the offset.",
    "pointer": "/events/3/occurred_at",
}


class Form(BaseModel):
    """A JSON object of exactly the documented members."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DriverForm(Form):
    """What one feature adds to the probability."""

    feature: str = Field(description="Its name in the catalogue.")
    value: float | str | None = Field(description="A number, a category, or null: missing.")
    points: float = Field(description="Probability added to the average evidence's; 0.05 is 5 %.")
    phrase: str = Field(description="The fact in words.")


class CurvePointForm(Form):
    """The probability that the deal is won within so many days."""

    days: float = Field(description="From as_of.")
    by: datetime = Field(description="The moment they end.")
    probability: float = Field(ge=0.0, le=1.0, description="Of a win until then.")


class ScoreAnswer(Form):
    """What the model says of one deal as of a moment."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_SCORE]})

    schema_version: Literal[1] = Field(description="Of this form.")
    deal_id: str = Field(description="The deal.")
    as_of: datetime = Field(description="Nothing known later was used.")
    close_by: date | None = Field(
        description="The date asked about, inclusive; null where days were asked."
    )
    days: float = Field(description="From as_of to the end of close_by.")
    probability: float = Field(ge=0.0, le=1.0, description="That the deal is won by then.")
    average_probability: float = Field(
        ge=0.0, le=1.0, description="Of the average evidence, from which the drivers lead here."
    )
    drivers: list[DriverForm] = Field(description="The main ones, strongest first.")
    other_points: float = Field(
        description="What all else adds: average_probability, the drivers' points and other_points "
        "add up to probability."
    )
    curve: list[CurvePointForm] = Field(description="At the model's own edges.")
    model_version: str = Field(description="Of the model: equal versions give equal scores.")
    hindsight: bool = Field(description="Whether as_of lies before the model's cut-off.")


class ModelAnswer(Form):
    """The model in force."""

    model_version: str = Field(description="Equal versions give equal scores.")
    schema_version: int = Field(description="Of the artifact.")
    edges_days: list[float] = Field(description="Horizon edges from 0; the last is the furthest.")
    known_before: datetime = Field(description="The cut-off: training used what was known before.")
    trained_deals: int = Field(description="Deals that training learned from.")
    won_deals: int = Field(description="Those of them that were won.")
    features: int = Field(description="How many features it looks at.")


class HealthAnswer(Form):
    """The process answers."""

    status: Literal["ok"]


class ProblemAnswer(BaseModel):
    """An error: problem details of RFC 9457.

    A `pointer`, a JSON pointer to the offending part of the body, stands beside where there is
    one.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_PROBLEM]})

    type: str = Field(description="Names the kind of problem, urn:redflare:problem:...")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="Of the HTTP answer.")
    detail: str = Field(description="What was given, what was expected, and the remedy.")
