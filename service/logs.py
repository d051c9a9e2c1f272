"""Log lines, as text or as JSON, with the ids that tie together what belongs together.

A request's id is its own or the proxy's (``x-request-id``), a delivery's follows from what it is;
the worker and the senders log with the same two. No line has a body, a query or a secret.
"""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

import click
import orjson

Format = Literal["text", "json"]
VARIABLE: Final = "REDFLARE_LOG_FORMAT"
TEXT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
NOISY: Final = ("httpx", "httpcore", "alembic")  # the first two log URLs, which may hold tokens
FIELDS: Final = "redflare_fields"
PLACES: Final = 6  # of a traceback that a line names, the innermost last

LOG_FORMAT = click.option(
    "--log-format",
    type=click.Choice(get_args(Format)),
    envvar=VARIABLE,
    show_envvar=True,
    default="text",
    show_default=True,
    help="Of the log on standard error; json writes one object a line.",
)


def fields(**values: Any) -> dict[str, Any]:
    """What a line says beside its words, for ``extra``; None is left out.

    Examples
    --------
    >>> fields(delivery_id="0d4e", request_id=None)
    {'redflare_fields': {'delivery_id': '0d4e'}}
    """
    return {FIELDS: {name: value for name, value in values.items() if value is not None}}


def fault_of(error: BaseException) -> str:
    """What an exception is and where it was raised, without its words, which may be a body's.

    Examples
    --------
    >>> try:
    ...     int("what a customer wrote")
    ... except ValueError as error:
    ...     fault_of(error).partition(" at ")[0]
    'ValueError'
    """
    frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
    places = " > ".join(f"{Path(each.filename).name}:{each.lineno}" for each in frames)
    return f"{type(error).__name__} at {places or 'no place'}"


class TextLines(logging.Formatter):
    """A line of words, with its fields after them."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line, before a traceback."""
        line = super().formatMessage(record)
        given = getattr(record, FIELDS, {})
        return " ".join([line, *(f"{name}={value}" for name, value in given.items())])


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback is a field of it.

        Examples
        --------
        >>> record = logging.makeLogRecord({"msg": "a b", "created": 0.0, **fields(status=200)})
        >>> JsonLines().format(record)[-29:]
        '"message":"a b","status":200}'
        """
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def set_up(form: str) -> None:
    """Log to standard error from now on.

    Parameters
    ----------
    form
        One of `Format`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
