"""The web application, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp

from model.errors import RedflareError
from model.scorer import Scorer
from service.access import Gate, Guard, LoginNeeded, to_login
from service.api import (
    ScoreEndpoint,
    ScoresEndpoint,
    StoredWhatIfEndpoint,
    WhatIfEndpoint,
    model_routes,
)
from service.company import Company
from service.deal_routes import DEAL, deal_routes
from service.inbox_routes import inbox_routes
from service.json_text import show
from service.limiting import Limiter
from service.metrics import Metrics
from service.openapi import describe
from service.problems import FAULT, INVALID, MEDIA_TYPE, Problem, Refused, of_status, refused
from service.readiness import Readiness
from service.request_log import RequestLog, path_of
from service.review.routes import ReviewPages, review_routes
from service.settings import Settings
from service.status import status_routes
from service.storage.database import Database
from service.storage.errors import StoreUnavailable
from service.storage.group_commit import InboxWriter
from service.taking import EventsEndpoint, MilestonesEndpoint
from service.unavailable import unavailable
from service.webhooks.routes import WebhookEndpoint, webhook_route

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def utc_now() -> datetime:
    """The present."""
    return datetime.now(UTC)


def create_app(
    model: Scorer | Callable[[], Scorer],
    settings: Settings | None = None,
    clock: Callable[[], datetime] = utc_now,
    webhooks: WebhookEndpoint | None = None,
    database: Database | None = None,
    metrics: Metrics | None = None,
    guard: Guard | None = None,
    review: ReviewPages | None = None,
    writer: InboxWriter | None = None,
    person: Callable[[str], str] = str,
) -> ASGIApp:
    """The service of one model.

    Parameters
    ----------
    model
        The scorer of one model, or what answers that of the model in force.
    settings
        Defaults unless given.
    clock
        Tells the present, UTC.
    webhooks
        Takes deliveries; None where nothing keeps them.
    database
        Of the deals that are kept; None where nothing is.
    metrics
        Counts what happens; the process's own unless given.
    guard
        Admits requests; None where nothing is kept, and everybody is answered.
    review
        Answers for the weekly review; None where nothing is kept that it could be made of.
    writer
        Keeps what is told; None where nothing is kept.
    person
        Hashes an address or a contact's id.

    Returns
    -------
    ASGIApp
        To be served.
    """
    # The framework's pages of interactive documentation load scripts from other hosts.
    in_force = model if callable(model) else lambda: model
    settings = settings or Settings()
    guard = guard or Guard(None, Limiter(settings.requests_a_minute), clock)
    app = FastAPI(docs_url=None, redoc_url=None, redirect_slashes=False)
    metrics = metrics or Metrics()
    readiness = Readiness(
        scorer=partial(_scorer, in_force),
        clock=clock,
        queue_seconds=settings.ready_queue_seconds,
        database=database,
    )
    metrics.watch_model(readiness.scorer, clock)
    if database is not None:
        metrics.watch_database(database, clock)
    company = Company(database, in_force, clock)
    asking = {
        "/v1/score": ScoreEndpoint,
        "/v1/scores": ScoresEndpoint,
        "/v1/what-if": WhatIfEndpoint,
    }
    taking = {"/v1/events": EventsEndpoint, f"{DEAL}/milestones": MilestonesEndpoint}
    routes: list[tuple[str, ASGIApp]] = [
        *(
            (path, endpoint(in_force=in_force, settings=settings, clock=clock))
            for path, endpoint in asking.items()
        ),
        *(
            (path, endpoint(company=company, settings=settings, writer=writer, person=person))
            for path, endpoint in taking.items()
        ),
        (f"{DEAL}/what-if", StoredWhatIfEndpoint(settings=settings, company=company)),
    ]
    for path, answering in routes:
        app.router.routes.append(Route(path, answering, methods=["POST"]))
    if webhooks is not None:
        app.router.routes.append(webhook_route(webhooks))
    if review is not None:
        app.router.routes += review_routes(review)
    for router in (model_routes(in_force), deal_routes(company), inbox_routes(company)):
        app.include_router(router)
    app.include_router(status_routes(readiness, metrics))
    # Made when it is first asked for: a service that starts need not wait for it.
    app.openapi = cache(partial(describe, app))  # type: ignore[method-assign] # how it is replaced
    app.state.guard = guard
    app.add_middleware(Gate, guard=guard)
    app.add_exception_handler(LoginNeeded, to_login)
    app.add_exception_handler(HTTPException, _answer_status)
    app.add_exception_handler(Refused, _answer_refusal)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(StoreUnavailable, _answer_unavailable)
    app.add_exception_handler(Exception, _answer_fault)
    return RequestLog(app, metrics)


def _scorer(in_force: Callable[[], Scorer]) -> Scorer | None:
    """That of the model in force; None where none is."""
    try:
        return in_force()
    except Refused:
        return None


def _response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    more = {**dict(problem.headers), **(headers or {})}
    return Response(problem.to_bytes(), problem.kind.status, more, MEDIA_TYPE)


async def _answer_status(request: Request, error: Exception) -> Response:
    """The framework's own refusals: an unknown path, another method."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if "Allow" in headers:  # of the path's first route alone
        headers["Allow"] = ", ".join(_allowed(request))
    given = f"{request.method} {path_of(request.scope)}"
    return _response(of_status(error.status_code, given, headers.get("Allow")), headers)


def _allowed(request: Request) -> list[str]:
    """The methods that a path answers."""
    routes = request.app.router.routes
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    return [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]


async def _answer_refusal(_request: Request, error: Exception) -> Response:
    """What cannot be answered now, where the framework calls what answers."""
    if not isinstance(error, Refused):
        raise error
    return _response(error.problem)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    """A path or a query that is not of the documented form."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    place = " ".join(str(part) for part in first["loc"])
    given = f"{place} {show(first['input'])}"
    message: str = first["msg"]
    expected = message.removeprefix("Input should be ")
    remedy = "see /openapi.json for what is answered"
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, RedflareError):
        expected, remedy = cause.expected, cause.remedy
    elif isinstance(cause, ValueError):  # of all of the query: it says what was given
        given, _, expected = f"query: {cause}".partition(": expected ")
    elif first["type"] == "missing":
        given, expected = f"{place}, which is missing", "a value"
    elif first["type"] == "extra_forbidden":
        expected = "one of " + ", ".join(_names(request))
    return _response(refused(INVALID, given, expected, remedy).problem)


def _names(request: Request) -> list[str]:
    """What a query may name."""
    route = request.scope.get("route")
    fields = route.dependant.query_params if isinstance(route, APIRoute) else []
    models = [each.field_info.annotation for each in fields]
    return [name for model in models for name in getattr(model, "model_fields", {})]


async def _answer_unavailable(_request: Request, error: Exception) -> Response:
    """The database does not answer."""
    if not isinstance(error, StoreUnavailable):
        raise error
    return _response(unavailable(error).problem)


async def _answer_fault(_request: Request, _error: Exception) -> Response:
    """A fault of the service, whose traceback goes to the log and not to the client."""
    detail = (
        "the request met a fault of the service: expected an answer. "
        "Remedy: try again; if it comes again, show your administrator the log of this moment."
    )
    return _response(Problem(kind=FAULT, detail=detail))
