"""What is answered to each request for a review: pages and drawings, as bytes.

It runs in a process of its own, `service.review.process`, so that no score waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select

from model.errors import RedflareError
from service.review.answers import drawing, html, message
from service.review.asking import Answer, Request, being_made
from service.review.calendar import Calendar
from service.review.deal_desk import answer_deal
from service.review.links import PATH, Asked, Links
from service.review.listing import listed
from service.review.page import chart, render, served_page
from service.review.review_settings import ReviewSettings
from service.review.shelf import Kept, Shelf
from service.review.view import Choice
from service.review.words import a_few
from service.storage.database import Database
from service.storage.schema import DEALS


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
        self._calendar = Calendar(database, settings, clock)
        self._shelf = Shelf(database)

    def answer(self, request: Request) -> Answer | None:
        """Answer a request; None where the review is not ready yet and that is not to be said."""
        if request.place == "login":
            told = {"refusal": request.refusal, "next": request.query.get("next", PATH)}
            status = 401 if request.refusal else 200
            return html(render("login.html", served=True, **told), status)
        try:
            return self._answer(request)
        except RedflareError as error:
            return message(
                "This review cannot be shown", str(error), status=422, back="The present week"
            )

    def warm(self) -> None:
        """Have the review of the present week made ahead, if it is not there or no longer holds.

        It is that of the whole company, from which each request takes what its key may see.
        """
        latest = self._calendar.latest()
        if latest is not None:
            self._shelf.warm(self._calendar.question(Asked(), latest)[0])

    def _answer(self, request: Request) -> Answer | None:
        asked = Asked.read(request.query)
        latest = self._calendar.latest()
        if latest is None:
            return message(
                "No deal is known yet",
                (
                    "Import your CRM's history with redflare import and load it with redflare db "
                    "load-events, or let your CRM post its changes to /webhooks; then look again."
                ),
            )
        question, warning = self._calendar.question(asked, latest)
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
        return answer_deal(kept, asked, request, Choice(seen=seen))

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

    def _review(
        self, kept: Kept, asked: Asked, choice: Choice, latest: int, warning: str, request: Request
    ) -> Answer:
        owners, segments = kept.names(choice.seen)
        unknown = _unknown(choice, owners, segments, self._settings.segment)
        if unknown:
            return message(
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
        choices = {
            "has_session": request.has_session,
            **self._calendar.offered(latest, question),
            "week": made.week,
            "close_by": question.period.last,
            "owners": owners,
            "segments": segments if question.segment else [],
        }
        return html(served_page(made, listing, Links(asked=asked), choices))

    def _chart(self, kept: Kept, choice: Choice, name: str) -> Answer:
        kind, _, place = name.partition("-")
        money = kept.review(choice).money

        def make() -> str:
            numbered = {str(number): each for number, each in enumerate(money)}
            if place not in numbered:
                return ""
            return chart(numbered[place], kind, "drawing")

        return drawing(kept.once(("chart", choice, name), make))


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
