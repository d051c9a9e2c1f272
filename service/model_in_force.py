"""The model in force, swapped under a running service when another one is installed."""

from __future__ import annotations

import logging
from typing import Final

from model.errors import ArtifactError
from model.scorer import Scorer
from service.storage import models
from service.storage.database import Database
from service.storage.errors import StorageError

LOG: Final = logging.getLogger("redflare.model")


class ModelInForce:
    """The scorer of the model in force.

    Parameters
    ----------
    database
        Where models are installed; None where the one given serves for good.
    scorer
        Until `refresh` finds another.
    """

    def __init__(self, database: Database | None = None, scorer: Scorer | None = None) -> None:
        self._database = database
        self._refused: int | None = None  # which time one was put in force that is not taken
        self.scorer = scorer

    def refresh(self) -> bool:
        """Look whether another model was installed, and take it; whether there was one.

        One that does not verify is refused, and the old one goes on serving.

        Raises
        ------
        StoreUnavailable
            If the database does not answer.
        """
        if self._database is None:
            return False
        with self._database.reading() as connection:
            latest = models.latest(connection)
            if latest is None or latest[0] == self._refused:
                return False
            number, version = latest
            if self.scorer is not None and self.scorer.artifact.model_version == version:
                return False
            try:
                scorer = models.load(connection, version)
            except (ArtifactError, StorageError) as error:
                self._refused = number
                LOG.error("model %s is not put in force: %s", version, error)  # the reason suffices
                return False
        self.scorer, self._refused = scorer, None
        LOG.info("model %s is in force", version)
        return True
