"""Who answers byte by byte is waited for no longer than who does not answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain, repeat

import pytest

from service.smtp import WHOLE_SECONDS, SmtpServer
from service.storage.outbox import LEASE
from service.writeback import client
from service.writeback.addresses import Guard
from service.writeback.entry import Retry, Sent
from service.writeback.mail import MailSender
from tests.service.writeback.servers import NOW, entry, local_client
from tests.service.writeback.test_alerts import ALERT

PAUSE_SECONDS = 0.02
BEGINNING = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def dripping(beginning: bytes) -> Iterator[int]:
    """The port of a server that says a beginning, and then a letter at a time without an end."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                for part in chain([beginning], repeat(b"x")):
                    connection.sendall(part)
                    if stop.wait(PAUSE_SECONDS):
                        return

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize(
    ("beginning", "ends"),
    [
        (b"", Retry),
        (BEGINNING, Retry),
        (BEGINNING + b"a: ", Retry),
        (BEGINNING + b"content-length: 60000\r\n\r\n", Sent),  # the status says enough
    ],
)
def test_an_answer_that_drips_ends_with_the_whole_time(
    beginning: bytes, ends: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 10 * PAUSE_SECONDS)
    with dripping(beginning) as port:
        outcome = local_client().send("POST", f"http://crm.example:{port}/", b"{}", {}, NOW)

    assert isinstance(outcome, ends)


@pytest.mark.parametrize("beginning", [b"", b"220 mail.example\r\n250-"])
def test_a_mail_server_that_drips_is_tried_again(
    beginning: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.smtp.WHOLE_SECONDS", 10 * PAUSE_SECONDS)
    with dripping(beginning) as port:
        guard = Guard.allowing(["127.0.0.0/8"], find=lambda _host, _port: ["127.0.0.1"])
        server = SmtpServer(
            host="mail.example", port=port, sender="a@b.example", guard=guard, security="none"
        )
        sender = MailSender(server=server, recipients=("ann@ours.example",))
        outcome = sender.send(entry(payload=ALERT), NOW)

    assert isinstance(outcome, Retry)


def test_an_attempt_ends_before_its_lease() -> None:
    requests = 4  # a token and a write, for the record and for what links to it
    assert timedelta(seconds=requests * client.TIMEOUT_SECONDS) < LEASE
    assert timedelta(seconds=WHOLE_SECONDS) < LEASE
