"""One condition of the promotion gate, and those that look at no difference in loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from model.history import Floats
from training.metrics import CLIP
from training.thresholds import PromotionThresholds

ALL: Final = "all deals"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition of the gate.

    Parameters
    ----------
    name
        ``enough``, ``loss``, ``slope``, ``intercept``, ``coverage``, ``leaks`` or ``refit``.
    segment
        What it was asked of.
    held
        Whether it holds.
    words
        The condition with its figures, in a sentence.
    """

    name: str
    segment: str
    held: bool
    words: str


def refit_condition(
    judged: Floats, refit: Floats, usual: int, limits: PromotionThresholds
) -> Condition:
    """Whether a refit on all data may stand for the artifact that was judged.

    Points are asked at the usual horizon, for they are few where probabilities are small and many
    where they are large; log-odds, which are alike at all, at each.

    Parameters
    ----------
    judged, refit
        The probabilities of the same open deals at each horizon under both. Shape (D, H).
    usual
        Which horizon is the usual one.
    """
    deals = len(judged)
    mean = most = odds = 0.0
    if deals:
        apart = np.abs(refit - judged)[:, usual]
        mean, most = float(apart.mean()), float(np.quantile(apart, 0.95))
        odds = float(np.abs(_logit(refit) - _logit(judged)).mean(axis=0).max())
    near = mean <= limits.refit_mean and most <= limits.refit_most and odds <= limits.refit_log_odds
    return Condition(
        name="refit",
        segment=ALL,
        held=near and deals >= limits.refit_deals,
        words=(
            f"the refit on all data scores {deals:,} open deals {100 * mean:.1f} points apart from "
            f"the judged model on average, 19 in 20 within {100 * most:.1f}, and {odds:.2f} "
            f"log-odds at the horizon where it is most; at least {limits.refit_deals:,} deals and "
            f"at most {100 * limits.refit_mean:g}, {100 * limits.refit_most:g} and "
            f"{limits.refit_log_odds:g} are asked"
        ),
    )


def _logit(p: Floats) -> Floats:
    held = np.clip(p, CLIP, 1.0 - CLIP)
    return np.asarray(np.log(held) - np.log1p(-held))


def coverage_condition(
    moments: int, numberless: int, lost: int | None, limits: PromotionThresholds
) -> Condition:
    """Whether the challenger shows a number wherever the champion does.

    Parameters
    ----------
    moments
        At which a judged deal was open.
    numberless
        Those of them at which the challenger shows no number, so that none is judged.
    lost
        Those of these at which the champion shows one; None where no champion is in force.
    """
    share = (lost or 0) / max(moments, 1)
    words = f"the challenger gives no number at {numberless:,} of {moments:,} moments of open deals"
    if lost is None:
        words += "; no champion is in force that could give one there"
    else:
        words += (
            f", and at {lost:,} of these the champion does ({share:.1%} of all, at most "
            f"{limits.lost_numbers:.1%} are allowed)"
        )
    return Condition(
        name="coverage",
        segment=ALL,
        held=share <= limits.lost_numbers,
        words=words,
    )


def leaks_condition(leaks: Sequence[Mapping[str, Any]]) -> Condition:
    """Whether no feature seems to know the outcome; notes are let pass."""
    found = [leak for leak in leaks if not leak["is_note"]]
    words = "no feature seems to know the outcome"
    if found:
        told = "; ".join(f"{leak['feature']!r} {leak['evidence']}" for leak in found)
        words = f"features seem to know the outcome: {told}; leave them out with --drop"
    return Condition(name="leaks", segment=ALL, held=not found, words=words)
