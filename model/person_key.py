"""The key under which people are hashed: one for a company, its imports and its service.

Where it comes from is decided here for both. What chance makes, and what the environment holds,
is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from model.errors import RedflareError

VARIABLE: Final = "REDFLARE_PERSON_KEY"
SUFFIX: Final = ".person-key"  # of the file beside an event log or a database
KEY_BYTES: Final = 32
OWNER_ALONE: Final = 0o600


class PersonKeyError(RedflareError):
    """The key that hashes people is not there, or is empty. Bring it back, or name another."""


def given_key(environment: Mapping[str, str]) -> bytes | None:
    """The key that the environment holds; None where it holds none.

    Examples
    --------
    >>> given_key({"REDFLARE_PERSON_KEY": "secret"}), given_key({"REDFLARE_PERSON_KEY": ""})
    (b'secret', None)
    """
    given = environment.get(VARIABLE)
    return given.encode() if given else None


def read_key(path: Path) -> bytes:
    """The key that a file holds.

    Raises
    ------
    PersonKeyError
        If it is empty.
    """
    key = path.read_bytes().strip()
    if not key:
        raise PersonKeyError(
            f"{path}, which is empty",
            "the key that hashes people",
            "bring it back from where it is kept; where it was never used, delete the file",
        )
    return key


def kept_key(path: Path, chance: Callable[[int], bytes]) -> bytes:
    """The key in a file that is made once, for its owner alone.

    Parameters
    ----------
    path
        There or not.
    chance
        Answers so many random bytes, as `os.urandom` does.

    Raises
    ------
    PersonKeyError
        If the file is empty.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "events.person-key")
    ...     kept_key(path, lambda size: b"k" * size) == kept_key(path, lambda size: b"x" * size)
    True
    """
    if path.exists():
        return read_key(path)
    # Whole or not there: others start meanwhile, and whoever is killed leaves no half of it.
    secret = chance(KEY_BYTES)
    part = path.with_name(f"{path.name}-{blake2b(secret, digest_size=4).hexdigest()}")
    part.touch(OWNER_ALONE, exist_ok=False)
    try:
        part.write_text(secret.hex() + "\n", "ascii")
        with suppress(FileExistsError):  # another was quicker, and its key counts
            path.hardlink_to(part)
    finally:
        part.unlink()
    return read_key(path)
