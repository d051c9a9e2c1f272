"""What a deal's probability would be if something happened now, and what would raise it most.

Hypothetical events are appended to what is known (`model.supposition`) and the same scorer
answers: a supposed deal is scored as a real one with that history would be. Before and after
share the moment, the date and the average deal, so that the change is the sum over the features of
the differences of their drivers' points.

It says what such deals did, not what an action causes: who acts, and on which deal, is chosen, and
what moves both the action and the outcome moves this too.

References
----------
Hernan, M. A. and Robins, J. M. (2020), "Causal Inference: What If", chapter 1: association is not
causation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final

import numpy as np

from model.actions import ActionTable, Evidence, open_actions
from model.errors import ScoreError
from model.events import DAY_US, from_microseconds, microseconds
from model.feeds import Feeds
from model.gates import gate
from model.hazard import edge_weights, probability
from model.history import Floats, History
from model.hypothetical import Hypothetical
from model.not_open import not_open
from model.score import Basis, Interval
from model.scorer import Scorer, days_until
from model.supposition import carried_kinds, known_of, snapshot_of, suppose

WHAT_IF_SCHEMA: Final = 1
STATEMENT: Final = (
    "This is what deals with such a history did, not what the event would cause: "
    "association, not causation."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePair:
    """The probability that the deal is won within so many days, as it is and as supposed.

    Parameters
    ----------
    days
        From the moment of the score.
    by
        The moment they end, ISO 8601 UTC.
    before, after
        As known, and as supposed.
    """

    days: float
    by: str
    before: float
    after: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """How one feature's part changes.

    Parameters
    ----------
    feature
        Its name in the catalogue.
    before, after
        Its value as known and as supposed; None where missing.
    points
        Probability added by the change; 0.05 is 5 points.
    phrase
        The fact in words, as supposed.
    """

    feature: str
    before: float | str | None
    after: float | str | None
    points: float
    phrase: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAction:
    """An action still open for the deal, supposed alone.

    Parameters
    ----------
    action
        Its name.
    event
        The event supposed, in the notation of `model.hypothetical`.
    phrase
        What happens, in words.
    after
        The probability with it.
    points
        Probability added by it.
    gated_after
        The probability with it, zero where a must-hit milestone is missed still; None where the
        deal has none.
    evidence
        What deals as probable did, with it and without; None where the record shows none.
    """

    action: str
    event: str
    phrase: str
    after: float
    points: float
    gated_after: float | None
    evidence: Evidence | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WhatIf:
    """What hypothetical events would make of one deal's probability by one date.

    Parameters
    ----------
    schema_version
        Of this form.
    deal_id
        The deal.
    as_of
        When the events are supposed to happen, ISO 8601 UTC; nothing known later is used.
    close_by
        The date asked about, inclusive; None where only days were asked.
    days
        From `as_of` to the end of `close_by`.
    events
        What is supposed, in order, in the notation of `model.hypothetical`.
    phrases
        The same in words.
    before, after
        The model's probability as known, and as supposed.
    interval_before, interval_after
        Their 80 % intervals.
    gated_before, gated_after
        The probabilities, zero where a must-hit milestone is missed; None where the deal has
        none.
    average_probability
        Of the average evidence, the same before and after.
    drivers
        The features whose value changes, strongest first.
    other_points
        What all other features add: ``before + sum of points + other_points`` is ``after``. One
        whose value stays may count otherwise beside those that change.
    curve
        At the model's own edges.
    best
        The actions still open, each supposed alone, the largest rise first: of the gated
        probability where a must-hit milestone is missed, then of the probability.
    statement
        What all this is, and is not.
    basis
        ``model``, or ``base rate`` where too few deals had closed to learn what events tell.
    model_version
        Of the artifact.
    hindsight
        Whether `as_of` lies before the artifact's cut-off.
    """

    schema_version: int
    deal_id: str
    as_of: str
    close_by: str | None
    days: float
    events: tuple[str, ...]
    phrases: tuple[str, ...]
    before: float
    after: float
    interval_before: Interval
    interval_after: Interval
    gated_before: float | None
    gated_after: float | None
    average_probability: float
    drivers: tuple[Moved, ...]
    other_points: float
    curve: tuple[CurvePair, ...]
    best: tuple[OpenAction, ...]
    statement: str
    basis: Basis
    model_version: str
    hindsight: bool

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class _State:
    """A deal scored: the probability by the date, its parts, and at the edges."""

    probability: float
    interval: Interval
    average: float
    points: Floats
    x: Floats
    at_edges: Floats
    gated: float | None


def what_if(
    scorer: Scorer,
    history: History,
    as_of: datetime,
    events: Sequence[Hypothetical] = (),
    *,
    close_by: date | None = None,
    days: float | None = None,
    deal: int = 0,
    feeds: Feeds | None = None,
    hindsight: bool = False,
    most: int | None = None,
    best: int | None = 0,
) -> WhatIf:
    """Say what a deal's probability would be if these events happened now.

    Parameters
    ----------
    scorer
        Of the artifact in force.
    history
        The deal's events, perhaps with those of others; it is not changed.
    as_of
        Now: when the events are supposed to happen. Nothing known later is used.
    events
        In the order in which they happen.
    close_by, days
        The date asked about, or days from `as_of`; exactly one.
    deal
        Index into ``history.deal_ids``.
    feeds
        When each source was last heard; None takes all as running.
    hindsight
        Allow an `as_of` before the artifact's cut-off.
    most
        How many drivers to name; None names all that change.
    best
        How many of the open actions to show; None shows all, 0 asks for none.

    Returns
    -------
    WhatIf
        Before, after, and what makes the difference.

    Raises
    ------
    WhatIfError
        If an event cannot happen to the deal.
    ScoreError
        If the deal was not open at `as_of` or too little is known of it, or it is hindsight.
    HorizonError
        If the date lies outside what the artifact answers.
    """
    now = microseconds(as_of)
    is_hindsight = scorer.check_as_of(now, hindsight)
    if (close_by is None) == (days is None):
        raise ScoreError(f"close_by {close_by} and days {days}", "one of the two", "give one")
    ahead = days_until(now, close_by) if close_by is not None else float(days or 0.0)
    edge_weights(scorer.edges, ahead, as_of_us=now)  # refuses what cannot be answered
    heard = scorer.feeds(feeds) if feeds else scorer.trained_feeds
    known = known_of(history, deal, now)
    if not snapshot_of(known, now, scorer.features, heard).is_open:
        raise not_open(history, deal, now)
    score = partial(_scored, scorer, now=now, ahead=ahead, feeds=heard)
    before = score(known)
    then = suppose(known, 0, now, events, scorer.features, heard)
    after = score(then) if events else before
    named = _moved(scorer, before, after)[:most]
    told = sum(each.points for each in named)
    return WhatIf(
        schema_version=WHAT_IF_SCHEMA,
        deal_id=known.deal_ids[0],
        as_of=from_microseconds(now).isoformat(),
        close_by=None if close_by is None else close_by.isoformat(),
        days=ahead,
        events=tuple(event.notation for event in events),
        phrases=tuple(event.phrase for event in events),
        before=before.probability,
        after=after.probability,
        interval_before=before.interval,
        interval_after=after.interval,
        gated_before=before.gated,
        gated_after=after.gated,
        average_probability=before.average,
        drivers=tuple(named),
        other_points=float((after.points - before.points).sum()) - told,
        curve=_curve(scorer, now, before, after),
        best=() if best == 0 else _best(scorer, known, now, ahead, heard, before)[:best],
        statement=STATEMENT,
        basis=scorer.basis,
        model_version=scorer.artifact.model_version,
        hindsight=is_hindsight,
    )


def _scored(scorer: Scorer, known: History, *, now: int, ahead: float, feeds: Feeds) -> _State:
    scored = scorer.score_many(
        known,
        np.zeros(1, dtype=np.int64),
        np.array([now], dtype=np.int64),
        np.array([ahead]),
        feeds,
        checked=True,
    )
    checks = scored.checks[0]
    if checks is None or scored.split is None:
        raise not_open(known, 0, now)
    if not checks.scorable:
        raise ScoreError(
            f"deal {known.deal_ids[0]!r}, of which {checks.data_quality.findings[0].phrase}",
            "a deal that is known well enough for a probability",
            "bring its events up to date",
        )
    shown = float(scored.split.probability[0])
    low, high = scorer.intervals(scored, np.array([ahead]))
    gates = gate(checks.gates, shown)
    return _State(
        probability=shown,
        interval=Interval(low=float(low[0]), high=float(high[0])),
        average=float(scored.split.average[0]),
        points=scored.split.points[0],
        x=scored.x[0],
        at_edges=probability(scored.eta[0], edge_weights(scorer.edges, scorer.edges[1:])),
        gated=None if gates is None else gates.gated_probability,
    )


def _moved(scorer: Scorer, before: _State, after: _State) -> list[Moved]:
    """The features whose value changes and their part with it, strongest first."""
    moved = after.points - before.points
    other = (before.x != after.x) & ~(np.isnan(before.x) & np.isnan(after.x))
    found = []
    for column in np.flatnonzero(other & (moved != 0.0)).tolist():
        driver = scorer.driver(column, float(after.x[column]), float(moved[column]))
        found.append(
            Moved(
                feature=driver.feature,
                before=scorer.features.value(column, float(before.x[column])),
                after=driver.value,
                points=driver.points,
                phrase=driver.phrase,
            )
        )
    return sorted(found, key=lambda each: -abs(each.points))


def _curve(scorer: Scorer, now: int, before: _State, after: _State) -> tuple[CurvePair, ...]:
    edges = scorer.edges[1:].tolist()
    return tuple(
        CurvePair(days=edge, by=_after_days(now, edge), before=p, after=q)
        for edge, p, q in zip(edges, before.at_edges.tolist(), after.at_edges.tolist(), strict=True)
    )


def _after_days(now: int, days: float) -> str:
    return from_microseconds(now + round(days * DAY_US)).isoformat()


def _best(
    scorer: Scorer, known: History, now: int, ahead: float, feeds: Feeds, before: _State
) -> tuple[OpenAction, ...]:
    """Every open action supposed alone, the largest rise first; what clears the gates leads."""
    learned = scorer.artifact.facts.get("actions")
    table = None if learned is None else ActionTable.from_json(learned)
    edges = scorer.edges[1:].tolist()
    snapshot = snapshot_of(known, now, scorer.features, feeds)
    found = []
    still_open = open_actions(snapshot, carried_kinds(snapshot))
    for action, event in (
        (each, event) for each in still_open for event in each.supposed(snapshot)
    ):
        then = suppose(known, 0, now, [event], scorer.features, feeds)
        after = _scored(scorer, then, now=now, ahead=ahead, feeds=feeds)
        evidence = (
            None
            if table is None
            else table.evidence(action.name, float(before.at_edges[table.edge]), edges, ahead)
        )
        found.append(
            OpenAction(
                action=action.name,
                event=event.notation,
                phrase=action.phrase if action.suppose is None else event.phrase,
                after=after.probability,
                points=after.probability - before.probability,
                gated_after=after.gated,
                evidence=evidence,
            )
        )
    is_missed = before.gated == 0.0

    def order(each: OpenAction) -> tuple[float, float, str, str]:
        cleared = (each.gated_after or 0.0) if is_missed else 0.0
        return -cleared, -each.points, each.action, each.event

    return tuple(sorted(found, key=order))
