"""Why a probability moved between two moments, in steps that add up.

All steps ask for one date. From the score then to the score now:

1. fewer days left to the date, with the evidence of then;
2. time passing: the events known then, looked at now;
3. each event that became known since, in the order in which it did;
4. retraining, where another artifact was in force then.

A step's points are the difference of two probabilities, so the steps add up to the change. Within
steps 2 to 4 the points of each feature are the difference of its drivers, and add up to the step:
within one artifact and date the average deal is the same; across retraining its own change counts
as a driver too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import numpy as np

from model.change import Change, Shift, Step
from model.drivers import Drivers
from model.errors import ScoreError
from model.events import EPOCH_DAY, KINDS, from_microseconds, microseconds
from model.feature import name_in_words
from model.feeds import Feeds
from model.history import NONE, Floats, History, Ints
from model.not_open import not_open
from model.scorer import Scorer, days_until

KIND_NAMES: Final = tuple(KINDS)
NOT_YET: Final = np.iinfo(np.int64).max
AVERAGE: Final = "the average deal"
FeedsAt = Callable[[Scorer, int], Feeds]
"""What a scorer is told of the feeds at a moment, microseconds since 1970 UTC."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class _State:
    """A deal scored: probability, the average deal's, points and values by feature."""

    probability: float
    average: float
    points: Floats
    x: Floats


def explain_change(
    scorer: Scorer,
    history: History,
    since: datetime,
    as_of: datetime,
    *,
    close_by: date,
    deal: int = 0,
    feeds: FeedsAt | None = None,
    earlier: Scorer | None = None,
    hindsight: bool = False,
) -> Change:
    """Say why the probability of a deal by a date moved.

    Parameters
    ----------
    scorer
        In force at `as_of`.
    history
        The deal's events, perhaps with those of others.
    since, as_of
        The two moments, in order.
    close_by
        The date asked about, inclusive.
    deal
        Index into ``history.deal_ids``.
    feeds
        What each artifact is told at each moment, made of its own feeds by `Scorer.feeds`: what
        a source carries is for each to say. None takes those of its training.
    earlier
        In force at `since`, where it is another.
    hindsight
        Allow moments before an artifact's cut-off.

    Returns
    -------
    Change
        Steps that add up to the change. `before` is the score at `since` of the artifact in
        force then.

    Raises
    ------
    ScoreError
        If `since` is not before `as_of`, the deal was not open or too little was known of it at
        either, or it is hindsight.
    HorizonError
        If the date lies outside what an artifact answers.
    """
    then, now = microseconds(since), microseconds(as_of)
    if then >= now:
        raise ScoreError(
            f"since {since.isoformat()}",
            f"a time before {as_of.isoformat()}, the moment explained",
            "choose an earlier one",
        )
    old = earlier or scorer
    old.check_as_of(then, hindsight, "since")
    scorer.check_as_of(now, hindsight)
    ahead_then, ahead_now = days_until(then, close_by), days_until(now, close_by)
    rows = np.arange(history.start[deal], history.start[deal + 1])
    news = rows[(history.known[rows] > then) & (history.known[rows] <= now)]
    news = news[np.lexsort((news, history.known[news]))]

    told_of = feeds or (lambda scorer, _: scorer.trained_feeds)
    old_then, old_now, new_now = told_of(old, then), told_of(old, now), told_of(scorer, now)
    first = _state(old, history, deal, then, ahead_then, old_then, shown=True)
    newest = _state(scorer, history, deal, now, ahead_now, new_now, shown=True)
    nearer = _state(old, history, deal, then, ahead_now, old_then)
    waited = _state(old, _hiding(history, news), deal, now, ahead_now, old_now)
    steps = [
        _fewer_days(first, nearer, ahead_then - ahead_now, close_by),
        _step(old, nearer, waited, "time", f"{_days(ahead_then - ahead_now)} passed"),
    ]
    last = waited
    for told, state in _one_by_one(old, history, deal, now, ahead_now, old_now, news):
        known_at = from_microseconds(int(history.known[told[-1]])).isoformat()
        phrase = "; ".join(_say(history, row) for row in told)
        steps.append(_step(old, last, state, "event", phrase, known_at))
        last = state
    if earlier is not None:
        steps.append(_retraining(old, last, scorer, newest))
        last = newest
    return Change(
        deal_id=history.deal_ids[deal],
        since=from_microseconds(then).isoformat(),
        as_of=from_microseconds(now).isoformat(),
        close_by=close_by.isoformat(),
        before=first.probability,
        after=last.probability,
        steps=tuple(steps),
    )


def _one_by_one(
    scorer: Scorer,
    history: History,
    deal: int,
    now: int,
    ahead: float,
    feeds: Feeds,
    news: Ints,
) -> Iterator[tuple[list[int], _State]]:
    """The deal after each new event; those that leave it closed go with the one that reopens it."""
    told: list[int] = []
    for count, row in enumerate(news.tolist(), start=1):
        told.append(row)
        upto = _hiding(history, news[count:])
        state = _scored(scorer, upto, deal, now, ahead, feeds)
        if state is None and count < len(news):
            continue
        if state is None:
            raise not_open(history, deal, now)
        yield told, state
        told = []


