"""Where a review's events come from: an event log, or the service's database."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, func, select

from model.errors import RedflareError, ScoreError
from model.event_table import read_deal, read_shards, table_of
from model.events import KIND_CODES, microseconds
from model.history import NONE, History
from model.scorer import Scorer
from model.sources.standing import standing_events
from service.record import Record, read_record
from service.review.gathering import Models, trend_moments
from service.review.past import moments
from service.review.question import Question
from service.storage import events as stored
from service.storage import models
from service.storage.database import Database
from service.storage.schema import EVENTS
from service.storage.transfer import export


@dataclass(frozen=True, kw_only=True)
class Source:
    """The events of a company.

    Parameters
    ----------
    file
        An event log.
    of_deal
        Answers the events of one deal.
    """

    file: Path
    of_deal: Callable[[str], pa.Table]

    def shards(self) -> Iterator[pa.Table]:
        """Whole deals, some thousands of events at a time."""
        return read_shards(self.file)

    def fields(self, until: int) -> list[str]:
        """Names of the deals' own fields that hold a text, known by then, of the first deals.

        Enough to remind somebody of how they are spelt: one part of the company is looked at.
        """
        return next((_text_fields(shard, until) for shard in self.shards()), [])

    def record(self, until: int) -> Record:
        """What the events cover, read until a moment, microseconds since 1970 UTC."""
        return read_record(self.file, until)


def _text_fields(events: pa.Table, until: int) -> list[str]:
    history = History.from_table(events)
    told = (history.kind == KIND_CODES["field_changed"]) & (history.known <= until)
    codes = np.unique(history.name[told & (history.text != NONE)])
    return sorted(history.names[code] for code in codes.tolist() if code != NONE)


def file_source(path: Path) -> Source:
    """An event log as it lies."""
    return Source(file=path, of_deal=lambda deal_id: read_deal(path, deal_id))


@contextmanager
def database_source(database: Database) -> Iterator[Source]:
    """What stands in a database, copied by parts into an event log for as long as it is read."""
    with tempfile.TemporaryDirectory(prefix="redflare-") as folder:
        file = Path(folder) / "events.parquet"
        export(database, file)
        yield Source(file=file, of_deal=lambda deal_id: deals_of(database, [deal_id]))


def deals_of(database: Database, deal_ids: Sequence[str]) -> pa.Table:
    """The standing events of a few deals, as one table.

    Raises
    ------
    ScoreError
        If there is none.
    """
    with database.reading() as connection:
        told = [event for _, of in stored.of_deals(connection, deal_ids) for event in of]
    if not told:
        raise ScoreError(
            f"deal {', '.join(deal_ids)}", "a deal with events in the database", "check the id"
        )
    return table_of(standing_events(told))


def models_at(database: Database, question: Question) -> Models:
    """The models of a review: those in force at its moments, or else the one in force now.

    One of before the last review that this release cannot read counts as not known.
    """
    as_of, since = microseconds(question.as_of), microseconds(question.since)
    with database.reading() as connection:

        @cache
        def scorer(version: str) -> Scorer:
            return models.load(connection, version)

        mine = models.in_force(connection, as_of) or models.in_force(connection)
        if mine is None:
            return Models()
        then = models.in_force(connection, since) or mine
        past = {}
        looks = {moment.as_of for moment in moments(question, as_of)}
        for moment in looks | set(trend_moments(since)):
            version = models.in_force(connection, moment)
            if version is not None:
                with suppress(RedflareError):
                    past[moment] = scorer(version)
        return Models(now=scorer(mine), earlier=None if then == mine else scorer(then), past=past)


def last_known(connection: Connection) -> int | None:
    """When the latest event became known, microseconds since 1970 UTC; None without events."""
    return connection.execute(select(func.max(EVENTS.c.known_at))).scalar()
