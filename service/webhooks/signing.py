"""Secrets that prove where a request comes from, and comparisons that tell nothing by their time.

References
----------
Standard Webhooks, https://github.com/standard-webhooks/standard-webhooks, "Signature scheme".
HubSpot, "Validating requests", v3. RFC 7617, The 'Basic' HTTP Authentication Scheme.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from model.errors import RedflareError
from model.events import EPOCH, microseconds
from service.webhooks.delivery import Unverified

WINDOW: Final = timedelta(minutes=5)  # a signature may be that old, or that far ahead
MICROSECOND: Final = timedelta(microseconds=1)
PREFIX: Final = "whsec_"  # of a secret of Standard Webhooks
LEAST_KEY_BYTES: Final = 16  # a shorter key is a password to be guessed
MOST_SIGNATURES: Final = 16  # in one header: while a secret is exchanged there are two
LONGEST_TIME: Final = 15  # digits: year 33,658 in milliseconds


class SecretError(RedflareError):
    """A secret cannot be used. Make another, of at least 16 random bytes."""


def key_of(secret: str, name: str) -> bytes:
    """The key in a secret of Standard Webhooks: base64, with or without its prefix.

    Parameters
    ----------
    secret
        ``whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw``.
    name
        What the secret is called, for the error; the secret itself is never told.

    Raises
    ------
    SecretError
        If it is no base64, or too short.

    Examples
    --------
    >>> len(key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the secret"))
    24
    """
    text = secret.strip().removeprefix(PREFIX).rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise SecretError(name, f"{PREFIX} and base64", "copy it whole, or make another") from error
    if len(key) < LEAST_KEY_BYTES:
        raise SecretError(
            f"{name} of {len(key)} bytes", f"at least {LEAST_KEY_BYTES}", "make a longer one"
        )
    return key


def sign(key: bytes, message_id: str, time: datetime, body: bytes) -> str:
    """The signature ``v1`` of Standard Webhooks over an id, a time in whole seconds, and a body.

    HMAC-SHA256(key, id.timestamp.body), in base64.

    Examples
    --------
    >>> key = key_of("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the secret")
    >>> time = EPOCH + timedelta(seconds=1614265330)
    >>> sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    seconds = (time - EPOCH) // timedelta(seconds=1)
    return sign_text(key, message_id, str(seconds), body)


def sign_text(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """The same with the time as it stands in its header."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def check_time(text: str, unit: timedelta, now: datetime) -> None:
    """Refuse a time that is no number, or lies outside `WINDOW` on either side.

    Parameters
    ----------
    text
        As it stands in its header: a whole number of units since 1970 UTC.
    unit
        One second, or one millisecond.
    now
        The present, UTC.

    Raises
    ------
    Unverified
        If it does not prove a recent signature.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_TIME):
        raise Unverified("no time in the header that holds it")
    told = int(text) * (unit // MICROSECOND)
    apart = told - microseconds(now)
    if abs(apart) > WINDOW // MICROSECOND:
        way = "ahead of" if apart > 0 else "behind"
        minutes = WINDOW // timedelta(minutes=1)
        raise Unverified(f"its time is more than {minutes} minutes {way} the clock here")


def check_any(
    given: Sequence[str], expected: Iterable[str], reason: str = "no secret in use fits"
) -> None:
    """Refuse texts of which none is among those expected, in a time that tells nothing.

    Parameters
    ----------
    given, expected
        The texts.
    reason
        For the log, where none is.

    Raises
    ------
    Unverified
        If none is.
    """
    if len(given) > MOST_SIGNATURES:
        raise Unverified("too many signatures")
    found = False
    for right in expected:
        for one in given:
            found |= hmac.compare_digest(one.encode("utf-8", "surrogateescape"), right.encode())
    if not found:
        raise Unverified(reason)


def basic_pair(authorization: str) -> tuple[str, str]:
    """The user and password of a header ``Authorization: Basic``; two empty texts of any other.

    Examples
    --------
    >>> basic_pair("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    ('Aladdin', 'open sesame')
    """
    scheme, _, coded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password
