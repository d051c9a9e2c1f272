"""Every open deal of a review, and the red flares among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import nan
from typing import Final

import numpy as np

from model.asof import AsOf, Snapshot
from model.coverage import Coverage
from model.events import DAY_US, from_microseconds
from model.feature import days_in_words
from model.feeds import Feeds
from model.gates import Gate, find_gates
from model.history import Floats, History
from model.interval import interval, probability_of
from model.money import CENTS, cents
from model.outlook import Chances
from model.pipeline import Deal
from model.red_flare import (
    WEEK_US,
    RedFlare,
    flare_horizon_days,
    newly_raised,
    red_flares,
    usual_probability,
)
from model.scorer import Scorer
from service.review.looks import Looks
from service.review.week import Week, within

TREND_WEEKS: Final = 8
DISAGREES: Final = 0.35  # points of probability between the two


@dataclass(frozen=True, kw_only=True)
class DealRow:
    """One open deal.

    Parameters
    ----------
    deal
        As known now.
    probability
        To be won in the period, as forecasts use it; None where it has no number.
    model_probability
        The same by the model alone, whatever is missed.
    low, high
        Its 80 % interval.
    gated
        Whether a must-hit milestone is missed, so that `probability` is 0.
    change
        Of `probability` since the last review; None where there was no number then.
    trend
        `probability` week by week, the oldest first, NaN where there was none.
    expected
        Amount times `probability`, to the cent.
    at_stake
        Amount times the larger of the model's own probability and that of last week.
    flares
        That stand, and those of them that did not a week before.
    new_flares
        The rules and subjects newly raised.
    gates
        Its must-hit milestones.
    update_days
        Days since the owner's last internal update; None where there is none.
    quality
        The verdict and the findings' phrases.
    said
        How sure the rep's category is, by the record of past quarters; None where nothing tells.
    """

    deal: Deal
    probability: float | None
    model_probability: float | None
    low: float | None
    high: float | None
    gated: bool
    change: float | None
    trend: tuple[float, ...]
    expected: float
    at_stake: float
    flares: tuple[RedFlare, ...]
    new_flares: frozenset[tuple[str, str]]
    gates: tuple[Gate, ...]
    update_days: float | None
    quality: str
    findings: tuple[str, ...]
    said: float | None = None

    @property
    def next_gate(self) -> Gate | None:
        """The open must-hit milestone due first."""
        ahead = [gate for gate in self.gates if gate.state == "open" and gate.due is not None]
        return min(ahead, key=lambda gate: gate.due or "", default=None)

    @property
    def disagreement(self) -> str:
        """How the rep's category differs from the model; empty where it does not by much."""
        if self.said is None or self.probability is None:
            return ""
        if abs(self.said - self.probability) < DISAGREES:
            return ""
        return "rep surer" if self.said > self.probability else "model surer"


def deal_rows(
    scorer: Scorer | None,
    looks: Looks,
    now: Week,
    before: Week | None,
    trend: Sequence[Week],
    feeds: Feeds | None,
    *,
    begun: bool,
) -> list[DealRow]:
    """Every open deal, in the history's order.

    Parameters
    ----------
    looks
        At these deals.
    before
        The last review; None at the first one.
    trend
        The weeks before now that have scores, the oldest first.
    feeds
        What the scorer is told of now.
    begun
        Whether the period has.
    """
    if scorer is None or now.of_open is None:
        return [_bare(deal) for deal in now.opened]
    snapshots = _snapshots(scorer, looks.history, now.opened, now.as_of, feeds)
    inside = within(now.of_open, begun=begun)
    low, high = _intervals(now.of_open, inside, scorer.artifact.missed, begun=begun)
    near = _near(scorer, looks, now, feeds)
    days = flare_horizon_days(scorer.edges)
    usual = usual_probability(scorer.artifact.facts["judged"], days)
    rows = []
    for place, deal in enumerate(now.opened):
        checks = now.of_open.checks[place]
        has = checks.scorable
        shown = now.shown.get(deal.deal_id)
        then = None if before is None else before.shown.get(deal.deal_id)
        own = float(inside[place]) if has else None
        flares, new = _flares(snapshots[place], near[place], usual, days)
        amount = deal.amount or 0.0
        rows.append(
            DealRow(
                deal=deal,
                probability=shown,
                model_probability=own,
                low=float(low[place]) if has else None,
                high=float(high[place]) if has else None,
                gated=bool(now.of_open.gated[place]),
                change=None if shown is None or then is None else shown - then,
                trend=tuple(week.shown.get(deal.deal_id, nan) for week in (*trend, now)),
                expected=cents(amount * (shown or 0.0)) / CENTS,
                at_stake=amount * max(own or 0.0, then or 0.0),
                flares=flares,
                new_flares=new,
                gates=checks.gates,
                update_days=_update_days(snapshots[place]),
                quality=checks.data_quality.verdict,
                findings=tuple(finding.phrase for finding in checks.data_quality.findings),
            )
        )
    return rows


