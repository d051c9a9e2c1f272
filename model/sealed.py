"""A directory of files sealed by a manifest: whole and unchanged, or refused.

``manifest.json`` holds the SHA-256 and size of every other file, the version of the schema, and
its own SHA-256 taken without that entry. A directory is written beside its place and renamed into
it, so that a reader never sees half of one.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from model.errors import ArtifactError

FORMAT: Final = "redflare-artifact"
MANIFEST: Final = "manifest.json"
LONGEST_MANIFEST: Final = 65_536  # bytes
AGAIN: Final = "copy the directory again from where it was made, or train again"


def to_json(value: object) -> bytes:
    """One text for one value: sorted keys, no spaces, no NaN.

    Raises
    ------
    ValueError, TypeError
        If JSON cannot hold the value.

    Examples
    --------
    >>> to_json({"b": 1.5, "a": None})
    b'{"a":null,"b":1.5}'
    """
    text = json.dumps(
        value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )
    return text.encode()


def from_json(name: str, content: bytes) -> dict[str, Any]:
    """Read a JSON object, refusing everything else.

    Raises
    ------
    ArtifactError
        If the content is no JSON object, or holds NaN or infinity; it names the file.

    Examples
    --------
    >>> from_json("model.json", b'{"edges": [0.0, 7.0]}')
    {'edges': [0.0, 7.0]}
    """
    try:
        value = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        refuse(f"{name} that is no JSON ({error})", "a JSON object", error)
    if not isinstance(value, dict):
        refuse(f"{name} that holds a {type(value).__name__}", "a JSON object")
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def refuse(given: str, expected: str, cause: BaseException | None = None) -> NoReturn:
    """Refuse an artifact that cannot be used, saying where to get a whole one.

    Raises
    ------
    ArtifactError
        Always.

    Examples
    --------
    >>> refuse("tables.npz of 3 bytes", "5")
    Traceback (most recent call last):
    model.errors.ArtifactError: tables.npz of 3 bytes: expected 5. \
