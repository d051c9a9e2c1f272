"""Score a file of events: whole deals in shards, side by side on the machine's cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from joblib import Parallel, delayed

from model.artifact import Artifact
from model.errors import ScoreError
from model.event_table import read_columns, read_shards
from model.events import KIND_CODES, microseconds, parse_time
from model.feeds import Feed, Feeds, feeds_of_columns, merge_feeds
from model.hazard import edge_weights
from model.history import History, Ints
from model.score import Score
from model.scorer import Scorer, days_until

NAMED_DRIVERS: Final = 3  # of each deal in a table
WITHIN_SCHEMA: Final = pa.schema(
    [
        ("deal_id", pa.string()),
        ("as_of", pa.timestamp("us", tz="UTC")),
        ("days", pa.float64()),
        ("probability", pa.float64()),
    ]
)


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
    points: Mapping[str, list[int]] | None = None
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
    """

    table: pa.Table | None
    scores: list[Score]
    asked: int
    answered: int


def score_file(
    events: Path,
    artifact: Path,
    question: Question,
    *,
    jobs: int,
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
    moments = list(_moments(question))
    for moment in moments:
        scorer.check_as_of(moment, question.hindsight)
    _check_days(scorer, question, moments)
    feeds = known_feeds(scorer, events, max(moments, default=0))
    shards = read_shards(events)
    if jobs == 1:
        answers: Iterator[Answer] = (
            score_shard(artifact, shard, question, feeds) for shard in shards
        )
    else:
        answers = Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="n_jobs")(
            delayed(score_shard)(artifact, shard, question, feeds) for shard in shards
        )
    for answer in answers:
        step(answer.asked)
        yield answer


def _check_days(scorer: Scorer, question: Question, moments: list[int]) -> None:
    """Refuse what the artifact cannot answer here, not in a worker."""
    if question.close_by is None:
        edge_weights(scorer.edges, np.asarray(question.within_days, dtype=np.float64))
    elif moments:
        as_of = np.unique(np.array(moments, dtype=np.int64))
        days = np.array([days_until(moment, question.close_by) for moment in as_of.tolist()])
        edge_weights(scorer.edges, days, as_of_us=as_of)


def _moments(question: Question) -> Iterator[int]:
    if question.as_of is not None:
        yield question.as_of
    for moments in (question.points or {}).values():
        yield from moments


@lru_cache(maxsize=2)
def load_scorer(artifact: Path) -> Scorer:
    """The scorer of an artifact, loaded and verified once a process."""
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
    history = History.from_table(table)
    deal, as_of = _asked(history, question)
    if len(deal) == 0:
        return Answer(table=None, scores=[], asked=0, answered=0)
    if question.close_by is not None:
        days = np.array([days_until(int(t), question.close_by) for t in np.unique(as_of)])
        days = days[np.searchsorted(np.unique(as_of), as_of)]
        scored = scorer.score_many(history, deal, as_of, days, feeds)
        answered = int(scored.is_open.sum())
        if question.as_scores:
            scores = scorer.scores(
                history, deal, as_of, days, scored, question.close_by, question.most
            )
            return Answer(table=None, scores=scores, asked=len(deal), answered=answered)
        rows = np.flatnonzero(scored.is_open)
        return Answer(
            table=_driver_table(scorer, history, deal, as_of, question.close_by, scored, rows),
            scores=[],
            asked=len(deal),
            answered=answered,
        )
    scored = scorer.score_many(history, deal, as_of, None, feeds)
    rows = np.flatnonzero(scored.is_open)
    probability = scorer.probabilities(scored, question.within_days)[rows]
    horizons = len(question.within_days)
    table = pa.table(
        {
            "deal_id": np.repeat(np.array(history.deal_ids, dtype=object)[deal[rows]], horizons),
            "as_of": pa.array(np.repeat(as_of[rows], horizons)).cast(WITHIN_SCHEMA.types[1]),
            "days": np.tile(question.within_days, len(rows)),
            "probability": probability.ravel(),
        },
        schema=WITHIN_SCHEMA,
    )
    return Answer(table=table, scores=[], asked=len(deal), answered=len(rows))


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


