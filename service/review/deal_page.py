"""A deal laid open in a review: curve, drivers, why it moved, milestones, contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from model.change import Change
from model.errors import RedflareError
from model.events import KINDS, from_microseconds, microseconds
from model.feeds import Feeds
from model.history import NONE, History
from model.score import Score
from model.scorer import Scorer
from model.what_if import WhatIf, what_if
from model.why_moved import FeedsAt, explain_change
from service.review.deal_row import DealRow
from service.review.question import Question
from service.review.story import Plan, plans_of

KIND_NAMES: Final = tuple(KINDS)
MOST_EVENTS: Final = 12
EXCLUDED: Final = {
    "auto_reply_received": "a machine's reply: no contact",
    "message_sent": "ours, not the customer's",
    "call_made": "ours, not the customer's",
}
CONTACT: Final = ("customer_replied", "meeting_held", *EXCLUDED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One event in words.

    Parameters
    ----------
    day
        On which it happened.
    words
        What.
    note
        Why it does not count; empty where it does.
    """

    day: str
    words: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class DealPage:
    """One deal laid open.

    Parameters
    ----------
    row
        Its row in the list.
    score
        Probability by date, drivers, gates.
    change
        Why it moved since the last review; None where nothing can be said.
    best
        What past deals gained by the actions still open; None where nothing can be said.
    plans
        Its milestones, the first due first.
    contacts
        The latest last.
    """

    row: DealRow
    score: Score
    change: Change | None
    best: WhatIf | None
    plans: Sequence[Plan]
    contacts: Sequence[Told]


@dataclass(frozen=True, kw_only=True)
class BarePage:
    """What is to be told of a deal without a number: closed, or with too little known.

    Parameters
    ----------
    plans, contacts
        As in `DealPage`.
    score, change, best
        Nothing.
    """

    plans: Sequence[Plan]
    contacts: Sequence[Told]
    score: None = None
    change: None = None
    best: None = None


def bare_page(history: History, question: Question) -> BarePage:
    """The page of a deal without a number; the history is of this deal alone."""
    as_of = microseconds(question.as_of)
    return BarePage(plans=plans_of(history, as_of, set()), contacts=_contacts(history, as_of))


def deal_page(
    scorer: Scorer,
    history: History,
    row: DealRow,
    question: Question,
    feeds_at: FeedsAt,
    feeds: Feeds | None,
    earlier: Scorer | None,
    *,
    moved: bool,
) -> DealPage:
    """Lay a deal with a number open.

    Parameters
    ----------
    history
        Of this deal alone.
    feeds_at
        What each scorer is told at each moment.
    feeds
        What `scorer` is told now.
    earlier
        In force at the last review, where it is another.
    moved
        Whether there was a last review to explain the change from.
    """
    deal, last, as_of = 0, question.period.last, microseconds(question.as_of)
    score = scorer.score(
        history,
        question.as_of,
        close_by=last,
        deal=deal,
        feeds=feeds,
        hindsight=question.hindsight,
        most=8,
    )
    change, best = None, None
    if moved and row.change is not None:
        change = _or_none_change(scorer, history, deal, question, feeds_at, earlier)
    try:
        best = what_if(
            scorer,
            history,
            question.as_of,
            close_by=last,
            deal=deal,
            feeds=feeds,
            hindsight=question.hindsight,
            best=3,
        )
    except RedflareError:
        best = None  # an artifact that keeps no actions, or a deal that takes none
    return DealPage(
        row=row,
        score=score,
        change=change,
        best=best,
        plans=plans_of(history, as_of, {gate.name for gate in row.gates}),
        contacts=_contacts(history, as_of),
    )


def _or_none_change(
    scorer: Scorer,
    history: History,
    deal: int,
    question: Question,
    feeds_at: FeedsAt,
    earlier: Scorer | None,
) -> Change | None:
    try:
        return explain_change(
            scorer,
            history,
            question.since,
            question.as_of,
            close_by=question.period.last,
            deal=deal,
            feeds=feeds_at,
            earlier=earlier,
            hindsight=question.hindsight,
        )
    except RedflareError:
        return None  # it had no number at one of the moments


def _contacts(history: History, until: int) -> tuple[Told, ...]:
    found = []
    for row in range(int(history.start[0]), int(history.start[1])):
        kind = KIND_NAMES[history.kind[row]]
        if kind not in CONTACT or history.known[row] > until:
            continue
        words = kind.replace("_", " ")
        if history.name[row] != NONE:
            words += f", {history.names[history.name[row]]}"
        day = from_microseconds(int(history.occurred[row])).date().isoformat()
        found.append(Told(day=day, words=words, note=EXCLUDED.get(kind, "")))
    return tuple(found[-MOST_EVENTS:])
