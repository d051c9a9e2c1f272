"""Where requests of ours may go: each name resolved once, checked, and that address connected to.

Checking a name and then connecting to it by name would ask twice, and the second answer may be
another (DNS rebinding).

References
----------
OWASP, "Server-Side Request Forgery Prevention". RFC 6890, Special-Purpose IP Address Registries.
RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo): addresses that carry another inside.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final
from urllib.parse import urlsplit

from model.errors import RedflareError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
ALLOWED_VARIABLE: Final = "REDFLARE_ALLOWED_PLACES"  # names and networks, blanks between
RESOLVE_SECONDS: Final = 5.0  # of the 20 that a request may take
NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
# What some releases of Python take for public: Azure's and Oracle's metadata, ranges given up.
NEVER: Final = tuple(
    ip_network(text)
    for text in ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "fec0::/10", "100::/64")
)


class AddressRefused(RedflareError):  # noqa: N818 - it says what became of the request
    """A request of ours may not go where it should. Allow the place, or correct the URL."""


class Unresolved(Exception):  # noqa: N818 - it says what happened
    """A name has no address now."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, as the system finds them.

    Raises
    ------
    Unresolved
        If it finds none in `RESOLVE_SECONDS`.
    """
    answer: Future[list[str]] = Future()
    # The system's own look-up cannot be ended: what comes of it later is let go.
    looking = threading.Thread(target=_look_up, args=(host, port, answer), daemon=True)
    looking.start()
    try:
        return answer.result(RESOLVE_SECONDS)
    except TimeoutError as error:
        raise Unresolved(f"{host} is not resolved in {RESOLVE_SECONDS:g} s") from error
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"{host} cannot be resolved") from error


def _look_up(host: str, port: int, answer: Future[list[str]]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
        answer.set_exception(error)
    else:
        answer.set_result(list(dict.fromkeys(str(place[0]) for *_, place in found)))


def is_public(address: Address) -> bool:
    """Whether an address, and every other that it carries, is of the public internet.

    Examples
    --------
    >>> [is_public(ip_address(text)) for text in ("9.9.9.9", "169.254.169.254", "::ffff:10.0.0.1")]
    [True, False, False]
    """
    if any(address in network for network in NEVER if network.version == address.version):
        return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return isinstance(address, IPv6Address) and _all_inside_public(address, least=1)
    return not isinstance(address, IPv6Address) or _all_inside_public(address, least=0)


def _all_inside_public(address: IPv6Address, least: int) -> bool:
    inside = [one for one in (address.ipv4_mapped, address.sixtofour) if one is not None]
    if address.teredo is not None:
        inside += address.teredo
    if any(address in network for network in NAT64):
        inside.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return len(inside) >= least and all(is_public(one) for one in inside)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a request goes.

    Parameters
    ----------
    scheme, host, port
        Of the URL.
    address
        To connect to.
    """

    scheme: str
    host: str
    port: int
    address: str

    @property
    def netloc(self) -> str:
        """The address with its port, as in a URL."""
        inside = f"[{self.address}]" if ":" in self.address else self.address
        return f"{inside}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Decides where requests may go.

    Parameters
    ----------
    hosts
        Names that may have any address, and be spoken to without TLS.
    networks
        Addresses that are allowed beside the public ones.
    find
        Resolves a name.
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    find: Resolve = resolve

    @classmethod
    def allowing(cls, entries: Iterable[str], find: Resolve = resolve) -> Guard:
        """A guard with an allow-list of names and networks.

        Raises
        ------
        AddressRefused
            If an entry is neither.

        Examples
        --------
        >>> Guard.allowing(["crm.internal", "10.1.0.0/16"]).networks
        (IPv4Network('10.1.0.0/16'),)
        """
        hosts, networks = [], []
        for entry in entries:
            try:
                networks.append(ip_network(entry))
            except ValueError as error:
                if not entry or set(entry) & set("/:@ *"):
                    raise AddressRefused(
                        f"allowed place {entry!r}",
                        "a host's name, or a network such as 10.1.0.0/16",
                        "correct it",
                    ) from error
                hosts.append(entry.lower().rstrip("."))
        return cls(hosts=frozenset(hosts), networks=tuple(networks), find=find)

    def place(self, url: str) -> Place:
        """Where a URL leads, its address found and pinned.

        Raises
        ------
        AddressRefused
            If it may not be gone to.
        Unresolved
            If its name has no address now.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise AddressRefused(f"URL {url!r}", "a URL", "correct it") from error
        host = (parts.hostname or "").lower().rstrip(".")
        if parts.scheme not in ("https", "http") or not host or parts.username is not None:
            raise AddressRefused(
                f"URL of {host or 'no host'}", "https, a host, and no user", "correct it"
            )
        found = [_address(text) for text in self.find(host, port)]
        if not found:
            raise Unresolved(f"{host} cannot be resolved")
        allowed = host in self.hosts or all(self._is_allowed(address) for address in found)
        for address in found:
            if not allowed and not is_public(address) and not self._is_allowed(address):
                raise AddressRefused(
                    f"{host}, which is {address}",
                    "a public address",
                    f"if it is meant, allow it by name or network in {ALLOWED_VARIABLE}",
                )
        if parts.scheme == "http" and not allowed:
            raise AddressRefused(
                f"{host} without TLS",
                "https",
                f"use https, or allow it by name or network in {ALLOWED_VARIABLE}",
            )
        return Place(scheme=parts.scheme, host=host, port=port, address=str(found[0]))

    def _is_allowed(self, address: Address) -> bool:
        return any(
            address in network for network in self.networks if network.version == address.version
        )


def _address(text: str) -> Address:
    return ip_address(text.partition("%")[0])  # without the interface of a link-local one