Remedy: copy the directory again from where it was made, or train again.
    """
    raise ArtifactError(given, expected, AGAIN) from cause


def write_sealed(directory: Path, files: Mapping[str, bytes], *, schema_version: int) -> None:
    """Write files and their manifest as one directory, replacing an earlier one whole.

    Parameters
    ----------
    directory
        Where; its parents are made. An earlier sealed directory there is replaced.
    files
        Content by name.
    schema_version
        Of what the files hold.

    Raises
    ------
    ArtifactError
        If something else stands there: it is never overwritten; or nothing can be written there.
    """
    target = directory.resolve()
    check_place(directory)
    manifest: dict[str, Any] = {
        "files": {
            name: {"bytes": len(content), "sha256": _digest(content)}
            for name, content in files.items()
        },
        "format": FORMAT,
        "schema_version": schema_version,
    }
    manifest["sha256"] = _digest(to_json(manifest))
    fresh, aside = _beside(target)
    try:
        for name, content in {**files, MANIFEST: to_json(manifest)}.items():
            _write(fresh / name, content)
        _swap(fresh, target, aside)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_place(directory: Path) -> None:
    """Refuse a place that `write_sealed` could not write to, before the work is done.

    Parameters
    ----------
    directory
        Where; its parents are made.

    Raises
    ------
    ArtifactError
        If something else stands there, or nothing can be written there.
    """
    target = directory.resolve()
    _check_replaceable(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _beside(target)[0].rmdir()
    except OSError as error:
        raise ArtifactError(
            f"output {str(target)!r}, where nothing can be written ({error.strerror})",
            "a new or empty directory, or an artifact to replace",
            "choose another directory",
        ) from error


def _beside(target: Path) -> tuple[Path, Path]:
    # The first number that neither another writer nor a killed one has taken.
    for number in itertools.count():
        fresh = target.with_name(f".{target.name}.{number}.new")
        aside = target.with_name(f".{target.name}.{number}.old")
        try:
            fresh.mkdir()
        except FileExistsError:
            continue
        if not aside.exists():
            return fresh, aside
        fresh.rmdir()
    raise AssertionError("numbers do not end")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _swap(fresh: Path, target: Path, aside: Path) -> None:
    # A directory that is not empty cannot be renamed over: the earlier one steps aside first.
    if not target.exists():
        fresh.rename(target)
        return
    target.rename(aside)
    try:
        fresh.rename(target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside)


def _check_replaceable(target: Path) -> None:
    if not target.exists():
        return
    strangers = [target.name]
    if target.is_dir():
        found = {path.name for path in target.iterdir()}
        if not found:
            return
        try:
            manifest = _read_manifest(target, readable=None)
            known = {MANIFEST, *manifest["files"]}
        except ArtifactError:
            known = set()
        strangers = sorted(found - known)
        if not strangers:
            return
    raise ArtifactError(
        f"output {str(target)!r}, where {strangers[0]!r} is no part of an artifact",
        "a new or empty directory, or an artifact to replace",
        "choose another directory, or move it away",
    )


def read_sealed(directory: Path, names: frozenset[str], *, schema_version: int) -> dict[str, bytes]:
    """Read files after checking them against their manifest.

    Parameters
    ----------
    directory
        What `write_sealed` wrote.
    names
        The files that belong there.
    schema_version
        The one that can be read.

    Returns
    -------
    dict
        Content by name, exactly as it was written.

    Raises
    ------
    ArtifactError
        If a file is missing, cut short or changed by a single bit, naming it; if the schema is
        another than this program's.
    """
    if not directory.is_dir():
        refuse(f"artifact {str(directory)!r}", "a directory that redflare train wrote")
    manifest = _read_manifest(directory, readable=schema_version)
    if set(manifest["files"]) != names:
        refuse(
            f"{MANIFEST} in {str(directory)!r} that lists {sorted(manifest['files'])}",
            f"{sorted(names)}",
        )
    contents = {}
    for name, entry in manifest["files"].items():
        contents[name] = content = _read(directory, name, entry["bytes"])
        if _digest(content) != entry["sha256"]:
            refuse(f"{name} in {str(directory)!r} with changed content", "the SHA-256 it had")
    return contents


def _read(directory: Path, name: str, size: int) -> bytes:
    path = directory / name
    if not path.is_file():
        refuse(f"artifact {str(directory)!r} without {name}", "every file of its manifest")
    found = path.stat().st_size
    if found != size:
        refuse(f"{name} in {str(directory)!r} of {found} bytes", f"{size}")
    return path.read_bytes()


def _read_manifest(directory: Path, *, readable: int | None) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.is_file():
        refuse(f"artifact {str(directory)!r} without {MANIFEST}", "a manifest of its files")
    with path.open("rb") as file:
        content = file.read(LONGEST_MANIFEST)
    manifest = from_json(f"{MANIFEST} in {str(directory)!r}", content)
    version = manifest.get("schema_version")
    # First, as another schema may seal itself in another way.
    is_ours = manifest.get("format") == FORMAT and version != readable
    if is_ours and readable is not None and isinstance(version, int) and version >= 1:
        remedy = "upgrade redflare" if version > readable else "use the release that trained it"
        raise ArtifactError(
            f"artifact {str(directory)!r}, whose {MANIFEST} gives schema version {version}",
            f"{readable}, which this redflare reads",
            f"{remedy}, or train the artifact again with this one",
        )
    unsealed = {key: value for key, value in manifest.items() if key != "sha256"}
    whole = (
        set(manifest) == {"files", "format", "schema_version", "sha256"}
        and manifest["format"] == FORMAT
        and type(version) is int
        and version >= 1
        and _are_entries(manifest["files"])
        and manifest["sha256"] == _digest(to_json(unsealed))
        and content == to_json(manifest)
    )
    if not whole:
        refuse(f"{MANIFEST} in {str(directory)!r} with changed content", "the text it had")
    return manifest


def _are_entries(files: object) -> bool:
    return isinstance(files, dict) and all(
        isinstance(entry, dict)
        and set(entry) == {"bytes", "sha256"}
        and type(entry["bytes"]) is int
        and isinstance(entry["sha256"], str)
        for entry in files.values()
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
