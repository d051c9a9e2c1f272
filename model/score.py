"""The score: when a deal is won, how probably, and what drives it.

One `Score` is shown by API, page and command line alike; `model.scorer` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from model.errors import ScoreError

SCORE_SCHEMA: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Driver:
    """What one feature adds to the probability.

    Parameters
    ----------
    feature
        Its name in the catalogue.
    value
        A number, a category, or None where it is missing.
    points
        Probability added to that of the average evidence, in points (0.05 is 5 points).
    phrase
        The fact in words.
    """

    feature: str
    value: float | str | None
    points: float
    phrase: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """The probability that the deal is won within so many days.

    Parameters
    ----------
    days
        From `Score.as_of`.
    by
        The moment they end, ISO 8601 UTC.
    probability
        Of a win until then.
    """

    days: float
    by: str
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What the model says of one deal as of a moment.

    Parameters
    ----------
    schema_version
        Of this form.
    deal_id
        The deal.
    as_of
        ISO 8601 UTC; nothing known later was used.
    close_by
        The date asked about, inclusive; None where only days were asked.
    days
        From `as_of` to the end of `close_by`.
    probability
        That the deal is won by then.
    average_probability
        Of the average evidence, from which the drivers lead to `probability`.
    drivers
        The main ones, strongest first.
    other_points
        What all other features add: ``average_probability + sum of points + other_points``
        is ``probability``.
    curve
        At the model's own edges.
    model_version
        Of the artifact.
    hindsight
        Whether `as_of` lies before the artifact's cut-off, so that it knows of later closings.
    """

    schema_version: int
    deal_id: str
    as_of: str
    close_by: str | None
    days: float
    probability: float
    average_probability: float
    drivers: tuple[Driver, ...]
    other_points: float
    curve: tuple[CurvePoint, ...]
    model_version: str
    hindsight: bool

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self)


def score_from_json(value: Mapping[str, Any]) -> Score:
    """The inverse of `Score.to_json`.

    Raises
    ------
    ScoreError
        If it is of a newer schema.
    """
    if value["schema_version"] > SCORE_SCHEMA:
        raise ScoreError(
            f"a score of schema {value['schema_version']}",
            f"at most {SCORE_SCHEMA}",
            "upgrade redflare",
        )
    fields = dict(value)
    fields["drivers"] = tuple(Driver(**driver) for driver in value["drivers"])
    fields["curve"] = tuple(CurvePoint(**point) for point in value["curve"])
    return Score(**fields)