def _driver_table(
    scorer: Scorer,
    history: History,
    deal: Ints,
    as_of: Ints,
    close_by: date,
    scored: Any,
    rows: Ints,
) -> pa.Table:
    points = scored.split.points[rows]
    named = min(NAMED_DRIVERS, points.shape[1])
    strongest = np.argpartition(-np.abs(points), named - 1, axis=1)[:, :named]
    order = np.argsort(-np.abs(np.take_along_axis(points, strongest, axis=1)), axis=1)
    strongest = np.take_along_axis(strongest, order, axis=1)
    columns: dict[str, Any] = {
        "deal_id": pa.array([history.deal_ids[i] for i in deal[rows].tolist()], pa.string()),
        "as_of": pa.array(as_of[rows]).cast(pa.timestamp("us", tz="UTC")),
        "close_by": pa.array([close_by] * len(rows), pa.date32()),
        "probability": scored.split.probability[rows],
        "average_probability": scored.split.average[rows],
    }
    for place in range(named):
        column = strongest[:, place]
        x = scored.x[rows, column]
        own = points[np.arange(len(rows)), column]
        phrases = [
            scorer.driver(j, v, p).phrase
            for j, v, p in zip(column.tolist(), x.tolist(), own.tolist(), strict=True)
        ]
        columns[f"driver_{place + 1}"] = pa.array(phrases, pa.string())
        columns[f"points_{place + 1}"] = own
    columns["model_version"] = pa.array([scorer.artifact.model_version] * len(rows), pa.string())
    return pa.table(columns)


def known_feeds(scorer: Scorer, events: Path, until: int) -> dict[str, Feed]:
    """The training's feeds with the times at which a file shows them heard.

    A source that training never met stays undescribed: what it carries would be told by events
    that were not known at every moment asked about.
    """
    heard = read_feeds(events, until)
    return scorer.feeds({s: heard[s] for s in heard.keys() & scorer.trained_feeds.keys()})


def read_feeds(events: Path, until: int) -> dict[str, Feed]:
    """What each source of a file carries and when it was heard, without loading the rest.

    Parameters
    ----------
    events
        A file of events.
    until
        Microseconds since 1970 UTC; what was known later tells nothing.
    """
    columns = ("source", "kind", "known_at")
    return merge_feeds([_feeds_of_table(t, until) for t in read_columns(events, columns)])


def _feeds_of_table(table: pa.Table, until: int) -> dict[str, Feed]:
    known = table["known_at"].cast(pa.int64()).to_numpy()
    table, known = table.filter(known <= until), known[known <= until]
    source = table["source"].combine_chunks().dictionary_encode()
    kind = table["kind"].combine_chunks().dictionary_encode()
    unknown = sorted(set(kind.dictionary.to_pylist()) - KIND_CODES.keys())
    if unknown:
        raise ScoreError(
            f"events of kind {unknown[0]!r}", "one of " + ", ".join(KIND_CODES), "import them"
        )
    codes = np.array([KIND_CODES[name] for name in kind.dictionary.to_pylist()], dtype=np.int64)
    return feeds_of_columns(
        source.indices.to_numpy(),
        source.dictionary.to_pylist(),
        codes[kind.indices.to_numpy()],
        known,
    )


def read_points(path: Path) -> dict[str, list[int]]:
    """The (deal_id, as_of) pairs of a CSV or Parquet file, by deal.

    Raises
    ------
    ScoreError
        If the file cannot be read, a column is missing, or a row lacks a value.
    EventError
        If a time cannot be read.
    """
    table = _read_table(path)
    for column in ("deal_id", "as_of"):
        if column not in table.column_names:
            raise ScoreError(
                f"{path} with columns {', '.join(table.column_names)}",
                "columns deal_id and as_of",
                "name the columns so",
            )
        if table[column].null_count:
            raise ScoreError(f"{path}, column {column}", "a value in every row", "drop such rows")
    points: dict[str, list[int]] = {}
    times = table["as_of"].to_pylist()
    for deal_id, time in zip(table["deal_id"].cast(pa.string()).to_pylist(), times, strict=True):
        text = time.isoformat() if isinstance(time, date) else str(time)
        points.setdefault(deal_id, []).append(microseconds(parse_time("as_of", text)))
    return points


def _read_table(path: Path) -> pa.Table:
    if path.stat().st_size == 0:
        raise ScoreError(f"{path}, an empty file", "columns deal_id and as_of", "check it")
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        text = {"deal_id": pa.string(), "as_of": pa.string()}
        return pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=text))
    except pa.ArrowInvalid as error:
        raise ScoreError(
            f"{path}", f"a readable CSV or Parquet file ({error})", "check what wrote it"
        ) from error
