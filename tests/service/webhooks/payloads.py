"""Deliveries as vendors send them, of a company made up for tests, and receivers for them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from model.events import EPOCH
from service.webhooks import hubspot
from service.webhooks.change_events import ChangeReceiver
from service.webhooks.delivery import Delivery, Receiver, Request
from service.webhooks.dynamics import DynamicsReceiver
from service.webhooks.hubspot import HubSpotReceiver
from service.webhooks.mapped import Terms
from service.webhooks.outbound import OutboundReceiver
from service.webhooks.pipedrive import PipedriveReceiver
from service.webhooks.signing import key_of, sign
from service.webhooks.standard import StandardReceiver

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
KEY = b"a key that is no secret"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "a token long enough to be one"
URL = "https://redflare.example/webhooks/crm"
ORGANISATION = "00D5f000000AbCdEAK"


def terms(mapping: str, **more: Any) -> Terms:
    return Terms(mapping=mapping, person_key=lambda: KEY, **more)


def receivers() -> dict[str, Receiver]:
    """One of each kind."""
    return {
        "standard": StandardReceiver(keys=(key_of(SECRET, "it"),), terms=terms("hubspot")),
        "hubspot": HubSpotReceiver(secrets=(TOKEN,), url=URL, terms=terms("hubspot")),
        "salesforce-outbound": OutboundReceiver(
            secrets=(TOKEN,), organisation_id=ORGANISATION, terms=terms("salesforce")
        ),
        "salesforce-cdc": ChangeReceiver(secrets=(TOKEN,), terms=terms("salesforce")),
        "dynamics": DynamicsReceiver(
            secrets=(TOKEN,), header="x-redflare-key", terms=terms("dynamics")
        ),
        "pipedrive": PipedriveReceiver(user="ada", secrets=(TOKEN,), terms=terms("pipedrive")),
    }


def delivery(body: Any, kind: str = "standard", **headers: str) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery(
        source="crm", kind=kind, dedupe_key="1", received_at=NOW, headers=headers, body=raw
    )


def request(body: bytes, query: str = "", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method="POST", query=query, headers=named, body=body)


def signed(kind: str, body: bytes, at: datetime = NOW) -> Request:
    """A request that the receiver of the kind takes."""
    if kind == "standard":
        return request(
            body,
            webhook_id="msg_1",
            webhook_timestamp=str((at - EPOCH) // timedelta(seconds=1)),
            webhook_signature=sign(key_of(SECRET, "it"), "msg_1", at, body),
        )
    if kind == "hubspot":
        time = str((at - EPOCH) // timedelta(milliseconds=1))
        signature = hubspot.sign(TOKEN, "POST", URL, body, time)
        return request(body, x_hubspot_signature_v3=signature, x_hubspot_request_timestamp=time)
    if kind == "salesforce-outbound":
        return request(body, query=f"token={TOKEN.replace(' ', '+')}")
    if kind == "salesforce-cdc":
        return request(body, authorization=f"Bearer {TOKEN}")
    if kind == "dynamics":
        return request(body, x_redflare_key=TOKEN)
    pair = base64.b64encode(f"ada:{TOKEN}".encode()).decode()
    return request(body, authorization=f"Basic {pair}")


def milliseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(milliseconds=1)


def hubspot_change(name: str, value: str | None, time: datetime, **more: Any) -> dict[str, Any]:
    return {
        "eventId": 100,
        "subscriptionId": 92894,
        "portalId": 5799819,
        "appId": 186886,
        "occurredAt": milliseconds(time),
        "subscriptionType": "deal.propertyChange",
        "attemptNumber": 0,
        "objectId": 697680835,
        "changeSource": "CRM_UI",
        "propertyName": name,
        "propertyValue": value,
    } | more


def outbound_message(*records: dict[str, str | None], entity: str = "Opportunity") -> bytes:
    notifications = ""
    for number, record in enumerate(records):
        fields = "".join(
            f'<sf:{name} xsi:nil="true"/>' if value is None else f"<sf:{name}>{value}</sf:{name}>"
            for name, value in record.items()
        )
        notifications += (
            f"<Notification><Id>04l{number:012}AAA</Id><sObject "
            f'xsi:type="sf:{entity}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">'
            f"{fields}</sObject></Notification>"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<OrganizationId>{ORGANISATION}</OrganizationId><ActionId>04k000000000001AAA</ActionId>"
        f"<SessionId>opens!Salesforce</SessionId>{notifications}</notifications>"
        "</soapenv:Body></soapenv:Envelope>"
    ).encode()


def change_event(change: str, *records: str, **fields: Any) -> dict[str, Any]:
    header = {
        "entityName": "Opportunity",
        "recordIds": list(records),
        "changeType": change,
        "transactionKey": "000046c7-a642-11e2-c29b-229c6786473e",
        "sequenceNumber": 1,
        "commitTimestamp": milliseconds(NOW),
    }
    header |= fields.pop("header", {})
    return {"ChangeEventHeader": header, **fields}


def context(message: str, columns: dict[str, Any], **more: Any) -> dict[str, Any]:
    target = {
        "__type": "Entity:http://schemas.microsoft.com/xrm/2011/Contracts",
        "Attributes": [{"key": name, "value": value} for name, value in columns.items()],
        "LogicalName": "opportunity",
    }
    return {
        "InputParameters": [{"key": "Target", "value": target}],
        "MessageName": message,
        "OperationCreatedOn": f"/Date({milliseconds(NOW)}-0700)/",
        "OperationId": "4af10637-4ea2-e711-8122-000d3aa2331c",
        "PrimaryEntityId": "6d81597f-0f9f-e711-8122-000d3aa2331c",
        "PrimaryEntityName": "opportunity",
    } | more


def pipedrive_message(
    action: str, data: dict[str, Any], previous: dict[str, Any] | None = None, **meta: Any
) -> dict[str, Any]:
    return {
        "data": data,
        "previous": previous,
        "meta": {
            "action": action,
            "entity": "deal",
            "entity_id": "9",
            "id": "0c5f3b1e-1111-4222-8333-0123456789ab",
            "attempt": 1,
            "timestamp": "2026-03-02T08:30:00.000Z",
            "version": "2.0",
        }
        | meta,
    }
