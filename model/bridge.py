"""The bridge: from last week's forecast of a period to this week's, adding up to the cent.

A deal is worth, as known at a moment, its amount if it was won in the period, its amount times its
probability to be won in it while it is open, and nothing else. What it is worth changes for one
reason where it came, went or closed. Where it was open at both moments, it changes in steps, each
the difference of what it is worth before and after it:

    amount     the new amount, at the old probability
    time       nothing new is known, but time has passed and fewer days are left
    close date the rep's new close date
    events     everything else that became known
    retraining the model of now

A deal whose currency changed leaves the one and comes to the other as an amount changed.

All values are whole cents before they are subtracted, so no rounding is left over. A moved close
date is a push or a pull where it crosses the period's end, and an event like any other otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from model.errors import ScoreError
from model.money import cents
from model.period import Period
from model.pipeline import Deal

WON: Final = "won"
LOST: Final = "lost"
NEW: Final = "new"
PUSHED_OUT: Final = "pushed out"
PULLED_IN: Final = "pulled in"
AMOUNT: Final = "amount changed"
TIME: Final = "time passing"
EVENTS: Final = "events"
RETRAINING: Final = "retraining"
UNOPENED: Final = "not yet opened"
REMOVED: Final = "removed"
BARS: Final = (
    WON,
    LOST,
    NEW,
    PUSHED_OUT,
    PULLED_IN,
    AMOUNT,
    TIME,
    EVENTS,
    RETRAINING,
    UNOPENED,
    REMOVED,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    """The probability of a deal open at both moments, from step to step.

    Parameters
    ----------
    then
        As it was shown at the earlier moment.
    waited
        As nothing new was known, now.
    planned
        With the rep's new close date.
    told
        With everything known now, by the model of then.
    now
        As it is shown.
    """

    then: float
    waited: float
    planned: float
    told: float
    now: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """What one deal adds to one bar.

    Parameters
    ----------
    deal_id
        The deal.
    bar
        One of `BARS`.
    cents
        Added, in hundredths of the currency; never 0.
    """

    deal_id: str
    bar: str
    cents: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Bridge:
    """The change from last week's expected amount to this week's.

    Parameters
    ----------
    before, after
        In cents: ``before + sum of the bars`` is ``after``.
    bars
        For each of `BARS` what it adds, in cents.
    moves
        What each deal adds, bar by bar, the largest first. Deals not yet opened are nobody's.
    """

    before: int
    after: int
    bars: Mapping[str, int]
    moves: tuple[Move, ...]

    def of(self, bar: str) -> tuple[Move, ...]:
        """The moves of one bar, the largest first."""
        return tuple(move for move in self.moves if move.bar == bar)


def bridge(
    before: Sequence[Deal],
    after: Sequence[Deal],
    period: Period,
    *,
    then: Mapping[str, float],
    now: Mapping[str, float],
    paths: Mapping[str, Path],
    unopened: tuple[float, float] = (0.0, 0.0),
    recoined: Collection[str] = (),
) -> Bridge:
    """Lay the change between two pipelines out by reason.

    Parameters
    ----------
    before, after
        The pipelines as known at the two moments, amounts in one currency.
    period
        The period forecast.
    then, now
        Probability to be won in the period, as shown, of the deals open at each moment; one that
        is missing has no number and is worth nothing.
    paths
        Of the deals open at both moments that have a number at both.
    unopened
        Expected amount of deals not yet opened, at both moments.
    recoined
        The deals that are in both pipelines, but in another currency.

    Raises
    ------
    ScoreError
        If a path does not begin or end at what was shown, or a deal that needs one has none.

    Examples
    --------
    >>> from model.period import quarter_until
    >>> deal = Deal(index=0, deal_id="D-1", status="open", opened_us=0, closed_us=None,
    ...     amount=1000.0, currency="EUR", owner=None, stage=None, category=None, segment=None,
    ...     close_date=None)
    >>> path = Path(then=0.5, waited=0.4, planned=0.4, told=0.7, now=0.7)
    >>> made = bridge([deal], [deal], quarter_until(date(2026, 3, 31)), then={"D-1": 0.5},
    ...     now={"D-1": 0.7}, paths={"D-1": path})
    >>> made.before, made.bars["time passing"], made.bars["events"], made.after
    (50000, -10000, 30000, 70000)
    """
    old = {deal.deal_id: deal for deal in before}
    new = {deal.deal_id: deal for deal in after}
    moves: list[Move] = []
    start = end = 0
    for deal_id in sorted(old.keys() | new.keys()):
        was, is_now = old.get(deal_id), new.get(deal_id)
        value_then = _value(was, period, then.get(deal_id))
        value_now = _value(is_now, period, now.get(deal_id))
        start += value_then
        end += value_now
        if (
            was is not None
            and is_now is not None
            and was.status == is_now.status == "open"
            and deal_id in then
            and deal_id in now
        ):
            steps = _steps(was, is_now, period, _path(deal_id, paths, then, now))
        else:
            reason = _reason(was, is_now, deal_id in then)
            if value_then and value_now and reason == WON and _is_won(was) and _is_won(is_now):
                reason = AMOUNT  # won in the period before and now: no win came or went
            if deal_id in recoined and (was is None or is_now is None):
                reason = AMOUNT
            steps = {reason: value_now - value_then}
        moves += [
            Move(deal_id=deal_id, bar=bar, cents=added) for bar, added in steps.items() if added
        ]
    to_come, to_come_now = (cents(amount) for amount in unopened)
    bars = dict.fromkeys(BARS, 0)
    for move in moves:
        bars[move.bar] += move.cents
    bars[UNOPENED] = to_come_now - to_come
    return Bridge(
        before=start + to_come,
        after=end + to_come_now,
        bars=bars,
        moves=tuple(sorted(moves, key=lambda move: (-abs(move.cents), move.deal_id))),
    )


def _steps(was: Deal, is_now: Deal, period: Period, path: Path) -> dict[str, int]:
    """The steps of a deal open at both moments; each value is rounded, so that they add up."""
    amount_then, amount_now = was.amount or 0.0, is_now.amount or 0.0
    values = [
        cents(amount_then * path.then),
        cents(amount_now * path.then),
        cents(amount_now * path.waited),
        cents(amount_now * path.planned),
        cents(amount_now * path.told),
        cents(amount_now * path.now),
    ]
    amount, waited, planned, told, retrained = (
        after - before for before, after in pairwise(values)
    )
    moved = _crossing(was.close_date, is_now.close_date, period)
    steps = {AMOUNT: amount, TIME: waited, EVENTS: told, RETRAINING: retrained}
    steps[moved] = steps.get(moved, 0) + planned
    return steps


def _crossing(then: date | None, now: date | None, period: Period) -> str:
    """Which bar a moved close date belongs to."""
    if then is not None and now is not None and then != now:
        if then <= period.last < now:
            return PUSHED_OUT
        if now <= period.last < then:
            return PULLED_IN
    return EVENTS


def _reason(was: Deal | None, is_now: Deal | None, had_number: bool) -> str:
    """Why a deal that was not open with a number at both moments is worth something else."""
    if is_now is None:
        return REMOVED
    if is_now.status != "open":
        return WON if is_now.status == "won" else LOST
    if was is None or was.status == "lost":
        return NEW  # reopened counts as come again
    if was.status == "won":
        return WON  # a win taken back
    return REMOVED if had_number else NEW  # it has no number any more, or has one at last


def _is_won(deal: Deal | None) -> bool:
    return deal is not None and deal.status == "won"


def _value(deal: Deal | None, period: Period, probability: float | None) -> int:
    if deal is None or deal.amount is None:
        return 0
    if deal.status == "won":
        return cents(deal.amount) if period.holds(deal.closed_us or 0) else 0
    if deal.status == "lost" or probability is None:
        return 0
    return cents(deal.amount * probability)


def _path(
    deal_id: str,
    paths: Mapping[str, Path],
    then: Mapping[str, float],
    now: Mapping[str, float],
) -> Path:
    path = paths.get(deal_id)
    if path is None or path.then != then[deal_id] or path.now != now[deal_id]:
        raise ScoreError(
            f"deal {deal_id!r} with path {path}",
            f"a path from the one to the other shown, {then[deal_id]:g} to {now[deal_id]:g}",
            "make it of the same scores",
        )
    return path
