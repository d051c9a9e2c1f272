"""An artifact is kept as it was sealed, and put in force only if it verifies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import update

from model.errors import ArtifactError
from model.scorer import Scorer
from service.model_in_force import ModelInForce
from service.storage import models
from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.schema import MODEL_FILES, MODELS_IN_FORCE


def install(database: Database, directory: Path, at: int = 1) -> bool:
    version, files = models.read_artifact(directory)
    with database.writing() as connection:
        return models.install(connection, version, files, at=at)


def test_an_installed_model_scores_as_the_artifact_does(
    database: Database, small_artifact: Path, scorer: Scorer
) -> None:
    assert install(database, small_artifact) is True
    assert install(database, small_artifact) is False  # it is in force already
    in_force = ModelInForce(database)

    assert in_force.refresh() is True
    assert in_force.scorer is not None
    assert in_force.scorer.artifact.model_version == scorer.artifact.model_version
    assert in_force.refresh() is False
    with database.reading() as connection:
        (listed,) = models.listed(connection)
        assert (listed.version, listed.in_force) == (scorer.artifact.model_version, True)
        assert models.in_force(connection, at=0) is None
        assert models.in_force(connection, at=1) == listed.version


def test_a_damaged_artifact_is_not_installed(
    database: Database, small_artifact: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(small_artifact, damaged)
    (damaged / "tables.npz").write_bytes(b"x")

    with pytest.raises(ArtifactError):
        install(database, damaged)


def test_a_model_that_was_changed_in_the_database_is_refused_and_the_old_one_serves(
    database: Database, small_artifact: Path, scorer: Scorer
) -> None:
    install(database, small_artifact)
    with database.writing() as connection:
        damaged = update(MODEL_FILES).where(MODEL_FILES.c.name == "tables.npz")
        connection.execute(damaged.values(content=b"x"))
    fresh = ModelInForce(database)

    assert fresh.refresh() is False
    assert fresh.scorer is None
    with database.reading() as connection, pytest.raises(ArtifactError):
        models.load(connection, scorer.artifact.model_version)


def test_the_last_put_in_force_is_in_force_again(
    database: Database, small_artifact: Path, scorer: Scorer
) -> None:
    version = scorer.artifact.model_version
    install(database, small_artifact)
    with database.writing() as connection:
        connection.execute(models.MODELS.insert().values(version="m-2", sha256="", installed_at=2))
        connection.execute(MODELS_IN_FORCE.insert().values(version="m-2", since=2))
    serving = ModelInForce(database, scorer)
    assert serving.refresh() is False  # m-2 has no files: the old one serves
    assert serving.scorer is scorer

    assert install(database, small_artifact, at=3) is True
    with database.reading() as connection:
        assert models.in_force(connection) == version
        assert [each.version for each in models.listed(connection)] == [version, "m-2"]


def test_an_unknown_version_is_told(database: Database) -> None:
    with (
        database.reading() as connection,
        pytest.raises(StorageError, match="redflare model list"),
    ):
        models.load(connection, "m-0")
