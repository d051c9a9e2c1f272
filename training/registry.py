"""The registry of models on MLflow: runs, versions, the aliases champion and challenger, the audit.

Nothing here is imported but by the commands that need it, and MLflow itself only when a registry
is opened: its import takes seconds. A plain folder is a registry too, with an SQLite database and
the artifacts in it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from model.artifact import Artifact
from model.errors import RedflareError
from training.audit import Audit
from training.candidate import ARTIFACT, Candidate, read_candidate
from training.lock import written_alone
from training.logged_model import ignore_its_own
from training.logged_run import MODEL, end_dead, end_killed, log_run
from training.registry_failure import told
from training.registry_place import RegistryPlace
from training.version import TAG, Act, RegistryAwayError, RegistryError, Version

NAME: Final = "redflare"
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
RETRIES: Final = "4"  # of a request; with MLflow's backoff about half a minute
SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": RETRIES,
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
PAGE: Final = 1000  # versions asked for at a time
PROMOTION_SECONDS: Final = 60.0  # for another promotion, which takes less than a second
TELL_SECONDS: Final = 1.0  # of waiting for it, after which a word is said


class Registry:
    """A model's versions in one MLflow store.

    Parameters
    ----------
    uri
        A folder, or what MLflow takes: ``http://host:5000``, ``sqlite:///file.db``.
    name
        Of the registered model and the experiment.
    create
        Whether to make one in a folder that holds none yet.

    Raises
    ------
    RegistryAwayError
        If it does not answer.
    RegistryError
        If there is none in the folder or it was moved, MLflow is not installed, or the store
        cannot be used.
    """

    def __init__(self, uri: str, name: str = NAME, *, create: bool = False) -> None:
        self.name = name
        self.given = uri
        for variable, value in SETTINGS.items():
            os.environ.setdefault(variable, value)
        self._place = place = RegistryPlace.of(uri)
        self.folder = place.folder
        self.is_new = place.make(create=create)
        with self._asking():
            try:
                from mlflow import MlflowClient
            except ImportError as error:
                raise RegistryError(
                    "no MLflow", "the package mlflow", "install redflare with its extra registry"
                ) from error
            self._client = MlflowClient(tracking_uri=place.uri, registry_uri=place.uri)
            self._client.search_experiments(max_results=1)
            experiment = self._client.get_experiment_by_name(name)
        self._audit = Audit(self._client, name)
        if experiment is not None:
            place.check_not_moved(experiment.artifact_location)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Tell MLflow's failures in words, without the noise of its own."""
        for talkative in ("alembic", "mlflow"):
            logging.getLogger(talkative).setLevel(logging.WARNING)
        with warnings.catch_warnings():
            ignore_its_own()
            try:
                yield
            except RedflareError:
                raise
            except Exception as error:
                if not type(error).__module__.startswith(("mlflow", "requests", "sqlalchemy")):
                    raise
                raise told(error, self.given, is_served=self.folder is None) from error

    def check_name(self) -> None:
        """Refuse the name of a model that a registry of others does not hold.

        Raises
        ------
        RegistryError
            If it is one; it names them.
        """
        with self._asking():
            held = sorted(str(each.name) for each in self._client.search_registered_models())
        if held and self.name not in held:
            given = f"model {self.name!r} in registry {self.given}"
            raise RegistryError(given, f"one of {', '.join(held)}", "check --name")

    def versions(self) -> list[Version]:
        """All versions, the newest first."""
        with self._asking():
            found: list[Any] = []
            token = None
            while True:
                page = self._client.search_model_versions(
                    f"name = '{self.name}'", max_results=PAGE, page_token=token
                )
                found += page
                token = page.token
                if not token:
                    break
            aliases = self._aliases() if found else {}
        read = [self._read(each, aliases) for each in found]
        return sorted(read, key=lambda version: -int(version.number))

    def version(self, number: str) -> Version:
        """One version.

        Raises
        ------
        RegistryError
            If there is none of that number.
        """
        found = self.versions()
        for each in found:
            if each.number == number:
                return each
        given = f"version {number!r} of {self.name!r}"
        if not found:
            raise RegistryError(given, "one that redflare retrain registered", "there is none yet")
        numbers = ", ".join(each.number for each in found)
        raise RegistryError(given, f"one of {numbers}", "see redflare versions")

    def champion(self) -> Version | None:
        """The version in force; None before the first."""
        return next((each for each in self.versions() if CHAMPION in each.aliases), None)

    def _aliases(self) -> dict[str, str]:
        held = self._client.get_registered_model(self.name).aliases
        return {alias: str(number) for alias, number in held.items()}

    def _read(self, found: Any, aliases: Mapping[str, str]) -> Version:
        number = str(found.version)
        return Version(
            number=number,
            aliases=tuple(sorted(alias for alias, held in aliases.items() if held == number)),
            run_id=str(found.run_id),
            tags={
                key.removeprefix(TAG): value
                for key, value in found.tags.items()
                if key.startswith(TAG)
            },
        )

    def artifact(self, version: Version) -> Artifact:
        """Download a version's artifact, checked against its manifest and the version's id.

        Raises
        ------
        RegistryError, ArtifactError
            If what is stored is another artifact than was registered, or damaged.
        """
        with tempfile.TemporaryDirectory() as folder:
            with self._asking():
                place = self._client.download_artifacts(version.run_id, ARTIFACT, folder)
            artifact = Artifact.load(Path(place))
        if artifact.model_version != version.model_version:
            raise RegistryError(
                f"version {version.number} that holds {artifact.model_version}",
                f"{version.model_version}, as it was registered",
                "register it again from where it was trained",
            )
        return artifact

    def register(self, folder: Path) -> Version:
        """Log a candidate as a run and register it as the new challenger.

        The same candidate registered again is the version that it already is.

        Parameters
        ----------
        folder
            As `training.candidate.write_candidate` wrote it.
        """
        candidate = read_candidate(folder)
        for each in self.versions():
            same = each.tags.get("created_at") == candidate.created_at
            if same and each.model_version == candidate.model_version:
                return self._challenging(each)
        with self._asking():
            end_killed(self._client, self._experiment(), candidate)
            run_id = self._log(folder, candidate)
            number = self._add_version(candidate, run_id)
        return self.version(number)

    def _challenging(self, version: Version) -> Version:
        """The version as challenger, where a killed registration left the newest without it."""
        newest = self.versions()[0]
        if newest.number != version.number or newest.aliases or "promote_at" in newest.tags:
            return version
        with self._asking():
            self._client.set_registered_model_alias(self.name, CHALLENGER, version.number)
        return self.version(version.number)

    def end_dead_runs(self) -> None:
        """End the runs that killed processes of this machine left running; their lock is held."""
        with self._asking():
            found = self._client.get_experiment_by_name(self.name)
            if found is not None:
                end_dead(self._client, str(found.experiment_id))

    def _log(self, folder: Path, candidate: Candidate) -> str:
        return log_run(self._client, self._experiment(), folder, candidate)

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.name)
        if found is not None:
            return str(found.experiment_id)
        place = self._place.artifacts
        kind = {"mlflow.experimentKind": "custom_model_development"}  # which view MLflow's UI opens
        return str(self._client.create_experiment(self.name, artifact_location=place, tags=kind))

    def _add_version(self, candidate: Candidate, run_id: str) -> str:
        client = self._client
        if not client.search_registered_models(f"name = '{self.name}'"):
            client.create_registered_model(self.name, description="Won by a date, and why.")
        tags = {f"{TAG}{key}": str(value) for key, value in candidate.summary.items()} | {
            f"{TAG}created_at": candidate.created_at,
            f"{TAG}created_by": candidate.created_by,
            f"{TAG}model_version": candidate.model_version,
            f"{TAG}passed": str(candidate.passed).lower(),
            f"{TAG}verdict": "\n".join(candidate.why),
        }
        version = client.create_model_version(
            self.name, source=f"runs:/{run_id}/{MODEL}", run_id=run_id, tags=tags
        )
        client.set_registered_model_alias(self.name, CHALLENGER, version.version)
        return str(version.version)

    def promote(self, version: Version, act: Act) -> None:
        """Make a version the champion, the audit first.

        Killed in between, the audit tells of a promotion that did not come, and the champion is
        the one before.

        Of two machines that promote at once on a server, which has no lock for them, one is told
        at least: each writes its entry, then looks again who is champion, then moves the alias,
        then looks for entries that it did not know. Whichever wrote its entry unseen by the
        other's last look does so after the other's alias, and finds it.

        Raises
        ------
        RegistryError
            If the champion is no longer the one that `act` says it replaces, and nothing is
            changed; or another machine promoted at the same moment: whichever came last is
            champion then.
        """
        with self._promoting():
            known = set(self._audit_tags())
            self._check_replaced(version, act)
            key = self._move_champion(version, act)
            others = set(self._audit_tags()) - known - {key}
            now = self.champion()
            if others or now is None or now.number != version.number:
                raise RegistryError(
                    f"version {version.number}, promoted while another machine promoted too",
                    "one promotion at a time",
                    "see redflare versions which is champion, and promote the one you want",
                )

    @contextmanager
    def _promoting(self) -> Iterator[None]:
        """One promotion at a time in a folder; a server has no lock that machines share."""
        if self._place.database is None:
            yield
            return
        with written_alone(
            self._place.database,
            lambda words: click.echo(words, err=True),
            wait_seconds=PROMOTION_SECONDS,
            tell_seconds=TELL_SECONDS,
            work="promotion",
        ):
            yield

    def _audit_tags(self) -> dict[str, str]:
        with self._asking():
            return self._audit.tags()

    def _check_replaced(self, version: Version, act: Act) -> None:
        """Refuse to replace another champion than the one that was compared with."""
        now = self.champion()
        if (now.number if now else None) != act.replaced:
            raise RegistryError(
                f"version {version.number}, compared with champion {act.replaced or 'none'}",
                f"the champion of now, {now.number if now else 'none'}",
                "another job changed it meanwhile: compare again",
            )

    def _move_champion(self, version: Version, act: Act) -> str:
        """Write the audit, look again, set the alias; the entry's key in the audit."""
        with self._asking():
            client = self._client
            key = self._audit.write(act)
            try:
                self._check_replaced(version, act)
            except RegistryAwayError:
                raise
            except RegistryError:
                self._audit.withdraw(key)
                raise
            tags = {"at": act.at, "by": act.who, "why": act.why}
            tags["overruled"] = "\n".join(act.overruled)
            for name, value in tags.items():
                tag = f"{TAG}{act.what}_{name}"
                client.set_model_version_tag(self.name, version.number, tag, value)
            client.set_registered_model_alias(self.name, CHAMPION, version.number)
            if self._aliases().get(CHALLENGER) == version.number:
                client.delete_registered_model_alias(self.name, CHALLENGER)
        return key

    def audit(self) -> list[Act]:
        """Every promotion and rollback, in order of time."""
        with self._asking():
            return self._audit.acts()

    def replaced_by(self, version: Version) -> Act | None:
        """The last promotion or rollback that took a champion's place; None where none did."""
        return next((act for act in self.audit()[::-1] if act.replaced == version.number), None)

    def line(self, champion: Version) -> Iterator[Version]:
        """The version that a champion replaced, the one that that one had replaced, and so on."""
        replaced = {act.version: act.replaced for act in self.audit() if act.what == "promote"}
        met, number = {champion.number}, replaced.get(champion.number)
        while number is not None and number not in met:
            yield self.version(number)
            met.add(number)
            number = replaced.get(number)

    def before(self, champion: Version) -> Version:
        """The version that a champion replaced, to go back to.

        Raises
        ------
        RegistryError
            If it replaced none.
        """
        found = next(self.line(champion), None)
        if found is not None:
            return found
        raise RegistryError(
            f"champion {champion.number}, which replaced none",
            "an earlier champion",
            "promote the version you want with redflare promote VERSION",
        )
