"""One HTTP exchange of JSON: the body read within bounds, the answer or the problem sent.

References
----------
The ASGI specification, HTTP and WebSocket message format.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from starlette.types import Receive, Scope, Send

from service.problems import MEDIA, MEDIA_TYPE, SLOW, TOO_LARGE, UNAVAILABLE, Problem, refused

JSON: Final = "application/json"
CLOSE: Final = (b"connection", b"close")
LINGER_SECONDS: Final = 1.0  # for a client to read why its body is refused before it is all sent

Headers = list[tuple[bytes, bytes]]


class Disconnected(Exception):  # noqa: N818 - it says what happened
    """The client went away before its request was whole."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a header, by its name in small letters; None where it is not there."""
    return next((bytes(value) for each, value in scope["headers"] if each == name), None)


def check_media_type(scope: Scope) -> int | None:
    """Refuse a body that is not plain JSON by its headers, and answer its length if it is said.

    Raises
    ------
    Refused
        If the media type, character set or content coding is another one.
    """
    media_type, coding, length = b"", b"identity", None
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type = value
        elif name == b"content-encoding":
            coding = value
        elif name == b"content-length":
            length = int(value)
    if media_type != b"application/json":
        _check_json(media_type.decode("latin-1"))
    if coding.lower() != b"identity":
        given = f"Content-Encoding {coding.decode('latin-1')!r}"
        raise refused(MEDIA, given, "a body as it is", "send it without compression")
    return length


def _check_json(media_type: str) -> None:
    essence, _, parameters = media_type.partition(";")
    charset = "".join(parameters.lower().split())
    if essence.strip().lower() != JSON or charset not in ("", "charset=utf-8", 'charset="utf-8"'):
        given = f"Content-Type {media_type!r}" if media_type else "no Content-Type"
        raise refused(MEDIA, given, f"{JSON} in UTF-8", "send JSON, and say so")


async def read_body(
    receive: Receive,
    length: int | None,
    most: int,
    seconds: float,
    grow: Callable[[int], None] = lambda _more: None,
) -> bytes:
    """The whole body of a request.

    Parameters
    ----------
    receive
        Of ASGI.
    length
        As the request says it, bytes; None where it does not.
    most
        Bytes; a longer body is refused without being read whole.
    seconds
        For all of it to arrive.
    grow
        Told how many bytes more have arrived; it may refuse them.

    Raises
    ------
    Refused
        If the body is longer, or takes longer.
    Disconnected
        If the client goes away.
    """
    parts: list[bytes] = []
    size = length or 0
    got = 0
    try:
        async with asyncio.timeout(seconds):
            while size <= most:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                part: bytes = message.get("body", b"")
                parts.append(part)
                grow(len(part))
                if not message.get("more_body", False):
                    return part if len(parts) == 1 else b"".join(parts)
                got += len(part)
                size = max(size, got)
    except TimeoutError as error:
        raise refused(
            SLOW,
            f"a body of which {got} bytes arrived in {seconds:g} s",
            "all of it in that time",
            "send it at once, or raise REDFLARE_REQUEST_SECONDS",
        ) from error
    raise refused(
        TOO_LARGE,
        f"a body of {size} bytes" if length is not None else f"a body of more than {most} bytes",
        f"at most {most}",
        "send fewer events, or raise REDFLARE_MAX_BODY_BYTES",
    )


async def send_body(send: Send, media_type: str, body: bytes, status: int = 200) -> None:
    """Answer a body of a media type."""
    headers = _headers(media_type, body)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_problem(
    send: Send, problem: Problem, more: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer a problem with its status.

    Parameters
    ----------
    send
        Of ASGI.
    problem
        The answer.
    more
        Headers beside the common ones.
    """
    body = problem.to_bytes()
    own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers]
    headers = [*_headers(MEDIA_TYPE, body), *own, *more]
    status = problem.kind.status
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_refusal(receive: Receive, send: Send, problem: Problem) -> None:
    """Answer why a request is refused; what is still under way of one refused early is not read."""
    if problem.kind in (TOO_LARGE, UNAVAILABLE):
        await send_unread(receive, send, problem)
    else:
        await send_problem(send, problem, [CLOSE] if problem.kind is SLOW else [])


async def send_unread(receive: Receive, send: Send, problem: Problem) -> None:
    """Answer why a body is not read whole, and end the connection instead of reading the rest.

    A client that is still sending would never see the answer if the connection were cut at
    once: what it sends is dropped for a moment, until it stops.
    """
    body = problem.to_bytes()
    own = [(name.lower().encode(), value.encode()) for name, value in problem.headers]
    headers = [*_headers(MEDIA_TYPE, body), *own, CLOSE]
    status = problem.kind.status
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})


def _headers(media_type: str, body: bytes) -> Headers:
    return [
        (b"content-type", media_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
