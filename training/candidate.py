"""A trained candidate as a folder: all that a registry records of it, whole before it is sent.

A registry may be away when the work is done; from this folder the candidate is registered later,
with nothing trained again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from model.artifact import Artifact
from model.errors import RedflareError

SCHEMA_VERSION: Final = 1
DOCUMENT: Final = "candidate.json"
ARTIFACT: Final = "artifact"
PARTS: Final = frozenset(
    {DOCUMENT, ARTIFACT, "environment.txt", "plots", "report", "requirements.lock"}
)


class CandidateError(RedflareError):
    """A folder holds no candidate, or something else. Name one that redflare retrain kept."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is recorded of a candidate, beside its files.

    Parameters
    ----------
    model_version
        Of its artifact: the same content, the same id.
    created_at, created_by
        ISO 8601 UTC, and who trained it.
    parameters
        What was set and chosen.
    metrics
        Figures by name.
    dataset
        ``name``, ``digest``, ``source`` and ``profile`` (counts).
    summary
        What the table of versions shows: ``known_before``, ``deals``, ``log_loss`` and so on.
    code
        ``version``, ``digest`` and, where there is one, ``commit`` of Redflare.
    passed
        Whether the gate lets it take the champion's place.
    why
        The gate's conditions, in words.
    compared_with
        The version in force that it was compared with; None where there was none.
    example
        A few rows of features, by name, as an example of input.
    """

    model_version: str
    created_at: str
    created_by: str
    parameters: dict[str, Any]
    metrics: dict[str, float]
    dataset: dict[str, Any]
    summary: dict[str, Any]
    code: dict[str, str]
    passed: bool
    why: list[str]
    compared_with: str | None
    example: dict[str, list[Any]]

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def write_candidate(
    folder: Path, candidate: Candidate, artifact: Artifact, files: Mapping[str, str]
) -> None:
    """Write a candidate; the folder appears whole or not at all.

    Parameters
    ----------
    folder
        Where; an earlier candidate there is replaced.
    files
        Texts by their place in the folder, such as ``report/report.html``.

    Raises
    ------
    CandidateError
        If something else stands there: it is never overwritten; or nothing can be written there.
    """
    check_place(folder)
    folder = folder.resolve()
    part = _beside(folder)
    artifact.save(part / ARTIFACT)
    texts = {**files, DOCUMENT: json.dumps(candidate.to_json(), allow_nan=False, indent=1)}
    for name, text in texts.items():
        place = part / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)


def check_place(folder: Path) -> None:
    """Refuse a place that `write_candidate` could not write to, before the work is done.

    Parameters
    ----------
    folder
        Where; its parents are made.

    Raises
    ------
    CandidateError
        If something else than a candidate stands there, or nothing can be written there.
    """
    expected = "a new or empty folder, or a candidate to replace"
    target = folder.resolve()
    if target.exists():
        found = {path.name for path in target.iterdir()} if target.is_dir() else {target.name}
        strangers = sorted(found - PARTS if DOCUMENT in found else found)
        if strangers:
            raise CandidateError(
                f"{str(target)!r}, where {strangers[0]!r} is no part of a candidate",
                expected,
                "choose another folder, or move it away",
            )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Of its own name: no lock is held yet, and another retraining may be writing its part.
        Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)).rmdir()
    except OSError as error:
        raise CandidateError(
            f"{str(target)!r}, where nothing can be written ({error.strerror})",
            expected,
            "choose another folder",
        ) from error


def _beside(target: Path) -> Path:
    """A new folder to fill, which then takes the target's place; parents are made."""
    part = target.with_name(f".{target.name}.part")  # the retraining's lock keeps others away
    if part.exists():
        shutil.rmtree(part)  # of a job that was killed
    part.mkdir(parents=True)
    return part


def waiting(folder: Path) -> list[Path]:
    """The candidates that earlier retrainings left; their unfinished parts are cleared away.

    Parameters
    ----------
    folder
        Where candidates are kept, its lock held.
    """
    for part in folder.glob(".*.part"):
        shutil.rmtree(part)
    return sorted(found.parent for found in folder.glob(f"*/{DOCUMENT}"))


def read_candidate(folder: Path) -> Candidate:
    """Read what `write_candidate` wrote, its artifact checked.

    Raises
    ------
    CandidateError
        If it is none, or its artifact is another.
    ArtifactError
        If its artifact is damaged.
    """
    place = folder / DOCUMENT
    if not place.is_file():
        raise CandidateError(
            f"{folder}, without {DOCUMENT}", "a folder that redflare retrain kept", "check the name"
        )
    try:
        document = json.loads(place.read_text(encoding="utf-8"))
        version = document.pop("schema_version")
        candidate = Candidate(**document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CandidateError(
            f"{place} that cannot be read ({error})", "the text it had", "retrain again"
        ) from error
    found = Artifact.load(folder / ARTIFACT).model_version
    if version != SCHEMA_VERSION or found != candidate.model_version:
        raise CandidateError(
            f"{place} of schema {version} and model {candidate.model_version}",
            f"schema {SCHEMA_VERSION} and {found}, its artifact",
            "retrain again",
        )
    return candidate
