"""What the API answers, as clients read it in the OpenAPI document.

Documentation alone: a score is answered as the model's own `Score` gives it. Tests hold the two
together.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

EXAMPLE_SCORE: Final[dict[str, Any]] = {
    "schema_version": 2,
    "deal_id": "D-1",
    "as_of": "2026-01-19T08:00:00+00:00",
    "close_by": "2026-03-31",
    "days": 71.66666666666667,
    "probability": 0.25,
    "interval": {"low": 0.1875, "high": 0.3125},
    "gates": {
        "next": {
            "name": "security review",
            "state": "open",
            "due": "2026-02-06",
            "days_left": 18.666666666666668,
            "declared_by": "head of sales",
            "declared_at": "2026-01-12T09:00:00+00:00",
        },
        "missed": [],
        "gated_probability": 0.25,
        "probability_if_missed": 0.0,
    },
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
        {
            "days": 30.0,
            "by": "2026-02-18T08:00:00+00:00",
            "probability": 0.125,
            "low": 0.0625,
            "high": 0.1875,
        },
        {
            "days": 90.0,
            "by": "2026-04-19T08:00:00+00:00",
            "probability": 0.28125,
            "low": 0.21875,
            "high": 0.34375,
        },
    ],
    "change": None,
    "data_quality": {
        "verdict": "good",
        "findings": [{"code": "reopened", "phrase": "it was closed and opened again"}],
    },
    "unusual": [],
    "basis": "model",
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


class IntervalForm(Form):
    """A range of a probability.

    Meant to hold the true probability in 8 of 10 answers; on simulated companies it held it in 72
    to 94 %. Of the basis `base rate` it held it in 49 to 64 %.
    """

    low: float = Field(ge=0.0, le=1.0, description="Its lower end.")
    high: float = Field(ge=0.0, le=1.0, description="Its upper end.")


class CurvePointForm(Form):
    """The probability that the deal is won within so many days."""

    days: float = Field(description="From as_of.")
    by: datetime = Field(description="The moment they end.")
    probability: float = Field(
        ge=0.0, le=1.0, description="Of a win until then, by the model alone."
    )
    low: float = Field(ge=0.0, le=1.0, description="Lower end of its interval.")
    high: float = Field(ge=0.0, le=1.0, description="Upper end of its interval.")


class GateForm(Form):
    """One must-hit milestone as known at as_of."""

    name: str = Field(description="The milestone.")
    state: Literal["open", "reached", "missed", "withdrawn"] = Field(description="How it stands.")
    due: date | None = Field(description="Its due date; null where none is known.")
    days_left: float | None = Field(
        description="To the end of that date in the deal's time zone, negative after it."
    )
    declared_by: str = Field(description="Who declared it, or the source that told of it.")
    declared_at: datetime = Field(description="When.")


class GatesForm(Form):
    """What the deal's must-hit milestones make of its probability."""

    next: GateForm | None = Field(description="The open one due first.")
    missed: list[GateForm] = Field(description="Those that are missed, the first due first.")
    gated_probability: float | None = Field(
        description="Zero while one is missed, else the model's own: what forecasts use."
    )
    probability_if_missed: float | None = Field(
        description="Once the next one is missed: zero by declaration."
    )


class ShiftForm(Form):
    """What one feature adds to a step."""

    feature: str = Field(description="Its name, or the average deal.")
    points: float = Field(description="Probability added.")
    phrase: str = Field(description="The fact in words, as it stands after the step.")


class StepForm(Form):
    """One reason for a change."""

    reason: Literal["fewer days", "time", "event", "retraining"] = Field(description="Of a kind.")
    phrase: str = Field(description="In words.")
    known_at: datetime | None = Field(description="When an event became known.")
    points: float = Field(description="Probability added.")
    shifts: list[ShiftForm] = Field(description="The features that moved; they sum to points.")


class ChangeForm(Form):
    """Why the probability by close_by moved."""

    deal_id: str = Field(description="The deal.")
    since: datetime = Field(description="From when.")
    as_of: datetime = Field(description="Until when.")
    close_by: date = Field(description="The date asked about at both.")
    before: float = Field(ge=0.0, le=1.0, description="The probability then.")
    after: float = Field(ge=0.0, le=1.0, description="The probability now.")
    steps: list[StepForm] = Field(description="In order; before and their points give after.")


class FindingForm(Form):
    """One thing that is missing, stale or contradictory."""

    code: str = Field(description="For programs.")
    phrase: str = Field(description="In words.")


class DataQualityForm(Form):
    """What is known of the deal, judged."""

    verdict: Literal["good", "thin", "unscorable"] = Field(
        description="An unscorable deal has no probability."
    )
    findings: list[FindingForm] = Field(description="Why, the gravest first.")


class UnusualForm(Form):
    """A value outside what training saw."""

    feature: str = Field(description="Its name in the catalogue.")
    value: float | str = Field(description="The number, or the new category.")
    phrase: str = Field(description="The fact and what was seen, in words.")


class ScoreAnswer(Form):
    """What the model says of one deal as of a moment."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_SCORE]})

    schema_version: Literal[2] = Field(description="Of this form.")
    deal_id: str = Field(description="The deal.")
    as_of: datetime = Field(description="Nothing known later was used.")
    close_by: date | None = Field(
        description="The date asked about, inclusive; null where days were asked."
    )
    days: float = Field(description="From as_of to the end of close_by.")
    probability: float | None = Field(
        ge=0.0,
        le=1.0,
        description="That the deal is won by then, by the model alone; null where unscorable.",
    )
    interval: IntervalForm | None = Field(
        description="Holds the true probability in about 8 of 10 answers; 5 or 6 of a base rate."
    )
    gates: GatesForm | None = Field(
        description="The must-hit milestones; null where none was ever declared."
    )
    average_probability: float | None = Field(
        ge=0.0, le=1.0, description="Of the average evidence, from which the drivers lead here."
    )
    drivers: list[DriverForm] = Field(description="The main ones, strongest first.")
    other_points: float | None = Field(
        description="What all else adds: average_probability, the drivers' points and other_points "
        "add up to probability."
    )
    curve: list[CurvePointForm] = Field(description="At the model's own edges.")
    change: ChangeForm | None = Field(
        description="Why the probability moved, where the request says since when."
    )
    data_quality: DataQualityForm = Field(description="How far what is known carries a score.")
    unusual: list[UnusualForm] = Field(description="Values outside what training saw.")
    basis: Literal["model", "base rate"] = Field(
        description="base rate: too few deals had closed to learn more than rates by stage and "
        "age, whose intervals hold the true probability in 5 or 6 of 10 answers, not 8."
    )
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


class CheckForm(Form):
    """One thing that the service needs."""

    name: Literal["database", "migrations", "queue", "model"] = Field(description="What it is.")
    ok: bool = Field(description="Whether it is well.")
    reason: str | None = Field(description="Why not.")


class ReadyAnswer(Form):
    """The service can do its work."""

    status: Literal["ready"]
    checks: list[CheckForm] = Field(
        description="Each need. Where one is not well the answer is a problem of status 503, which "
        "has them too."
    )


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
