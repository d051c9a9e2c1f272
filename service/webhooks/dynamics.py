"""Dynamics 365 and Dataverse: the execution context of a message about an opportunity.

References
----------
Microsoft Learn, "Use webhooks to create external handlers for server events": the body is a
``RemoteExecutionContext``; above 256 KB it comes without its parameters and images, and with the
header ``x-ms-dynamics-msg-size-exceeded``. Nothing is signed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from model.events import EPOCH
from service.webhooks.delivery import Delivery, JsonReceiver, Refetch, Request, Translation
from service.webhooks.fetched import fetched_record
from service.webhooks.keys import digest_without, harmless
from service.webhooks.mapped import (
    DELETED,
    Fate,
    Json,
    Line,
    Notebook,
    Terms,
    decoded,
    known_later,
    needed,
    objects,
    text_of,
)
from service.webhooks.outbound import STATES_ONLY
from service.webhooks.tokens import check_token

SIZE_EXCEEDED: Final = "x-ms-dynamics-msg-size-exceeded"
ENTITY: Final = "opportunity"
CHANGES: Final = "opportunity changes"  # the record that reads one change of one column
DATE: Final = re.compile(r"/Date\((-?\d{1,18})(?:[+-]\d{4})?\)/")  # the offset moves no moment
OF_ONE_COLUMN: Final = {  # messages that set one, by the parameter that holds its value
    "Assign": ("Assignee", "ownerid"),
    "SetState": ("State", "statecode"),
    "SetStateDynamicEntity": ("State", "statecode"),
}
VERSION: Final = "versions of opportunity"  # the record that reads a whole one
LOOKUP: Final = re.compile(r"_(\w+)_value")  # how the Web API names a column that refers
CLOSED: Final = {"Win": "1", "Lose": "2"}  # messages, and the state that they lead to
SYSTEM_COLUMNS: Final = (
    *("opportunityid", "createdon", "modifiedon", "modifiedby", "createdby"),
    "msdyn_predictivescoreid",  # which write-back sets
)
OUR_SCORE: Final = "_msdyn_predictivescoreid_value"  # the same in a record fetched


def read_date(text: str) -> str | None:
    """The moment that ``/Date(ms+offset)/`` names, as ISO 8601; None of any other text.

    The milliseconds count from 1970 UTC; the offset says only where the clock stood.

    Examples
    --------
    >>> read_date("/Date(1506409448000-0700)/")
    '2017-09-26T07:04:08+00:00'
    """
    found = DATE.fullmatch(text)
    if found is None:
        return None
    try:
        return (EPOCH + timedelta(milliseconds=int(found[1]))).isoformat()
    except OverflowError:
        return text  # which the translation refuses by name


@dataclass(frozen=True, kw_only=True)
class DynamicsReceiver(JsonReceiver):
    """Receives Create, Update, Win, Lose, Assign and SetState of opportunities.

    Parameters
    ----------
    secrets
        Any of them must come in `header`, or as ``?code=``.
    header
        The header chosen at registration, in small letters; empty for ``WebhookKey`` and
        ``HttpQueryString``.
    terms
        What columns and stages mean.
    """

    secrets: tuple[str, ...] = field(repr=False)
    terms: Terms
    header: str = ""

    def verify(self, request: Request, now: datetime) -> None:
        """See `service.webhooks.delivery.Receiver`."""
        check_token(request, self.secrets, header=self.header)

    def dedupe_key(self, headers: Mapping[str, str], body: bytes) -> str:
        """The whole context, which names its operation."""
        return digest_without(body, lambda form: form)

    def kept(self, headers: Mapping[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        """See `service.webhooks.delivery.Receiver`."""
        return harmless(headers, self.header), body

    def translate(self, delivery: Delivery) -> Translation:
        """The columns that the message sets; of a stripped one, what is to be fetched."""
        notebook = Notebook()
        record = fetched_record(delivery)
        if record is not None:
            _read_record(record, notebook)
            return self.terms.translation(notebook)
        for context in objects(decoded(delivery), 1, "contexts"):
            _read(context, SIZE_EXCEEDED in delivery.headers, notebook)
        return self.terms.translation(notebook)


def _read(context: Json, stripped: bool, notebook: Notebook) -> None:
    entity = needed(context, "PrimaryEntityName", str, "a context")
    message = needed(context, "MessageName", str, "a context")
    parameters = _pairs(context.get("InputParameters"))
    record_id = text_of(context.get("PrimaryEntityId")) or ""
    if entity == "opportunityclose" or message in CLOSED:
        closing = parameters.get("OpportunityClose", parameters.get("Target"))
        record_id = _closed_deal(closing) or record_id
    elif entity != ENTITY:
        notebook.notes.append(f"{message} of {entity}: tells nothing of a deal")
        return
    if entity == ENTITY and message == "Delete":
        told_at = read_date(needed(context, "OperationCreatedOn", str, "a context"))
        notebook.fates.append(Fate(record_id, told_at, DELETED))
        return
    if stripped or not parameters:
        reason = f"{message}: the message came without what it changed"
        notebook.refetch.append(Refetch(entity=ENTITY, record_id=record_id, reason=reason))
        return
    told_at = read_date(needed(context, "OperationCreatedOn", str, "a context")) or ""
    if message in CLOSED:
        notebook.lines.append(_line(record_id, told_at, "statecode", CLOSED[message]))
    elif entity == ENTITY and message in OF_ONE_COLUMN:
        parameter, column = OF_ONE_COLUMN[message]
        value = _value(parameters.get(parameter))
        notebook.lines.append(_line(record_id, told_at, column, value))
    elif entity == ENTITY and message in ("Create", "Update"):
        _changes(parameters.get("Target"), message, record_id, told_at, notebook)
    else:
        notebook.notes.append(f"{message} of {entity} {record_id}: no event says")


def _read_record(record: Json, notebook: Notebook) -> None:
    """How an opportunity stands, as the Web API tells it."""
    record_id = needed(record, "opportunityid", str, "an opportunity")
    time = needed(record, "modifiedon", str, "an opportunity")
    values = {
        found[1] if (found := LOOKUP.fullmatch(name)) else name: text_of(value)
        for name, value in record.items()
        if "@" not in name and name != OUR_SCORE
    }
    notebook.lines.append(Line(VERSION, {**values, "seen_at": time}))
    state = values.get("statecode")
    if state in CLOSED.values():
        notebook.lines.append(_line(record_id, time, "statecode", state))
    notebook.notes.append(STATES_ONLY)


def _changes(target: Any, message: str, record_id: str, told_at: str, notebook: Notebook) -> None:
    columns = {name: _value(value) for name, value in _pairs(_attributes(target)).items()}
    time = columns.get("createdon" if message == "Create" else "modifiedon") or told_at
    if message == "Create":
        notebook.lines.append(_line(record_id, time, "created", None, told_at))
        columns = {
            name: value
            for name, value in columns.items()
            if value is not None and (name, value) != ("statecode", "0")  # nothing is reopened
        }
    notebook.lines += [
        _line(record_id, time, name, value, told_at)
        for name, value in columns.items()
        if name not in SYSTEM_COLUMNS
    ]


def _attributes(record: Any) -> Any:
    return record.get("Attributes") if type(record) is dict else None


def _pairs(given: Any) -> dict[str, Any]:
    """A list of ``{"key": ..., "value": ...}``, as .NET writes a dictionary."""
    if type(given) is not list:
        return {}
    return {
        pair["key"]: pair.get("value")
        for pair in given
        if type(pair) is dict and type(pair.get("key")) is str
    }


def _value(value: Any) -> str | None:
    """A column's value as an export writes it: choices and money by value, records by id."""
    if type(value) is dict:
        return text_of(value.get("Value", value.get("Id")))
    if type(value) is str:
        return read_date(value) or value
    return text_of(value)


def _closed_deal(closing: Any) -> str | None:
    return _value(_pairs(_attributes(closing)).get("opportunityid"))


def _line(
    record_id: str, time: str, name: str, value: str | None, told_at: str | None = None
) -> Line:
    change = {"opportunityid": record_id, "modifiedon": time, "field": name, "value": value}
    return Line(CHANGES, {**change, "known_at": known_later(time, told_at)})
