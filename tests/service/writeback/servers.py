"""Real HTTP servers on this machine that remember what they were sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from service.writeback.addresses import Guard
from service.writeback.client import Client
from service.writeback.entry import Entry

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
SCORE: dict[str, Any] = {
    "as_of": "2026-03-02T08:30:00+00:00",
    "close_by": "2026-03-31",
    "probability": 0.25,
    "interval": {"low": 0.1875, "high": 0.3125},
    "gates": {"missed": [{"name": "security review"}], "gated_probability": 0.0},
    "drivers": [
        {"feature": "a", "points": -0.08, "phrase": "no real customer contact for 30 days"},
        {"feature": "b", "points": 0.02, "phrase": "a meeting onsite"},
    ],
    "data_quality": {"verdict": "good", "findings": []},
    "model_version": "m-0123456789abcdef",
}
PAYLOAD = {"deal_id": "9", "score": SCORE}


def entry(**members: Any) -> Entry:
    given: dict[str, Any] = {
        "id": "out_1",
        "destination": "crm",
        "kind": "score.changed",
        "deal_id": "9",
        "payload": PAYLOAD,
        "queued_at": NOW,
        "attempt": 0,
    }
    return Entry(**given | members)


@dataclass
class Got:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """A server that answers as told."""

    answer: Callable[[Got], tuple[int, dict[str, str], bytes]]
    got: list[Got] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://crm.example:{self.port}"


@contextmanager
def serving(
    answer: Callable[[Got], tuple[int, dict[str, str], bytes]] = lambda _: (200, {}, b"{}"),
) -> Iterator[Server]:
    server = Server(answer)

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = Got(self.command, self.path, headers, body)
            server.got.append(got)
            status, more, content = server.answer(got)
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PATCH = do_GET = handle_any  # noqa: N815 - how the server finds them

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def local_client(*allowed: str, address: str = "127.0.0.1") -> Client:
    """A client for which every name is this machine, which is allowed."""
    allowed = allowed or ("127.0.0.0/8",)
    return Client(guard=Guard.allowing(allowed, find=lambda _host, _port: [address]))
