"""The deal's course: its stage, dates, amount and age."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from model.asof import AsOf
from model.events import DAY_US
from model.feature import NOT_CARRIED, Category, Computed, Count, Feature, NumberField, Since
from model.history import Floats


def close_date_days(asof: AsOf) -> Floats:
    """Days to the end of the planned close date; negative when overdue."""
    return asof.date.take(asof.last_of("close_date_changed")) + 1.0 - asof.as_of_days


def close_date_pushes(asof: AsOf) -> tuple[Floats, Floats]:
    """How often the close date was moved later, and by how many days in all."""
    count, pushed = np.full((2, asof.size), np.nan)
    snap, date = asof.followed.snap, asof.followed.date
    before = -1
    for i in asof.followed.by_kind["close_date_changed"]:
        deal = snap[i]
        if before < 0 or snap[before] != deal:
            count[deal] = pushed[deal] = 0.0
        elif date[i] > date[before]:
            count[deal] += 1.0
            pushed[deal] += date[i] - date[before]
        before = i
    return count, pushed


def stage_steps_back(asof: AsOf) -> Floats:
    """How often the deal went back to an earlier stage; NaN where stages have no order."""
    back = np.full(asof.size, np.nan)
    snap, order = asof.followed.snap, asof.followed.number
    before, steps = -1, 0.0
    for i in asof.followed.by_kind["stage_changed"]:
        if before < 0 or snap[before] != snap[i]:
            steps = 0.0
        elif order[i] < order[before]:
            steps += 1.0
        back[snap[i]] = math.nan if math.isnan(order[i]) else steps
        before = i
    return back


def amount_change(asof: AsOf) -> Floats:
    """Amount now over the first one, minus 1; NaN where the first was 0 or none is known."""
    change = np.full(asof.size, np.nan)
    snap, amount = asof.followed.snap, asof.followed.number
    deal, first = -1, 0.0
    for i in asof.followed.by_kind["amount_changed"]:
        if snap[i] != deal:
            deal, first = snap[i], amount[i]
        change[deal] = amount[i] / first - 1.0 if first > 0 else math.nan
    return change


def before_opening_days(asof: AsOf) -> Floats:
    """Days from the first event to the opening, on the calendar."""
    first = asof.snap.searchsorted(np.arange(asof.size))
    opened = asof.occurred_us.take(asof.last_of("deal_opened"))
    return (opened - asof.occurred_us.take(first)) / DAY_US


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
        term=Computed(compute=lambda asof: asof.once(close_date_pushes)[0]),
    ),
    Feature(
        name="close_date_pushed_days",
        unit="days",
        question="days the close date was pushed in all",
        direction=-1,
        missing="no close date is known",
        phrase="the close date was pushed by {value} days in all",
        zero="the close date was never pushed",
        term=Computed(compute=lambda asof: asof.once(close_date_pushes)[1]),
    ),
    Feature(
        name="close_date_days",
        unit="days",
        question="days to the planned close date",
        direction=0,
        missing="no close date is known",
        phrase="{value} days to the planned close date",
        term=Computed(compute=lambda asof: asof.once(close_date_days)),
    ),
    Feature(
        name="stage",
        unit="category",
        question="stage",
        direction=0,
        missing="no stage is known",
        phrase="stage {value}",
        term=Category(code="stage_changed"),
    ),
    Feature(
        name="stage_days",
        unit="days",
        question="days in the stage",
        direction=0,
        missing="no stage is known",
        phrase="{value} days in the stage",
        term=Since(codes=("stage_changed",)),
    ),
    Feature(
        name="stage_steps_back",
        unit="events",
        question="steps back to an earlier stage",
        direction=-1,
        missing="stages have no known order",
        phrase="{value} steps back to an earlier stage",
        zero="no step back to an earlier stage",
        one="1 step back to an earlier stage",
        term=Computed(compute=stage_steps_back),
    ),
    Feature(
        name="deal_age_days",
        unit="days",
        question="days since the deal was opened",
        direction=0,
        missing="the opening is not known",
        phrase="opened {value} days ago",
        term=Since(codes=("deal_opened",)),
    ),
    Feature(
        name="before_opening_days",
        unit="days",
        question="days from the first event to the opening",
        direction=0,
        missing="the opening is not known",
        phrase="first heard of {value} days before the opening",
        zero="first heard of at the opening",
        term=Computed(compute=before_opening_days),
    ),
    Feature(
        name="reopened",
        unit="events",
        question="times the deal was reopened",
        direction=0,
        missing=NOT_CARRIED,
        phrase="reopened {value} times",
        zero="never reopened",
        one="reopened once",
        term=Count(codes=("deal_reopened",)),
    ),
    Feature(
        name="amount",
        unit="amount",
        question="amount",
        direction=0,
        missing="no amount is known",
        phrase="amount {value}",
        term=NumberField(code="amount_changed"),
    ),
    Feature(
        name="amount_change",
        unit="share",
        question="change of the amount since the first",
        direction=0,
        missing="no amount is known",
        phrase="amount changed by {value}",
        zero="amount unchanged",
        term=Computed(compute=amount_change),
    ),
    Feature(
        name="next_step_days",
        unit="days",
        question="days since the next step was set",
        direction=-1,
        missing="no next step is known",
        phrase="the next step is {value} days old",
        term=Since(codes=("next_step_changed",)),
    ),
    Feature(
        name="forecast_category",
        unit="category",
        question="the rep's forecast category",
        direction=0,
        missing="none is known",
        phrase="forecast category {value}",
        term=Category(code="forecast_category_changed"),
    ),
    Feature(
        name="pipeline",
        unit="category",
        question="pipeline",
        direction=0,
        missing="none is known",
        phrase="pipeline {value}",
        term=Category(code="pipeline_changed"),
    ),
    Feature(
        name="currency",
        unit="category",
        question="currency",
        direction=0,
        missing="none is known",
        phrase="currency {value}",
        term=Category(code="currency_changed"),
    ),
)
