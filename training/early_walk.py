"""Every open deal week by week, as known then and scored by the artifact then in force."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.asof import AsOf, Snapshot
from model.catalogue.contact import CONTACT
from model.catalogue.course import close_date_days, close_date_pushes
from model.errors import TrainingDataError
from model.events import from_microseconds
from model.feeds import feeds_of
from model.gates import find_gates
from model.history import NONE, Floats, History, Ints
from model.red_flare import (
    WEEK_US,
    contact_silence_days,
    flare_horizon_days,
    usual_probability,
)
from model.scorer import Scorer
from model.vocabulary import Vocabulary
from training.backtest import Origin
from training.dataset import open_span

AT_ONCE: Final = 2_000  # snapshots held at a time
SCORED_AT_ONCE: Final = 50_000  # rows of features held at a time
# What a CRM counts as activity: whoever acted, machines among them.
ACTIVITY: Final = (
    *CONTACT,
    "auto_reply_received",
    "message_sent",
    "call_made",
    "activity_logged",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Walk:
    """One row for each deal and week in which it was open as known then, and could be scored.

    Parameters
    ----------
    deal
        Index into ``history.deal_ids``, ascending. Shape (S,), like all that follow.
    as_of
        Microseconds since 1970 UTC, ascending within a deal.
    silence_days
        Since the customer's last real contact; NaN where no feed of the deal carries any.
    inactive_days
        Since the last of `ACTIVITY`, as a CRM counts it.
    pushes, close_date_days
        How often the close date was pushed, and days to it; NaN without one.
    gates_missed
        How many.
    amount
        NaN where none is known.
    probability
        Of a win within `horizon_days`, by the artifact in force then.
    usual
        `model.red_flare.usual_probability` within `horizon_days`, by the artifact in force then.
    owner
        Code of the owner's name, -1 where none is known.
    first_of_walk
        Whether the row is at the walk's first week, or the first after a gap between origins.
    horizon_days
        Of `probability`.
    spans
        The times walked, from and until, microseconds since 1970 UTC. Shape (P, 2).
    """

    deal: Ints
    as_of: Ints
    silence_days: Floats
    inactive_days: Floats
    pushes: Floats
    close_date_days: Floats
    gates_missed: Floats
    amount: Floats
    probability: Floats
    usual: Floats
    owner: Ints
    first_of_walk: NDArray[np.bool_]
    horizon_days: float
    spans: Ints

    @cached_property
    def nth(self) -> Ints:
        """How many rows went before each in its unbroken run of weeks. Shape (S,)."""
        begins = np.ones(self.deal.size, dtype=bool)
        begins[1:] = (np.diff(self.deal) != 0) | (np.diff(self.as_of) != WEEK_US)
        starts = np.flatnonzero(begins)
        return np.asarray(np.arange(self.deal.size) - starts[np.cumsum(begins) - 1])

    @cached_property
    def steps(self) -> list[NDArray[np.intp]]:
        """Rows that have a week before, those earlier in their run first."""
        order = np.argsort(self.nth, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.nth))[:-1])[1:]

    @cached_property
    def expected_value(self) -> Floats:
        """Amount times probability; NaN where no amount is known. Shape (S,)."""
        return np.maximum(self.amount, 0.0) * self.probability

    def before(self, values: Floats) -> Floats:
        """Each row's value of the week before; NaN where the deal was not followed then."""
        shifted = np.concatenate([[np.nan], values[:-1]])
        return np.where(self.nth > 0, shifted, np.nan)


