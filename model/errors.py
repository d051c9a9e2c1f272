"""Every error Redflare raises on purpose: what was given, what was expected, what to do."""

from __future__ import annotations


class RedflareError(ValueError):
    """Something given to Redflare cannot be used. Check the message for the remedy.

    Parameters
    ----------
    given
        What was given, with its name: ``"as_of '2026-01-05T10:00'"``.
    expected
        What would have been accepted.
    remedy
        What the reader can do about it.

    Examples
    --------
    >>> print(RedflareError("days 0", "a number of days above 0", "ask for a later date"))
    days 0: expected a number of days above 0. Remedy: ask for a later date.
    """

    def __init__(self, given: str, expected: str, remedy: str) -> None:
        self.given = given
        self.expected = expected
        self.remedy = remedy
        super().__init__(f"{given}: expected {expected}. Remedy: {remedy}.")

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return (type(self), (self.given, self.expected, self.remedy))


class EventError(RedflareError):
    """An event breaks the schema. Correct the row, or leave it out."""


class HistoryError(RedflareError):
    """A history cannot answer what was asked. Check the deal's events and the time asked for."""


class MappingError(RedflareError):
    """A mapping file cannot be used. Correct the named entry."""


class TrainingDataError(RedflareError):
    """There is not enough to learn from. Bring more closed deals, or an earlier cut-off."""


class HorizonError(RedflareError):
    """A date outside what the model answers was asked for. Ask for one within its horizon."""


class ArtifactError(RedflareError):
    """An artifact is damaged, of another version, or incomplete. Copy or train it again."""


class ScoreError(RedflareError):
    """A deal cannot be scored as asked. The message says what is missing."""


class WhatIfError(RedflareError):
    """An event cannot be supposed of a deal. The message says what could be."""


class OwnFeaturesError(RedflareError):
    """A file of own features cannot be used. Correct what the message names."""
