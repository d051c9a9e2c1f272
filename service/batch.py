"""Score a file of events: whole deals in shards, side by side on the machine's cores."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed
from numpy.typing import NDArray

from model.artifact import Artifact
from model.errors import HorizonError, ScoreError
from model.event_table import fewest_shards, read_shards
from model.events import from_microseconds
from model.feeds import Feed, Feeds
from model.hazard import edge_weights
from model.history import History, Ints
from model.score import Score
from model.scorer import Scorer, days_until
from service.own_features import declare_named
from service.points import Points, Unscored, pairs
from service.record import MOST_UNRECORDED_DAYS, Record, read_record
from service.score_columns import driver_table, within_table


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of every deal.

    Parameters
    ----------
    as_of
        Microseconds since 1970 UTC; None if `points` says it for each deal.
    points
        (deal_id, as_of) pairs by deal; only those are scored.
    close_by, within_days
        The date asked about with drivers, or days without.
    hindsight
        Allow an `as_of` before the artifact's cut-off.
    as_scores
        Answer `Score` objects rather than table rows.
    most
        Drivers of each `Score`.
    """

    as_of: int | None = None
    points: Points | None = None
    close_by: date | None = None
    within_days: tuple[float, ...] = ()
    hindsight: bool = False
    as_scores: bool = False
    most: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What came of one shard.

    Parameters
    ----------
    table
        Rows of open deals; None where scores were asked for.
    scores
        The same deals as `Score` objects.
    asked, answered
        How many (deal, as_of) pairs were asked for, and how many of them were open.
    points_of
        The deals of points that the shard holds.
    not_open
        Points at which they were not open.
    """

    table: pa.Table | None
    scores: list[Score]
    asked: int
    answered: int
    points_of: list[str] = field(default_factory=list)
    not_open: list[tuple[str, int]] = field(default_factory=list)


def score_file(
    events: Path,
    artifact: Path,
    question: Question,
    *,
    jobs: int,
    unscored: Unscored,
    warn: Callable[[str], object],
    step: Callable[[int], object] = int,
) -> Iterator[Answer]:
    """Score every deal of a file, shard by shard in the file's order.

    Parameters
    ----------
    events
        A file of events.
    artifact
        A directory.
    question
        What to score and when.
    jobs
        Processes to use.
    unscored
        Takes the points that are not scored; complete when all is answered.
    warn
        Called with what is doubtful.
    step
        Called with the number of deals after each shard.

    Yields
    ------
    Answer
        One for each shard.

    Raises
    ------
    RedflareError
        If the artifact, the events or the question cannot be used.
    """
    scorer = load_scorer(artifact)
    question = _answerable(scorer, question, unscored)
    moments = list(_moments(question))
    record = read_record(events, max(moments, default=0))
    question = _recorded(record, question, unscored, warn)
    if record.feeds and record.feeds.keys().isdisjoint(scorer.trained_feeds):
        warn(
            f"no source of {events} ({', '.join(sorted(record.feeds))}) was met in training "
            f"({', '.join(sorted(scorer.trained_feeds))}): is this the artifact of these events?"
        )
    feeds = known_feeds(scorer, record)
    shards = read_shards(events)
    jobs = useful_jobs(events, jobs)
    if jobs == 1:
        answers: Iterator[Answer] = (
            score_shard(artifact, shard, question, feeds) for shard in shards
        )
    else:
        answers = Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="n_jobs")(
            delayed(score_shard)(artifact, shard, question, feeds) for shard in shards
        )
    unheard = dict(question.points or {})
    for answer in answers:
        for deal_id in answer.points_of:
            del unheard[deal_id]
        unscored.add("of deals that were not open as known then", answer.not_open)
        step(answer.asked)
        yield answer
    unscored.add("of deals that are not in the events", pairs(unheard))


def useful_jobs(events: Path, jobs: int) -> int:
    """As many of the processes asked for as there are shards and cores to keep busy.

    Parameters
    ----------
    events
        A file of events.
    jobs
        Processes asked for, at least 1.
    """
    if jobs == 1:
        return 1
    return max(1, min(jobs, os.cpu_count() or 1, fewest_shards(events)))


def _answerable(scorer: Scorer, question: Question, unscored: Unscored) -> Question:
    """Refuse what the artifact cannot answer here, not in a worker; of points only those."""
    if question.close_by is None:
        edge_weights(scorer.edges, np.asarray(question.within_days, dtype=np.float64))
    if question.as_of is not None:
        check_moment(scorer, question.as_of, hindsight=question.hindsight)
        _check_close_by(scorer, question, question.as_of)
    kept: dict[str, list[int]] = {}
    cutoff = from_microseconds(scorer.known_before).date()
    early = f"before {cutoff}, the cut-off of the artifact (--hindsight allows it)"
    far = f"from which {question.close_by} lies outside what the artifact answers"
    refused = dict[int, str]()  # by moment, so that each is looked at once
    for deal_id, moment in pairs(question.points or {}):
        if moment not in refused:
            refused[moment] = ""
            try:
                _check_close_by(scorer, question, moment)
            except HorizonError:
                refused[moment] = far
            if moment < scorer.known_before and not question.hindsight:
                refused[moment] = early
        if refused[moment]:
            unscored.add(refused[moment], [(deal_id, moment)])
        else:
            kept.setdefault(deal_id, []).append(moment)
    return question if question.points is None else replace(question, points=kept)


def _check_close_by(scorer: Scorer, question: Question, moment: int) -> None:
    if question.close_by is not None:
        check_close_by(scorer, question.close_by, moment)


def check_moment(scorer: Scorer, moment: int, *, hindsight: bool, name: str = "as_of") -> None:
    """As `Scorer.check_as_of`, with the option of the command that allows hindsight.

    Raises
    ------
    ScoreError
        If the moment lies before the artifact's cut-off and `hindsight` is not set.
    """
    try:
        scorer.check_as_of(moment, hindsight, name)
    except ScoreError as error:
        remedy = "use the artifact that was in force then, or add --hindsight"
        raise ScoreError(error.given, error.expected, remedy) from error


def check_close_by(scorer: Scorer, close_by: date, moment: int) -> None:
    """Refuse a date that lies before the moment of the score or further than the artifact sees.

    Parameters
    ----------
    close_by
        Inclusive.
    moment
        Microseconds since 1970 UTC.

    Raises
    ------
    HorizonError
        If it is one; of a date that is over it names both.
    """
    ahead = days_until(moment, close_by)
    if ahead <= 0.0:
        as_of = from_microseconds(moment).isoformat()
        raise HorizonError(
            f"--close-by {close_by}, which ends before --as-of {as_of}",
            "a date that is not over at --as-of",
            "ask for a later --close-by, or an earlier --as-of",
        )
    edge_weights(scorer.edges, ahead, as_of_us=moment)


def _recorded(
    record: Record, question: Question, unscored: Unscored, warn: Callable[[str], object]
) -> Question:
    """Refuse what lies far past the record's end, of points only those; warn of what lies near."""
    kept: dict[str, list[int]] = {}
    for deal_id, moment in pairs(question.points or {}):
        if record.days_past(moment) > MOST_UNRECORDED_DAYS:
            end = from_microseconds(record.end).date()
            reason = f"more than {MOST_UNRECORDED_DAYS} days after the record ends on {end}"
            unscored.add(reason, [(deal_id, moment)])
        else:
            kept.setdefault(deal_id, []).append(moment)
    question = question if question.points is None else replace(question, points=kept)
    for warning in record.warnings(max(_moments(question), default=record.end)):
        warn(warning)
    return question


