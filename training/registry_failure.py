"""What MLflow's failures mean, in words: away, refusing, at another address, or broken."""

from __future__ import annotations

import re
from typing import Final

from training.version import RegistryAwayError, RegistryError

UNANSWERED: Final = re.compile(r"API request to .* failed with (timeout )?exception")
GIVEN_UP: Final = re.compile(r"too many (\d+) error responses")
LONGEST: Final = 300  # characters of MLflow's own words
WORKS: Final = ("an MLflow server that works", "see its log, or try later")


def told(error: Exception, registry: str, *, is_served: bool) -> RegistryError:
    """An error of MLflow, or of what it stands on, as one of the registry.

    Parameters
    ----------
    error
        As it was raised.
    registry
        As it was named.
    is_served
        Whether a server or database answers for it, which may be better tomorrow; a folder else.
    """
    text = " ".join(str(error).split())
    if given_up := GIVEN_UP.search(text):
        given = f"registry {registry}, which answers each time with error {given_up[1]}"
        return RegistryAwayError(given, *WORKS)
    if type(error).__module__.startswith("requests") or UNANSWERED.search(text):
        return RegistryAwayError(
            f"registry {registry}, which does not answer",
            "a running MLflow server",
            "start it, or check the address",
        )
    given = f"registry {registry} ({text[:LONGEST]})"
    status = getattr(error, "get_http_status_code", lambda: 500)()
    if is_served and status >= 500:
        return RegistryAwayError(given, *WORKS)
    if status in {401, 403}:
        return RegistryError(
            given,
            "an account that may read and write there",
            "set MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
    if "unsupported URI" in text:
        return RegistryError(
            f"registry {registry}",
            "a folder, or an address that begins with http, https, sqlite, postgresql or mysql",
            "check the address",
        )
    if getattr(error, "error_code", "") == "ENDPOINT_NOT_FOUND":
        return RegistryError(given, "the address of an MLflow server", "check the address")
    return RegistryError(given, "a store that does it", "mend what MLflow says, and try again")
