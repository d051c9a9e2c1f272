"""Reviews kept while they hold: one is gathered anew only when what it was made of has changed.

A review of a week is made of what was known by its Monday. So what becomes known later leaves it
as it is; an import that brings older events, another model, or something forgotten does not.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Final, TypeVar

import pyarrow as pa
from sqlalchemy import Connection, func, select

from model.errors import HorizonError, RedflareError, ScoreError
from model.events import from_microseconds, microseconds
from model.history import History
from model.period import week_name
from model.pipeline import Deal
from service.review.comparable import MOST_COMPARED
from service.review.deal_row import DealRow
from service.review.gathering import Gathered, Models, gather
from service.review.question import Question
from service.review.source import database_source, deals_of, models_at
from service.review.stored import with_stored_trends
from service.review.view import EVERYTHING, Choice, Review, laid_open, review_of
from service.storage.database import Database
from service.storage.retention import RETAIN
from service.storage.schema import AUDIT, EVENTS, MODELS_IN_FORCE, TOMBSTONES

MOST_KEPT: Final = 6  # reviews
MOST_ROWS: Final = 150_000  # open deals in all of them; the last one is kept whatever it has
MOST_VIEWS: Final = 200  # choices, deals and drawings of one
MOST_WAITING: Final = 8  # reviews to be gathered, one after the other; their pages ask again
REST_TIMES: Final = 10  # as long as the last making took, before one that nobody asked for
LOG: Final = logging.getLogger("redflare.review")
FAULT_SECONDS: Final = 30.0  # that a fault is answered, before the review is tried again
T = TypeVar("T")
Key = tuple[int, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """What a review was made of.

    Parameters
    ----------
    event_id
        The last event stored.
    forgotten
        How often something was forgotten, or what is old let go.
    in_force_id
        The last change of the model in force.
    """

    event_id: int
    forgotten: int
    in_force_id: int


@dataclass(kw_only=True, eq=False)
class Kept:
    """A review that is kept, with what was made of it.

    Parameters
    ----------
    gathered
        The whole company.
    version
        What it was made of, and is known to hold for.
    database
        Has the events of each deal.
    """

    gathered: Gathered
    version: Version
    database: Database
    views: OrderedDict[Any, Any] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """What was made under a key before, or is made now."""
        with self.lock:
            if key in self.views:
                self.views.move_to_end(key)
                found: T = self.views[key]
                return found
        made = make()
        with self.lock:
            self.views[key] = made
            while len(self.views) > MOST_VIEWS:
                self.views.popitem(last=False)
        return made

    def review(self, choice: Choice = EVERYTHING) -> Review:
        """The review of some deals, its red flares laid open."""

        def make() -> Review:
            made = review_of(self.gathered, choice)
            return laid_open(
                self.gathered, made, lambda deal_id: deals_of(self.database, [deal_id])
            )

        return self.once(("review", choice), make)

    def _events(self, deal_id: str) -> pa.Table:
        return deals_of(self.database, [deal_id])

    def deals(self) -> dict[str, tuple[Deal, DealRow | None]]:
        """Every deal known now, with its row while it is open."""

        def make() -> dict[str, tuple[Deal, DealRow | None]]:
            rows = {row.deal.deal_id: row for row in self.review().rows}
            return {
                deal.deal_id: (deal, rows.get(deal.deal_id)) for deal in self.gathered.now.deals
            }

        return self.once("deals", make)

    def names(self, seen: frozenset[str] | None) -> tuple[list[str], list[str]]:
        """The owners and the segments of the deals that may be seen."""

        def make() -> tuple[list[str], list[str]]:
            choice = Choice(seen=seen)
            mine = [deal for deal, _ in self.deals().values() if choice.takes(deal)]
            return (
                sorted({deal.owner or "" for deal in mine}),
                sorted({deal.segment or "" for deal in mine}),
            )

        return self.once(("names", seen), make)

    def closed(self, seen: Choice = EVERYTHING) -> tuple[list[Deal], History | None]:
        """The latest closings that may be seen, with their events; None where nothing has closed.

        They are many events: beside everybody's, those of one key at a time are kept.
        """

        def make() -> tuple[list[Deal], History | None]:
            deals = [
                deal
                for deal in self.gathered.now.deals
                if deal.status != "open" and seen.takes(deal)
            ]
            deals.sort(key=lambda deal: (-(deal.closed_us or 0), deal.deal_id))
            latest = deals[:MOST_COMPARED]
            if not latest:
                return [], None
            found = deals_of(self.database, [deal.deal_id for deal in latest])
            return latest, History.from_table(found)

        if seen.is_all:
            return self.once("closed", make)
        kept_for, closed = self.once("closed of a key", lambda: (seen, make()))
        if kept_for != seen:
            closed = make()
            with self.lock:
                self.views["closed of a key"] = seen, closed
        return closed


@dataclass(frozen=True, kw_only=True, eq=False)
class Refused:
    """Why a review could not be made.

    Parameters
    ----------
    version
        What it would have been made of.
    error
        Told to whoever asks.
    until
        By the shelf's stopwatch: later it is tried again.
    """

    version: Version
    error: RedflareError
    until: float = inf


class Shelf:
    """The reviews of one database that are kept.

    Parameters
    ----------
    database
        Holds events and models.
    stopwatch
        Seconds that never go back.
    """

    def __init__(self, database: Database, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._stopwatch = stopwatch
        self._rests_until = stopwatch()
        self._kept: OrderedDict[Key, Kept | Refused] = OrderedDict()
        self._waiting: OrderedDict[Key, tuple[Question, Version]] = OrderedDict()
        self._under_way: Key | None = None
        self._works = False
        self._lock = threading.Lock()

    def find(self, question: Question) -> Kept | None:
        """The review of a question, or None while it waits or is gathered in another thread.

        One that no longer holds is answered until the new one is there. One that finds no room
        among those that wait is to be asked for again.

        Raises
        ------
        RedflareError
            If it cannot be made.
        """
        key = (microseconds(question.as_of), question.period.last.isoformat())
        with self._database.reading() as connection:
            version = version_of(connection)
            with self._lock:
                kept = self._kept.get(key)
            if isinstance(kept, Kept) and _holds(connection, kept, version, key[0]):
                kept.version = version
                return kept
        if isinstance(kept, Refused):
            if kept.version == version and self._stopwatch() < kept.until:
                raise kept.error
            kept = None
        with self._lock:
            self._queue(key, question, version)
        return kept

    def warm(self, question: Question) -> None:
        """Have a review made before it is asked for, unless it holds or the last making is near.

        A company that hears something old all the time would have one made after the other.
        """
        if self._stopwatch() >= self._rests_until:
            with suppress(RedflareError):  # told to whoever asks
                self.find(question)

    def _queue(self, key: Key, question: Question, version: Version) -> None:
        is_known = key == self._under_way or key in self._waiting
        if is_known or len(self._waiting) >= MOST_WAITING:
            return
        self._waiting[key] = question, version
        if not self._works:
            self._works = True
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        """Gather what waits, one review after the other, until nothing does."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._works, self._under_way = False, None
                    return
                self._under_way, (question, version) = self._waiting.popitem(last=False)
                key = self._under_way
            begun = self._stopwatch()
            made = self._gather(question, version)
            ended = self._stopwatch()
            with self._lock:
                self._rests_until = ended + REST_TIMES * (ended - begun)
                self._keep(key, made)

    def _gather(self, question: Question, version: Version) -> Kept | Refused:
        try:
            gathered = self._gathered(question)
            made = Kept(gathered=gathered, version=version, database=self._database)
            made.deals()  # and with them the review of everything, which is asked for first
        except RedflareError as error:
            return Refused(version=version, error=error)
        except Exception as error:  # such as a full disk, which may pass
            LOG.error("a review cannot be made", exc_info=error)
            fault = ScoreError(
                "a fault of the service", "a review", "see the log, and look again in a minute"
            )
            until = self._stopwatch() + FAULT_SECONDS
            return Refused(version=version, error=fault, until=until)
        return made

    def _keep(self, key: Key, made: Kept | Refused) -> None:
        self._kept[key] = made
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and (len(self._kept) > MOST_KEPT or self._rows() > MOST_ROWS):
            self._kept.popitem(last=False)

    def _rows(self) -> int:
        kept = [each for each in self._kept.values() if isinstance(each, Kept)]
        return sum(len(each.gathered.rows) for each in kept)

    def _gathered(self, question: Question) -> Gathered:
        models = usable(models_at(self._database, question), question)
        as_of = microseconds(question.as_of)
        with database_source(self._database) as source:
            record = source.record(as_of)
            try:
                made = gather(source.shards(), record, question, models)
            except HorizonError as error:
                refused = f"The model in force cannot answer for {question.period.last}: {error}"
                return gather(source.shards(), record, question, Models(refused=refused))
        return with_stored_trends(made, self._database)


