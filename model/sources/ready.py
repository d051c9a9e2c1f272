"""Mappings as files: the ready ones that come with Redflare, and anybody's own."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Final

from model.errors import MappingError
from model.sources.mapping import Mapping
from model.sources.parse import parse_mapping

READY: Final = files("model.sources") / "mappings"


def ready_mappings() -> list[str]:
    """The names of the mappings that come with Redflare."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in READY.iterdir() if entry.name[-5:] == ".toml"
    )


def load_mapping(given: str) -> Mapping:
    """Read a mapping file, or a ready mapping by its name.

    Raises
    ------
    MappingError
        If there is neither, or its content is wrong.
    """
    ready = ready_mappings()
    if given in ready:
        text = (READY / f"{given}.toml").read_text("utf-8")
    else:
        path = Path(given)
        if not path.is_file():
            raise MappingError(
                f"mapping {given!r}",
                f"a TOML file, or one of the ready mappings {', '.join(ready)}",
                "check the name",
            )
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise MappingError(f"mapping {given}", "UTF-8 text", "save it as UTF-8") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"mapping {given}", f"TOML ({error})", "correct that line") from error
    return parse_mapping(table, given)
