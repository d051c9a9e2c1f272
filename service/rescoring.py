"""One deal scored anew within a transaction: its score, its flares and what is to be told of it.

The moment scored is the latest at which anything of the deal became known, and never earlier than
the last score's: so redeliveries and deliveries out of order end with the score that the clean
order ends with, and nothing that comes late takes a deal back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import isnan
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection

from model.asof import AsOf, Snapshot
from model.coverage import Coverage
from model.events import DAY_US, EPOCH_DAY, Event, from_microseconds
from model.feeds import Feed
from model.gates import find_gates
from model.history import History
from model.red_flare import (
    WEEK_US,
    flare_horizon_days,
    newly_raised,
    red_flares,
    usual_probability,
)
from model.score import Score
from model.scorer import Scorer
from model.sources.crms import CRMS
from model.sources.standing import standing_events
from model.vocabulary import Vocabulary
from service.storage import deals, events, flares, outbox, scores
from service.storage.deals import Standing, Told
from service.storage.rows import AnyRow
from service.writeback.entry import RED_FLARE_RAISED, SCORE_CHANGED
from service.writeback.payload import payload_of

AHEAD_US: Final = DAY_US  # a fact may be known so much later than its delivery came: clocks differ


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When and to whom something is told of a deal.

    Parameters
    ----------
    destinations
        Those that are told, by name: the sources whose deals they are told of, all if none.
    tells
        What each is told, by name: kinds of entries; those not named here are told all.
    crms
        Of those that write into a CRM's records, the CRM, by name: one that names no sources is
        not told of deals that other CRMs alone tell of, whose ids there are of other deals.
    moved_points
        A score is told when its probability moved by as much (0.05 is 5 points) since it was told.
    top
        Or when a driver entered the strongest so many.
    stale_days
        An open deal of which nothing came for so long is scored anew.
    """

    destinations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    crms: Mapping[str, str] = field(default_factory=dict)
    moved_points: float = 0.05
    top: int = 3
    stale_days: float = 1.0

    def takes(self, destination: str, sources: Collection[str]) -> bool:
        """Whether a destination is told of deals whose events come from some sources.

        Examples
        --------
        >>> policy = Policy(destinations={"sales": ()}, crms={"sales": "hubspot"})
        >>> [policy.takes("sales", told) for told in (["hubspot", "mail"], ["own"], ["pipedrive"])]
        [True, True, False]
        """
        named = self.destinations[destination]
        if named:
            return not set(named).isdisjoint(sources)
        crm = self.crms.get(destination)
        return crm is None or crm in sources or CRMS.isdisjoint(sources)


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """Why a deal is scored anew.

    Parameters
    ----------
    cause
        ``delivery``, ``tick`` or ``forgetting``: the last two score as of the present.
    inbox_id
        The delivery.
    until
        Nothing known later counts; microseconds since 1970 UTC.
    at
        The present, likewise.
    delivery_id
        Of the delivery, for the log.
    """

    cause: scores.Cause
    inbox_id: int | None
    until: int
    at: int
    delivery_id: str | None = None


def rescore(
    connection: Connection,
    row: AnyRow,
    scorer: Scorer | None,
    feeds: dict[str, Feed] | None,
    policy: Policy,
    occasion: Occasion,
) -> Score | None:
    """Score a deal anew and keep what follows.

    Parameters
    ----------
    connection
        Writing.
    row
        The deal, locked: see `service.storage.deals.lock`.
    scorer
        Of the model in force; None keeps how the deal stands, and no score.
    feeds
        As `Scorer.feeds` gives them; None takes all as running.

    Returns
    -------
    Score or None
        None where the deal is not open, or nothing can be scored yet.
    """
    deal_id: str = row.deal_id
    told = events.of_deal(connection, deal_id)
    known = standing_events(told, from_microseconds(occasion.until))
    as_of = _moment(known, row.scored_as_of, scorer, occasion)
    if as_of is None:
        return None
    first, last = sorted((as_of, occasion.until))
    if any(first < events.known_at(event) <= last for event in told):
        known = standing_events(told, from_microseconds(as_of))
    history = History.from_events(known)
    vocabulary = Vocabulary() if scorer is None else scorer.features.vocabulary
    coverage = None if feeds is None else Coverage(feeds, history.sources)
    moment = np.array([as_of])
    codes = vocabulary.codes(history)
    snapshot = AsOf(history, vocabulary, codes, np.array([0]), moment, coverage).snapshots[0]
    deals.stand(connection, deal_id, _standing(snapshot))
    if scorer is None or as_of < scorer.known_before:
        return None
    score = None
    if snapshot.is_open:
        score = scorer.score(
            history, from_microseconds(as_of), days=flare_horizon_days(scorer.edges), feeds=feeds
        )
        _keep(connection, score, as_of, row, history.sources, policy, occasion)
    _flare(connection, snapshot, row, score, scorer, policy, occasion)
    return score


def _moment(
    known: Sequence[Event], scored: int | None, scorer: Scorer | None, occasion: Occasion
) -> int | None:
    times = [time for event in known if (time := events.known_at(event)) <= occasion.until]
    if not times:
        return None
    as_of = max(max(times) if occasion.cause == "delivery" else occasion.until, scored or 0)
    # A model knows closings up to its cut-off: to score earlier would be hindsight.
    cut_off = 0 if scorer is None else scorer.known_before
    return max(as_of, cut_off) if cut_off <= occasion.until else as_of


