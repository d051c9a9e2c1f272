"""A shared secret that a request carries, of vendors that sign nothing."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from service.webhooks.delivery import Request, Unverified
from service.webhooks.signing import basic_pair, check_any

QUERY_NAMES: Final = ("token", "code")  # `code` is Dataverse's WebhookKey
MOST_QUERY_FIELDS: Final = 20


def check_token(
    request: Request,
    secrets: tuple[str, ...],
    *,
    header: str = "",
    basic_user: str | None = None,
) -> None:
    """Refuse a request that carries none of the secrets.

    Parameters
    ----------
    request
        As it came.
    secrets
        Two while one is exchanged for another.
    header
        The header that carries it, in small letters; without one, ``Authorization: Bearer`` or
        ``Basic``, or ``?token=`` or ``?code=`` in the URL.
    basic_user
        The user that must come with a Basic password; None takes any.

    Raises
    ------
    Unverified
        If none is there.
    """
    check_any(list(_given(request, header, basic_user)), secrets)


def _given(request: Request, header: str, basic_user: str | None) -> list[str]:
    if header:
        return [request.headers.get(header, "")]
    authorization = request.headers.get("authorization", "")
    user, password = basic_pair(authorization)
    if basic_user is not None:
        # One text, so that a wrong user takes as long as a wrong password.
        return [password if user == basic_user else ""]
    scheme, _, bearer = authorization.partition(" ")
    given = [password, bearer.strip() if scheme.lower() == "bearer" else ""]
    return [*given, *(value for name, value in _query(request.query) if name in QUERY_NAMES)]


def _query(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, max_num_fields=MOST_QUERY_FIELDS)
    except ValueError as error:
        raise Unverified("a query of too many fields") from error
