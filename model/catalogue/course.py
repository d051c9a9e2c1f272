"""The deal's course: its stage, dates, amount and age."""

from __future__ import annotations

from itertools import pairwise
from math import isnan, nan
from typing import Final

from model.asof import Snapshot
from model.events import DAY_US
from model.feature import NOT_CARRIED, Category, Computed, Count, Feature, NumberField, Since

MOST_CHANGE: Final = 1e6  # of an amount, as a multiple of the first


def close_date_days(snapshot: Snapshot) -> float:
    """Days to the end of the planned close date; negative when overdue."""
    rows = snapshot.of("close_date_changed")
    return snapshot.deal.date[rows[-1]] + 1.0 - snapshot.as_of / DAY_US if rows else nan


def _pushes(snapshot: Snapshot) -> list[float]:
    """By how many days the close date was moved later, each time."""
    date = snapshot.deal.date
    moves = [date[b] - date[a] for a, b in pairwise(snapshot.of("close_date_changed"))]
    return [days for days in moves if days > 0]


def close_date_pushes(snapshot: Snapshot) -> float:
    """How often the close date was moved later."""
    return float(len(_pushes(snapshot))) if snapshot.of("close_date_changed") else nan


def close_date_pushed_days(snapshot: Snapshot) -> float:
    """By how many days the close date was moved later in all."""
    return float(sum(_pushes(snapshot))) if snapshot.of("close_date_changed") else nan


def stage_steps_back(snapshot: Snapshot) -> float:
    """How often the deal went back to an earlier stage; NaN where stages have no order."""
    rows, order = snapshot.of("stage_changed"), snapshot.deal.number
    if not rows or isnan(order[rows[-1]]):
        return nan
    return float(sum([order[b] < order[a] for a, b in pairwise(rows)]))


def amount_change(snapshot: Snapshot) -> float:
    """Amount now over the first one, minus 1; NaN where the first was 0 or none is known.

    At most `MOST_CHANGE` either way, so that no absurd amount makes it infinite.
    """
    rows, amount = snapshot.of("amount_changed"), snapshot.deal.number
    if not rows or not amount[rows[0]] > 0:
        return nan
    return min(max(amount[rows[-1]] / amount[rows[0]] - 1.0, -MOST_CHANGE), MOST_CHANGE)


def before_opening_days(snapshot: Snapshot) -> float:
    """Days from the first event to the opening, on the calendar."""
    opened, occurred = snapshot.of("deal_opened"), snapshot.deal.occurred
    return (occurred[opened[-1]] - occurred[snapshot.rows[0]]) / DAY_US if opened else nan


COURSE: Final[tuple[Feature, ...]] = (
    Feature(
        name="close_date_pushes",
        unit="events",
        question="times the close date was pushed",
        direction=-1,
        missing="no close date is known",
        phrase="the close date was pushed {value} times",
        zero="the close date was never pushed",
        one="the close date was pushed once",
        unknown="no close date is planned",
        term=Computed(compute=close_date_pushes, reads=("close_date_changed",)),
    ),
    Feature(
        name="close_date_pushed_days",
        unit="days",
        question="days the close date was pushed in all",
        direction=-1,
        missing="no close date is known",
        phrase="the close date was pushed by {days} in all",
        zero="the close date was never pushed",
        unknown="no close date is planned",
        term=Computed(compute=close_date_pushed_days, reads=("close_date_changed",)),
    ),
    Feature(
        name="close_date_days",
        unit="days",
        question="days to the planned close date",
        direction=0,
        missing="no close date is known",
        phrase="the planned close date is {days} away",
        negative="the planned close date passed {days} ago",
        unknown="no close date is planned",
        term=Computed(compute=close_date_days, reads=("close_date_changed",)),
    ),
    Feature(
        name="stage",
        unit="category",
        question="stage",
        direction=0,
        missing="no stage is known",
        phrase="the stage is {value}",
        unknown="the stage is not known",
        term=Category(code="stage_changed"),
    ),
    Feature(
        name="stage_days",
        unit="days",
        question="days in the stage",
        direction=0,
        missing="no stage is known",
        phrase="in the same stage for {days}",
        unknown="the stage is not known",
        term=Since(codes=("stage_changed",)),
    ),
    Feature(
        name="stage_steps_back",
        unit="events",
        question="steps back to an earlier stage",
        direction=-1,
        missing="stages have no known order",
        phrase="the deal went back to an earlier stage {value} times",
        zero="the deal never went back to an earlier stage",
        one="the deal went back to an earlier stage once",
        unknown="the order of the stages is not known",
        term=Computed(compute=stage_steps_back, reads=("stage_changed",)),
    ),
    Feature(
        name="deal_age_days",
        unit="days",
        question="days since the deal was opened",
        direction=0,
        missing="the opening is not known",
        phrase="the deal was opened {days} ago",
        unknown="the deal's opening is not on record",
        term=Since(codes=("deal_opened",)),
    ),
    Feature(
        name="before_opening_days",
        unit="days",
        question="days from the first event to the opening",
        direction=0,
        missing="the opening is not known",
        phrase="first heard of {days} before the deal was opened",
        zero="first heard of when the deal was opened",
        negative="first heard of {days} after the deal was opened",
        unknown="the deal's opening is not on record",
        term=Computed(compute=before_opening_days, reads=("deal_opened",)),
    ),
    Feature(
        name="reopened",
        unit="events",
        question="times the deal was reopened",
        direction=0,
        missing=NOT_CARRIED,
        phrase="the deal was reopened {value} times",
        zero="the deal was never reopened",
        one="the deal was reopened once",
        unknown="reopenings are not on record",
        term=Count(codes=("deal_reopened",)),
    ),
    Feature(
        name="amount",
        unit="amount",
        question="amount",
        direction=0,
        missing="no amount is known",
        phrase="the amount is {value}",
        unknown="no amount is set",
        term=NumberField(code="amount_changed"),
    ),
    Feature(
        name="amount_change",
        unit="share",
        question="change of the amount since the first",
        direction=0,
        missing="no amount is known",
        phrase="the amount rose by {value} since the first",
        zero="the amount is what it was at first",
        negative="the amount fell by {value} since the first",
        unknown="no amount is set",
        term=Computed(compute=amount_change, reads=("amount_changed",)),
    ),
    Feature(
        name="next_step_days",
        unit="days",
        question="days since the next step was set",
        direction=-1,
        missing="no next step is known",
        phrase="the next step was set {days} ago",
        unknown="no next step is set",
        term=Since(codes=("next_step_changed",)),
    ),
    Feature(
        name="forecast_category",
        unit="category",
        question="the rep's forecast category",
        direction=0,
        missing="none is known",
        phrase="the forecast category is {value}",
        unknown="no forecast category is set",
        term=Category(code="forecast_category_changed"),
    ),
    Feature(
        name="pipeline",
        unit="category",
        question="pipeline",
        direction=0,
        missing="none is known",
        phrase="the pipeline is {value}",
        unknown="the pipeline is not known",
        term=Category(code="pipeline_changed"),
    ),
    Feature(
        name="currency",
        unit="category",
        question="currency",
        direction=0,
        missing="none is known",
        phrase="the currency is {value}",
        unknown="the currency is not known",
        term=Category(code="currency_changed"),
    ),
)
