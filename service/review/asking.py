"""A request for a review and its answer, as they go between the service and the desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

HTML: Final = "text/html; charset=utf-8"
PAGES: Final = Path(__file__).parent / "pages"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is asked for.

    Parameters
    ----------
    place
        ``review``, ``deal``, ``chart``, ``deal chart`` or ``login``.
    query
        The parameters of the URL.
    name
        Of a drawing.
    deal_id
        Of a deal.
    owners
        Whose deals, as owned now, may be seen; None: everybody's.
    refusal
        Why the last try to log in failed.
    has_session
        Whether somebody signed in, and may sign out.
    patient
        Whether a page that is not ready yet is answered with one that says so.
    """

    place: str
    query: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    deal_id: str = ""
    owners: frozenset[str] | None = None
    refusal: str = ""
    has_session: bool = False
    patient: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What is answered.

    Parameters
    ----------
    body, media_type, status
        As HTTP has them.
    """

    body: bytes
    media_type: str = HTML
    status: int = 200


@cache
def being_made() -> Answer:
    """The page that says that a review is being made, and asks for it again by itself.

    It is a file as it is sent, so that the service has it while all that makes pages still starts.
    """
    return Answer(body=(PAGES / "being_made.html").read_bytes(), status=202)
