"""The score: when a deal is won, how probably, and what drives it.

One `Score` is shown by API, page and command line alike; `model.scorer` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeVar

from model.change import Change, change_from_json
from model.data_quality import DataQuality, Finding
from model.errors import ScoreError
from model.gates import Gate, Gates
from model.unusual import Unusual

T = TypeVar("T")

SCORE_SCHEMA: Final = 2

Basis = Literal["model", "base rate"]


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
class Interval:
    """The 80 % interval of a probability.

    Parameters
    ----------
    low, high
        Its ends; the probability lies between them.
    """

    low: float
    high: float


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
        Of a win until then, by the model alone: no gate counts.
    low, high
        Its 80 % interval.
    """

    days: float
    by: str
    probability: float
    low: float
    high: float


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
        That the deal is won by then, by the model alone; None where the deal is unscorable.
    interval
        The 80 % interval of `probability`.
    gates
        The must-hit milestones and the gated probability, which forecasts use; None where no
        milestone was ever declared must-hit.
    average_probability
        Of the average evidence, from which the drivers lead to `probability`.
    drivers
        The main ones, strongest first.
    other_points
        What all other features add: ``average_probability + sum of points + other_points``
        is ``probability``.
    curve
        At the model's own edges.
    change
        Why the probability moved, where it was asked since when.
    data_quality
        What is known of the deal, judged; unscorable leaves all the numbers above None or empty.
    unusual
        Values outside what training saw.
    basis
        ``model``, or ``base rate`` where too few deals had closed to learn more than that.
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
    probability: float | None
    interval: Interval | None
    gates: Gates | None
    average_probability: float | None
    drivers: tuple[Driver, ...]
    other_points: float | None
    curve: tuple[CurvePoint, ...]
    change: Change | None
    data_quality: DataQuality
    unusual: tuple[Unusual, ...]
    basis: Basis
    model_version: str
    hindsight: bool

    @property
    def shown_probability(self) -> float | None:
        """The probability that forecasts use: zero once a gate is missed, else the model's own."""
        return self.probability if self.gates is None else self.gates.gated_probability

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self)


def score_from_json(value: Mapping[str, Any]) -> Score:
    """The inverse of `Score.to_json`.

    Raises
    ------
    ScoreError
        If it is of another schema.
    """
    if value["schema_version"] != SCORE_SCHEMA:
        newer = value["schema_version"] > SCORE_SCHEMA
        raise ScoreError(
            f"a score of schema {value['schema_version']}",
            f"one of schema {SCORE_SCHEMA}",
            "upgrade redflare" if newer else "score the deal again",
        )
    fields = dict(value)
    fields["interval"] = _read(Interval, value["interval"])
    fields["gates"] = None if value["gates"] is None else _gates(value["gates"])
    fields["drivers"] = tuple(Driver(**driver) for driver in value["drivers"])
    fields["curve"] = tuple(CurvePoint(**point) for point in value["curve"])
    fields["change"] = None if value["change"] is None else change_from_json(value["change"])
    quality = value["data_quality"]
    findings = tuple(Finding(**finding) for finding in quality["findings"])
    fields["data_quality"] = DataQuality(verdict=quality["verdict"], findings=findings)
    fields["unusual"] = tuple(Unusual(**unusual) for unusual in value["unusual"])
    return Score(**fields)


def _gates(value: Mapping[str, Any]) -> Gates:
    missed = tuple(Gate(**gate) for gate in value["missed"])
    return Gates(**{**value, "next": _read(Gate, value["next"]), "missed": missed})


def _read(form: type[T], value: Mapping[str, Any] | None) -> T | None:
    return None if value is None else form(**value)
