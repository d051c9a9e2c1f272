"""One mail handed to a server by SMTP: at a pinned address, over TLS unless that is not wanted.

References
----------
RFC 5321, Simple Mail Transfer Protocol. RFC 3207, STARTTLS. RFC 8314, TLS from the start.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Final, Literal, get_args

from service.entries import Entries
from service.writeback.addresses import Guard, Place
from service.writeback.time_limit import TimeLimit

Security = Literal["starttls", "tls", "none"]
SECURITIES: Final[tuple[Security, ...]] = get_args(Security)
PORTS: Final[dict[Security, int]] = {"starttls": 587, "tls": 465, "none": 25}
TIMEOUT_SECONDS: Final = 20.0  # of each answer
WHOLE_SECONDS: Final = 60.0  # of all that is said, below the lease of an entry
KEYS: Final = ("host", "port", "security", "user", "secrets", "from", "to")


@dataclass(frozen=True, kw_only=True, eq=False)
class SmtpServer:
    """A server that takes mails of ours.

    Parameters
    ----------
    host, port
        Its name, which its certificate must have, and where it listens.
    security
        ``starttls``, ``tls`` from the start, or ``none``, which only an allowed place may have.
    sender
        From whom mails come.
    guard
        Decides where they may go.
    user, password
        None and empty where it asks for none.
    context
        Of TLS; the system's authorities unless given.
    """

    host: str
    port: int
    sender: str
    guard: Guard
    security: Security = "starttls"
    user: str | None = None
    password: str = field(default="", repr=False)
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    @property
    def url(self) -> str:
        """The server as the guard looks at it: with TLS as https, without as http."""
        scheme = "http" if self.security == "none" else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> dict[str, int]:
        """Hand a mail over; the status of each recipient that was refused while others were not.

        Raises
        ------
        smtplib.SMTPException, OSError
            If it is not taken in `WHOLE_SECONDS`.
        AddressRefused
            If it may not go there.
        Unresolved
            If the name has no address now.
        """
        place = self.guard.place(self.url)
        tls = self.context if self.security == "tls" else None
        own_name = self.sender.rpartition("@")[2]
        with (
            TimeLimit(WHOLE_SECONDS) as limit,
            _Pinned(place, tls, own_name, limit) as connection,
        ):
            if self.security == "starttls":
                connection.starttls(context=self.context)
            if self.user is not None:
                connection.login(self.user, self.password)
            refused = connection.send_message(message, self.sender, list(recipients))
        return {recipient: int(status) for recipient, (status, _) in refused.items()}


class _Pinned(smtplib.SMTP):
    """A connection to the address that was looked at, under the name that it was found by."""

    def __init__(
        self, place: Place, tls: ssl.SSLContext | None, own_name: str, limit: TimeLimit
    ) -> None:
        self._place = place
        self._tls = tls
        self._limit = limit
        super().__init__(place.host, place.port, own_name, TIMEOUT_SECONDS)

    def _get_socket(self, _host: str, port: int, timeout: float) -> Any:
        plain = socket.create_connection((self._place.address, port), timeout)
        self._limit.watch(plain)
        if self._tls is None:
            return plain
        return self._tls.wrap_socket(plain, server_hostname=self._place.host)


def read_server(entries: Entries, guard: Guard) -> SmtpServer:
    """The server that a table's `KEYS` but ``to`` name.

    Raises
    ------
    EntryError
        If one cannot be used.
    """
    security = entries.text("security", "starttls")
    chosen = next((each for each in SECURITIES if each == security), None)
    if chosen is None:
        raise entries.error("security", "one of " + ", ".join(SECURITIES), "correct it")
    user = entries.text("user", "") or None
    if user is not None and chosen == "none":
        raise entries.error("user", "security that keeps the password", "use starttls or tls")
    return SmtpServer(
        host=entries.text("host").lower().rstrip("."),
        port=entries.whole("port", PORTS[chosen], 65535),
        security=chosen,
        sender=address(entries, "from", entries.text("from")),
        user=user,
        password=entries.secrets(least_bytes=1)[0] if user else "",
        guard=guard,
    )


def read_recipients(entries: Entries) -> tuple[str, ...]:
    """The addresses of a table's ``to``.

    Raises
    ------
    EntryError
        If there is none, or one is no address.
    """
    given = entries.texts("to")
    if not given:
        raise entries.error("to", "addresses", 'write to = ["sales@example.com"]')
    return tuple(address(entries, "to", each) for each in given)


def address(entries: Entries, key: str, text: str) -> str:
    """An address of mail: a name, an at sign, a host, nothing that a header or SMTP would split."""
    name, at, host = text.rpartition("@")
    if not at or not name or not host or not text.isascii() or set(text) & set(' \t\r\n<>,;"'):
        raise entries.error(key, "an address such as sales@example.com", "correct it")
    return text