def _standing(snapshot: Snapshot) -> Standing:
    rows = snapshot.deal

    def name(kind: str) -> str | None:
        found = snapshot.of(kind)
        return rows.names[rows.name[found[-1]]] if found else None

    def number(values: Sequence[float], kind: str) -> float | None:
        found = snapshot.of(kind)
        return values[found[-1]] if found else None

    date = number(rows.date, "close_date_changed")
    opened = max(snapshot.of("deal_opened") + snapshot.of("deal_reopened"), default=None)
    return Standing(
        is_open=snapshot.is_open,
        owner=name("owner_changed"),
        account=name("account_changed"),
        pipeline=name("pipeline_changed"),
        stage=name("stage_changed"),
        currency=name("currency_changed"),
        amount=number(rows.number, "amount_changed"),
        close_date=None if date is None else int(date),
        opened_at=None if opened is None else rows.occurred[opened],
        known_at=max(rows.known[i] for i in snapshot.rows),
    )


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    """What an alert says of the deal itself; None where never told."""
    standing = _standing(snapshot)
    day = standing.close_date
    return {
        "owner": standing.owner,
        "stage": standing.stage,
        "amount": standing.amount,
        "currency": standing.currency,
        "close_date": None if day is None else (EPOCH_DAY + timedelta(days=day)).isoformat(),
    }


def _keep(
    connection: Connection,
    score: Score,
    as_of: int,
    row: AnyRow,
    sources: Sequence[str],
    policy: Policy,
    occasion: Occasion,
) -> None:
    score_id = scores.add(
        connection, score, cause=occasion.cause, inbox_id=occasion.inbox_id, at=occasion.at
    )
    shown = score.shown_probability
    deals.scored(
        connection,
        score.deal_id,
        score_id=score_id,
        as_of=as_of,
        probability=score.probability,
        shown_probability=shown,
        verdict=score.data_quality.verdict,
    )
    now = Told(
        probability=shown, drivers=tuple(each.feature for each in score.drivers[: policy.top])
    )
    before = deals.told_of(row)
    if not is_news(before, now, policy):
        return
    deals.tell(connection, score.deal_id, now)
    payload = payload_of(score, None if before is None else before.probability)
    _queue(connection, SCORE_CHANGED, score, payload, "", sources, policy, occasion)


def is_news(before: Told | None, now: Told, policy: Policy) -> bool:
    """Whether a score is to be told, given what was told last.

    Examples
    --------
    >>> before = Told(probability=0.30, drivers=("silence_days", "stage", "amount"))
    >>> is_news(before, Told(probability=0.32, drivers=before.drivers), Policy())
    False
    >>> is_news(before, Told(probability=0.35, drivers=before.drivers), Policy())
    True
    >>> is_news(before, Told(probability=0.30, drivers=("pushes", "stage")), Policy())
    True
    """
    if before is None or (before.probability is None) != (now.probability is None):
        return True
    if not set(now.drivers) <= set(before.drivers):
        return True
    moved = abs((now.probability or 0.0) - (before.probability or 0.0))
    return moved >= policy.moved_points - 1e-9


def _flare(
    connection: Connection,
    snapshot: Snapshot,
    row: AnyRow,
    score: Score | None,
    scorer: Scorer,
    policy: Policy,
    occasion: Occasion,
) -> None:
    """Keep how the deal's flares stand, and tell those that are new, each once until it clears.

    What stands when a deal that was loaded is looked at for the first time is no news, and would be
    a mail for each such deal at once.
    """
    deal_id: str = row.deal_id
    days = flare_horizon_days(scorer.edges)
    now = None if score is None else score.probability
    usual = usual_probability(scorer.artifact.facts.get("judged", []), days)
    stood = flares.standing(connection, deal_id)
    found = red_flares(
        snapshot,
        find_gates(snapshot),
        now=now,
        week_before=None
        if now is None
        else _week_before(connection, deal_id, snapshot.as_of, days),
        horizon_days=days,
        usual=None if isnan(usual) else usual,
        standing=stood,
    )
    flares.replace(connection, deal_id, stood, found, as_of=snapshot.as_of)
    is_first_look = occasion.cause == "tick" and row.score_id is None
    if score is None or is_first_look:
        return
    for flare in newly_raised(stood, found):
        told = {
            "rule": flare.rule,
            "subject": flare.subject,
            "since": from_microseconds(flare.since).isoformat(),
            "phrase": flare.phrase,
        }
        subject = f"{flare.rule}\0{flare.subject}"
        payload = {**payload_of(score, None), "deal": _facts(snapshot), "red_flare": told}
        sources = snapshot.deal.sources
        _queue(connection, RED_FLARE_RAISED, score, payload, subject, sources, policy, occasion)


def _queue(
    connection: Connection,
    kind: str,
    score: Score,
    payload: Mapping[str, Any],
    subject: str,
    sources: Sequence[str],
    policy: Policy,
    occasion: Occasion,
) -> None:
    """Queue what is told of a score for each destination of such deals."""
    for destination in policy.destinations:
        if not policy.takes(destination, sources):
            continue
        if kind not in policy.tells.get(destination, (kind,)):
            continue
        told = "\0".join((kind, destination, score.deal_id, subject, score.as_of, str(occasion.at)))
        outbox.queue(
            connection,
            message_id=f"msg_{hashlib.sha256(told.encode()).hexdigest()[:32]}",
            kind=kind,
            destination=destination,
            deal_id=score.deal_id,
            payload=payload,
            at=occasion.at,
            delivery_id=occasion.delivery_id,
        )


def _week_before(connection: Connection, deal_id: str, as_of: int, days: float) -> float | None:
    """The probability within as many days as said about a week before; None where nothing was."""
    return scores.probability_between(
        connection, deal_id, as_of - WEEK_US - DAY_US, as_of - WEEK_US, days
    )
