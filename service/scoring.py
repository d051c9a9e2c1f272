"""A question about a deal in, its score out; refusals name the part of the question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from model.errors import HistoryError, HorizonError, ScoreError, WhatIfError
from model.events import Event
from model.history import History
from model.hypothetical import Hypothetical
from model.score import Score
from model.scorer import Scorer
from model.what_if import WhatIf, what_if
from model.why_moved import explain_change
from service.json_text import pointer
from service.problems import Refused, refused_by
from service.what_if_wire import WhatIfQuestion
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
    with _refusing(question):
        history, as_of = History.from_events(question.events), _moment(question, now)
        score = scorer.score(
            history,
            as_of,
            close_by=question.close_by,
            days=question.days,
            feeds=question.feeds,
            hindsight=question.hindsight,
            most=question.drivers,
        )
    if question.since is None or question.close_by is None or score.probability is None:
        return score
    try:
        change = explain_change(
            scorer,
            history,
            question.since,
            as_of,
            close_by=question.close_by,
            feeds=lambda scorer, _: scorer.feeds(question.feeds),
            hindsight=question.hindsight,
        )
    except (HorizonError, ScoreError) as error:
        raise refused_by(error, pointer("since")) from error
    return replace(score, change=change)


def what_if_question(scorer: Scorer, question: WhatIfQuestion, now: datetime) -> WhatIf:
    """What a what-if request asks for.

    Parameters
    ----------
    scorer
        Of the model in force.
    question
        What is asked.
    now
        The present, UTC: when the events are supposed to happen where the question does not say.

    Raises
    ------
    Refused
        If the deal cannot be scored as asked, or an event cannot happen to it.
    """
    asked = question.score
    with _refusing(asked):
        answer = partial(
            what_if,
            scorer,
            History.from_events(asked.events),
            _moment(asked, now),
            close_by=asked.close_by,
            days=asked.days,
            feeds=asked.feeds,
            hindsight=asked.hindsight,
        )
        try:
            return answer(question.supposed, most=asked.drivers, best=question.best)
        except WhatIfError as error:
            raise _refused_event(error, question.supposed, answer) from error


def _moment(question: ScoreQuestion, now: datetime) -> datetime:
    """When to score.

    Raises
    ------
    ScoreError
        If that is after the present.
    """
    if question.as_of is not None and question.as_of > now + CLOCKS_DIFFER:
        raise ScoreError(
            f"as_of {question.as_of.isoformat()}",
            f"a time not after the present, {now.isoformat(timespec='seconds')}",
            "leave it out to score as of now; what happens until later is not known",
        )
    return question.as_of or now


@contextmanager
def _refusing(question: ScoreQuestion) -> Iterator[None]:
    """Answer what cannot be scored with the part of the question that it comes from."""
    try:
        yield
    except HistoryError as error:
        raise _refused_repeat(error, question.events) from error
    except HorizonError as error:
        asked = "days" if question.close_by is None else "close_by"
        raise refused_by(error, pointer(asked)) from error
    except ScoreError as error:
        asked = "as_of" if error.given.startswith("as_of") else "events"
        raise refused_by(error, pointer(asked)) from error


def _refused_event(
    error: WhatIfError, supposed: list[Hypothetical], answer: Callable[..., WhatIf]
) -> Refused:
    """The refusal of the first event that cannot happen after those before it."""
    for index in range(len(supposed)):
        try:
            answer(supposed[: index + 1])
        except WhatIfError as first:
            where = pointer("hypothetical", index)
            return refused_by(first, where, where=f"hypothetical[{index}]")
    return refused_by(error, pointer("hypothetical"))


def _refused_repeat(error: HistoryError, events: list[Event]) -> Refused:
    """The refusal of events that contradict each other, naming the later one."""
    first: dict[tuple[str, str], Event] = {}
    for index, event in enumerate(events):
        if first.setdefault((event.source, event.source_id), event) != event:
            return refused_by(error, pointer("events", index), where=f"events[{index}]")
    return refused_by(error, pointer("events"))
