"""The review over HTTP: its pages, drawings and style sheet, and the login before them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from service.access import LOGIN, Guard, needs, next_page
from service.exchange import read_body
from service.problems import NO_KEY, Refused
from service.review.asking import HTML, PAGES, Answer, Request

Answering = Callable[[Request], Awaitable[Answer | None]]
POLL_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 0.5  # for a review to be made, before its page says that it is being made
PAGE_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
DRAWING_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
HOME: Final = "/review"
WRONG_KEY: Final = (
    "a key that is unknown or revoked: expected one that redflare keys create printed. "
    "Remedy: ask your administrator for one."
)
LOGIN_BYTES: Final = 4096  # of the form
LOGIN_SECONDS: Final = 10  # for it to arrive
READS: Final = needs("read", page=True)


@dataclass(frozen=True, kw_only=True)
class ReviewPages:
    """Answers for the review's paths.

    Parameters
    ----------
    answering
        What makes a page, elsewhere.
    """

    answering: Answering

    async def review(self, request: HttpRequest) -> Response:
        """The review."""
        return await self._answer(request, Request(place="review"))

    async def deal(self, request: HttpRequest) -> Response:
        """A deal's page."""
        given = request.path_params
        return await self._answer(request, Request(place="deal", deal_id=given["deal_id"]))

    async def chart(self, request: HttpRequest) -> Response:
        """A drawing of the review."""
        given = request.path_params
        return await self._answer(request, Request(place="chart", name=given["name"]))

    async def deal_chart(self, request: HttpRequest) -> Response:
        """A drawing of a deal's page."""
        given = request.path_params
        wanted = Request(place="deal chart", name=given["name"], deal_id=given["deal_id"])
        return await self._answer(request, wanted)

    async def style(self, _request: HttpRequest) -> Response:
        """The style sheet, which tells nothing."""
        return _file("style.css", "text/css")

    async def icon(self, _request: HttpRequest) -> Response:
        """The sign of a browser's tab."""
        return _file("icon.svg", "image/svg+xml")

    async def login(self, request: HttpRequest) -> Response:
        """The form that asks for a key."""
        return await self._form(next_page(request.query_params.get("next"), HOME))

    async def sign_in(self, request: HttpRequest) -> Response:
        """Open a session and go on to what was asked; or say why not, with the form again."""
        body = await read_body(request.receive, None, LOGIN_BYTES, LOGIN_SECONDS)
        form = parse_qs(body.decode("utf-8", "replace"))
        goal = next_page(form.get("next", [""])[0], HOME)
        guard: Guard = request.app.state.guard
        try:
            cookie = await guard.sign_in(request, form.get("key", [""])[0])
        except Refused as refusal:
            is_unknown = refusal.problem.kind is NO_KEY
            return await self._form(goal, WRONG_KEY if is_unknown else refusal.problem.detail)
        answer = RedirectResponse(goal, 303, HEADERS)
        answer.headers["Set-Cookie"] = cookie
        return answer

    async def sign_out(self, request: HttpRequest) -> Response:
        """End the session."""
        guard: Guard = request.app.state.guard
        answer = RedirectResponse(LOGIN, 303, HEADERS)
        answer.headers["Set-Cookie"] = await guard.sign_out(request)
        return answer

    async def _form(self, goal: str, refusal: str = "") -> Response:
        wanted = Request(place="login", query={"next": goal}, refusal=refusal)
        answer = await self.answering(wanted)
        if answer is None:
            raise RuntimeError("a form is always ready")
        return _response(answer)

    async def _answer(self, request: HttpRequest, asked: Request) -> Response:
        access = await READS(request)
        owners = None if access.owners is None else frozenset(access.owners)
        query = dict(request.query_params)
        wanted = replace(
            asked, query=query, owners=owners, patient=False, has_session=access.key is not None
        )
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE_SECONDS
        while True:
            answer = await self.answering(wanted)
            if answer is not None:
                return _response(answer)
            await asyncio.sleep(POLL_SECONDS)
            if clock() > until:
                wanted = replace(wanted, patient=True)


def _response(answer: Answer) -> Response:
    is_page = answer.media_type == HTML
    headers = {
        **HEADERS,
        "Content-Security-Policy": PAGE_POLICY if is_page else DRAWING_POLICY,
        "Cache-Control": "private, no-store",  # the next one at this browser may see other deals
    }
    return Response(answer.body, answer.status, headers, answer.media_type)


def _file(name: str, media_type: str) -> Response:
    headers = {**HEADERS, "Cache-Control": "max-age=300", "Content-Security-Policy": PAGE_POLICY}
    return Response((PAGES / name).read_bytes(), 200, headers, media_type)


async def to_review(_request: HttpRequest) -> Response:
    """Whoever opens the service in a browser looks for its page."""
    return RedirectResponse("/review", 303)


def review_routes(pages: ReviewPages) -> list[Route]:
    """The routes of the review."""
    told: list[tuple[str, str, Callable[[HttpRequest], Any]]] = [
        ("GET", "/", to_review),
        ("GET", "/review", pages.review),
        ("GET", "/review/style.css", pages.style),
        ("GET", "/review/icon.svg", pages.icon),
        ("GET", "/review/charts/{name}.svg", pages.chart),
        ("GET", "/review/deals/{deal_id:path}/charts/{name}.svg", pages.deal_chart),
        ("GET", "/review/deals/{deal_id:path}", pages.deal),
        ("GET", LOGIN, pages.login),
        ("POST", LOGIN, pages.sign_in),
        ("POST", "/logout", pages.sign_out),
    ]
    return [Route(path, endpoint, methods=[method]) for method, path, endpoint in told]
