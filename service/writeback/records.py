"""Scores as fields of a CRM's own records: of HubSpot, Salesforce and Dynamics.

References
----------
HubSpot, "CRM API, Deals": ``PATCH /crm/v3/objects/deals/{dealId}``. Salesforce REST API, "Update a
Record": ``PATCH .../sobjects/Opportunity/{id}``. Microsoft, "msdyn_predictivescore table reference"
(an opportunity refers to its score by ``msdyn_PredictiveScoreId``)
and Dataverse Web API, "Upsert": ``PATCH`` of an id makes the row or changes it, so that a repeated
attempt leaves one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID, uuid5

import orjson

from service.writeback.client import Answer, Client, outcome_of
from service.writeback.entry import Entry, Outcome, Refused, Sent
from service.writeback.payload import (
    Payload,
    drivers_text,
    percent,
    score_of,
    shown_probability,
    values_of,
)
from service.writeback.tokens import Tokens, ask

HUBSPOT_URL: Final = "https://api.hubapi.com"
SALESFORCE_VERSION: Final = "v62.0"
HUBSPOT_ID: Final = re.compile(r"\d{1,20}")
SALESFORCE_ID: Final = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")
NOTHING_TO_WRITE: Final = 204  # as servers say it
SCORES: Final = UUID("6f0d7a52-7c1b-5b5e-9d55-0f3f6f2b8a10")  # names Redflare's rows of scores
GRADES_FROM: Final = (75, 50, 25)  # per cent: A, B, C; D below
IMPROVING, STEADY, DECLINING, UNKNOWN_TREND = range(4)  # msdyn_scoretrend
TREND_POINTS: Final = 5  # per cent by which a score moves that is not steady


class Form(Protocol):
    """How a CRM's record is addressed and filled."""

    @property
    def base_url(self) -> str:
        """Of the CRM's API."""

    @property
    def writes(self) -> frozenset[str]:
        """The fields of the deal's own record that it fills."""

    def url_of(self, deal_id: str) -> str | None:
        """Where the deal's record is; None if no such id can be."""

    def body_of(self, deal_id: str, score: Payload) -> dict[str, Any]:
        """What it is to hold."""

    def link_of(self, deal_id: str) -> tuple[str, dict[str, Any]] | None:
        """Where the deal is to refer to that record, and how; None where the record is the deal."""


@dataclass(frozen=True, kw_only=True)
class HubSpotDeal:
    """A deal's properties.

    Parameters
    ----------
    properties
        By the property's name the value that it holds.
    base_url
        Of HubSpot's API.
    """

    properties: Mapping[str, str]
    base_url: str = HUBSPOT_URL

    @property
    def writes(self) -> frozenset[str]:
        """See `Form`."""
        return frozenset(self.properties)

    def url_of(self, deal_id: str) -> str | None:
        """See `Form`."""
        if not HUBSPOT_ID.fullmatch(deal_id):
            return None
        return f"{self.base_url}/crm/v3/objects/deals/{deal_id}"

    def body_of(self, deal_id: str, score: Payload) -> dict[str, Any]:
        """See `Form`; an empty text empties a property."""
        values = values_of(self.properties, score)
        return {
            "properties": {
                name: "" if value is None else str(value) for name, value in values.items()
            }
        }

    def link_of(self, deal_id: str) -> None:
        """See `Form`."""


@dataclass(frozen=True, kw_only=True)
class SalesforceOpportunity:
    """An Opportunity's fields.

    Parameters
    ----------
    fields
        By the field's API name the value that it holds.
    base_url
        Of the organisation: ``https://example.my.salesforce.com``.
    """

    fields: Mapping[str, str]
    base_url: str

    @property
    def writes(self) -> frozenset[str]:
        """See `Form`."""
        return frozenset(self.fields)

    def url_of(self, deal_id: str) -> str | None:
        """See `Form`."""
        if not SALESFORCE_ID.fullmatch(deal_id):
            return None
        return f"{self.base_url}/services/data/{SALESFORCE_VERSION}/sobjects/Opportunity/{deal_id}"

    def body_of(self, deal_id: str, score: Payload) -> dict[str, Any]:
        """See `Form`."""
        return values_of(self.fields, score)

    def link_of(self, deal_id: str) -> None:
        """See `Form`."""


