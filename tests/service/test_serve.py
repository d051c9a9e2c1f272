"""The command `serve`: verified before it listens, and stopped without dropping a request."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from model.events import Event
from service.settings import (
    MAX_BODY_BYTES,
    MAX_CONNECTIONS,
    REQUEST_SECONDS,
    SettingError,
    Settings,
)
from tests.service.requests import request_json, serving

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_command_alone_loads_nothing_heavy(loaded_by: Callable[[str], set[str]]) -> None:
    loaded = loaded_by("import service.serve_command")

    assert not loaded & {"numpy", "fastapi", "uvicorn"}, "before OMP_NUM_THREADS is set"


def test_a_missing_artifact_is_told_in_one_line(redflare: Run) -> None:
    refused = redflare("serve", "--port", "0", "--artifact", "nowhere")

    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: ")
    assert "nowhere" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["model.json", "tables.npz"])
def test_a_damaged_artifact_is_not_served(
    name: str, redflare: Run, small_artifact: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(small_artifact, damaged)
    content = bytearray((damaged / name).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / name).write_bytes(content)

    refused = redflare("serve", "--artifact", "damaged")

    assert refused.returncode == 2
    assert name in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_an_address_in_use_is_told_with_the_remedy(redflare: Run, small_artifact: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = redflare("serve", "--artifact", str(small_artifact), "--port", port)

    assert refused.returncode == 2
    assert refused.stderr == (
        f"Error: --host 127.0.0.1 --port {port}: expected an address to listen on "
        "(Address already in use). Remedy: choose another port, or stop what listens there.\n"
    )


def test_a_host_that_is_none_is_told(redflare: Run, small_artifact: Path) -> None:
    refused = redflare("serve", "--artifact", str(small_artifact), "--host", "no.such.invalid")

    assert refused.returncode == 2
    assert "Error: --host no.such.invalid --port 8000: expected an address" in refused.stderr


def test_a_request_under_way_is_answered_before_the_service_stops(
    small_artifact: Path,
    user_environment: dict[str, str],
    open_deals: list[list[Event]],
    tmp_path: Path,
) -> None:
    body = json.dumps(request_json(open_deals[0])).encode()
    head = (
        "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    log = tmp_path / "log"
    with serving(small_artifact, user_environment, log) as (process, url):
        address = urlsplit(url).hostname, urlsplit(url).port
        with socket.create_connection(address, timeout=10.0) as connection:
            connection.sendall(head.encode() + body[:100])
            # Answered later than the first half of the other came in.
            assert httpx.get(f"{url}/healthz").status_code == 200
            process.terminate()
            connection.sendall(body[100:])
            answer = b""
            while part := connection.recv(65536):
                answer += part
        assert process.wait(timeout=10.0) == 0

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in log.read_text()


def test_the_limit_of_a_body_may_be_set(
    small_artifact: Path, user_environment: dict[str, str], tmp_path: Path
) -> None:
    environment = user_environment | {MAX_BODY_BYTES: "1000"}
    with serving(small_artifact, environment, tmp_path / "log") as (_, url):
        headers = {"content-type": "application/json"}
        answers = [
            httpx.post(f"{url}/v1/score", content=b" " * size, headers=headers).status_code
            for size in (1000, 1001)
        ]

    assert answers == [400, 413]


@pytest.mark.parametrize("text", ["", "0", "-1", "ten", "1e6", "\uff11"])
def test_a_limit_that_is_no_number_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=f"{MAX_BODY_BYTES} '{text}': expected a whole number"):
        Settings.from_environment({MAX_BODY_BYTES: text})


def test_what_is_not_set_keeps_its_default() -> None:
    assert Settings.from_environment({}) == Settings(max_body_bytes=10_485_760)


def send_part(address: tuple[str, int], part: bytes) -> bytes:
    """What a connection is answered that sends so much and then waits."""
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(part)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_slow_senders_are_given_up_and_connections_are_capped(
    small_artifact: Path, user_environment: dict[str, str], tmp_path: Path
) -> None:
    limits = {REQUEST_SECONDS: "1", MAX_CONNECTIONS: "3"}
    head = b"POST /v1/score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with serving(small_artifact, user_environment | limits, tmp_path / "log") as (_, url):
        address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)

        answer = send_part(address, head + b"content-length: 50\r\n\r\n{")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"a body of which 1 bytes arrived in 1 s: expected all of it" in answer
        assert send_part(address, head) == b""
        assert send_part(address, b"") == b""

        idle = [socket.create_connection(address) for _ in range(3)]
        try:
            assert httpx.get(f"{url}/healthz").status_code == 503
        finally:
            for connection in idle:
                connection.close()