def _hiding(history: History, rows: Ints) -> History:
    """The history with some rows not known yet."""
    known = history.known.copy()
    known[rows] = NOT_YET
    return replace(history, known=known)


def _state(
    scorer: Scorer,
    history: History,
    deal: int,
    moment: int,
    ahead: float,
    feeds: Feeds,
    *,
    shown: bool = False,
) -> _State:
    """The deal at a moment, refused if not open; one shown as its score is refused as that is."""
    state = _scored(scorer, history, deal, moment, ahead, feeds, checked=shown)
    if state is None:
        raise not_open(history, deal, moment)
    return state


def _scored(
    scorer: Scorer,
    history: History,
    deal: int,
    moment: int,
    ahead: float,
    feeds: Feeds,
    *,
    checked: bool = False,
) -> _State | None:
    """The deal at a moment; None if it was not open."""
    scored = scorer.score_many(
        history,
        np.array([deal]),
        np.array([moment], dtype=np.int64),
        np.array([ahead]),
        feeds,
        checked=checked,
    )
    if not scored.is_open[0]:
        return None
    for checks in scored.checks:
        if checks is not None and not checks.scorable:
            finding = checks.data_quality.findings[0]
            raise ScoreError(
                f"deal {history.deal_ids[deal]!r} at {from_microseconds(moment).isoformat()}: "
                f"{finding.phrase} ({finding.code})",
                "a deal of which enough was known for a probability at both moments",
                "choose moments at which it had one, or bring its events up to date",
            )
    split: Drivers | None = scored.split
    if split is None:
        raise ScoreError("scores without drivers", "days asked for", "give days to score_many")
    return _State(
        probability=float(split.probability[0]),
        average=float(split.average[0]),
        points=split.points[0],
        x=scored.x[0],
    )


def _fewer_days(before: _State, after: _State, days: float, close_by: date) -> Step:
    return Step(
        reason="fewer days",
        phrase=f"{_days(days)} fewer left to {close_by.isoformat()}",
        known_at=None,
        points=after.probability - before.probability,
        shifts=(),
    )


def _days(days: float) -> str:
    return "1 day" if days == 1.0 else f"{days:.3g} days"


def _step(
    scorer: Scorer,
    before: _State,
    after: _State,
    reason: str,
    phrase: str,
    known_at: str | None = None,
) -> Step:
    moved = after.points - before.points
    shifts = [
        Shift(feature=driver.feature, points=driver.points, phrase=driver.phrase)
        for driver in (
            scorer.driver(column, float(after.x[column]), float(moved[column]))
            for column in np.flatnonzero(moved).tolist()
        )
    ]
    return Step(
        reason=reason,
        phrase=phrase,
        known_at=known_at,
        points=after.probability - before.probability,
        shifts=_strongest_first(shifts),
    )


def _retraining(old: Scorer, before: _State, new: Scorer, after: _State) -> Step:
    lost = dict(zip(old.features.names, before.points.tolist(), strict=True))
    asked = {feature.name: feature.question for feature in old.features.features}
    shifts = [
        Shift(feature=AVERAGE, points=after.average - before.average, phrase=f"{AVERAGE}, by date")
    ]
    for column, (x, points) in enumerate(zip(after.x.tolist(), after.points.tolist(), strict=True)):
        name = new.features.names[column]
        driver = new.driver(column, x, points - lost.pop(name, 0.0))
        shifts.append(Shift(feature=name, points=driver.points, phrase=driver.phrase))
    for name, points in lost.items():
        shifts.append(
            Shift(feature=name, points=-points, phrase=f"{asked[name]}: no longer counts")
        )
    return Step(
        reason="retraining",
        phrase=f"the model was trained anew ({new.artifact.model_version})",
        known_at=None,
        points=after.probability - before.probability,
        shifts=_strongest_first([shift for shift in shifts if shift.points]),
    )


def _strongest_first(shifts: list[Shift]) -> tuple[Shift, ...]:
    return tuple(sorted(shifts, key=lambda shift: -abs(shift.points)))


def _say(history: History, row: int) -> str:
    """An event in words.

    Examples
    --------
    >>> from datetime import UTC
    >>> from model.events import Event
    >>> moved = Event(deal_id="D-1", kind="close_date_changed", date=date(2026, 3, 31),
    ...               source="crm", source_id="1", occurred_at=datetime(2026, 1, 5, tzinfo=UTC))
    >>> _say(History.from_events([moved]), 0)
    'close date changed, 2026-03-31'
    """
    kind = KIND_NAMES[history.kind[row]]
    parts = [kind.replace("_", " ")]
    if history.name[row] != NONE:
        name = history.names[history.name[row]]
        of_field = kind == "field_changed"
        parts = [f"{name_in_words(name)} changed"] if of_field else [*parts, name]
    if history.text[row] != NONE:
        parts.append(history.texts[history.text[row]])
    elif not np.isnan(history.number[row]) and kind != "stage_changed":  # there it is its order
        parts.append(f"{history.number[row]:,.10g}")
    if not np.isnan(history.date[row]):
        parts.append(date.fromordinal(int(history.date[row]) + EPOCH_DAY.toordinal()).isoformat())
    return ", ".join(parts)
