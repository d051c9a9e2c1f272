"""What may be set about serving, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from model.errors import RedflareError

MAX_BODY_BYTES: Final = "REDFLARE_MAX_BODY_BYTES"
MAX_CONNECTIONS: Final = "REDFLARE_MAX_CONNECTIONS"
REQUEST_SECONDS: Final = "REDFLARE_REQUEST_SECONDS"
READY_SECONDS: Final = "REDFLARE_READY_QUEUE_SECONDS"
REQUESTS_A_MINUTE: Final = "REDFLARE_REQUESTS_A_MINUTE"
FIELDS: Final = {  # by variable: the field, and what is counted
    MAX_BODY_BYTES: ("max_body_bytes", "bytes"),
    MAX_CONNECTIONS: ("max_connections", "connections"),
    REQUEST_SECONDS: ("request_seconds", "seconds"),
    READY_SECONDS: ("ready_queue_seconds", "seconds"),
    REQUESTS_A_MINUTE: ("requests_a_minute", "requests"),
}


class SettingError(RedflareError):
    """A setting cannot be used. Correct the environment variable named."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the service behaves.

    Parameters
    ----------
    max_body_bytes
        The largest request body; a larger one is refused without being read whole.
    max_connections
        Connections at a time; those beyond are answered with status 503.
    request_seconds
        For the head of a request, and again for its body, to arrive whole.
    ready_queue_seconds
        That a delivery may wait before the service says that it is not ready.
    requests_a_minute
        To ``/v1``, of one key; of one address where no keys are asked for.
    """

    max_body_bytes: int = 10 * 2**20
    max_connections: int = 512
    request_seconds: int = 30
    ready_queue_seconds: int = 300
    requests_a_minute: int = 12_000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings; what is not set keeps its default.

        Parameters
        ----------
        environment
            For instance ``os.environ``.

        Raises
        ------
        SettingError
            If a value is not of its kind.

        Examples
        --------
        >>> Settings.from_environment({"REDFLARE_MAX_BODY_BYTES": "2000000"}).max_body_bytes
        2000000
        """
        found = {}
        for variable, (name, what) in FIELDS.items():
            text = environment.get(variable)
            if text is None:
                continue
            if not (text.isascii() and text.isdigit() and int(text) > 0):
                raise SettingError(
                    f"{variable} {text!r}",
                    f"a whole number of {what} above 0",
                    "set it so, or unset it for the default",
                )
            found[name] = int(text)
        return cls(**found)
