"""Salesforce Outbound Messages: SOAP that says how records stand, not what changed.

References
----------
Salesforce SOAP API Developer Guide, "Outbound Messaging": up to 100 notifications a message,
at least once, in no order, always with the record's latest values; repeated until acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from service.webhooks.delivery import Delivery, Request, Translation, Untranslatable, Unverified
from service.webhooks.keys import digest, harmless
from service.webhooks.mapped import Line, Notebook, Terms
from service.webhooks.signing import check_any
from service.webhooks.tokens import check_token

SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"
OUTBOUND: Final = "{http://soap.sforce.com/2005/09/outbound}"
XSI_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
XSI_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
DEEPEST: Final = 16  # elements inside each other; a message has six
MOST_NOTIFICATIONS: Final = 1_000  # Salesforce sends at most 100
ID_LENGTH: Final = 15  # of an id; the 3 characters after it only tell its case
SESSION: Final = "SessionId"  # lets whoever has it into Salesforce
UTF_8: Final = ("utf-8", "utf8", "us-ascii")
VERSION: Final = "opportunity_history of Fivetran"  # the record that reads a whole Opportunity
VERSION_TIME: Final = "_fivetran_start"
TIMES: Final = ("SystemModstamp", "LastModifiedDate")
STAGE_TIME: Final = "LastStageChangeDate"
CREATED: Final = "CreatedDate"
STATES_ONLY: Final = "it says how records stand: what they were between two of them is not told"
ACKNOWLEDGEMENT: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
    b'<soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound">'
    b"<Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>"
)


class NotSoap(Exception):  # noqa: N818 - it says what was found
    """A body that is no Outbound Message."""


class _Shallow(TreeBuilder):
    """Builds elements, but not without end."""

    depth = 0

    def start(self, tag: Any, attrs: Any, /) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotSoap("elements nested too deeply")
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Any:
        self.depth -= 1
        return super().end(tag)


def read_envelope(body: bytes) -> Element:
    """The whole of a message.

    Raises
    ------
    NotSoap
        If it is no XML in UTF-8; DTDs and entities are refused.
    """
    parser = DefusedXMLParser(
        target=_Shallow(),
        encoding="utf-8",
        forbid_dtd=True,
        forbid_entities=True,
        forbid_external=True,
    )
    parser.parser.XmlDeclHandler = _check_declared
    try:
        parser.feed(body)
        envelope: Element = parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise NotSoap(f"{type(error).__name__}") from error
    return envelope


def _check_declared(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.lower() not in UTF_8:
        raise NotSoap("an encoding other than UTF-8")


def read_message(body: bytes) -> Element:
    """The ``notifications`` of a message.

    Raises
    ------
    NotSoap
        If there are none, or as `read_envelope` says.
    """
    envelope = read_envelope(body)
    found = envelope.find(f"{SOAP}Body/{OUTBOUND}notifications")
    if found is None or envelope.tag != f"{SOAP}Envelope":
        raise NotSoap("no notifications in a SOAP body")
    return found


def without_session(body: bytes) -> bytes:
    """A message written anew without its session, however that was written.

    Comments go too. Of what is no message nothing is left, for a session may be anywhere in it.
    """
    try:
        envelope = read_envelope(body)
    except NotSoap:
        return b""
    for element in envelope.iter():
        if element.tag.rpartition("}")[2] == SESSION:
            tail = element.tail
            element.clear()
            element.tail = tail
    written: bytes = tostring(envelope, "utf-8", xml_declaration=True)
    return written


@dataclass(frozen=True, kw_only=True)
class OutboundReceiver:
    """Receives Outbound Messages about Opportunities, Tasks, Events and EmailMessages.

    Parameters
    ----------
    secrets
        Any of them must come as ``?token=`` in the endpoint's URL: the organisation's id, which
        others know, proves nothing.
    organisation_id
        Whose messages are taken, 15 or 18 characters.
    terms
        What fields and stages mean.
    """

    secrets: tuple[str, ...] = field(repr=False)
    organisation_id: str
    terms: Terms

    def verify(self, request: Request, now: datetime) -> None:
        """Check the token first, so that strangers' XML is not even parsed."""
        check_token(request, self.secrets)
        try:
            message = read_message(request.body)
        except NotSoap as error:
            raise Unverified("no Outbound Message") from error
        told = message.findtext(f"{OUTBOUND}OrganizationId")
        if told is None and message.find(f"{OUTBOUND}Notification") is None:
            return  # an empty message says of nobody's records anything
        given = (told or "").strip()[:ID_LENGTH]
        check_any([given], [self.organisation_id[:ID_LENGTH]], "another organisation's message")

    def dedupe_key(self, headers: Mapping[str, str], body: bytes) -> str:
        """The content: the id of a notification stays when its record has changed meanwhile."""
        return digest(without_session(body))  # what is no message is not verified

    def kept(self, headers: Mapping[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        """Without the session, which would let its reader into Salesforce."""
        return harmless(headers), without_session(body)

    def acknowledge(self) -> tuple[str, bytes]:
        """``Ack`` is true: else Salesforce sends it for 24 hours."""
        return "text/xml; charset=utf-8", ACKNOWLEDGEMENT

    def translate(self, delivery: Delivery) -> Translation:
        """How each record stands, from its last modification on."""
        try:
            message = read_message(delivery.body)
        except NotSoap as error:
            raise Untranslatable(
                f"body ({error}): expected an Outbound Message. Remedy: check what sends it"
            ) from error
        notifications = message.findall(f"{OUTBOUND}Notification")
        if len(notifications) > MOST_NOTIFICATIONS:
            raise Untranslatable(
                f"{len(notifications)} notifications: expected at most {MOST_NOTIFICATIONS}. "
                "Remedy: check what sends them"
            )
        notebook = Notebook()
        if not notifications:
            notebook.notes.append("the message holds no notification")
        records = {record.title for record in self.terms.source.records}
        notebook.read_each(notifications, partial(_read, records))
        return self.terms.translation(notebook)


def _read(records: set[str], notification: Element, notebook: Notebook) -> None:
    record = notification.find(f"{OUTBOUND}sObject")
    if record is None:
        notebook.notes.append("a notification without a record")
        return
    entity = record.get(XSI_TYPE, "").rpartition(":")[2]
    values = {
        field.tag.rpartition("}")[2]: None if field.get(XSI_NIL) == "true" else field.text
        for field in record
    }
    record_id = values.get("Id")
    if entity == "Opportunity":
        notebook.notes.append(STATES_ONLY)
        notebook.lines += opportunity_lines(values)
        note_closing_stage(values, notebook)
    elif entity in records:
        notebook.lines.append(Line(entity, values))
    else:
        notebook.notes.append(f"{entity or 'a record'} {record_id}: tells nothing of a deal")


def opportunity_lines(values: dict[str, str | None]) -> list[Line]:
    """How an Opportunity stands, as versions of it: its stage since it last changed.

    Raises
    ------
    Untranslatable
        If nothing says when it was so.
    """
    time = next((values[name] for name in TIMES if values.get(name)), None)
    if time is None:
        raise Untranslatable(
            f"Opportunity {values.get('Id')} without SystemModstamp: expected when it was so. "
            "Remedy: add SystemModstamp to the fields of the Outbound Message"
        )
    since = values.get(STAGE_TIME)
    if not since or "StageName" not in values:
        return [Line(VERSION, {**values, VERSION_TIME: time})]
    rest = {name: value for name, value in values.items() if name != "StageName"}
    # With the opening: rows of one record have the same columns, and one without it is refused.
    stage: dict[str, str | None] = {
        name: values[name] for name in ("Id", "StageName", CREATED) if name in values
    }
    return [
        Line(VERSION, {**stage, VERSION_TIME: since}),
        Line(VERSION, {**rest, VERSION_TIME: time}),
    ]


def note_closing_stage(values: Mapping[str, str | None], notebook: Notebook) -> None:
    """Note that a record's stage closes deals, where the record says that it is closed."""
    stage = values.get("StageName")
    if stage and values.get("IsWon") == "true":
        notebook.won_stages.append(stage)
    elif stage and values.get("IsClosed") == "true" and values.get("IsWon") == "false":
        notebook.lost_stages.append(stage)
