"""A version in the registry of models, an entry of its audit, and how a registry fails."""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import RedflareError


class RegistryError(RedflareError):
    """The registry does not hold what was asked for, or refuses. Check the name or the version."""


class RegistryAwayError(RegistryError):
    """The registry cannot be reached. Start its server, and try again."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """A registered version.

    Parameters
    ----------
    number
        As MLflow counts, from 1.
    aliases
        Those that point at it.
    run_id
        Of the run that logged it.
    tags
        Without the prefix ``redflare.``.
    """

    number: str
    aliases: tuple[str, ...]
    run_id: str
    tags: dict[str, str]

    @property
    def model_version(self) -> str:
        """The id of its artifact."""
        return self.tags.get("model_version", "")


@dataclass(frozen=True, kw_only=True)
class Act:
    """An entry of the audit.

    Parameters
    ----------
    at, who, why
        ISO 8601 UTC, who did it, and the reason in words.
    what
        ``promote`` or ``rollback``.
    version, replaced
        The version that became champion, and the one before it; None where there was none.
    forced
        Whether it was against the gate.
    """

    at: str
    who: str
    why: str
    what: str
    version: str
    replaced: str | None
    forced: bool = False
