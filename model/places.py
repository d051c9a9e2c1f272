"""Places to write to, looked at before the work is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from itertools import count
from pathlib import Path

from model.errors import RedflareError


class PlaceError(RedflareError):
    """Nothing can be written where the result should go. Choose another place."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place of one's own to write a file to, which then takes its place in one step.

    So no half of a file is ever seen, and two that write one file at once never mix: each has a
    part of its own. A failure leaves neither a part nor another file than there was.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "scores.csv")
    ...     with whole_file(path) as part:
    ...         _ = part.write_text("deal_id")
    ...         print(part.name)
    ...     print(path.read_text())
    .scores.csv.0.part
    deal_id
    """
    part = _claim(path)
    try:
        yield part
        part.replace(path)
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def _claim(path: Path) -> Path:
    # The first number that neither another writer nor a killed one has taken.
    for number in count():
        part = path.with_name(f".{path.name}.{number}.part")
        try:
            part.touch(exist_ok=False)
        except FileExistsError:
            continue
        return part
    raise AssertionError("numbers do not end")


def remove_parts(path: Path) -> None:
    """Remove what killed writers of a file left; only where nobody else may write it now."""
    for part in path.parent.glob(f".{escape(path.name)}.*.part"):
        part.unlink(missing_ok=True)


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
        _claim(path).unlink()
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
        _claim(there / "redflare").unlink()
    except OSError as error:
        raise _unwritable(option, path, error) from error


def _unwritable(option: str, path: Path, error: OSError) -> PlaceError:
    return PlaceError(
        f"{option} {path}, where nothing can be written ({error.strerror})",
        "a place to write to",
        "choose another",
    )
