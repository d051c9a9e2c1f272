"""The scores: what was said of a deal and when, kept for good."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from sqlalchemy import Connection, bindparam, exists, select, tuple_

from model.events import microseconds, parse_time
from model.score import Score, score_from_json
from service.storage.rows import AnyRow, json_of
from service.storage.schema import SCORES

Cause = Literal["delivery", "tick", "forgetting"]
_ADD: Final = SCORES.insert().returning(SCORES.c.id)
_OF_DELIVERY: Final = select(
    exists().where(
        SCORES.c.inbox_id == bindparam("inbox_id"), SCORES.c.deal_id == bindparam("deal_id")
    )
)
_BETWEEN: Final = (
    select(SCORES.c.probability)
    .where(
        SCORES.c.deal_id == bindparam("deal_id"),
        SCORES.c.as_of.between(bindparam("first"), bindparam("last")),
        SCORES.c.days == bindparam("within"),
    )
    .order_by(SCORES.c.as_of.desc(), SCORES.c.id.desc())
    .limit(1)
)
_LISTED: Final = (
    SCORES.c.id,
    SCORES.c.as_of,
    SCORES.c.made_at,
    SCORES.c.cause,
    SCORES.c.inbox_id,
    SCORES.c.model_version,
    SCORES.c.days,
    SCORES.c.probability,
    SCORES.c.shown_probability,
)


def add(
    connection: Connection, score: Score, *, cause: Cause, inbox_id: int | None, at: int
) -> int:
    """Keep a score; its number.

    Parameters
    ----------
    connection
        Writing.
    score
        Of one deal.
    cause
        Whether a delivery, the passing of time or a person forgotten asked for it.
    inbox_id
        The delivery. Of one that is worked on again the deal's first score bears its number alone.
    at
        The present, microseconds since 1970 UTC.
    """
    if (
        inbox_id is not None
        and connection.execute(
            _OF_DELIVERY, {"inbox_id": inbox_id, "deal_id": score.deal_id}
        ).scalar()
    ):
        inbox_id = None
    row = {
        "deal_id": score.deal_id,
        "as_of": microseconds(parse_time("as_of", score.as_of)),
        "made_at": at,
        "cause": cause,
        "inbox_id": inbox_id,
        "model_version": score.model_version,
        "days": score.days,
        "probability": score.probability,
        "shown_probability": score.shown_probability,
        "answer": json_of(score.to_json()),
    }
    return int(connection.execute(_ADD, row).scalar_one())


def latest(connection: Connection, deal_id: str, *, until: int | None = None) -> Score | None:
    """What was last said of a deal; None where nothing was.

    Parameters
    ----------
    connection
        Reading.
    until
        Only what was said as of then or earlier, microseconds since 1970 UTC.
    """
    query = select(SCORES.c.answer).where(SCORES.c.deal_id == deal_id)
    if until is not None:
        query = query.where(SCORES.c.as_of <= until)
    query = query.order_by(SCORES.c.as_of.desc(), SCORES.c.id.desc()).limit(1)
    answer = connection.execute(query).scalar()
    return None if answer is None else score_from_json(json.loads(answer))


def answer(connection: Connection, score_id: int) -> str | None:
    """The JSON of a score; None where there is none."""
    return connection.execute(select(SCORES.c.answer).where(SCORES.c.id == score_id)).scalar()


def probability_between(
    connection: Connection, deal_id: str, first: int, last: int, days: float
) -> float | None:
    """The last probability within so many days that was said as of a span of time; None if none.

    Parameters
    ----------
    connection
        Reading.
    first, last
        Microseconds since 1970 UTC, both included.
    days
        The horizon.
    """
    span = {"deal_id": deal_id, "first": first, "last": last, "within": days}
    return connection.execute(_BETWEEN, span).scalar()


def page(
    connection: Connection, deal_id: str, *, before: tuple[int, int] | None, most: int
) -> Sequence[AnyRow]:
    """Scores of a deal, the latest first.

    Parameters
    ----------
    connection
        Reading.
    before
        `as_of` and `id` of the last one of the page before; None for the first page.
    most
        How many.
    """
    place = tuple_(SCORES.c.as_of, SCORES.c.id)
    query = select(*_LISTED).where(SCORES.c.deal_id == deal_id)
    if before is not None:
        query = query.where(place < before)
    query = query.order_by(SCORES.c.as_of.desc(), SCORES.c.id.desc()).limit(most)
    return connection.execute(query).all()


def history(connection: Connection, deal_id: str) -> Iterator[AnyRow]:
    """Every score of a deal, the earliest first: as of when, made when, by what, how probable."""
    query = select(*_LISTED).where(SCORES.c.deal_id == deal_id)
    yield from connection.execute(query.order_by(SCORES.c.as_of, SCORES.c.id)).all()
