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
from model.errors import TrainingDataError
from model.event_table import EVENT_SCHEMA
from model.events import DAY_US
from model.feature_rows import usual_days
from model.feeds import feeds_of
from model.history import Floats, History, Ints
from model.scorer import Scorer
from training.backtest import Backtest, backtest, named
from training.backtest import Plan as BacktestPlan
from training.backtest_report import Report, build_report
from training.comparing import compare, coverage
from training.condition import leaks_condition, refit_condition
from training.data_checks import (
    Check,
    check_drift,
    check_record,
    check_schema,
    check_win_rate,
    refuse_broken,
)
from training.dataset import NEVER
from training.fit import Progress, learn, no_progress
from training.forgetting import Forgetting, choose_half_life
from training.movers import Mover, movers
from training.preparing import Options, prepare, reach
from training.promotion import Verdict, judge_challenger
from training.record import Record, check_origins, day_of
from training.thresholds import PromotionThresholds, Thresholds

JUDGED_DAYS: Final = 56.0  # of moments that the usual horizon is judged at


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
    events = _known_before(events, plan.known_before_us)
    then = None if champion is None else Scorer(champion).known_before
    told = None if before is None or then is None else {**before, "known_before": then}
    checks = [check_schema(events)]
    checks += check_record(
        events, plan.known_before_us, thresholds.data, before=told, rejected=plan.rejected
    )
    refuse_broken(checks)
    step()
    until = reach(events, plan.known_before_us)
    options = plan.options
    if champion is not None and options.edges_days is None and not options.within_days:
        options = replace(options, edges_days=tuple(champion.edges[1:].tolist()))
    learning = prepare(events, until, options)
    edges = learning.edges
    options = replace(options, edges_days=tuple(edges[1:].tolist()), within_days=())
    record = Record.of(events)
    origin = plan.origin_us or default_origin(record, edges)
    check_origins(record, [origin], edges[1:])
    since = origin if then is None else then
    checks += check_drift(learning, since, thresholds.data)
    step()
    notes = []
    # So long before the origin as what is judged comes after it, where the champion knows more.
    since = min(since, 2 * origin - record.countable_until)
    forgetting = _forgetting(events, origin, since, options, thresholds, progress)
    if forgetting is not None:
        notes.append(forgetting.words)
        if forgetting.half_life_days is not None:
            options = replace(options, half_life_days=forgetting.half_life_days)
            learning = prepare(events, until, options)
    tested = backtest(
        events,
        BacktestPlan(origins_us=(origin,), spacing_days=plan.spacing_days, options=options),
        progress,
    )
    judged = tested.origins[-1].artifact
    compared, against = compare(tested, champion, thresholds.promotion.segment_deals, progress)
    step = progress("asking the gate", 1)
    verdict = judge_challenger(compared, thresholds.promotion, options.seed, against)
    covered = coverage(tested, champion, thresholds.promotion)
    step()
    first = [f"no champion was in force: compared with {against}"] if champion is None else []
    notes += first + _limits(verdict, until, plan)
    artifact, days = judged, usual_days(edges)
    deal = open_deals(record)
    if plan.refit:
        refit = learn(learning, until, options, named(progress, "refit, "))
        artifact, words = _taken(record, deal, judged, refit, plan, thresholds.promotion)
        notes.append(words)
    leaks = leaks_condition(artifact.facts["leaks"])
    verdict = replace(verdict, conditions=(*verdict.conditions, covered, leaks))
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


def _limits(verdict: Verdict, until: int, plan: Plan) -> list[str]:
    """What was not looked at, in words."""
    found = []
    if verdict.unjudged:
        found.append(
            f"nothing was judged of {', '.join(verdict.unjudged)}, of which nothing has come "
            "due since the origin and the champion's cut-off, or which it does not answer; an "
            "earlier --origin may judge them"
        )
    if until < plan.known_before_us:
        found.append(f"the record ends on {day_of(until - 1)}: nothing later was learned from")
    return found


def _taken(
    record: Record,
    deal: Ints,
    judged: Artifact,
    refit: Artifact,
    plan: Plan,
    limits: PromotionThresholds,
) -> tuple[Artifact, str]:
    """Which of the two may be promoted, and why."""
    days = judged.edges[1:]
    old, new = (scores_now(record, deal, each, plan, days) for each in (judged, refit))
    near = refit_condition(old, new, days.tolist().index(usual_days(judged.edges)), limits)
    taken = "the refit" if near.held else "the judged model itself"
    return refit if near.held else judged, f"{near.words}: {taken} is what may be promoted"


def default_origin(record: Record, edges: Floats) -> int:
    """So long before the end that the usual horizon can be judged at `JUDGED_DAYS` of moments.

    Returns
    -------
    int
        A midnight UTC, microseconds since 1970.

    Raises
    ------
    TrainingDataError
        If the record does not reach back so far.
    """
    back = int((usual_days(edges) + JUDGED_DAYS) * DAY_US)
    origin = (record.countable_until - back) // DAY_US * DAY_US
    if origin <= record.begin_us:
        raise TrainingDataError(
            f"a record from {day_of(record.begin_us)} to {day_of(record.end_us)}",
            f"more than {back / DAY_US:.0f} days, so that wins within {usual_days(edges):g} days "
            "can be judged",
            "bring a longer record",
        )
    return origin


def open_deals(record: Record) -> Ints:
    """Those open at the end of the record, as known then."""
    return np.flatnonzero((record.opened != NEVER) & (record.closed >= record.end_us))


def _known_before(events: pa.Table, moment_us: int) -> pa.Table:
    cutoff = pa.scalar(moment_us, pa.int64()).cast(EVENT_SCHEMA.field("known_at").type)
    return events.filter(pc.less(events["known_at"], cutoff))


def _forgetting(
    events: pa.Table,
    origin: int,
    since: int,
    options: Options,
    thresholds: Thresholds,
    progress: Progress,
) -> Forgetting | None:
    """What to forget where the share won moved; None where it did not.

    What comes after the origin has no part in it, for the judged challenger could not know.
    """
    early = History.from_table(_known_before(events, origin))
    if check_win_rate(early, since, thresholds.data).result != "moved":
        return None
    step = progress("choosing what to forget", 1)
    found = choose_half_life(prepare(events, origin, options), options.seed)
    step()
    return found


def scores_now(record: Record, deal: Ints, artifact: Artifact, plan: Plan, days: Floats) -> Floats:
    """P(won within each number of days) of open deals at the cut-off. Shape (D, len(days))."""
    scorer = Scorer(artifact)
    feeds = scorer.feeds(feeds_of(record.history))
    if len(deal) == 0:
        return np.empty((0, len(days)))
    moment = np.full(len(deal), plan.known_before_us)
    scored = scorer.score_many(record.history, deal, moment, None, feeds)
    return scorer.probabilities(scored, days.tolist())


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
    asked = np.array([days])
    now, after = (
        scores_now(record, deal, each, plan, asked)[:, 0] for each in (champion, artifact)
    )
    return movers([record.history.deal_ids[each] for each in deal], now, after)
