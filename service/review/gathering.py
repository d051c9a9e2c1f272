"""All that a review needs of a company, gathered from its events part by part.

What is gathered is small beside the events: how each deal stands, its row in the list, and
probabilities. From it `service.review.view` makes the review of all deals, or of some of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import pyarrow as pa

from model.bridge import Path
from model.errors import HorizonError, ScoreError
from model.events import DAY_US, from_microseconds, microseconds
from model.feeds import Feeds
from model.history import History
from model.period import Period
from model.scorer import Scorer
from service.batch import known_feeds
from service.record import Record
from service.review.deal_row import TREND_WEEKS, DealRow, deal_rows
from service.review.looks import Looks
from service.review.past import Moment, moments, trimmed
from service.review.question import Question
from service.review.week import Week, joined, paths

WEEK_US: Final = 7 * DAY_US


@dataclass(frozen=True, kw_only=True)
class Models:
    """The models of a review.

    Parameters
    ----------
    now
        The scorer of the one in force now; None where there is none yet.
    earlier
        Of the one in force at the last review, where it is another.
    refused
        Why the one there is says nothing of this week, and what to do; empty where it does.
    past
        Of those in force at moments before the last review, microseconds since 1970 UTC; where one
        is missing, that of the last review stands in.
    """

    now: Scorer | None = None
    earlier: Scorer | None = None
    refused: str = ""
    past: Mapping[int, Scorer] = field(default_factory=dict)

    @property
    def then(self) -> Scorer | None:
        """The scorer in force at the last review."""
        return self.earlier or self.now

    def at(self, moment: int) -> Scorer | None:
        """The scorer of a past moment, at the last review or before, as far as it is known."""
        return self.past.get(moment) or self.then


@dataclass(frozen=True, kw_only=True, eq=False)
class Gathered:
    """A company as a review sees it.

    Parameters
    ----------
    question
        As asked.
    models
        What scored it; none once the period is over.
    record
        What the events cover.
    now
        The company as known now.
    before
        At the last review; None at the first one.
    rows
        Every open deal.
    ways
        From last week's probability to this week's, for the bridge.
    trend_weeks
        The days of each point of a trend.
    past
        Moments to look back at, as they were seen then.
    far
        Whether the period's end lay too far ahead a week before.
    """

    question: Question
    models: Models
    record: Record
    now: Week
    before: Week | None
    rows: list[DealRow]
    ways: dict[str, Path]
    trend_weeks: tuple[date, ...]
    past: list[tuple[Moment, Week]]
    far: bool


def gather(
    shards: Iterable[pa.Table], record: Record, question: Question, models: Models
) -> Gathered:
    """Look at every deal of a company, part by part.

    Parameters
    ----------
    shards
        Events of whole deals, as `model.event_table.read_shards` answers them.
    record
        What they cover, read until `Question.as_of`.

    Raises
    ------
    ScoreError
        If there is no event, or it would be hindsight and that is not asked for.
    HorizonError
        If the period ends past what the model answers.
    """
    as_of = microseconds(question.as_of)
    if as_of >= question.period.end_us:
        models = Models()
    if models.now is not None:
        models.now.check_as_of(as_of, question.hindsight)
    looking = _Looking(record, question, models)
    parts = [looking.part(History.from_table(shard)) for shard in shards]
    if not parts:
        raise ScoreError(
            "no event of any deal",
            "a company's deals",
            "import your CRM's history with redflare import and load it with redflare db "
            "load-events, or let your CRM post its changes to /webhooks; then look again",
        )
    before = [part.before for part in parts if part.before is not None]
    seen_before = bool(before) and any(week.deals for week in before)
    return Gathered(
        question=question,
        models=models,
        record=record,
        now=joined([part.now for part in parts]),
        before=joined(before) if seen_before else None,
        rows=[row for part in parts for row in part.rows],
        ways={deal_id: way for part in parts for deal_id, way in part.ways.items()},
        trend_weeks=tuple(
            from_microseconds(moment).date() for moment in (*looking.trend_moments, as_of)
        ),
        past=[
            (moment, joined([part.past[place] for part in parts]))
            for place, moment in enumerate(looking.moments)
        ],
        far=looking.far,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    now: Week
    before: Week | None
    rows: list[DealRow]
    ways: dict[str, Path]
    past: list[Week]


class _Looking:
    """What is the same for every part of a company."""

    def __init__(self, record: Record, question: Question, models: Models) -> None:
        self.record = record
        self.question = question
        self.models = models
        self.as_of = microseconds(question.as_of)
        self.since = microseconds(question.since)
        old = models.then
        self.far = old is not None and not self._reaches(old, self.since)
        self.has_before = old is not None and not self.far and self._honest(old, self.since)
        self.trend_moments = self._trend_moments()
        self.moments = moments(question, self.as_of)

    def part(self, history: History) -> _Part:
        question, scorer, old = self.question, self.models.now, self.models.then
        looks = Looks(history, question)
        period = question.period
        now = self._look(scorer, looks, self.as_of, period)
        before, ways = None, {}
        trend = []
        if self.has_before and old is not None:
            before = self._look(old, looks, self.since, period)
            ways = paths(
                history,
                before,
                now,
                old,
                told(old, self.record, self.as_of),
                period,
                retrained=self.models.earlier is not None,
            )
            trend = [
                before
                if moment == self.since
                else self._look(self.models.at(moment), looks, moment, period)
                for moment in self.trend_moments
            ]
        feeds = None if scorer is None else told(scorer, self.record, self.as_of)
        return _Part(
            now=now,
            before=before,
            rows=deal_rows(
                scorer,
                looks,
                now,
                before,
                trend,
                feeds,
                begun=period.begin_us <= self.as_of,
            ),
            ways=ways,
            past=[self._past(looks, moment, now) for moment in self.moments],
        )

    def _past(self, looks: Looks, moment: Moment, now: Week) -> Week:
        try:
            week = self._look(self.models.at(moment.as_of), looks, moment.as_of, moment.period)
        except HorizonError:
            week = self._look(None, looks, moment.as_of, moment.period)
        return trimmed(week, moment.period, now)

    def _look(self, scorer: Scorer | None, looks: Looks, moment: int, period: Period) -> Week:
        feeds = None if scorer is None else told(scorer, self.record, moment)
        return looks.week(scorer, moment, period, feeds)

    def _honest(self, scorer: Scorer, moment: int) -> bool:
        return moment >= scorer.known_before or self.question.hindsight

    def _reaches(self, scorer: Scorer, moment: int) -> bool:
        return bool((self.question.period.end_us - moment) / DAY_US <= scorer.edges[-1])

    def _trend_moments(self) -> list[int]:
        """The weeks before, the oldest first; none that the model would look back on unasked."""
        if not self.has_before:
            return []
        found = [self.since]
        for moment in trend_moments(self.since)[1:]:
            old = self.models.at(moment)
            if old is None or not self._honest(old, moment) or not self._reaches(old, moment):
                break
            found.insert(0, moment)
        return found


def trend_moments(since: int) -> list[int]:
    """The moments of a trend before now, the latest first; that of the last review is the first."""
    return [since - back * WEEK_US for back in range(TREND_WEEKS - 1)]


def told(scorer: Scorer, record: Record, moment: int) -> Feeds:
    """What a scorer is told of the feeds at a moment, microseconds since 1970 UTC."""
    return known_feeds(scorer, record.known_at(moment))
