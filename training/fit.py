"""Train: events known before a time in, an artifact that answers by date out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from model.actions import ActionTable
from model.artifact import Artifact
from model.events import from_microseconds
from model.feeds import feeds_of, feeds_to_json
from model.history import Floats
from model.rates import ClosingLog
from model.tables import Calibration, Tables
from model.unusual import ranges_to_json
from training.actions import action_table, drawn_rows, learn_actions
from training.base_rate import PRIOR_DEALS, Cells, fit_base_rate, judge_base_rate
from training.blending import blend_leaves, blend_weights, deal_losses
from training.boosting import bag_members, in_parallel, problems
from training.calibrating import calibrated_crosswise, fit_calibrations
from training.compile import compile_leaves
from training.dataset import (
    NEVER,
    closing_lag,
    usual_rhythm_days,
)
from training.forecasting import forecast_facts
from training.grid_fit import bin_weights
from training.judging import FOLDS, Division, Judgement, divide, judge
from training.leaks import find_leaks, refuse_leaks
from training.learners import candidates, fit_leaves, title
from training.leaves import Leaves
from training.preparing import Learning, Options, prepare
from training.quality import quality_by_edge
from training.twins import division_share

BAGS: Final = 8


Progress = Callable[[str, int], Callable[[], None]]
"""Begins a stage of so many steps; what it returns is called after each step."""


def no_progress(_stage: str, _steps: int) -> Callable[[], None]:
    """Show nothing."""
    return lambda: None


def train(
    events: pa.Table,
    known_before: int,
    options: Options | None = None,
    progress: Progress = no_progress,
) -> Artifact:
    """Learn the probability to win by date.

    Parameters
    ----------
    events
        Of `EVENT_SCHEMA`.
    known_before
        K, microseconds since 1970 UTC: later knowledge does not exist.

    Returns
    -------
    Artifact
        Tables, calibration, and what is to be known about the training.

    Raises
    ------
    TrainingDataError
        If there is too little to learn from.
    """
    options = options or Options()
    return learn(prepare(events, known_before, options), known_before, options, progress)


def learn(
    learning: Learning, known_before: int, options: Options, progress: Progress = no_progress
) -> Artifact:
    """Learn from what `prepare` made of the same cut-off and options.

    Raises
    ------
    TrainingDataError
        If `options.strict` is set and a feature seems to know the outcome.
    """
    data, edges = learning.data, learning.edges
    leaks = find_leaks(learning.history, learning.features, data, known_before, options.seed)
    if options.strict:
        refuse_leaks(leaks)
    division = divide(data, edges, division_share(learning.history))
    learned = (
        _learn_base_rate(learning, division, options)
        if options.base_rate
        else _learn_model(learning, division, options, progress)
    )
    return Artifact(
        edges=edges,
        grid=learning.grid,
        tables=learned.tables,
        calibration=learned.calibration,
        bag_calibrations=learned.bag_calibrations,
        features=learning.features.to_json(),
        facts=_facts(learning, known_before, division, learned, options)
        | {
            "basis": "base rate" if options.base_rate else "model",
            "actions": learned.actions.to_json(),
            "forecast": forecast_facts(learning.history, data, edges, learned.told, known_before),
            "leaks": [leak.to_json() for leak in leaks],
        },
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Blend:
    """Candidates mixed in log-odds.

    Parameters
    ----------
    parts
        What each counts for, the heaviest first, and how it was judged.
    eta
        Log-odds of the judged rows; NaN where not judged. Shape (R, B).
    """

    parts: list[tuple[float, Judgement]]
    eta: Floats

    def to_json(self) -> list[dict[str, Any]]:
        """A form that JSON can hold."""
        return [
            {
                "kind": title(judged.learner),
                "weight": round(weight, 6),
                "settings": judged.learner.to_json(),
                "sizes": judged.sizes.tolist(),
            }
            for weight, judged in self.parts
        ]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Learned:
    """What was learned, by whichever way.

    Parameters
    ----------
    judged
        Log-odds of the judged snapshots, calibrated by others', NaN elsewhere. Shape (R, B).
    told
        The same before calibration.
    choices
        What was chosen, for the facts.
    """

    tables: Tables
    calibration: Calibration
    bag_calibrations: tuple[Calibration, ...]
    judged: Floats
    told: Floats
    actions: ActionTable
    choices: dict[str, Any]


def _learn_model(
    learning: Learning, division: Division, options: Options, progress: Progress
) -> _Learned:
    data, edges = learning.data, learning.edges
    best = _choose(learning, division, options, progress)
    calibration, bag_calibrations = fit_calibrations(
        data, edges, best.eta, bags=BAGS, seed=options.seed + 2
    )
    tables = _fit_bags(learning, best, options, progress)
    return _Learned(
        tables=tables,
        calibration=calibration,
        bag_calibrations=bag_calibrations,
        judged=calibrated_crosswise(data, best.eta, bag_calibrations, seed=options.seed + 2),
        told=best.eta,
        actions=action_table(
            learning.history,
            learning.features,
            data,
            learning.bins,
            edges,
            tables.calibrated(calibration),
            bag_members(len(data.deal_ids), BAGS, options.seed + 1),
            options.seed,
        ),
        choices={"blend": best.to_json()},
    )


def _learn_base_rate(learning: Learning, division: Division, options: Options) -> _Learned:
    data, edges = learning.data, learning.edges
    cells = Cells.of(learning.grid, learning.bins)
    eta = judge_base_rate(data, cells, edges, division)
    rows = drawn_rows(data, options.seed)
    return _Learned(
        tables=fit_base_rate(data, cells, edges, bags=BAGS, seed=options.seed + 1),
        calibration=Calibration.none(len(edges) - 1),
        bag_calibrations=(),
        judged=eta,
        told=eta,
        # By what the deal itself had no part in; each bag has a part in all bags' mean.
        actions=learn_actions(
            learning.history,
            learning.features,
            data.take(rows),
            edges,
            eta[rows],
            feeds_of(learning.history),
            options.seed,
        ),
        choices={"prior_deals": PRIOR_DEALS},
    )


def _choose(learning: Learning, division: Division, options: Options, progress: Progress) -> _Blend:
    """Judge every candidate, and mix them by what the judging deals say."""
    data, edges = learning.data, learning.edges
    tried = candidates(data.rows // 2)
    step = progress(
        "choosing", len(tried) * len(division.rounds) * division.bags * (len(edges) - 1)
    )
    judged = [
        judge(
            data,
            learning.grid,
            learning.bins,
            edges,
            division,
            candidate,
            seed=options.seed,
            jobs=options.jobs,
            step=step,
        )
        for candidate in tried
    ]
    weights = blend_weights(deal_losses(data, edges, [each.eta for each in judged]), options.seed)
    parts = [
        (float(weights[place]), judged[place])
        for place in np.argsort(-weights, kind="stable").tolist()
        if weights[place] > 0.0
    ]
    return _Blend(parts=parts, eta=sum((w * each.eta for w, each in parts), np.zeros(())))


def _fit_bags(learning: Learning, best: _Blend, options: Options, progress: Progress) -> Tables:
    """The bags on all deals up to K, with the choices made."""
    data, edges = learning.data, learning.edges
    members = bag_members(len(data.deal_ids), BAGS, options.seed + 1)
    everything = np.ones((data.rows, len(edges) - 1), dtype=bool)
    questions = problems(data, edges, everything)
    calls = []
    for bag in range(BAGS):
        for b, question in enumerate(questions):
            seed = options.seed + 100 * bag + b
            drawn = np.flatnonzero(members[bag, data.deal[question.rows]])
            rows = question.rows[drawn]
            calls += [
                (
                    learning.grid,
                    learning.bins[rows],
                    question.won[drawn],
                    data.weight[rows],
                    len(np.unique(data.deal[rows])),
                    judged.learner,
                    int(judged.sizes[b]),
                    seed,
                )
                for _, judged in best.parts
            ]
    step = progress("fitting", len(calls))
    models: list[Leaves] = []
    for model in in_parallel(fit_leaves, calls, options.jobs):
        models.append(model)
        step()
    weights = [weight for weight, _ in best.parts]
    blended = [
        blend_leaves(weights, models[first : first + len(weights)])
        for first in range(0, len(models), len(weights))
    ]
    width = len(questions)
    return compile_leaves(
        [blended[bag * width : (bag + 1) * width] for bag in range(BAGS)],
        learning.grid,
        bin_weights(learning.grid, learning.bins, data.weight),
    )


def _facts(
    learning: Learning,
    known_before: int,
    division: Division,
    learned: _Learned,
    options: Options,
) -> dict[str, Any]:
    history, data = learning.history, learning.data
    return {
        "known_before": from_microseconds(known_before).isoformat(),
        "rates": ClosingLog(history).table(known_before).to_json(),
        "feeds": feeds_to_json(feeds_of(history)),
        "ranges": ranges_to_json(learning.features.names, data.x),
        "rhythm_days": usual_rhythm_days(history, known_before),
        "training": {
            "deals": len(np.unique(data.deal)),
            "won": len(np.unique(data.deal[data.win != NEVER])),
            "snapshots": data.rows,
            "closing_lag_days": closing_lag(history, known_before) / 86_400_000_000,
            "division": division.method,
            "folds": FOLDS if division.split is None else 1,
            "split": None
            if division.split is None
            else from_microseconds(division.split).isoformat(),
            **learned.choices,
            "seed": options.seed,
            "bags": BAGS,
        },
        "judged": quality_by_edge(data, learning.edges, learned.judged),
    }
