"""What is answered to each request for a review: pages and drawings, as bytes.

It runs in a process of its own, `service.review.process`, so that no score waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import func, select

from model.errors import EventError, RedflareError, ScoreError
from model.events import DAY_US, EARLIEST_DATE, LATEST_DATE, from_microseconds, microseconds
from model.history import History
from model.hypothetical import TAKES, Hypothetical
from model.period import Period, quarter_of, week_begin, week_name
from model.pipeline import Deal
from model.what_if import STATEMENT, WhatIf, what_if
from service.record import MOST_UNRECORDED_DAYS, UNRECORDED_DAYS
from service.review.asking import Answer, Request, being_made
from service.review.comparable import Comparable, comparable_deals
from service.review.deal_page import BarePage, DealPage, bare_page
from service.review.deal_row import DealRow
from service.review.gathering import told
from service.review.labels import curve_label, story_label
from service.review.links import PATH, Asked, Links
from service.review.listing import listed
from service.review.page import chart, image, render, served_page
from service.review.question import Question
from service.review.review_settings import ReviewSettings
from service.review.shelf import Kept, Shelf
from service.review.source import deals_of
from service.review.story import Story, story_of
from service.review.view import Choice, page_of
from service.review.words import a_few
from service.storage.database import Database
from service.storage.schema import DEALS, FEED_HOURS

SVG: Final = "image/svg+xml"
WEEKS_OFFERED: Final = 12
QUARTERS_OFFERED: Final = 5
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


class Desk:
    """Answers requests for the reviews of one database.

    Parameters
    ----------
    database
        Holds events and models.
    settings
        How the company is read.
    clock
        Tells the present, UTC.
    """

    def __init__(
        self, database: Database, settings: ReviewSettings, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._shelf = Shelf(database)

    def answer(self, request: Request) -> Answer | None:
        """Answer a request; None where the review is not ready yet and that is not to be said."""
        if request.place == "login":
            told = {"refusal": request.refusal, "next": request.query.get("next", PATH)}
            status = 401 if request.refusal else 200
            return _html(render("login.html", served=True, **told), status)
        try:
            return self._answer(request)
        except RedflareError as error:
            return _message(
                "This review cannot be shown", str(error), status=422, back="The present week"
            )

    def warm(self) -> None:
        """Have the review of the present week made ahead, if it is not there or no longer holds.

        It is that of the whole company, from which each request takes what its key may see.
        """
        latest = self._latest()
        if latest is not None:
            self._shelf.warm(self._question(Asked(), latest)[0])

    def _answer(self, request: Request) -> Answer | None:
        asked = Asked.read(request.query)
        latest = self._latest()
        if latest is None:
            return _message(
                "No deal is known yet",
                (
                    "Import your CRM's history with redflare import and load it with redflare db "
                    "load-events, or let your CRM post its changes to /webhooks; then look again."
                ),
            )
        question, warning = self._question(asked, latest)
        kept = self._shelf.find(question)
        if kept is None:
            if not request.patient:
                return None
            return being_made()
        seen = self._seen(request.owners)
        choice = Choice(owner=asked.owner, segment=asked.segment, seen=seen)
        if request.place == "review":
            return self._review(kept, asked, choice, latest, warning, request)
        if request.place == "chart":
            return self._chart(kept, choice, request.name)
        return self._deal(kept, asked, request, Choice(seen=seen))

    def _seen(self, owners: frozenset[str] | None) -> frozenset[str] | None:
        """The deals that these owners own now and the worker has looked at, as the API shows them.

        None sees all.
        """
        if owners is None:
            return None
        mine = select(DEALS.c.deal_id).where(
            DEALS.c.owner.in_(owners), DEALS.c.known_at.is_not(None)
        )
        with self._database.reading() as connection:
            return frozenset(connection.execute(mine).scalars())

    def _latest(self) -> int | None:
        """When something was last heard, microseconds since 1970 UTC, up to an hour early.

        What is dated after the present was not heard yet.
        """
        past = FEED_HOURS.c.heard <= microseconds(self._clock())
        with self._database.reading() as connection:
            found = connection.execute(select(func.max(FEED_HOURS.c.heard)).where(past)).scalar()
        return None if found is None else int(found)

    def _question(self, asked: Asked, latest: int) -> tuple[Question, str]:
        """What is asked of which week, and what is doubtful about it."""
        settings = self._settings
        as_of = week_begin(asked.week) if asked.week else self._present(latest)
        period = _quarter(asked.close_by, as_of, settings.fiscal_year_month)
        days = (microseconds(as_of) - latest) / DAY_US
        last = from_microseconds(latest).date()
        if days > MOST_UNRECORDED_DAYS:
            raise ScoreError(
                f"week {week_name(as_of)}, {days:.0f} days after the last event known, of {last}",
                f"one at most {MOST_UNRECORDED_DAYS} days after it",
                "ask for an earlier week, or bring later events",
            )
        warning = ""
        if days > UNRECORDED_DAYS:
            warning = (
                f"Nothing is known after {last}: silence and other ages are counted only up to "
                "where each feed stopped. See redflare doctor."
            )
        question = Question(
            as_of=as_of,
            since=as_of - timedelta(days=7),
            period=period,
            segment=settings.segment,
            target=settings.target,
            rates=settings.rates,
            fiscal_year_month=settings.fiscal_year_month,
        )
        return question, warning

    def _present(self, latest: int) -> datetime:
        """The Monday of the present week, or of the last one of which anything is known."""
        moment = min(self._clock(), from_microseconds(latest))
        monday = moment.astimezone(UTC).date() - timedelta(days=moment.weekday())
        return datetime.combine(monday, time.min, tzinfo=UTC)

    def _review(
        self, kept: Kept, asked: Asked, choice: Choice, latest: int, warning: str, request: Request
    ) -> Answer:
        owners, segments = kept.names(choice.seen)
        unknown = _unknown(choice, owners, segments, self._settings.segment)
        if unknown:
            return _message(
                "Nothing to show",
                *unknown,
                status=404,
                back="The whole review",
                to=Links(asked=Asked(week=asked.week, close_by=asked.close_by)).to(),
            )
        made = kept.review(choice)
        listing = listed(made, asked)
        notes = [*([warning] if warning else []), *made.notes]
        if listing.page < asked.page:
            count = "1 page" if listing.pages == 1 else f"{listing.pages} pages"
            notes.append(
                f"There is no page {asked.page} of the list of deals, which has {count}: page "
                f"{listing.page} is shown."
            )
        if not choice.is_all:
            notes.append(
                "Only some of the deals are shown: nothing of deals not yet opened is added, since "
                "nobody knows whose they will be."
            )
        made = replace(made, notes=notes)
        question = made.question
        present = self._present(latest)
        weeks = {week_name(present - timedelta(weeks=back)) for back in range(WEEKS_OFFERED)}
        quarters = _quarters(present.date(), question.fiscal_year_month)
        choices = {
            "has_session": request.has_session,
            "weeks": sorted(weeks | {made.week}, reverse=True),
            "week": made.week,
            "quarters": sorted(quarters | {question.period.last}, reverse=True),
            "close_by": question.period.last,
            "owners": owners,
            "segments": segments if question.segment else [],
        }
        return _html(served_page(made, listing, Links(asked=asked), choices))

    def _chart(self, kept: Kept, choice: Choice, name: str) -> Answer:
        kind, _, place = name.partition("-")
        money = kept.review(choice).money

        def make() -> str:
            numbered = {str(number): each for number, each in enumerate(money)}
            if place not in numbered:
                return ""
            return chart(numbered[place], kind, "drawing")

        return _drawing(kept.once(("chart", choice, name), make))

    def _deal(self, kept: Kept, asked: Asked, request: Request, seen: Choice) -> Answer:
        deal, row = kept.deals().get(request.deal_id, (None, None))
        if deal is None or not seen.takes(deal):
            return _message(
                "No such deal",
                f"No deal {request.deal_id!r} was known by {kept.gathered.question.as_of:%F}.",
                status=404,
                back="The review",
            )
        opened = kept.once(("deal", deal.deal_id), lambda: _laid_open(kept, deal, row))
        if request.place == "deal chart":
            return _drawing(
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


def _unknown(
    choice: Choice, owners: Sequence[str], segments: Sequence[str], field: str | None
) -> list[str]:
    """What is chosen that no deal has, what there is and what to do; empty where some has it."""
    if choice.owner is not None and owners and choice.owner not in owners:
        return [_no_deal("owner", choice.owner, owners), "Choose one of these, or all owners."]
    if choice.segment is None or not segments or choice.segment in segments:
        return []
    if field is None:
        return [
            f"Deals are not divided into segments, and segment {choice.segment!r} was asked for.",
            "Leave it out, or name the field that divides them in REDFLARE_REVIEW_SEGMENT.",
        ]
    return [_no_deal("segment", choice.segment, segments), "Choose one of these, or all segments."]


def _no_deal(kind: str, given: str, known: Sequence[str]) -> str:
    whose = f"of {kind} {given!r}" if given else f"without {kind}"
    named = a_few([repr(name) if name else f"no {kind}" for name in known])
    return f"No deal {whose} is known. The deals that are known are of {named}."


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
    return _html(
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
            date=_date("date", query["date"]) if query.get("date") else None,
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


def _date(name: str, text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ScoreError(f"{name} {text!r}", "a date", "write it as 2026-03-31") from None
    if not EARLIEST_DATE <= found < LATEST_DATE:
        raise ScoreError(
            f"{name} {text!r}", f"a date from {EARLIEST_DATE} to {LATEST_DATE}", "correct the year"
        )
    return found


def _quarter(close_by: str, as_of: datetime, fiscal_year_month: int) -> Period:
    if not close_by:
        return quarter_of(as_of.date(), fiscal_year_month)
    period = quarter_of(_date("close_by", close_by), fiscal_year_month)
    if close_by != period.last.isoformat():  # each would be a review of its own, to be made
        raise ScoreError(
            f"close_by {close_by}", f"a quarter's last day, as {period.last}", "choose a quarter"
        )
    return period


def _quarters(present: date, fiscal_year_month: int) -> set[date]:
    """Last days of quarters to choose from: the next one, the present one and some before."""
    period = quarter_of(present, fiscal_year_month)
    period = quarter_of(period.last + timedelta(days=1), fiscal_year_month)
    found = set()
    for _ in range(QUARTERS_OFFERED):
        found.add(period.last)
        period = quarter_of(period.first - timedelta(days=1), fiscal_year_month)
    return found


def _html(text: str, status: int = 200) -> Answer:
    return Answer(body=text.encode(), status=status)


def _drawing(element: str) -> Answer:
    if not element:
        return _message("No such drawing", "It may have been of another week.", status=404)
    named = element.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return Answer(body=named.encode(), media_type=SVG)


def _message(
    title: str,
    *sentences: str,
    status: int = 200,
    back: str = "",
    to: str = PATH,
) -> Answer:
    told: dict[str, Any] = {"title": title, "sentences": sentences}
    return _html(
        render("message.html", served=True, back=to if back else "", back_text=back, **told),
        status,
    )
