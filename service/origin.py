"""Where a request comes from: which address, at which name, from whose page."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

from service.problems import FORBIDDEN, refused

HARMLESS: Final = ("GET", "HEAD", "OPTIONS")


def is_own_name(host: str) -> bool:
    """Whether a header ``Host`` names the machine itself.

    Examples
    --------
    >>> [is_own_name(host) for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "example.com")]
    [True, True, True, False]
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def check_own_name(host: str) -> None:
    """Refuse a request at a name that others may give this machine, for their pages to reach it.

    Raises
    ------
    Refused
        With status 403.
    """
    if not is_own_name(host):
        raise refused(
            FORBIDDEN,
            f"Host {host!r}",
            "localhost or 127.0.0.1, where no keys are asked for",
            "ask there, or serve with keys",
        )


def check_same_origin(method: str, headers: Mapping[bytes, bytes]) -> None:
    """Refuse what a page of another site has a browser send.

    Browsers say where a request comes from; what says nothing is no browser, and has no cookies
    that another's page could make use of.

    Raises
    ------
    Refused
        With status 403.
    """
    if method in HARMLESS:
        return
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is not None:
        is_own = site in (b"same-origin", b"none")
    else:
        host = headers.get(b"host", b"")
        is_own = origin is None or origin.partition(b"://")[2] == host
    if not is_own:
        raise refused(
            FORBIDDEN, "a request from another site's page", "one of our own", "use our own page"
        )


def address_of(scope: Scope) -> str:
    """The address that asks; of IPv6 the network, since whoever has one address has all of it.

    Examples
    --------
    >>> address_of({"client": ("192.0.2.1", 5000)})
    '192.0.2.1'
    >>> address_of({"client": ("2001:db8:1:2:3::4", 5000)})
    '2001:db8:1:2::/64'
    """
    client = scope.get("client")
    host = client[0] if client else "unknown"
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"
