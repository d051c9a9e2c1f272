"""A version in the registry of models, an entry of its audit, and how a registry fails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from model.errors import RedflareError

TAG: Final = "redflare."  # begins the tags on MLflow that are ours
FAILED: Final = "FAILED: "  # begins a condition of the gate that does not hold


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

    @property
    def passed(self) -> bool:
        """Whether the gate let it pass, beside the champion that it was compared with."""
        return self.tags.get("passed") == "true"

    @property
    def compared_with(self) -> str | None:
        """That champion's version; None where there was none."""
        number = self.tags.get("compared_with", "none")
        return None if number == "none" else number

    @property
    def failed(self) -> tuple[str, ...]:
        """The conditions of the gate that failed, in words."""
        return failed_words(self.tags.get("verdict", "").splitlines())


def failed_words(words: Iterable[str]) -> tuple[str, ...]:
    """Of a verdict's lines those that failed, without the word.

    Examples
    --------
    >>> failed_words(["FAILED: 80 deals are judged", "held: no feature knows the outcome"])
    ('80 deals are judged',)
    """
    return tuple(each.removeprefix(FAILED) for each in words if each.startswith(FAILED))


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
        Whether it was against the gate, which a rollback is not: that asks none.
    overruled
        The conditions of the gate that failed, in words; empty where none did.
    """

    at: str
    who: str
    why: str
    what: str
    version: str
    replaced: str | None
    forced: bool = False
    overruled: tuple[str, ...] = ()