def flared(rows: Sequence[DealRow]) -> list[DealRow]:
    """Those to act on, the largest value at stake first."""
    found = [row for row in rows if row.flares]
    return sorted(found, key=lambda row: (-row.at_stake, row.deal.deal_id))


def _flares(
    snapshot: Snapshot, near: Sequence[float | None], usual: float, days: float
) -> tuple[tuple[RedFlare, ...], frozenset[tuple[str, str]]]:
    """The flares that stand, and the rules and subjects of those that did not a week before."""
    last = Snapshot(snapshot.deal, snapshot.as_of - WEEK_US, snapshot.coverage)
    known = None if np.isnan(usual) else usual
    stood = red_flares(
        last,
        find_gates(last),
        now=near[1],
        week_before=near[2],
        horizon_days=days,
        usual=known,
    )
    flares = red_flares(
        snapshot,
        find_gates(snapshot),
        now=near[0],
        week_before=near[1],
        horizon_days=days,
        usual=known,
        standing=stood,
    )
    return flares, frozenset((flare.rule, flare.subject) for flare in newly_raised(stood, flares))


def _bare(deal: Deal) -> DealRow:
    return DealRow(
        deal=deal,
        probability=None,
        model_probability=None,
        low=None,
        high=None,
        gated=False,
        change=None,
        trend=(),
        expected=0.0,
        at_stake=0.0,
        flares=(),
        new_flares=frozenset(),
        gates=(),
        update_days=None,
        quality="no probability",
        findings=(),
    )


def _snapshots(
    scorer: Scorer, history: History, opened: Sequence[Deal], as_of: int, feeds: Feeds | None
) -> list[Snapshot]:
    vocabulary = scorer.features.vocabulary
    deal = np.array([each.index for each in opened], dtype=np.int64)
    moments = np.full(len(deal), as_of, dtype=np.int64)
    coverage = Coverage(feeds or scorer.trained_feeds, history.sources)
    return AsOf(history, vocabulary, vocabulary.codes(history), deal, moments, coverage).snapshots


def _intervals(
    of_open: Chances, inside: Floats, missed: float, *, begun: bool
) -> tuple[Floats, Floats]:
    """Low and high of the probability to be won in the period, each of shape (D,)."""
    bags = of_open.bag_log_odds[:, :, -1]
    if not begun:
        by_end, by_begin = (probability_of(of_open.bag_log_odds[:, :, k]) for k in (-1, 0))
        bags = _log_odds(by_end - by_begin)
    return interval(_log_odds(inside), bags, missed)


def _log_odds(probability: Floats) -> Floats:
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(p) - np.log1p(-p))


def _near(
    scorer: Scorer, looks: Looks, now: Week, feeds: Feeds | None
) -> list[tuple[float | None, ...]]:
    """For each open deal the probability that its flares look at: now, one and two weeks before.

    None where it was not open, had no number, or the model knows what came.
    """
    deal = np.array([each.index for each in now.opened], dtype=np.int64)
    days = [flare_horizon_days(scorer.edges)]
    found: list[list[float | None]] = []
    for weeks in range(3):
        as_of = now.as_of - weeks * WEEK_US
        moments = np.full(len(deal), as_of, dtype=np.int64)
        if not len(deal) or as_of < scorer.known_before:
            found.append([None] * len(deal))
            continue
        scored = (
            scorer.score_many(looks.history, deal, moments, None, feeds, checked=True)
            if weeks  # what is told of feeds now, and so not what the trend was told then
            else looks.scored(scorer, as_of, feeds)
        )
        shown = scorer.probabilities(scored, days)[:, 0].tolist()
        told = zip(shown, scored.scorable.tolist(), strict=True)
        found.append([p if is_told else None for p, is_told in told])
    return list(zip(*found, strict=True))


def _update_days(snapshot: Snapshot) -> float | None:
    rows = snapshot.of("internal_update_posted")
    if not rows:
        return None
    return (snapshot.as_of - snapshot.deal.occurred[rows[-1]]) / DAY_US


def update_in_words(row: DealRow, as_of: int) -> str:
    """The owner's last update and its age."""
    if row.update_days is None:
        return "none on record"
    day: date = (from_microseconds(as_of) - timedelta(days=row.update_days)).date()
    return f"{day.isoformat()}, {days_in_words(row.update_days)} ago"