def _moments(question: Question) -> Iterator[int]:
    if question.as_of is not None:
        yield question.as_of
    for _, moment in pairs(question.points or {}):
        yield moment


@lru_cache(maxsize=2)
def load_scorer(artifact: Path) -> Scorer:
    """The scorer of an artifact, loaded and verified once a process."""
    declare_named(os.environ)  # to a process of several, which no command line told
    return Scorer(Artifact.load(artifact))


def score_shard(artifact: Path, table: pa.Table, question: Question, feeds: Feeds) -> Answer:
    """Score the deals of one table.

    Parameters
    ----------
    artifact
        A directory.
    table
        Events of whole deals.
    question
        What to score and when.
    feeds
        What each source carries and when it was heard.
    """
    scorer = load_scorer(artifact)
    with _collector_paused():
        return _score(scorer, table, question, feeds)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Spare the search for cycles, a seventh of the time: scoring makes none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _score(scorer: Scorer, table: pa.Table, question: Question, feeds: Feeds) -> Answer:
    history = History.from_table(table)
    deal, as_of = _asked(history, question)
    if len(deal) == 0:
        return Answer(table=None, scores=[], asked=0, answered=0)
    if question.close_by is not None:
        days = np.array([days_until(int(t), question.close_by) for t in np.unique(as_of)])
        days = days[np.searchsorted(np.unique(as_of), as_of)]
        scored = scorer.score_many(history, deal, as_of, days, feeds, checked=True)
        if question.as_scores:
            scores = scorer.scores(
                history, deal, as_of, days, scored, question.close_by, question.most
            )
            return _answer(history, question, deal, as_of, scored.is_open, scores=scores)
        table = driver_table(scorer, history, deal, as_of, question.close_by, days, scored)
        return _answer(history, question, deal, as_of, scored.is_open, table=table)
    scored = scorer.score_many(history, deal, as_of, None, feeds, checked=True)
    table = within_table(scorer, history, deal, as_of, question.within_days, scored)
    return _answer(history, question, deal, as_of, scored.is_open, table=table)


def _answer(
    history: History,
    question: Question,
    deal: Ints,
    as_of: Ints,
    is_open: NDArray[np.bool_],
    *,
    table: pa.Table | None = None,
    scores: Sequence[Score] = (),
) -> Answer:
    points_of, not_open = list[str](), list[tuple[str, int]]()
    if question.points is not None:
        points_of = [history.deal_ids[i] for i in np.unique(deal)]
        closed = zip(deal[~is_open].tolist(), as_of[~is_open].tolist(), strict=True)
        not_open = [(history.deal_ids[i], moment) for i, moment in closed]
    return Answer(
        table=table,
        scores=list(scores),
        asked=len(deal),
        answered=int(is_open.sum()),
        points_of=points_of,
        not_open=not_open,
    )


def _asked(history: History, question: Question) -> tuple[Ints, Ints]:
    if question.points is None:
        deal = np.arange(history.deals)
        return deal, np.full(history.deals, question.as_of or 0, dtype=np.int64)
    pairs = [
        (index, moment)
        for index, deal_id in enumerate(history.deal_ids)
        for moment in question.points.get(deal_id, ())
    ]
    asked = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return asked[:, 0], asked[:, 1]


def known_feeds(scorer: Scorer, record: Record) -> dict[str, Feed]:
    """The training's feeds with the times at which a file shows them heard."""
    return scorer.feeds(record.feeds)
