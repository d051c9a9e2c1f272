"""A question about a deal in, its score out; refusals name the part of the question."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from model.errors import HistoryError, HorizonError, ScoreError
from model.events import Event
from model.history import History
from model.score import Score
from model.scorer import Scorer
from service.json_text import pointer
from service.problems import Refused, refused_by
from service.wire import ScoreQuestion

CLOCKS_DIFFER: Final = timedelta(days=1)  # by no more, time zones taken for UTC included


def score_question(scorer: Scorer, question: ScoreQuestion, now: datetime) -> Score:
    """The score that a request asks for.

    Parameters
    ----------
    scorer
        Of the model in force.
    question
        What is asked.
    now
        The present, UTC: when to score where the question does not say, and hardly later.

    Raises
    ------
    Refused
        If the deal cannot be scored as asked.
    """
    if question.as_of is not None and question.as_of > now + CLOCKS_DIFFER:
        error = ScoreError(
            f"as_of {question.as_of.isoformat()}",
            f"a time not after the present, {now.isoformat(timespec='seconds')}",
            "leave it out to score as of now; what happens until later is not known",
        )
        raise refused_by(error, pointer("as_of"))
    try:
        return scorer.score(
            History.from_events(question.events),
            question.as_of or now,
            close_by=question.close_by,
            days=question.days,
            feeds=question.feeds,
            hindsight=question.hindsight,
            most=question.drivers,
        )
    except HistoryError as error:
        raise _refused_repeat(error, question.events) from error
    except HorizonError as error:
        asked = "days" if question.close_by is None else "close_by"
        raise refused_by(error, pointer(asked)) from error
    except ScoreError as error:
        asked = "as_of" if error.given.startswith("as_of") else "events"
        raise refused_by(error, pointer(asked)) from error


def _refused_repeat(error: HistoryError, events: list[Event]) -> Refused:
    """The refusal of events that contradict each other, naming the later one."""
    first: dict[tuple[str, str], Event] = {}
    for index, event in enumerate(events):
        if first.setdefault((event.source, event.source_id), event) != event:
            return refused_by(error, pointer("events", index), where=f"events[{index}]")
    return refused_by(error, pointer("events"))
