"""The artifacts, kept by version as they were sealed, and which of them is in force since when."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from model.artifact import FILES, Artifact
from model.events import from_microseconds
from model.scorer import Scorer
from model.sealed import MANIFEST
from service.storage.errors import StorageError
from service.storage.rows import insert_into
from service.storage.schema import MODEL_FILES, MODELS, MODELS_IN_FORCE

NAMES: Final = (MANIFEST, *sorted(FILES))


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """One artifact that is kept.

    Parameters
    ----------
    version
        Of the model.
    sha256
        Of its manifest, which seals the rest.
    installed_at
        Microseconds since 1970 UTC.
    in_force
        Whether it scores now.
    """

    version: str
    sha256: str
    installed_at: int
    in_force: bool

    def to_json(self) -> dict[str, str | bool]:
        """A form that JSON can hold."""
        return {
            "version": self.version,
            "sha256": self.sha256,
            "installed_at": from_microseconds(self.installed_at).isoformat(),
            "in_force": self.in_force,
        }


def read_artifact(directory: Path) -> tuple[str, dict[str, bytes]]:
    """The version and the files of an artifact, verified: it loads, and it can score.

    Raises
    ------
    ArtifactError
        If it is damaged, incomplete, or of another release.
    """
    scorer = Scorer(Artifact.load(directory))
    files = {name: (directory / name).read_bytes() for name in NAMES}
    return scorer.artifact.model_version, files


def install(connection: Connection, version: str, files: dict[str, bytes], *, at: int) -> bool:
    """Keep an artifact and put it in force; whether another one, or none, was in force before.

    One that was damaged where it is kept is mended, and put in force anew.

    Parameters
    ----------
    connection
        Writing.
    version, files
        As `read_artifact` answers them.
    at
        The present, microseconds since 1970 UTC.

    Raises
    ------
    StorageError
        If other content is kept under the version.
    """
    sha256 = hashlib.sha256(files[MANIFEST]).hexdigest()
    row = {"version": version, "sha256": sha256, "installed_at": at}
    statement = insert_into(connection, MODELS).values(row)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["version"]))
    kept = connection.execute(
        select(MODELS.c.sha256).where(MODELS.c.version == version)
    ).scalar_one()
    if kept != sha256:
        raise StorageError(
            f"model {version} of SHA-256 {sha256}",
            f"{kept}, as it is kept",
            "install the artifact as it was trained, without changes",
        )
    query = select(MODEL_FILES.c.name, MODEL_FILES.c.content).where(
        MODEL_FILES.c.version == version
    )
    stored = {row.name: bytes(row.content) for row in connection.execute(query)}
    for name, content in files.items():
        statement = insert_into(connection, MODEL_FILES).values(
            version=version, name=name, content=content
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["version", "name"], set_={"content": content}
            )
        )
    is_mended = bool(stored) and stored != files
    if in_force(connection) == version and not is_mended:
        return False
    connection.execute(MODELS_IN_FORCE.insert().values(version=version, since=at))
    return True


def in_force(connection: Connection, at: int | None = None) -> str | None:
    """The version of the model in force, now or at a time; None where none was.

    Parameters
    ----------
    connection
        Reading.
    at
        Microseconds since 1970 UTC.
    """
    query = select(MODELS_IN_FORCE.c.version).order_by(MODELS_IN_FORCE.c.id.desc()).limit(1)
    if at is not None:
        query = query.where(MODELS_IN_FORCE.c.since <= at)
    return connection.execute(query).scalar()


def latest(connection: Connection) -> tuple[int, str] | None:
    """Which time a model was put in force last, and its version; None where none ever was."""
    query = select(MODELS_IN_FORCE.c.id, MODELS_IN_FORCE.c.version)
    row = connection.execute(query.order_by(MODELS_IN_FORCE.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else (row.id, row.version)


def load(connection: Connection, version: str) -> Scorer:
    """The scorer of a version, its files verified anew.

    Raises
    ------
    ArtifactError
        If they were changed.
    StorageError
        If there is no such version.
    """
    query = select(MODEL_FILES.c.name, MODEL_FILES.c.content).where(
        MODEL_FILES.c.version == version
    )
    files = {row.name: bytes(row.content) for row in connection.execute(query)}
    sha256 = connection.execute(select(MODELS.c.sha256).where(MODELS.c.version == version)).scalar()
    if sha256 is None or MANIFEST not in files:
        raise StorageError(
            f"model {version}", "one that is installed", "see them with redflare model list"
        )
    found = hashlib.sha256(files[MANIFEST]).hexdigest()
    if found != sha256:
        raise StorageError(
            f"model {version} of SHA-256 {found}", f"{sha256}, as installed", "install it again"
        )
    with tempfile.TemporaryDirectory(prefix="redflare-") as folder:
        for name, content in files.items():
            if name in NAMES:
                (Path(folder) / name).write_bytes(content)
        return Scorer(Artifact.load(Path(folder)))


def listed(connection: Connection) -> list[Installed]:
    """All that are kept, the latest in force first."""
    since = (
        select(MODELS_IN_FORCE.c.version, func.max(MODELS_IN_FORCE.c.id).label("last"))
        .group_by(MODELS_IN_FORCE.c.version)
        .subquery()
    )
    query = (
        select(MODELS)
        .join(since, since.c.version == MODELS.c.version)
        .order_by(since.c.last.desc())
    )
    now = in_force(connection)
    return [
        Installed(
            version=row.version,
            sha256=row.sha256,
            installed_at=row.installed_at,
            in_force=row.version == now,
        )
        for row in connection.execute(query)
    ]
