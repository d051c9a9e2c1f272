"""Whether today's open deals look like those that the model in force learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from model.events import DAY_US
from model.feature import Rate
from model.feeds import feeds_of
from model.history import Floats, Ints
from model.scorer import Scorer
from model.unusual import CALENDAR_NAMES
from training.backtest import open_moments
from training.data_checks import compare_values, effective_deals, which_moved
from training.finding import Finding
from training.record import Record
from training.scored_parts import scored_parts
from training.thresholds import MonitorThresholds

SCORE: Final = "score"  # stands among the features for the model's own answer
REFERENCE_SPACING_DAYS: Final = 28.0  # whole weeks, so that Mondays are set beside Mondays


@dataclass(frozen=True, kw_only=True)
class Moved:
    """How far a feature of today's open deals lies from those of training.

    Parameters
    ----------
    feature
        Its name, or ``score``.
    psi, p_value
        Of the stability index, and of the chi-squared test.
    moved
        Whether both say so, by the thresholds.
    """

    feature: str
    psi: float
    p_value: float
    moved: bool


def moved_since(
    record: Record, now_us: int, current: Scorer, days: float, limits: MonitorThresholds
) -> list[Moved]:
    """Today's open deals beside those open at moments before the cut-off, the furthest first.

    Both are deals open at a moment, so both hold many slow ones; and the moments fall on one
    weekday and hour, for after a weekend all is quieter. One deal is seen at several of the earlier
    moments, and counts as less than as many deals (Kish's effective size). What comes round with
    the calendar is left out, and win rates, of which new owners and accounts know nothing.
    """
    begin = current.known_before - int(limits.reference_days * DAY_US)
    spacing = int(REFERENCE_SPACING_DAYS * DAY_US)
    first = now_us - (now_us - max(begin, record.begin_us)) // spacing * spacing
    then = open_moments(record, first, current.known_before, spacing)
    today = np.flatnonzero((record.opened < now_us) & (record.closed >= record.end_us))
    old_x, old_p, old_deal = _open(record, current, *then, days)
    new_x, new_p, _ = _open(record, current, today, np.full(len(today), now_us), days)
    size = effective_deals(old_deal)
    if min(len(new_p), size) < limits.open_deals:
        return []
    bins = current.artifact.grid.bin
    old_bins, new_bins = bins(old_x).astype(np.int64), bins(new_x).astype(np.int64)
    names, figures = [SCORE], [compare_values(*_tenths(old_p, new_p), size)]
    for column, feature in enumerate(current.features.features):
        if feature.name not in CALENDAR_NAMES and not isinstance(feature.term, Rate):
            names.append(feature.name)
            figures.append(compare_values(old_bins[:, column], new_bins[:, column], size))
    moved = which_moved(figures, limits.psi, limits.psi_level)
    found = [
        Moved(feature=name, psi=psi, p_value=p, moved=is_moved)
        for name, (psi, p), is_moved in zip(names, figures, moved, strict=True)
    ]
    return sorted(found, key=lambda each: -each.psi)


def _open(
    record: Record, scorer: Scorer, deal: Ints, as_of: Ints, days: float
) -> tuple[Floats, Floats, Ints]:
    """Features, probability and deal of those open as known at each moment."""
    feeds = scorer.feeds(feeds_of(record.history))
    x, p, open_deal = [np.empty((0, len(scorer.features.names)))], [np.empty(0)], [deal[:0]]
    for part, scored in scored_parts(scorer, record.history, deal, as_of, feeds):
        x.append(scored.x[scored.is_open])
        p.append(scorer.probabilities(scored, [days])[scored.is_open, 0])
        open_deal.append(deal[part][scored.is_open])
    return np.concatenate(x), np.concatenate(p), np.concatenate(open_deal)


def _tenths(old: Floats, new: Floats) -> tuple[Ints, Ints]:
    cuts = np.unique(np.quantile(old, np.arange(1, 10) / 10))
    return np.searchsorted(cuts, old), np.searchsorted(cuts, new)


def drift_finding(moved: Sequence[Moved], limits: MonitorThresholds) -> Finding:
    """Many features moved, or the score did: a reason to retrain; some are told."""
    if not moved:
        words = "too few deals are open, or were, to tell whether they moved"
        return Finding(name="drift", state="unknown", words=words)
    far = [each for each in moved if each.moved]
    shown = ", ".join(f"{each.feature} (PSI {each.psi:.2f})" for each in far[:5])
    named = f"{shown}{f' and {len(far) - 5} more' if far[5:] else ''}"
    if not far:
        words = f"none of {len(moved) - 1} features of today's open deals moved, nor the score"
        return Finding(name="drift", state="well", words=words)
    words = f"{len(far)} of {len(moved)} moved beside training: {named}"
    many = len(far) > limits.moved_share * len(moved)
    asks = many or any(each.feature == SCORE for each in far)
    return Finding(name="drift", state="retrain" if asks else "told", words=words)
