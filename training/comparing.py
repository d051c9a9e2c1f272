"""The challenger's forecasts beside the champion's, of the same deals at the same moments.

The champion forecasts only after its own cut-off, so that neither has seen what came.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from model.artifact import Artifact
from model.feature_rows import usual_days
from model.feeds import feeds_of
from model.history import Floats
from model.scorer import Scorer
from training.backtest import Backtest
from training.backtest_report import slices
from training.condition import Condition, coverage_condition
from training.fit import Progress, no_progress
from training.promotion import Comparison
from training.scored_parts import parts, scored_parts
from training.thresholds import PromotionThresholds

BASELINE: Final = "base_rate"  # stands in for the champion where there is none


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
    both = forecasts.days[np.isfinite(theirs).any(axis=0)]  # answer: the champion may end earlier
    usual = np.isin(forecasts.days, [usual_days(np.append(0.0, both)) if both.size else np.nan])
    for each in slices(tested, smallest):
        if each.part not in ("all", "origin"):
            inside = np.zeros(len(forecasts.deal), dtype=bool)
            inside[each.rows] = True
            if inside[row].any() and not inside[row].all():  # all deals are judged as such
                segments[f"{each.part} {each.value}".strip()] = inside[row]
    compared = Comparison(
        deal=forecasts.deal[row],
        won=forecasts.won[row, column],
        challenger=forecasts.probability[row, column],
        champion=theirs[row, column],
        segments=segments,
        usual=usual[column] if len(forecasts.days) > 1 else None,
    )
    return compared, "the champion" if champion is not None else "the base rate by stage and age"


def coverage(tested: Backtest, champion: Artifact | None, limits: PromotionThresholds) -> Condition:
    """Whether the champion, where there is one, gives numbers where the challenger gives none."""
    deal, as_of = tested.unscorable, tested.unscorable_at
    if champion is None:
        moments = len(tested.forecasts.deal) + len(deal)
        return coverage_condition(moments, len(deal), None, limits)
    scorer = Scorer(champion)
    unseen = as_of >= scorer.known_before
    deal, as_of = deal[unseen], as_of[unseen]
    shown = int((tested.forecasts.as_of >= scorer.known_before).sum())
    lost = 0
    if len(deal):
        feeds = scorer.feeds(feeds_of(tested.record.history))
        scored = scorer.score_many(tested.record.history, deal, as_of, None, feeds, checked=True)
        lost = int(scored.scorable.sum())
    return coverage_condition(shown + len(deal), len(deal), lost, limits)


def _by_champion(tested: Backtest, champion: Artifact, progress: Progress) -> Floats:
    """The champion's probabilities of the same forecasts; NaN past its last edge. Shape (R, H)."""
    forecasts, history = tested.forecasts, tested.record.history
    scorer = Scorer(champion)
    feeds = scorer.feeds(feeds_of(history))
    within = forecasts.days <= champion.edges[-1]
    found = np.full(forecasts.probability.shape, np.nan)
    step = progress("the champion's forecasts", parts(len(forecasts.deal)))
    for part, scored in scored_parts(scorer, history, forecasts.deal, forecasts.as_of, feeds):
        found[part, within] = scorer.probabilities(scored, forecasts.days[within].tolist())
        step()
    return found
