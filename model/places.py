"""Places to write to, looked at before the work is done."""

from __future__ import annotations

from pathlib import Path

from model.errors import RedflareError


class PlaceError(RedflareError):
    """Nothing can be written where the result should go. Choose another place."""


def part_of(path: Path) -> Path:
    """Where a file is written before it takes its place, so that no half of it is ever seen.

    Examples
    --------
    >>> part_of(Path("scores.csv")).name
    '.scores.csv.part'
    """
    return path.with_name(f".{path.name}.part")


def check_writable(option: str, path: Path) -> None:
    """Refuse a place for a file that cannot be written, and make the folder of one that can.

    Parameters
    ----------
    option
        What names the place, for the message.
    path
        The file.

    Raises
    ------
    PlaceError
        If a directory stands there, or nothing can be written.
    """
    if path.is_dir():
        raise PlaceError(f"{option} {path}, a directory", "a file to write", "name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = part_of(path)
        part.touch()
        part.unlink()
    except OSError as error:
        raise _unwritable(option, path, error) from error


def check_folder(option: str, path: Path) -> None:
    """Refuse a place for a folder that cannot be written to; nothing is made there.

    Raises
    ------
    PlaceError
        If something else stands there, or nothing can be written.
    """
    if path.exists() and not path.is_dir():
        raise PlaceError(f"{option} {path}, a file", "a folder", "name another, or move the file")
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    try:
        part = part_of(there / "redflare")
        part.touch()
        part.unlink()
    except OSError as error:
        raise _unwritable(option, path, error) from error


def _unwritable(option: str, path: Path, error: OSError) -> PlaceError:
    return PlaceError(
        f"{option} {path}, where nothing can be written ({error.strerror})",
        "a place to write to",
        "choose another",
    )
