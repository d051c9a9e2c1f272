"""The JSON of a request for the scores of many deals, read one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from service.fields import FormError, read_list
from service.json_text import pointer, read_json, show
from service.problems import Refused, refused_by
from service.wire import ScoreQuestion, check_date_asked, check_names, question_of, read_feeds

MOST_DEALS: Final = 1_000
COMMON: Final = ("as_of", "close_by", "days", "hindsight", "drivers")
FIELDS: Final = (*COMMON, "feeds", "deals")
OF_DEAL: Final = ("deal_id", "events")


class Batch:
    """What a request for many scores asks: the same date and moment for each deal.

    Parameters
    ----------
    body
        JSON, UTF-8.

    Raises
    ------
    JsonTextError
        If it is no JSON.
    Refused
        If what is common to all deals is not of the documented form.

    Examples
    --------
    >>> batch = Batch(b'''{"days": 30, "deals": [{"deal_id": "D-1", "events": [
    ...     {"kind": "deal_opened", "occurred_at": "2026-01-05T09:30:00Z",
    ...      "source": "crm", "source_id": "D-1/1"}]}]}''')
    >>> len(batch), batch.question(0).days
    (1, 30.0)
    """

    def __init__(self, body: bytes) -> None:
        form = read_json(body)
        try:
            if type(form) is not dict:
                raise FormError(show(form), "an object", "send one request a body")
            check_names(form, FIELDS)
            check_date_asked(form)
            rows = read_list("deals", form.get("deals"))
            if not 0 < len(rows) <= MOST_DEALS:
                raise FormError(f"{len(rows)} deals", f"1 to {MOST_DEALS}", "send them in parts")
        except FormError as error:
            raise refused_by(error, "") from error
        self._rows = rows
        self._feeds = read_feeds(form)
        self._common = {name: form[name] for name in COMMON if name in form}

    def __len__(self) -> int:
        return len(self._rows)

    def deal_id(self, index: int) -> str | None:
        """The id of a deal as it is given; None where it is none."""
        row = self._rows[index]
        found = row.get("deal_id") if type(row) is dict else None
        return found if type(found) is str else None

    def question(self, index: int) -> ScoreQuestion:
        """What is asked of one deal.

        Raises
        ------
        Refused
            If it is not of the documented form.
        """
        row: Any = self._rows[index]
        try:
            if type(row) is not dict:
                raise FormError(show(row), "an object", "send each deal as one")
            check_names(row, OF_DEAL)
            for name in OF_DEAL:
                if name not in row:
                    raise FormError(f"no {name}", "a value", f"give the {name} of every deal")
        except FormError as error:
            raise refused_by(error, "") from error
        return replace(question_of({**self._common, **row}), feeds=self._feeds)


def inside(refusal: Refused, index: int) -> dict[str, Any]:
    """The problem of one deal, pointing into the whole body."""
    problem = refusal.problem.to_json()
    if "pointer" in problem:
        problem["pointer"] = pointer("deals", index) + problem["pointer"]
    return problem
