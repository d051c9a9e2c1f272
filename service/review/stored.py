"""Trends from the scores that were made week by week, as they were said then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, isnan, log1p, nan
from typing import Final

import numpy as np
import orjson
from sqlalchemy import Connection, func, select

from model.events import DAY_US, from_microseconds
from model.period import Period
from model.score import Score, score_from_json
from service.review.deal_row import TREND_WEEKS
from service.review.gathering import Gathered
from service.storage.database import Database
from service.storage.schema import SCORES

WEEK_US: Final = 7 * DAY_US
Said = Mapping[str, Mapping[int, float]]


def with_stored_trends(gathered: Gathered, database: Database) -> Gathered:
    """The same facts with trends of what was said then, wherever a score of the week is kept.

    Weeks without one stay as they were scored as of then, or without a number. Of a period that has
    not begun nothing is taken: what was said then was of a win by its end, begun or not.
    """
    as_of = gathered.now.as_of
    if gathered.question.period.begin_us > as_of or gathered.models.now is None:
        return gathered
    weeks = [as_of - back * WEEK_US for back in range(TREND_WEEKS - 1, -1, -1)]
    with database.reading() as connection:
        said = said_then(connection, weeks[:-1], gathered.question.period)
    if not said:
        return gathered
    places = {day: place for place, day in enumerate(gathered.trend_weeks)}
    known = [places.get(from_microseconds(week).date()) for week in weeks]
    trends = []
    for row in gathered.rows:
        own = said.get(row.deal.deal_id, {})
        trend = [
            own.get(week, nan if place is None or not row.trend else row.trend[place])
            for week, place in zip(weeks, known, strict=True)
        ]
        trends.append(trend)
    first = min(
        (place for trend in trends for place, p in enumerate(trend) if not isnan(p)),
        default=len(weeks) - 1,
    )
    rows = [
        replace(row, trend=tuple(trend[first:]))
        for row, trend in zip(gathered.rows, trends, strict=True)
    ]
    days = tuple(from_microseconds(week).date() for week in weeks[first:])
    return replace(gathered, rows=rows, trend_weeks=days)


def said_then(connection: Connection, weeks: Sequence[int], period: Period) -> Said:
    """By deal and week what its last score of the seven days before said of a period.

    Parameters
    ----------
    connection
        Reading.
    weeks
        Moments, microseconds since 1970 UTC.
    """
    found: dict[str, dict[int, float]] = {}
    for week in weeks:
        last = (
            select(func.max(SCORES.c.id).label("id"))
            .where(SCORES.c.as_of > week - WEEK_US, SCORES.c.as_of <= week)
            .group_by(SCORES.c.deal_id)
            .subquery()
        )
        query = select(SCORES.c.deal_id, SCORES.c.as_of, SCORES.c.answer).join(
            last, last.c.id == SCORES.c.id
        )
        for row in connection.execute(query):
            days = (period.end_us - row.as_of) / DAY_US
            p = probability_within(score_from_json(orjson.loads(row.answer)), days)
            if not isnan(p):
                found.setdefault(row.deal_id, {})[week] = p
    return found


def probability_within(score: Score, days: float) -> float:
    """What a score says of a win within so many days; zero while a gate is missed.

    Log-survival is linear between the points of its curve. NaN past the last point, and where the
    deal had no number.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> curve = [SimpleNamespace(days=30.0, probability=0.36)]
    >>> score = SimpleNamespace(probability=0.36, curve=curve, gates=None)
    >>> round(probability_within(score, 15.0), 6)
    0.2
    """
    if score.probability is None or not score.curve or not 0 < days <= score.curve[-1].days:
        return nan
    if score.gates is not None and score.gates.gated_probability == 0.0:
        return 0.0
    at = [0.0, *(point.days for point in score.curve)]
    hazard = [0.0, *(-log1p(-min(point.probability, 1 - 1e-12)) for point in score.curve)]
    return 1.0 - exp(-float(np.interp(days, at, hazard)))