def usable(models: Models, question: Question) -> Models:
    """Those of the models that say something of a week without hindsight."""
    as_of = microseconds(question.as_of)
    if models.now is not None and as_of < models.now.known_before:
        cut_off = from_microseconds(models.now.known_before).date()
        return Models(
            refused=f"The model in force has learned from what came until {cut_off}, after the "
            f"begin of {week_name(question.as_of)}: its probabilities would be hindsight. Look "
            "again next week, or put a model in force that was trained with --known-before "
            f"{question.as_of.date()}."
        )
    if models.earlier is not None and microseconds(question.since) < models.earlier.known_before:
        return replace(models, earlier=None)
    return models


def version_of(connection: Connection) -> Version:
    """What a review made now would be made of."""
    stones = select(func.count()).select_from(TOMBSTONES)
    let_go = select(func.count()).select_from(AUDIT).where(AUDIT.c.what == RETAIN)
    return Version(
        event_id=connection.execute(select(func.max(EVENTS.c.id))).scalar() or 0,
        forgotten=connection.execute(stones).scalar_one() + connection.execute(let_go).scalar_one(),
        in_force_id=connection.execute(select(func.max(MODELS_IN_FORCE.c.id))).scalar() or 0,
    )


def _holds(connection: Connection, kept: Kept, version: Version, as_of: int) -> bool:
    """Whether a review holds though more was stored since: nothing that was known by then."""
    old = kept.version
    if (old.forgotten, old.in_force_id) != (version.forgotten, version.in_force_id):
        return False
    if old.event_id == version.event_id:
        return True
    news = select(EVENTS.c.id).where(EVENTS.c.id > old.event_id, EVENTS.c.known_at <= as_of)
    return connection.execute(news.limit(1)).first() is None
