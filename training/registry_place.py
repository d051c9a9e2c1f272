"""Where a registry lies: a folder with an SQLite database and the artifacts, or an address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from training.version import RegistryError

SQLITE: Final = "sqlite:///"
DATABASE: Final = "mlflow.db"  # in a folder that is a registry
ARTIFACTS: Final = "artifacts"  # beside it


@dataclass(frozen=True, kw_only=True)
class RegistryPlace:
    """A registry's place.

    Parameters
    ----------
    given
        As it was named.
    uri
        As MLflow takes it.
    database
        The file of its database; None where a server or another database answers.
    """

    given: str
    uri: str
    database: Path | None

    @classmethod
    def of(cls, given: str) -> RegistryPlace:
        """The place of a folder, or of what MLflow takes.

        Examples
        --------
        >>> RegistryPlace.of("/srv/models").uri, RegistryPlace.of("http://host:5000").uri
        ('sqlite:////srv/models/mlflow.db', 'http://host:5000')
        """
        if "://" not in given:
            made = Path(given).absolute() / DATABASE
            return cls(given=given, uri=f"{SQLITE}{made}", database=made)
        named = given.removeprefix(SQLITE)
        database = None if named == given else Path(named).absolute()
        return cls(given=given, uri=given, database=database)

    @property
    def folder(self) -> Path | None:
        """That of the database; None where there is none."""
        return None if self.database is None else self.database.parent

    @property
    def artifacts(self) -> str | None:
        """Where artifacts are put, as MLflow takes it; None leaves it to the server."""
        return None if self.folder is None else (self.folder / ARTIFACTS).as_uri()

    def make(self, *, create: bool) -> bool:
        """Whether the database is still to be made: a mistyped place is no new registry.

        Raises
        ------
        RegistryError
            If there is none, and none is to be made.
        """
        if self.database is None or self.database.is_file():
            return False
        if not create:
            raise RegistryError(
                f"registry {self.given}, where there is no {self.database.name}",
                "the folder of a registry that redflare retrain made, or an MLflow address",
                "check the name; redflare retrain makes a new one",
            )
        self.database.parent.mkdir(parents=True, exist_ok=True)
        return True

    def check_not_moved(self, artifacts: str) -> None:
        """Refuse a folder away from where it was made, for MLflow keeps whole paths.

        Parameters
        ----------
        artifacts
            Where MLflow says that they are.

        Raises
        ------
        RegistryError
            If it was moved.
        """
        if self.folder is None:
            return
        kept, here = Path(unquote(urlsplit(artifacts).path)), self.folder / ARTIFACTS
        if kept.exists() or kept.resolve() == here.resolve():
            return
        raise RegistryError(
            f"registry {self.given}, which was made in {kept.parent}",
            "a registry in the folder where it was made, as MLflow keeps whole paths",
            f"move it back, or link it: ln -s {self.folder} {kept.parent}",
        )