def walk(history: History, origins: Sequence[Origin]) -> Walk:
    """Follow every open deal from week to week.

    Parameters
    ----------
    history
        The whole record; as of each week only what was known by then is read.
    origins
        In any order; where two are in force at once, the later one scores.

    Returns
    -------
    Walk
        Rows of one deal are a week apart, but where it was closed or could not be scored in
        between, or no origin was in force.

    Raises
    ------
    TrainingDataError
        If there is no origin, one ends before it begins or learned from its own time, or no
        deal was open.
    """
    ordered = sorted(origins, key=lambda origin: origin.known_before_us)
    scorers = [Scorer(origin.artifact) for origin in ordered]
    _check(ordered, scorers)
    spans = _spans(ordered)
    horizon = min(flare_horizon_days(scorer.edges) for scorer in scorers)
    moments = np.concatenate([np.arange(start, end, WEEK_US) for start, end in spans.tolist()])
    deal, as_of = _open_rows(history, moments)
    in_force = (
        np.searchsorted(np.array([o.known_before_us for o in ordered]), as_of, side="right") - 1
    )
    heard = feeds_of(history)
    if deal.size == 0:
        raise _nobody_open(ordered)
    plain = Vocabulary()
    codes = plain.codes(history)
    whole = {name: np.empty(deal.size) for name in ("is_open", "probability", "usual", *_FACTS)}
    for number, scorer in enumerate(scorers):
        # A source that its training never met stays undescribed, as in the commands.
        feeds = scorer.feeds(heard)
        mine = np.flatnonzero(in_force == number)
        whole["usual"][mine] = usual_probability(scorer.artifact.facts["judged"], horizon)
        for part in _pieces(mine, SCORED_AT_ONCE):
            scored = scorer.score_many(history, deal[part], as_of[part], None, feeds, checked=True)
            whole["is_open"][part] = scored.scorable
            whole["probability"][part] = scorer.probabilities(scored, [horizon])[:, 0]
        for part in _pieces(mine, AT_ONCE):
            asof = AsOf(history, plain, codes, deal[part], as_of[part], feeds)
            for name, fact in _FACTS.items():
                whole[name][part] = [fact(snapshot) for snapshot in asof.snapshots]
    is_open = whole.pop("is_open") > 0
    if not is_open.any():
        raise _nobody_open(ordered)
    return Walk(
        deal=deal[is_open],
        as_of=as_of[is_open],
        owner=whole.pop("owner")[is_open].astype(np.int64),
        first_of_walk=np.isin(as_of, spans[:, 0])[is_open],
        horizon_days=horizon,
        spans=spans,
        **{name: values[is_open] for name, values in whole.items()},
    )


def _pieces(rows: NDArray[np.intp], most: int) -> list[NDArray[np.intp]]:
    return [rows[first : first + most] for first in range(0, rows.size, most)]


def _inactive_days(snapshot: Snapshot) -> float:
    return snapshot.since_or_opening_days(*ACTIVITY)


def _amount(snapshot: Snapshot) -> float:
    return snapshot.number("amount_changed")


def _owner(snapshot: Snapshot) -> float:
    rows = snapshot.of("owner_changed")
    return float(snapshot.deal.name[rows[-1]] if rows else NONE)


def _gates_missed(snapshot: Snapshot) -> float:
    return float(sum(gate.state == "missed" for gate in find_gates(snapshot)))


_FACTS: Final[dict[str, Callable[[Snapshot], float]]] = {
    "silence_days": contact_silence_days,
    "inactive_days": _inactive_days,
    "pushes": close_date_pushes,
    "close_date_days": close_date_days,
    "amount": _amount,
    "owner": _owner,
    "gates_missed": _gates_missed,
}


def _nobody_open(ordered: Sequence[Origin]) -> TrainingDataError:
    return TrainingDataError(
        f"no deal open from {from_microseconds(ordered[0].known_before_us).date()} on",
        "deals that were open while an artifact was in force",
        "choose origins inside the record",
    )


def _check(ordered: Sequence[Origin], scorers: Sequence[Scorer]) -> None:
    if not ordered:
        raise TrainingDataError("no origin", "at least one artifact and its time", "give one")
    for origin, scorer in zip(ordered, scorers, strict=True):
        begins = from_microseconds(origin.known_before_us).date()
        if origin.until_us <= origin.known_before_us:
            raise TrainingDataError(
                f"an origin of {begins} until {from_microseconds(origin.until_us).date()}",
                "an end after its beginning",
                "correct its time",
            )
        if scorer.known_before > origin.known_before_us:
            raise TrainingDataError(
                f"an origin of {begins} with an artifact that learned from what was known before "
                f"{from_microseconds(scorer.known_before).date()}",
                "one that was there then",
                "train it on what was known before the origin",
            )


def _spans(ordered: Sequence[Origin]) -> Ints:
    """The times in which some origin was in force, joined. Shape (P, 2)."""
    spans: list[list[int]] = []
    for origin in ordered:
        if spans and origin.known_before_us <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], origin.until_us)
        else:
            spans.append([origin.known_before_us, origin.until_us])
    return np.array(spans, dtype=np.int64)


def _open_rows(history: History, moments: Ints) -> tuple[Ints, Ints]:
    """Deals and weeks at which they may have been open, by deal and time."""
    opened, until = open_span(history, int(history.known.max()) + 1)
    first = np.searchsorted(moments, opened)
    count = np.maximum(np.searchsorted(moments, until) - first, 0)
    deal = np.repeat(np.arange(history.deals), count)
    nth = np.arange(deal.size) - np.repeat(np.cumsum(count) - count, count)
    return deal, moments[first[deal] + nth]