@dataclass(frozen=True, kw_only=True)
class DynamicsScore:
    """A row of ``msdyn_predictivescores``, one an opportunity.

    Parameters
    ----------
    base_url
        Of the environment: ``https://example.crm.dynamics.com``.
    """

    base_url: str

    @property
    def writes(self) -> frozenset[str]:
        """See `Form`: the opportunity's look-up alone."""
        return frozenset({"msdyn_predictivescoreid"})

    def url_of(self, deal_id: str) -> str | None:
        """See `Form`."""
        row = _row(deal_id)
        return None if row is None else f"{self.base_url}/api/data/v9.2/{row}"

    def link_of(self, deal_id: str) -> tuple[str, dict[str, Any]]:
        """The opportunity's look-up of its score, by the name of its navigation property."""
        url = f"{self.base_url}/api/data/v9.2/opportunities({uuid_of(deal_id)})"
        return url, {"msdyn_PredictiveScoreId@odata.bind": f"/{_row(deal_id)}"}

    def body_of(self, deal_id: str, score: Payload) -> dict[str, Any]:
        """See `Form`."""
        points = percent(shown_probability(score))
        return {
            "msdyn_name": f"Redflare {deal_id}"[:128],
            "msdyn_entityid": deal_id,
            "msdyn_entitytype": "opportunity",
            "msdyn_score": points,
            "msdyn_grade": None if points is None else sum(points < least for least in GRADES_FROM),
            "msdyn_scorereasons": drivers_text(score),
            "msdyn_scoretrend": _trend(points, score.get("previous_probability")),
            "msdyn_scoredon": score.get("as_of"),
        }


def _row(deal_id: str) -> str | None:
    """The row that holds an opportunity's score, the same at every attempt."""
    found = uuid_of(deal_id)
    return None if found is None else f"msdyn_predictivescores({uuid5(SCORES, str(found))})"


def uuid_of(text: str) -> UUID | None:
    """A row's id; None of another text.

    Examples
    --------
    >>> uuid_of("../accounts") is None
    True
    """
    try:
        return UUID(text)
    except ValueError:
        return None


def _trend(points: int | None, before: Any) -> int:
    if points is None or not isinstance(before, int | float):
        return UNKNOWN_TREND
    moved = points - 100 * before
    return STEADY if abs(moved) < TREND_POINTS else IMPROVING if moved > 0 else DECLINING


@dataclass(frozen=True, kw_only=True)
class RecordSender:
    """Writes into the record of each deal.

    Parameters
    ----------
    client
        Sends it.
    tokens
        Open the CRM's API.
    form
        Of its records.
    headers
        Beside the common ones.
    """

    client: Client
    tokens: Tokens
    form: Form
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, entry: Entry, now: datetime) -> Outcome:
        """See `service.writeback.entry.Sender`."""
        url = self.form.url_of(entry.deal_id)
        if url is None:
            return Refused(
                reason=f"deal {entry.deal_id!r}: expected an id of this CRM. Remedy: name in "
                "sources where the deals of the destination come from"
            )
        score = score_of(entry.payload)
        if score is None:  # an alert without one: the record stays as it is
            return Sent(status=NOTHING_TO_WRITE)
        outcome = self._write(url, self.form.body_of(entry.deal_id, score), now)
        link = self.form.link_of(entry.deal_id)
        if link is None or not isinstance(outcome, Sent):
            return outcome
        return self._write(*link, now)

    def _write(self, url: str, fields: Mapping[str, Any], now: datetime) -> Outcome:
        headers = {
            "content-type": "application/json",
            "accept": "application/json",
            **self.headers,
        }
        body = orjson.dumps(fields)
        answer = ask(self.client, self.tokens, "PATCH", url, body, headers, now)
        return outcome_of(answer, now) if isinstance(answer, Answer) else answer
