"""The deal's course: its stage, dates, amount and age."""

from __future__ import annotations

from typing import Final

import numpy as np

from model.asof import AsOf
from model.events import DAY_US
from model.feature import NOT_CARRIED, Category, Computed, Count, Feature, NumberField, Since
from model.history import Floats


def close_date_days(asof: AsOf) -> Floats:
    """Days to the end of the planned close date; negative when overdue."""
    return asof.date[asof.last_of("close_date_changed")] + 1.0 - asof.as_of_days


def close_date_pushes(asof: AsOf) -> tuple[Floats, Floats]:
    """How often the close date was moved later, and by how many days in all."""
    count, pushed = _rises(asof, "close_date_changed", asof.date)
    never = asof.last_of("close_date_changed") < 0
    count[never] = pushed[never] = np.nan
    return count, pushed


def stage_steps_back(asof: AsOf) -> Floats:
    """How often the deal went back to an earlier stage; NaN where stages have no order."""
    count, _ = _rises(asof, "stage_changed", -asof.number)
    count[np.isnan(asof.number[asof.last_of("stage_changed")])] = np.nan
    return count


def amount_change(asof: AsOf) -> Floats:
    """Amount now over the first one, minus 1; NaN where the first was 0 or none is known."""
    rows = asof.rows("amount_changed")
    first = np.full(asof.size, -1)
    first[asof.snap[rows[::-1]]] = rows[::-1]
    before, now = asof.number[first], asof.number[asof.last_of("amount_changed")]
    changed = np.full(asof.size, np.nan)
    np.divide(now, before, out=changed, where=before > 0)
    return changed - 1.0


def _rises(asof: AsOf, kind: str, value: Floats) -> tuple[Floats, Floats]:
    """How often a value rose from one event of `kind` to the next, and by how much in all."""
    rows = asof.rows(kind)
    if rows.size < 2:
        return np.zeros(asof.size), np.zeros(asof.size)
    snap = asof.snap[rows]
    of_row = value[rows]
    rise = of_row[1:] - of_row[:-1]
    up = ((rise > 0) & (snap[1:] == snap[:-1])).nonzero()[0]
    later = rows[up + 1]
    return asof.count(later), asof.count(later, rise[up])


def before_opening_days(asof: AsOf) -> Floats:
    """Days from the first event to the opening, on the calendar."""
    first = np.full(asof.size, -1)
    first[asof.snap[::-1]] = np.arange(asof.row.size)[::-1]
    before = asof.occurred[asof.last_of("deal_opened")] - asof.occurred[first]
    return np.asarray(before / DAY_US)


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
