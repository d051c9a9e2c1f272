"""Where requests of ours may go, and where not."""

from __future__ import annotations

import socket
import threading
from ipaddress import ip_address

import pytest

from service.writeback import addresses
from service.writeback.addresses import AddressRefused, Guard, Unresolved
from service.writeback.entry import Refused, Retry, Sent
from tests.service.writeback.servers import NOW, local_client, serving

PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:a9fe:a9fe::1",
    "2001:db8::1",
    "fec0::1",
]
PUBLIC = ["9.9.9.9", "93.184.216.34", "2620:fe::fe", "::ffff:9.9.9.9", "64:ff9b::909:909"]


def guard(*addresses: str, allowed: tuple[str, ...] = ()) -> Guard:
    return Guard.allowing(allowed, find=lambda _host, _port: addresses)


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused, match="expected a public address"):
        guard(address).place("https://crm.example/x")
    with pytest.raises(AddressRefused):  # one among public ones suffices
        guard(PUBLIC[0], address).place("https://crm.example/x")


def test_a_name_that_nobody_resolves_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(addresses, "RESOLVE_SECONDS", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_given, **_more: answered.wait(30) and [])

    with pytest.raises(Unresolved, match="not resolved in"):
        addresses.resolve("crm.example", 443)
    answered.set()


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_pinned(address: str) -> None:
    place = guard(address).place("https://CRM.example:8443/x")

    assert (place.host, place.port) == ("crm.example", 8443)
    assert ip_address(place.address) == ip_address(address)


@pytest.mark.parametrize("written", ["2130706433", "0x7f.1", "127.1", "localhost", "[::1]"])
def test_this_machine_is_refused_however_it_is_written(written: str) -> None:
    with pytest.raises((AddressRefused, Unresolved)):
        Guard().place(f"https://{written}/")


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example/",
        "ftp://crm.example/",
        "https://",
        "//crm.example/",
        "https://user@crm.example/",
        "https://[::1/",
        "https://crm.example:99999/",
        "file:///etc/passwd",
    ],
)
def test_a_url_that_is_not_https_of_a_host_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        guard(PUBLIC[0]).place(url)


@pytest.mark.parametrize(
    ("allowed", "goes"),
    [
        (("10.1.0.0/16",), True),
        (("10.1.2.3",), True),
        (("CRM.internal",), True),
        (("10.2.0.0/16",), False),
        (("other.internal",), False),
        (("internal",), False),
        ((), False),
    ],
)
def test_an_allow_list_opens_what_it_names_and_no_more(
    allowed: tuple[str, ...], goes: bool
) -> None:
    inside = guard("10.1.2.3", allowed=allowed)
    for url in ("http://crm.internal/", "https://crm.internal./"):
        if goes:
            assert inside.place(url).address == "10.1.2.3"
        else:
            with pytest.raises(AddressRefused):
                inside.place(url)


@pytest.mark.parametrize("other", ["10.2.0.1", "127.0.0.1"])
def test_a_name_with_one_allowed_address_is_not_gone_to_by_another(other: str) -> None:
    for found in (("10.1.2.3", other), (other, "10.1.2.3")):
        with pytest.raises(AddressRefused, match=other):
            guard(*found, allowed=("10.1.0.0/16",)).place("https://crm.internal/")
    with pytest.raises(AddressRefused, match="TLS"):
        guard("10.1.2.3", PUBLIC[0], allowed=("10.1.0.0/16",)).place("http://crm.internal/")


@pytest.mark.parametrize("entry", ["", "10.0.0.0/99", "https://crm", "a b", "*.internal", "x:1"])
def test_an_allow_list_holds_names_and_networks(entry: str) -> None:
    with pytest.raises(AddressRefused, match="a host's name, or a network"):
        Guard.allowing([entry])


def test_a_name_that_moves_between_looks_is_asked_for_once() -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    client = local_client()
    moving = type(client)(
        guard=Guard.allowing(["127.0.0.1"], find=lambda _host, _port: next(answers))
    )
    with serving() as server:
        assert moving.send("POST", f"{server.url}/x", b"", {}, NOW) == Sent(status=200)
        assert isinstance(moving.send("POST", f"{server.url}/x", b"", {}, NOW), Refused)

    [got] = server.got
    assert got.headers["host"] == f"crm.example:{server.port}"


def test_a_redirect_is_not_followed() -> None:
    with serving() as inside, serving(lambda _: (307, {"location": inside.url}, b"")) as server:
        outcome = local_client().send("POST", server.url, b"{}", {}, NOW)

    assert isinstance(outcome, Refused)
    assert "redirects are not followed" in outcome.reason
    assert inside.got == []


def test_a_name_without_an_address_is_tried_again() -> None:
    outcome = type(local_client())(guard=Guard()).send(
        "POST", "https://nobody.invalid/", b"", {}, NOW
    )

    assert isinstance(outcome, Retry)
    assert "nobody.invalid" in outcome.reason


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with serving() as server:
        assert local_client().send("POST", server.url, b"", {}, NOW) == Sent(status=200)
