"""A retraining: the challenger judged beside the champion on later deals, then refitted.

The challenger learns from what was known before an origin and forecasts the deals open after it;
the champion forecasts the same deals at the same moments, but only those after its own cut-off, so
that neither has seen what came. What may be promoted is the artifact that was judged, or its refit
on all data where the refit's scores of today's open deals stay within a stated distance of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.artifact import Artifact
from model.events import DAY_US
from model.feature_rows import usual_days
from model.feeds import feeds_of
from model.history import Floats, Ints
from model.scorer import Scorer
from training.backtest import Backtest, backtest, named
from training.backtest import Plan as BacktestPlan
from training.backtest_report import Report, build_report, slices
from training.data_checks import Check, check_drift, check_record, check_schema, refuse_broken
from training.dataset import NEVER
from training.fit import Progress, learn, no_progress
from training.forgetting import choose_half_life
from training.movers import Mover, movers
from training.preparing import Options, prepare
from training.promotion import (
    Comparison,
    Condition,
    Verdict,
    judge_challenger,
    leaks_condition,
    refit_condition,
)
from training.record import Record
from training.thresholds import Thresholds

JUDGED_DAYS: Final = 56.0  # of moments that the usual horizon is judged at
BASELINE: Final = "base_rate"  # stands in for the champion where there is none
ROWS_AT_ONCE: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What may be set about a retraining.

    Parameters
    ----------
    known_before_us
        K: nothing known at or after this is used; microseconds since 1970 UTC.
    origin_us
        When the judged challenger's knowledge ends; None lets the data choose.
    spacing_days
        Between two moments at which deals are forecast.
    refit
        Whether to refit on all data what is promoted.
    options
        Of each training; without edges, those of the champion are taken.
    rejected
        Rows that imports rejected; None where nobody counted.
    """

    known_before_us: int
    origin_us: int | None = None
    spacing_days: float = 7.0
    refit: bool = True
    options: Options = field(default_factory=Options)
    rejected: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Retraining:
    """What came of it.

    Parameters
    ----------
    checks
        Of the data.
    verdict
        Of the gate.
    notes
        What else is to be known, in words: what was forgotten, the refit, what was compared with.
    artifact
        What may be promoted.
    judged
        What was judged; the same where there is no refit.
    tested, report
        The challenger's forecasts and their figures.
    movers
        Every open deal's score under champion and challenger; empty without a champion.
    days
        The horizon of the movers.
    events
        Known before the cut-off.
    """

    checks: list[Check]
    verdict: Verdict
    notes: list[str]
    artifact: Artifact
    judged: Artifact
    tested: Backtest
    report: Report
    movers: list[Mover]
    days: float
    events: pa.Table


