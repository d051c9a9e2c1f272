"""What proves where a delivery comes from, and that nothing else does."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hubspot.utils.signature import Signature
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from model.events import EPOCH
from service.webhooks import hubspot
from service.webhooks.delivery import Request, Unverified
from service.webhooks.hubspot import HubSpotReceiver, signed_url
from service.webhooks.signing import SecretError, key_of, sign
from service.webhooks.standard import StandardReceiver
from tests.service.webhooks.payloads import (
    NOW,
    ORGANISATION,
    SECRET,
    TOKEN,
    URL,
    outbound_message,
    receivers,
    request,
    signed,
    terms,
)

KINDS = list(receivers())
BODY = b'{"test": 2432232314}'
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of 24 byt").decode()
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)


def body_of(kind: str) -> bytes:
    return outbound_message({"Id": "006"}) if kind == "salesforce-outbound" else BODY


def refused(kind: str, given_request: Request, now: datetime = NOW) -> bool:
    try:
        receivers()[kind].verify(given_request, now)
    except Unverified as error:
        return bool(error.reason)  # for the log; whoever sent it learns nothing
    return False


def test_the_published_message_of_standard_webhooks_is_taken() -> None:
    at = EPOCH + timedelta(seconds=1614265330)
    published = request(
        BODY,
        webhook_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        webhook_timestamp="1614265330",
        webhook_signature="v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    )
    receiver = StandardReceiver(
        keys=(key_of("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "it"),), terms=terms("hubspot")
    )

    receiver.verify(published, at)


def test_the_published_request_of_hubspot_is_taken() -> None:
    published = request(
        b"{'example_field':'example_value'}",
        x_hubspot_request_timestamp="1693657560000",
        x_hubspot_signature_v3="K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
    )
    receiver = HubSpotReceiver(
        secrets=("yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",),
        url="https://www.example.com/webhook_uri",
        terms=terms("hubspot"),
    )

    receiver.verify(published, EPOCH + timedelta(milliseconds=1693657560000))


@given(key=st.binary(min_size=16, max_size=64), body=TEXTS, message_id=st.from_regex(r"\A\w+\Z"))
def test_we_sign_as_the_package_standardwebhooks_does(
    key: bytes, body: str, message_id: str
) -> None:
    theirs = Webhook(key).sign(msg_id=message_id, timestamp=NOW, data=body)

    assert sign(key, message_id, NOW, body.encode()) == theirs
    secret = "whsec_" + base64.b64encode(key).decode()
    assert key_of(secret, "it") == key


@given(body=TEXTS, secret=st.text(st.characters(codec="utf-8"), min_size=1), time=st.integers(0))
def test_we_sign_as_the_package_of_hubspot_does(body: str, secret: str, time: int) -> None:
    theirs = Signature.get_signature(secret, body, "v3", URL, "POST", str(time))

    assert hubspot.sign(secret, "POST", URL, body.encode(), str(time)) == theirs


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_request_is_taken(kind: str) -> None:
    assert not refused(kind, signed(kind, body_of(kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_proof_a_request_is_refused(kind: str) -> None:
    taken = signed(kind, body_of(kind))

    assert refused(kind, replace(taken, headers={}, query=""))
    for name, value in taken.headers.items():
        for wrong in ("", "x", value + "x", value[:-3], value.swapcase(), "\xff", "v1", "v1,"):
            headers = {**taken.headers, name: wrong}
            assert wrong == value or refused(kind, replace(taken, headers=headers))


@pytest.mark.parametrize("kind", ["standard", "hubspot"])
def test_a_signature_holds_for_its_own_body_alone(kind: str) -> None:
    taken = signed(kind, BODY)

    assert refused(kind, replace(taken, body=BODY + b" "))
    assert refused(kind, replace(taken, body=b""))


@pytest.mark.parametrize("kind", ["standard", "hubspot"])
@pytest.mark.parametrize("away", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_signature_holds_for_five_minutes_either_way(kind: str, away: timedelta) -> None:
    taken = signed(kind, BODY)
    beyond = away + timedelta(milliseconds=1) * (1 if away > timedelta() else -1)

    assert not refused(kind, taken, NOW + away)
    assert refused(kind, taken, NOW + beyond)


@pytest.mark.parametrize("time", ["", "soon", "-1", "1e9", "٣", "9" * 16, "9" * 15, "1.5", " 1"])
@pytest.mark.parametrize(
    ("kind", "header"),
    [("standard", "webhook-timestamp"), ("hubspot", "x-hubspot-request-timestamp")],
)
def test_a_time_that_is_none_is_refused(kind: str, header: str, time: str) -> None:
    taken = signed(kind, BODY)

    assert refused(kind, replace(taken, headers={**taken.headers, header: time}))


def test_while_a_secret_is_exchanged_both_are_taken_and_no_third() -> None:
    keys = (key_of(OTHER_SECRET, "new"), key_of(SECRET, "old"))
    both = StandardReceiver(keys=keys, terms=terms("hubspot"))
    both.verify(signed("standard", BODY), NOW)
    only_new = StandardReceiver(keys=keys[:1], terms=terms("hubspot"))

    with pytest.raises(Unverified):
        only_new.verify(signed("standard", BODY), NOW)


def test_of_several_signatures_one_suffices_and_too_many_are_not_tried() -> None:
    taken = signed("standard", BODY)
    right = taken.headers["webhook-signature"]

    def with_signatures(text: str) -> Request:
        return replace(taken, headers={**taken.headers, "webhook-signature": text})

    assert not refused("standard", with_signatures(f"v1a,AAAA v1,AAAA {right}"))
    assert refused("standard", with_signatures("v1,AAAA " * 20 + right))
    assert refused("standard", with_signatures(right.replace("v1,", "v2,")))


def test_hubspot_signs_the_configured_url_with_some_escapes_written_out() -> None:
    assert signed_url("https://a.example/h%20k?x=%3A", "y=1") == "https://a.example/h%20k?x=:"
    assert signed_url("https://a.example/h", "") == "https://a.example/h"


def test_of_an_outbound_message_the_organisation_is_checked_too() -> None:
    kind, body = "salesforce-outbound", outbound_message({"Id": "006"})

    other = body.replace(ORGANISATION.encode(), b"00D5f000000AbCeEAK")
    without = body.replace(f"<OrganizationId>{ORGANISATION}</OrganizationId>".encode(), b"")
    short = body.replace(ORGANISATION.encode(), ORGANISATION[:15].encode())

    assert not refused(kind, signed(kind, short))
    assert not refused(kind, signed(kind, outbound_message()))
    assert refused(kind, signed(kind, other))
    assert refused(kind, signed(kind, without))
    assert refused(kind, signed(kind, b"<notifications/>"))


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b'<!DOCTYPE x SYSTEM "http://example.com/x.dtd"><x/>',
        b"<a>" * 100_000,
        b'<?xml version="1.0" encoding="cp037"?><x/>',
        b'<?xml version="1.0" encoding="nonesuch"?><x/>',
        outbound_message({"Id": "006"})[:-20],
        b"",
        b"\x00\xff",
    ],
)
def test_xml_that_may_do_harm_is_refused_unread(body: bytes) -> None:
    assert refused("salesforce-outbound", signed("salesforce-outbound", body))


@pytest.mark.parametrize(
    ("secret", "said"),
    [("whsec_c2hvcnQ=", "of 5 bytes"), ("whsec_!!", "base64"), ("", "of 0 bytes")],
)
def test_a_secret_that_can_be_guessed_is_refused(secret: str, said: str) -> None:
    with pytest.raises(SecretError, match=said):
        key_of(secret, "the secret")


def test_the_basic_user_counts_too() -> None:
    taken = signed("pipedrive", BODY)
    pair = base64.b64encode(f"eve:{TOKEN}".encode()).decode()

    assert refused("pipedrive", replace(taken, headers={"authorization": f"Basic {pair}"}))


ONE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
SOME = st.lists(ONE, max_size=3) | st.dictionaries(st.text(max_size=5), ONE, max_size=3)
JSON = ONE | SOME | st.lists(SOME, max_size=3)


@pytest.mark.parametrize("kind", KINDS)
@given(body=st.binary(max_size=200) | JSON.map(lambda form: json.dumps(form).encode()))
def test_every_body_has_a_key_and_what_is_kept_has_the_same(kind: str, body: bytes) -> None:
    receiver = receivers()[kind]
    headers: Mapping[str, Any] = {"webhook-id": ""}
    secret = {
        "authorization": "x",
        "cookie": "y",
        "x-api-key": "z",
        "x-original-url": "/webhooks/a?code=b",
        "webhook-signature": "v1,c",
    }
    kept_headers, kept_body = receiver.kept({**headers, **secret}, body)

    assert receiver.dedupe_key(kept_headers, kept_body) == receiver.dedupe_key(headers, body)
    assert kept_headers == headers


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        name: st.text(st.characters(max_codepoint=255), max_size=30)
        | st.binary(max_size=20).map(lambda raw: "Basic " + base64.b64encode(raw).decode())
        for name in (
            *("webhook-id", "webhook-timestamp", "webhook-signature", "authorization"),
            *("x-hubspot-signature-v3", "x-hubspot-request-timestamp", "x-redflare-key"),
        )
    },
)


@pytest.mark.parametrize("kind", KINDS)
@given(body=st.binary(max_size=50), headers=HEADERS, query=st.text(max_size=20))
def test_a_stranger_s_request_is_refused_whatever_it_holds(
    kind: str, body: bytes, headers: dict[str, str], query: str
) -> None:
    assert refused(kind, Request(method="POST", query=query, headers=headers, body=body))
