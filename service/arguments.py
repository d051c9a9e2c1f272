"""Options that take several numbers: ``--within 7 14 30``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SEVERAL: Final = ("--within", "--edges")


def spread(arguments: Sequence[str]) -> list[str]:
    """Repeat such an option before each further number, as click reads it.

    Examples
    --------
    >>> spread(["score", "--within", "7", "14", "e.parquet"])
    ['score', '--within', '7', '--within', '14', 'e.parquet']
    """
    repeated: list[str] = []
    option = ""
    for argument in arguments:
        if argument.startswith("--"):
            option = argument if argument in SEVERAL else ""
        elif option and not _is_number(argument):
            option = ""
        elif option and repeated[-1] != option:
            repeated.append(option)
        repeated.append(argument)
    return repeated


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
