"""Ask a service just started for its review once: ``python -m service.review.ask_once LOG``.

For where nobody sits at a terminal, so that what would be looked at is known to be there.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Final

import click
import httpx

READY_SECONDS: Final = 180.0
POLL_SECONDS: Final = 0.3
ADDRESS: Final = re.compile(r"^Serving .* on (http://\S+)$", re.MULTILINE)


def ask_once(log: Path) -> str:
    """Wait until the service that writes a log answers with its review; the address of it.

    Raises
    ------
    TimeoutError
        If it does not.
    """
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        found = ADDRESS.search(log.read_text(encoding="utf-8")) if log.exists() else None
        if found is not None:
            answer = httpx.get(f"{found[1]}/review", timeout=READY_SECONDS)
            if answer.status_code == httpx.codes.OK:
                return f"{found[1]}/review"
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"no review within {READY_SECONDS:g} s: see {log}")


if __name__ == "__main__":
    click.echo(f"The weekly review was served and answered: {ask_once(Path(sys.argv[1]))}")
