"""What is answered about one deal: its page, with what is supposed, and the drawings on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from model.errors import EventError, RedflareError
from model.events import DAY_US, from_microseconds, microseconds
from model.history import History
from model.hypothetical import TAKES, Hypothetical
from model.period import week_name
from model.pipeline import Deal
from model.what_if import STATEMENT, WhatIf, what_if
from service.review.answers import drawing, html, message
from service.review.asking import Answer, Request
from service.review.calendar import read_date
from service.review.comparable import Comparable, comparable_deals
from service.review.deal_page import BarePage, DealPage, bare_page
from service.review.deal_row import DealRow
from service.review.gathering import told
from service.review.labels import curve_label, story_label
from service.review.links import Asked, Links
from service.review.page import image, render
from service.review.question import Question
from service.review.shelf import Kept
from service.review.source import deals_of
from service.review.story import Story, story_of
from service.review.view import Choice, page_of

KINDS_SUPPOSED: Final = {
    kind: kind.replace("_", " ")
    for kind, takes in TAKES.items()
    if kind not in ("field_changed", "next_step_changed", "currency_changed")
}


@dataclass(frozen=True, kw_only=True)
class _LaidOpen:
    """One deal with all that its page tells, but for what is supposed."""

    page: DealPage | BarePage
    history: History
    story: Story


def answer_deal(kept: Kept, asked: Asked, request: Request, seen: Choice) -> Answer:
    """The page of the deal that is asked for, or a drawing on it.

    Parameters
    ----------
    seen
        The deals that may be seen.
    """
    deal, row = kept.deals().get(request.deal_id, (None, None))
    if deal is None or not seen.takes(deal):
        return message(
            "No such deal",
            f"No deal {request.deal_id!r} was known by {kept.gathered.question.as_of:%F}.",
            status=404,
            back="The review",
        )
    opened = kept.once(("deal", deal.deal_id), lambda: _laid_open(kept, deal, row))
    if request.place == "deal chart":
        return drawing(
            kept.once(
                ("deal chart", deal.deal_id, request.name),
                lambda: _deal_drawing(opened, request.name),
            )
        )
    return _deal_answer(kept, asked, request, seen, deal, row, opened)


def _laid_open(kept: Kept, deal: Deal, row: DealRow | None) -> _LaidOpen:
    gathered = kept.gathered
    question, scorer, as_of = gathered.question, gathered.models.now, gathered.now.as_of
    events = deals_of(kept.database, [deal.deal_id])
    history = History.from_table(events)
    page = None if row is None else page_of(gathered, row, events)
    return _LaidOpen(
        page=page or bare_page(history, question),
        history=history,
        story=story_of(
            scorer if page is not None else None,
            history,
            question.period,
            as_of,
            gathered.record,
            () if row is None else row.gates,
        ),
    )


def _comparable(kept: Kept, seen: Choice, deal: Deal, opened: _LaidOpen) -> list[Comparable]:
    """Past deals most like an open one, of those that may be seen."""
    gathered = kept.gathered
    scorer, as_of = gathered.models.now, gathered.now.as_of
    if scorer is None or not isinstance(opened.page, DealPage):
        return []
    closed, past = kept.closed(seen)
    if past is None:
        return []
    days = (gathered.question.period.end_us - as_of) / DAY_US
    return comparable_deals(scorer, opened.history, deal.opened_us, past, closed, as_of, days)


def _deal_drawing(opened: _LaidOpen, name: str) -> str:
    from service.review.charts import curve_chart
    from service.review.past_charts import story_chart

    if name == "way" and opened.story.points:
        return story_chart(opened.story, "drawing")
    if name == "curve" and isinstance(opened.page, DealPage):
        return curve_chart(opened.page.score, "drawing")
    return ""


def _deal_answer(
    kept: Kept,
    asked: Asked,
    request: Request,
    seen: Choice,
    deal: Deal,
    row: DealRow | None,
    opened: _LaidOpen,
) -> Answer:
    links = Links(asked=Asked(week=asked.week, close_by=asked.close_by))
    page, question = opened.page, kept.gathered.question
    scorer = kept.gathered.models.now
    answer, refusal = _supposed(kept, request.query, opened)
    story = None
    if opened.story.points:
        story = image(links.chart("way", deal.deal_id), story_label(opened.story))
    return html(
        render(
            "deal.html",
            served=links,
            deal_id=deal.deal_id,
            deal=deal,
            row=row,
            page=page,
            week=week_name(question.as_of),
            question=question,
            notes=_deal_notes(deal, row, page, question),
            closed=None
            if deal.closed_us is None
            else f"on {from_microseconds(deal.closed_us):%Y-%m-%d}",
            story_source=story,
            curve=lambda each: image(links.chart("curve", deal.deal_id), curve_label(each.score)),
            comparable=kept.once(
                ("comparable", deal.deal_id, seen), lambda: _comparable(kept, seen, deal, opened)
            ),
            href=links.deal,
            kinds=KINDS_SUPPOSED,
            names=[plan.name for plan in page.plans],
            supposed=request.query,
            answer=answer,
            refusal=refusal,
            statement=STATEMENT,
            version="" if scorer is None else scorer.artifact.model_version,
        )
    )


def _deal_notes(
    deal: Deal, row: DealRow | None, page: DealPage | BarePage, question: Question
) -> list[str]:
    if deal.status != "open":
        return ["It is closed: what is known of it stands below, and no probability."]
    if isinstance(page, DealPage):
        if question.period.begin_us <= microseconds(question.as_of):
            return []
        told = (
            f"The quarter begins on {question.period.first}: the probability above is to be won "
            "within it. The curve, the drivers and what-if are of a win by its end, before it too."
        )
        return [told]
    notes = ["It can be given no probability: too little is known of it, or no model says more."]
    return notes + ([] if row is None else list(row.findings))


def _supposed(kept: Kept, query: Mapping[str, str], opened: _LaidOpen) -> tuple[WhatIf | None, str]:
    """What would be if the event of a form happened, or why it cannot."""
    scorer, question = kept.gathered.models.now, kept.gathered.question
    if not query.get("kind") or scorer is None or not isinstance(opened.page, DealPage):
        return None, ""
    try:
        event = Hypothetical(
            kind=query["kind"],
            name=query.get("name", "").strip() or None,
            number=_number(query.get("number", "")),
            date=read_date("date", query["date"]) if query.get("date") else None,
        )
        answer = what_if(
            scorer,
            opened.history,
            question.as_of,
            [event],
            close_by=question.period.last,
            feeds=told(scorer, kept.gathered.record, kept.gathered.now.as_of),
            most=6,
        )
    except RedflareError as error:
        return None, str(error)
    return answer, ""


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise EventError(f"number {text!r}", "a number", "write it with digits") from None
