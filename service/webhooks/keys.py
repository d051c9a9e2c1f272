"""What tells one delivery from another: a digest of what stays the same when it is sent again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from service.json_text import JsonTextError, read_json

LONGEST_KEY: Final = 200  # characters; a longer one is digested
# What tells a delivery's story. Others may be secrets: of a sender, or of a proxy that adds the
# address with its query.
KEPT_HEADERS: Final = frozenset(
    {
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
        "x-hubspot-request-timestamp",
        "x-ms-dynamics-msg-size-exceeded",
        "x-redflare-fetched",
        "x-request-id",
    }
)


def digest(body: bytes) -> str:
    """SHA-256 in hexadecimal.

    Examples
    --------
    >>> digest(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(body).hexdigest()


def digest_without(body: bytes, strip: Callable[[Any], Any]) -> str:
    """The digest of a JSON body after some of it is left out, whatever its blanks and order.

    Parameters
    ----------
    body
        If it is no JSON, the digest is of its bytes.
    strip
        Answers the decoded body without what differs from one attempt to the next.

    Examples
    --------
    >>> digest_without(b'{"a":1,"n":0}', lambda form: {"a": form["a"]}) == digest_without(
    ...     b'{"n": 1, "a": 1}', lambda form: {"a": form["a"]})
    True
    """
    try:
        stripped = strip(read_json(body))
        return digest(json.dumps(stripped, sort_keys=True, separators=(",", ":")).encode())
    except (JsonTextError, RecursionError):
        return digest(body)


def harmless(headers: Mapping[str, str], secret: str | None = None) -> dict[str, str]:
    """The headers that are known to carry no secret, but for the one that is named."""
    return {
        name: value for name, value in headers.items() if name in KEPT_HEADERS and name != secret
    }
