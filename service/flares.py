"""The red flares of every open deal in a file, as they stand at a moment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed

from model.asof import AsOf, Snapshot
from model.event_table import read_shards
from model.events import from_microseconds
from model.feature import number_in_words
from model.feeds import Feeds
from model.gates import find_gates, gate
from model.history import NONE, History, Ints
from model.red_flare import (
    WEEK_US,
    RedFlare,
    flare_horizon_days,
    newly_raised,
    red_flares,
    usual_probability,
)
from model.scorer import Scorer
from service.batch import load_scorer, useful_jobs


@dataclass(frozen=True, kw_only=True)
class Look:
    """When to look.

    Parameters
    ----------
    as_of
        Microseconds since 1970 UTC.
    since
        An earlier moment, at which flares may have stood already; None tells none as new.
    hindsight
        Whether moments before the artifact's cut-off are scored.
    """

    as_of: int
    since: int | None = None
    hindsight: bool = False


@dataclass(frozen=True, kw_only=True)
class Flare:
    """One rule's flare for one deal.

    Parameters
    ----------
    rule, subject, phrase
        As in `model.red_flare.RedFlare`.
    since
        When it was raised, or first seen, ISO 8601 UTC.
    new
        Whether it did not stand at the earlier look; None without one.
    """

    rule: str
    subject: str
    phrase: str
    since: str
    new: bool | None


@dataclass(frozen=True, kw_only=True)
class FlaredDeal:
    """A deal with red flares.

    Parameters
    ----------
    deal_id
        The deal.
    as_of
        As known then, ISO 8601 UTC.
    value_at_risk
        Amount times the model's own probability, which a missed gate puts at risk as well; None
        where one is not known.
    expected_value
        Amount times gated probability, as forecasts count it; None where one is not known.
    amount, currency
        As known; amounts are compared as they are, whatever their currency.
    probability, days
        Of a win within so many days, by the model alone; None where it can give none.
    gated_probability
        The same, zero while a must-hit milestone is missed: what lists and forecasts use.
    flares
        At least one.
    """

    deal_id: str
    as_of: str
    value_at_risk: float | None
    expected_value: float | None
    amount: float | None
    currency: str | None
    probability: float | None
    gated_probability: float | None
    days: float
    flares: tuple[Flare, ...]

    @property
    def is_new(self) -> bool:
        """Whether any of its flares is newly raised."""
        return any(flare.new for flare in self.flares)

    @property
    def sentence(self) -> str:
        """Why it calls for its owner, in one sentence."""
        why = "; ".join(flare.phrase for flare in self.flares)
        amount = "no amount known"
        if self.amount is not None:
            amount = f"{number_in_words(self.amount)} {self.currency or ''}".rstrip()
        if self.probability is None:
            return f"{why} ({amount}, no probability can be given)."
        shown = self.probability if self.gated_probability is None else self.gated_probability
        within = f"{shown:.1%} to be won within {self.days:g} days"
        if shown != self.probability:
            within += f" with a milestone missed, {self.probability:.1%} by the model alone"
        return f"{why} ({amount}, {within})."

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {**asdict(self), "sentence": self.sentence}


def flared_deals(
    events: Path, artifact: Path, look: Look, feeds: Feeds, *, jobs: int
) -> tuple[list[FlaredDeal], int]:
    """The deals of a file that have red flares, the most value at risk first.

    Parameters
    ----------
    events
        A file of events.
    artifact
        A directory.
    look
        When to look.
    feeds
        As `Scorer.feeds` gives them.
    jobs
        Processes to use.

    Returns
    -------
    tuple
        The deals, and how many were open.
    """
    jobs = useful_jobs(events, jobs)
    work = (delayed(flared_shard)(artifact, shard, look, feeds) for shard in read_shards(events))
    found: list[FlaredDeal] = []
    opened = 0
    for deals, count in Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="n_jobs")(work):
        found += deals
        opened += count

    def order(each: FlaredDeal) -> tuple[bool, float, str]:
        return each.value_at_risk is None, -(each.value_at_risk or 0.0), each.deal_id

    return sorted(found, key=order), opened


def flared_shard(
    artifact: Path, table: pa.Table, look: Look, feeds: Feeds
) -> tuple[list[FlaredDeal], int]:
    """The flared deals of one table of whole deals, and how many were open."""
    scorer = load_scorer(artifact)
    history = History.from_table(table)
    now = _Moment(scorer, history, np.arange(history.deals), look.as_of, feeds, look)
    before = _Moment(scorer, history, now.deal, look.as_of - WEEK_US, feeds, look)
    before_that = _Moment(scorer, history, before.deal, look.as_of - 2 * WEEK_US, feeds, look)
    last_week = {deal: before.flares(deal, before_that) for deal in before.deal.tolist()}
    stood: dict[int, tuple[RedFlare, ...]] = {}
    if look.since is not None:
        then = _Moment(scorer, history, now.deal, look.since, feeds, look)
        earlier = _Moment(scorer, history, then.deal, look.since - WEEK_US, feeds, look)
        stood = {deal: then.flares(deal, earlier) for deal in then.deal.tolist()}
    found = []
    for deal in now.deal.tolist():
        # What stands is told from a week before, whenever `since` is: that only marks.
        flares = now.flares(deal, before, last_week.get(deal, ()))
        if flares:
            new = None if look.since is None else newly_raised(stood.get(deal, ()), flares)
            found.append(now.flared(deal, flares, new))
    return found, now.deal.size


class _Moment:
    """The open ones of some deals at a moment: how they stand, and how probably they are won."""

    def __init__(
        self, scorer: Scorer, history: History, deal: Ints, as_of: int, feeds: Feeds, look: Look
    ) -> None:
        vocabulary = scorer.features.vocabulary
        moments = np.full(deal.size, as_of, dtype=np.int64)
        asof = AsOf(history, vocabulary, vocabulary.codes(history), deal, moments, feeds)
        self.history = history
        self.as_of = as_of
        self.deal: Ints = deal[asof.is_open]
        self.snapshots = dict(zip(deal.tolist(), asof.snapshots, strict=True))
        self.days = flare_horizon_days(scorer.edges)
        usual = usual_probability(scorer.artifact.facts.get("judged", []), self.days)
        self.usual = None if isnan(usual) else usual
        self.probability: dict[int, float] = {}
        # Of a moment before its cut-off the artifact knows what came: no score of then.
        if self.deal.size and (as_of >= scorer.known_before or look.hindsight):
            scored = scorer.score_many(
                history, self.deal, moments[asof.is_open], None, feeds, checked=True
            )
            shown = scorer.probabilities(scored, [self.days])[:, 0].tolist()
            told = zip(self.deal.tolist(), shown, scored.scorable.tolist(), strict=True)
            self.probability = {index: p for index, p, is_told in told if is_told}

    def flares(
        self, deal: int, week_before: _Moment, standing: tuple[RedFlare, ...] = ()
    ) -> tuple[RedFlare, ...]:
        snapshot = self.snapshots[deal]
        return red_flares(
            snapshot,
            find_gates(snapshot),
            now=self.probability.get(deal),
            week_before=week_before.probability.get(deal),
            horizon_days=self.days,
            usual=self.usual,
            standing=standing,
        )

    def flared(
        self, deal: int, flares: tuple[RedFlare, ...], new: tuple[RedFlare, ...] | None
    ) -> FlaredDeal:
        snapshot = self.snapshots[deal]
        number = snapshot.number("amount_changed")
        amount = None if isnan(number) else number
        own = self.probability.get(deal)
        gates = gate(find_gates(snapshot), own)
        shown = own if gates is None else gates.gated_probability
        return FlaredDeal(
            deal_id=self.history.deal_ids[deal],
            as_of=from_microseconds(self.as_of).isoformat(),
            value_at_risk=None if amount is None or own is None else amount * own,
            expected_value=None if amount is None or shown is None else amount * shown,
            amount=amount,
            currency=_currency(snapshot),
            probability=own,
            gated_probability=None if own is None else shown,
            days=self.days,
            flares=tuple(
                Flare(
                    rule=flare.rule,
                    subject=flare.subject,
                    phrase=flare.phrase,
                    since=from_microseconds(flare.since).isoformat(),
                    new=None if new is None else flare in new,
                )
                for flare in flares
            ),
        )


def _currency(snapshot: Snapshot) -> str | None:
    rows = snapshot.of("currency_changed")
    code = snapshot.deal.name[rows[-1]] if rows else NONE
    return None if code == NONE else snapshot.deal.names[code]


def flare_table(deals: list[FlaredDeal]) -> pa.Table:
    """The deals as rows, for a file."""
    schema = pa.schema(
        [
            ("deal_id", pa.string()),
            ("as_of", pa.timestamp("us", tz="UTC")),
            ("value_at_risk", pa.float64()),
            ("expected_value", pa.float64()),
            ("amount", pa.float64()),
            ("currency", pa.string()),
            ("probability", pa.float64()),
            ("gated_probability", pa.float64()),
            ("days", pa.float64()),
            ("rules", pa.string()),
            ("new_rules", pa.string()),
            ("sentence", pa.string()),
        ]
    )
    columns: dict[str, list[Any]] = {
        name: [getattr(deal, name) for deal in deals]
        for name in schema.names
        if name not in ("as_of", "rules", "new_rules")
    }
    columns["as_of"] = [datetime.fromisoformat(deal.as_of) for deal in deals]
    columns["rules"] = ["; ".join(flare.rule for flare in deal.flares) for deal in deals]
    columns["new_rules"] = [
        "; ".join(flare.rule for flare in deal.flares if flare.new) for deal in deals
    ]
    return pa.table(columns, schema=schema)
