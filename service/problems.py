"""Errors over HTTP, as problem details: what was given, what was expected, what to do.

References
----------
RFC 9457, Problem Details for HTTP APIs. RFC 6901, JavaScript Object Notation (JSON) Pointer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import orjson

from model.errors import (
    EventError,
    HistoryError,
    HorizonError,
    RedflareError,
    ScoreError,
    WhatIfError,
)
from service.json_text import JsonTextError

MEDIA_TYPE: Final = "application/problem+json"
LONGEST_GIVEN: Final = 200  # characters of what was given that an answer repeats


class Kind(NamedTuple):
    """A kind of problem.

    Parameters
    ----------
    slug
        Ends its type, ``urn:redflare:problem:<slug>``.
    status
        Of the HTTP answer.
    title
        The same for every problem of the kind.
    """

    slug: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The URI that names the kind."""
        return f"urn:redflare:problem:{self.slug}"


MALFORMED: Final = Kind("malformed", 400, "The body is no JSON text")
UNVERIFIED: Final = Kind("unverified", 401, "The request is not verified")
NO_KEY: Final = Kind("no-key", 401, "The request carries no good key")
OTHER_BODY: Final = Kind("other-body", 422, "The idempotency key came with another request")
FORBIDDEN: Final = Kind("forbidden", 403, "The key does not open this")
NOT_FOUND: Final = Kind("not-found", 404, "There is nothing at this path")
NO_DATABASE: Final = Kind("no-database", 404, "The service has no database, and keeps nothing")
METHOD: Final = Kind("method", 405, "The path does not answer this method")
NOT_FAILED: Final = Kind("not-failed", 409, "The delivery has not failed")
SLOW: Final = Kind("slow", 408, "The body did not arrive in time")
TOO_LARGE: Final = Kind("too-large", 413, "The body is too large")
MEDIA: Final = Kind("media-type", 415, "The body is of another media type or encoding")
INVALID: Final = Kind("invalid", 422, "The request is not of the documented form")
EVENT: Final = Kind("event", 422, "An event breaks the schema")
HORIZON: Final = Kind("horizon", 422, "The date lies outside what the model answers")
WHAT_IF: Final = Kind("what-if", 422, "An event cannot be supposed of the deal")
UNSCORABLE: Final = Kind("unscorable", 422, "The deal cannot be scored as asked")
TOO_MANY: Final = Kind("too-many", 429, "Too many requests in so short a time")
FAULT: Final = Kind("fault", 500, "A fault of the service")
NO_MODEL: Final = Kind("no-model", 503, "No model is in force")
NOT_READY: Final = Kind("not-ready", 503, "The service is not ready")
UNAVAILABLE: Final = Kind("unavailable", 503, "The request cannot be kept now")

KIND_OF_ERROR: Final[Mapping[type[RedflareError], Kind]] = {
    EventError: EVENT,
    HistoryError: EVENT,
    HorizonError: HORIZON,
    ScoreError: UNSCORABLE,
    WhatIfError: WHAT_IF,
    JsonTextError: MALFORMED,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One answer that is an error.

    Parameters
    ----------
    kind
        What kind of problem.
    detail
        What was given, what was expected, and the remedy.
    pointer
        JSON pointer to the offending part of the body; None where none is.
    headers
        Of the answer, beside the common ones.
    """

    kind: Kind
    detail: str
    pointer: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The members of RFC 9457, and `pointer` where there is one."""
        members: dict[str, Any] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        if self.pointer is not None:
            members["pointer"] = self.pointer
        return members

    def to_bytes(self) -> bytes:
        """The body of the answer."""
        return orjson.dumps(self.to_json())


class Refused(Exception):  # noqa: N818 - it says what became of the request
    """A request is answered with a problem.

    Parameters
    ----------
    problem
        The answer.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def refused(
    kind: Kind,
    given: str,
    expected: str,
    remedy: str,
    pointer: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Refused:
    """What to raise for a request that is not as it must be.

    Examples
    --------
    >>> refused(INVALID, "days '7'", "a number", "leave the quotes out", "/days").problem.detail
    "days '7': expected a number. Remedy: leave the quotes out."
    """
    detail = f"{clip(given)}: expected {expected}. Remedy: {remedy}."
    return Refused(Problem(kind=kind, detail=detail, pointer=pointer, headers=headers))


def refused_by(
    error: RedflareError,
    pointer: str | None = None,
    *,
    kind: Kind | None = None,
    where: str | None = None,
) -> Refused:
    """What to raise for a request that an error speaks of.

    Parameters
    ----------
    error
        Says what is wrong.
    pointer
        To the offending part of the body.
    kind
        By default as `KIND_OF_ERROR` says.
    where
        Names the offending part in the detail.

    Examples
    --------
    >>> error = EventError("number nan", "a finite number", "leave it out")
    >>> refused_by(error, "/events/3/number", where="events[3]").problem.detail
    'events[3]: number nan: expected a finite number. Remedy: leave it out.'
    """
    given = error.given if where is None else f"{where}: {error.given}"
    kind = kind or KIND_OF_ERROR.get(type(error), INVALID)
    return refused(kind, given, error.expected, error.remedy, pointer)


def clip(text: str) -> str:
    """The text, its middle left out where it is long.

    Examples
    --------
    >>> len(clip("x" * 10_000))
    201
    """
    if len(text) <= LONGEST_GIVEN:
        return text
    half = LONGEST_GIVEN // 2
    return f"{text[:half]}\u2026{text[-half:]}"


def of_status(status: int, given: str, allowed: str | None) -> Problem:
    """The problem for a status that the web framework chose.

    Parameters
    ----------
    status
        Of the HTTP answer.
    given
        Method and path.
    allowed
        The methods that the path answers, for 405.

    Examples
    --------
    >>> of_status(405, "PUT /v1/score", "POST").detail
    'PUT /v1/score: expected POST. Remedy: see /openapi.json for what is answered.'
    """
    if status == NOT_FOUND.status:
        kind, expected = NOT_FOUND, "a path of this service"
    elif status == METHOD.status:
        kind, expected = METHOD, allowed or "another method"
    else:
        kind = Kind(f"http-{status}", status, HTTPStatus(status).phrase)
        expected = "a request that can be answered"
    remedy = "see /openapi.json for what is answered"
    return refused(kind, given, expected, remedy).problem
