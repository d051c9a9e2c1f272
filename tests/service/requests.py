"""Score requests as clients send them, and the server that answers them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.events import COLUMNS, Event

AS_OF = datetime(2026, 1, 12, tzinfo=UTC)  # a week after the small artifact's cut-off


def event_json(event: Event) -> dict[str, Any]:
    """An event as a client sends it."""
    values = {column: getattr(event, column) for column in COLUMNS}
    return {
        column: value.isoformat() if hasattr(value, "isoformat") else value
        for column, value in values.items()
        if value is not None
    }


def request_json(events: list[Event], **members: Any) -> dict[str, Any]:
    """A request to score a deal as of `AS_OF` with 79 days to go; None leaves a member out."""
    form = {
        "as_of": AS_OF.isoformat(),
        "close_by": "2026-03-31",
        "events": [event_json(event) for event in events],
    } | members
    return {name: value for name, value in form.items() if value is not None}


@contextmanager
def serving(
    artifact: Path, environment: dict[str, str], log: Path, *options: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `redflare serve` on a free port; the process, and where it answers."""
    with (
        log.open("w") as errors,
        subprocess.Popen(
            ["redflare", "serve", "--artifact", artifact, "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Serving model m-"), log.read_text()
            yield process, line.split()[-1]
        finally:
            process.terminate()
