"""What was said of open deals at moments of the past, by the model that was in force then.

A forecast of d days made at t counts only if ``t + d <= K - L``, whatever the outcome, as in
`training.dataset`: looking at closed deals alone would look at the fast ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.artifact import Artifact
from model.events import DAY_US
from model.feeds import feeds_of
from model.history import Floats, Ints
from model.scorer import Scorer
from training.backtest import open_moments
from training.record import Record
from training.scored_parts import scored_parts
from training.thresholds import MonitorThresholds


@dataclass(frozen=True, kw_only=True, eq=False)
class InForce:
    """A model, and from when it answered: until the next one did.

    Parameters
    ----------
    scorer
        Of its artifact.
    since_us
        Microseconds since 1970 UTC.
    """

    scorer: Scorer
    since_us: int


def in_force(models: Sequence[Artifact], since: Sequence[int] | None, now_us: int) -> list[InForce]:
    """Who answered when; the last of the models is in force now.

    Parameters
    ----------
    models
        In the order in which they came into force; one gone back to stands there twice.
    since
        When each did, microseconds since 1970 UTC. None, or a moment after `now_us` since a time
        long past is looked at: each since its cut-off, without those that learned from more than
        the last.
    """
    scorers = [Scorer(each) for each in models]
    if since is not None and max(since) <= now_us:
        return [InForce(scorer=a, since_us=at) for a, at in zip(scorers, since, strict=True)]
    last = scorers[-1].known_before
    told = [InForce(scorer=each, since_us=each.known_before) for each in scorers[:-1]]
    earlier = sorted((each for each in told if each.since_us <= last), key=lambda e: e.since_us)
    return [*earlier, InForce(scorer=scorers[-1], since_us=last)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """Forecasts of open deals at moments, each by the model in force then, and what came.

    Parameters
    ----------
    deal, as_of
        Index of the deal, and the moment in microseconds. Shape (R,).
    probability
        P(won within the days); NaN where no model could say. Shape (R, H).
    counted
        Whether the outcome is known, whatever it was. Shape (R, H).
    won
        Whether it was won in time. Shape (R, H).
    """

    deal: Ints
    as_of: Ints
    probability: Floats
    counted: NDArray[np.bool_]
    won: NDArray[np.bool_]


def said_of(
    record: Record, models: Sequence[InForce], deal: Ints, as_of: Ints, days: Floats
) -> Said:
    """Score open deals, each moment by the model in force then, if it knew nothing later."""
    begun = np.array([each.since_us for each in models])
    order = np.lexsort((as_of, deal))
    deal, as_of = deal[order], as_of[order]
    by = np.searchsorted(begun, as_of, side="right") - 1
    found = np.full((len(deal), len(days)), np.nan)
    heard = feeds_of(record.history)
    for number, scorer in enumerate(each.scorer for each in models):
        rows = np.flatnonzero((by == number) & (as_of >= scorer.known_before))
        within = days <= scorer.edges[-1]
        feeds = scorer.feeds(heard)
        for part, scored in scored_parts(
            scorer, record.history, deal[rows], as_of[rows], feeds, checked=True
        ):
            shown, answers = scored.scorable, scorer.probabilities(scored, days[within].tolist())
            found[np.ix_(rows[part][shown], within)] = answers[shown]
    ahead = as_of[:, None] + (days * DAY_US).astype(np.int64)
    return Said(
        deal=deal,
        as_of=as_of,
        probability=found,
        counted=(ahead <= record.countable_until) & np.isfinite(found),
        won=record.win[deal][:, None] <= ahead,
    )


def said_regularly(
    record: Record, models: Sequence[InForce], current: Scorer, limits: MonitorThresholds
) -> Said:
    """The deals open at regular moments of the past, while some model could score them."""
    days = current.edges[1:]
    until = record.countable_until - int(days[0] * DAY_US) + 1
    spacing = int(limits.spacing_days * DAY_US)
    first = max(models[0].since_us, until - int(limits.judged_days * DAY_US))
    deal, as_of = open_moments(record, first, until, spacing)
    return said_of(record, models, deal, as_of, days)