def retrain(
    events: pa.Table,
    plan: Plan,
    thresholds: Thresholds,
    champion: Artifact | None = None,
    before: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> Retraining:
    """Check the data, train, compare with the champion, ask the gate.

    Parameters
    ----------
    events
        Of `model.event_table.EVENT_SCHEMA`.
    champion
        In force; None before the first.
    before
        ``events`` of the champion's run, for the check of volume.

    Raises
    ------
    TrainingDataError
        If the data is broken, or too little to learn from.
    """
    step = progress("checking the data", 2)
    cutoff = pa.scalar(plan.known_before_us, pa.int64()).cast(events["known_at"].type)
    events = events.filter(pc.less(events["known_at"], cutoff))
    then = None if champion is None else Scorer(champion).known_before
    told = None if before is None or then is None else {**before, "known_before": then}
    checks = [check_schema(events)]
    checks += check_record(
        events, plan.known_before_us, thresholds.data, before=told, rejected=plan.rejected
    )
    refuse_broken(checks)
    step()
    options = plan.options
    if champion is not None and options.edges_days is None and not options.within_days:
        options = replace(options, edges_days=tuple(champion.edges[1:].tolist()))
    learning = prepare(events, plan.known_before_us, options)
    edges = learning.edges
    options = replace(options, edges_days=tuple(edges[1:].tolist()), within_days=())
    record = Record.of(events)
    origin = plan.origin_us or default_origin(record, edges)
    checks += check_drift(learning, origin if then is None else then, thresholds.data)
    step()
    notes = []
    if any(check.name == "win rate" and check.result == "moved" for check in checks):
        step = progress("choosing what to forget", 1)
        forgetting = choose_half_life(prepare(events, origin, options), options.seed)
        step()
        notes.append(forgetting.words)
        if forgetting.half_life_days is not None:
            options = replace(options, half_life_days=forgetting.half_life_days)
            learning = prepare(events, plan.known_before_us, options)
    tested = backtest(
        events,
        BacktestPlan(origins_us=(origin,), spacing_days=plan.spacing_days, options=options),
        progress,
    )
    judged = tested.origins[-1].artifact
    compared, against = compare(tested, champion, thresholds.promotion.segment_deals, progress)
    step = progress("asking the gate", 1)
    verdict = judge_challenger(compared, thresholds.promotion, options.seed, against)
    step()
    if champion is None:
        notes.append(f"no champion is in force: compared with {against}")
    artifact, days = judged, usual_days(edges)
    deal = open_deals(record)
    if plan.refit:
        refit = learn(learning, plan.known_before_us, options, named(progress, "refit, "))
        old, new = (scores_now(record, deal, each, plan, days) for each in (judged, refit))
        near = refit_condition(old, new, thresholds.promotion)
        artifact = refit if near.held else judged
        taken = "the refit" if near.held else "the judged model itself"
        notes.append(f"{near.words}: {taken} is what may be promoted")
    leaks: Condition = leaks_condition(artifact.facts["leaks"])
    verdict = replace(verdict, conditions=(*verdict.conditions, leaks))
    return Retraining(
        checks=checks,
        verdict=verdict,
        notes=notes,
        artifact=artifact,
        judged=judged,
        tested=tested,
        report=build_report(tested),
        movers=_shifts(record, deal, champion, artifact, plan, days),
        days=days,
        events=events,
    )


def default_origin(record: Record, edges: Floats) -> int:
    """So long before the end that the usual horizon can be judged at `JUDGED_DAYS` of moments.

    Returns
    -------
    int
        A midnight UTC, microseconds since 1970.
    """
    back = int((usual_days(edges) + JUDGED_DAYS) * DAY_US)
    return (record.countable_until - back) // DAY_US * DAY_US


def compare(
    tested: Backtest, champion: Artifact | None, smallest: int, progress: Progress = no_progress
) -> tuple[Comparison, str]:
    """The challenger's forecasts beside the champion's, and what they are compared with.

    Parameters
    ----------
    tested
        The challenger's forecasts, and what came.
    champion
        Without one, the base rate by stage and age as it was counted at the same origin.
    smallest
        Deals of a segment that stands alone.
    """
    forecasts = tested.forecasts
    if champion is None:
        theirs, usable = forecasts.baselines[BASELINE], forecasts.counted.copy()
    else:
        theirs = _by_champion(tested, champion, progress)
        seen = forecasts.as_of < Scorer(champion).known_before
        usable = forecasts.counted & ~seen[:, None]
    usable &= np.isfinite(theirs)
    row, column = np.nonzero(usable)
    segments = {
        f"wins within {days:g} days": column == number
        for number, days in enumerate(forecasts.days.tolist())
        if len(forecasts.days) > 1
    }
    for each in slices(tested, smallest):
        if each.part not in ("all", "origin"):
            inside = np.zeros(len(forecasts.deal), dtype=bool)
            inside[each.rows] = True
            segments[f"{each.part} {each.value}".strip()] = inside[row]
    compared = Comparison(
        deal=forecasts.deal[row],
        won=forecasts.won[row, column],
        challenger=forecasts.probability[row, column],
        champion=theirs[row, column],
        segments=segments,
    )
    return compared, "the champion" if champion is not None else "the base rate by stage and age"


def _by_champion(tested: Backtest, champion: Artifact, progress: Progress) -> Floats:
    """The champion's probabilities of the same forecasts; NaN past its last edge. Shape (R, H)."""
    forecasts, history = tested.forecasts, tested.record.history
    scorer, heard = Scorer(champion), feeds_of(history)
    feeds = scorer.feeds({s: heard[s] for s in heard.keys() & scorer.trained_feeds.keys()})
    within = forecasts.days <= champion.edges[-1]
    found = np.full(forecasts.probability.shape, np.nan)
    starts = range(0, len(forecasts.deal), ROWS_AT_ONCE)
    step = progress("the champion's forecasts", len(starts))
    for start in starts:
        part = slice(start, start + ROWS_AT_ONCE)
        scored = scorer.score_many(
            history, forecasts.deal[part], forecasts.as_of[part], None, feeds
        )
        found[part, within] = scorer.probabilities(scored, forecasts.days[within].tolist())
        step()
    return found


def open_deals(record: Record) -> Ints:
    """Those open at the end of the record, as known then."""
    return np.flatnonzero((record.opened != NEVER) & (record.closed >= record.end_us))


def scores_now(record: Record, deal: Ints, artifact: Artifact, plan: Plan, days: float) -> Floats:
    """P(won within the days) of open deals at the cut-off. Shape (D,)."""
    scorer, heard = Scorer(artifact), feeds_of(record.history)
    feeds = scorer.feeds({s: heard[s] for s in heard.keys() & scorer.trained_feeds.keys()})
    if len(deal) == 0:
        return np.empty(0)
    moment = np.full(len(deal), plan.known_before_us)
    scored = scorer.score_many(record.history, deal, moment, None, feeds)
    return np.asarray(scorer.probabilities(scored, [days])[:, 0])


def _shifts(
    record: Record,
    deal: Ints,
    champion: Artifact | None,
    artifact: Artifact,
    plan: Plan,
    days: float,
) -> list[Mover]:
    """What the change of models does to open deals; empty where the champion does not say."""
    if champion is None or days > champion.edges[-1]:
        return []
    now, after = (scores_now(record, deal, each, plan, days) for each in (champion, artifact))
    return movers([record.history.deal_ids[each] for each in deal], now, after)
