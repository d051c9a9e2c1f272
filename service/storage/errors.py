"""What can go wrong with a database."""

from __future__ import annotations

from typing import Final

from model.errors import RedflareError

RETRY_SECONDS: Final = 5  # after which a client may try again while the database is out of reach


class StorageError(RedflareError):
    """A database cannot be used as it is. The message says what to do with it."""


class StoreUnavailable(RedflareError):  # noqa: N818 - it says how the database is
    """The database does not answer now. What was asked may be asked again unchanged.

    Parameters
    ----------
    reason
        What the database or its driver said.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the database ({reason})",
            "one that answers",
            "try again; if it comes again, run redflare doctor",
        )

    def __reduce__(self) -> tuple[type, tuple[str]]:  # type: ignore[override] # one argument here
        return (type(self), (self.reason,))
