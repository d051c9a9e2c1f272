"""What may be set about serving, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from model.errors import RedflareError

MAX_BODY_BYTES: Final = "REDFLARE_MAX_BODY_BYTES"


class SettingError(RedflareError):
    """A setting cannot be used. Correct the environment variable named."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the service behaves.

    Parameters
    ----------
    max_body_bytes
        The largest request body; a larger one is refused without being read whole.
    """

    max_body_bytes: int = 10 * 2**20

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
        text = environment.get(MAX_BODY_BYTES)
        if text is None:
            return cls()
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise SettingError(
                f"{MAX_BODY_BYTES} {text!r}",
                "a whole number of bytes above 0",
                "set it so, or unset it for the default",
            )
        return cls(max_body_bytes=int(text))
