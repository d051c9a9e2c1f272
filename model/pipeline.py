"""The pipeline: how every deal of a company stood as known at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import isnan
from typing import Final, Literal

import numpy as np

from model.asof import AsOf, Snapshot
from model.events import EPOCH_DAY
from model.history import NONE, History
from model.vocabulary import Vocabulary

Status = Literal["open", "won", "lost"]
NO_CURRENCY: Final = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deal:
    """One deal as known at a moment.

    Parameters
    ----------
    index
        Into ``history.deal_ids``.
    deal_id
        The deal.
    status
        How it stands.
    opened_us
        When it was opened, microseconds since 1970 UTC.
    closed_us
        When it was won or lost, as it happened; None while open.
    amount
        In its currency; None where none is known.
    currency
        ISO 4217; `NO_CURRENCY` where none is told.
    owner, stage, category, segment
        Who has it, where it stands, the rep's forecast category, and the segment's field; None
        where not known.
    close_date
        As planned by the rep.
    """

    index: int
    deal_id: str
    status: Status
    opened_us: int
    closed_us: int | None
    amount: float | None
    currency: str
    owner: str | None
    stage: str | None
    category: str | None
    segment: str | None
    close_date: date | None


def pipeline(history: History, as_of: int, segment_field: str | None = None) -> list[Deal]:
    """Every deal known as opened, in the history's order.

    Parameters
    ----------
    history
        The events; what was known later than `as_of` is not looked at.
    as_of
        Microseconds since 1970 UTC.
    segment_field
        Name of the `field_changed` whose text divides deals into segments.
    """
    vocabulary = Vocabulary(text_fields=() if segment_field is None else (segment_field,))
    deals = np.arange(history.deals)
    moments = np.full(history.deals, as_of, dtype=np.int64)
    asof = AsOf(history, vocabulary, vocabulary.codes(history), deals, moments)
    codes = [code for (_, name), code in vocabulary.own_codes.items() if name == segment_field]
    found = [_deal(history, index, each, codes) for index, each in enumerate(asof.snapshots)]
    return [deal for deal in found if deal is not None]


def _deal(history: History, index: int, snapshot: Snapshot, segment: Sequence[int]) -> Deal | None:
    rows = snapshot.deal
    opened = snapshot.of("deal_opened")
    if not opened:
        return None
    status, closed_us = _standing(snapshot)
    amount, planned = snapshot.number("amount_changed"), snapshot.of("close_date_changed")
    fields = [i for code in segment for i in snapshot.by_code.get(code, ())]
    text = rows.text[fields[-1]] if fields else NONE
    return Deal(
        index=index,
        deal_id=history.deal_ids[index],
        status=status,
        opened_us=rows.occurred[opened[0]],
        closed_us=closed_us,
        amount=None if isnan(amount) else amount,
        currency=_name(snapshot, "currency_changed") or NO_CURRENCY,
        owner=_name(snapshot, "owner_changed"),
        stage=_name(snapshot, "stage_changed"),
        category=_name(snapshot, "forecast_category_changed"),
        segment=None if text == NONE else rows.texts[text],
        close_date=EPOCH_DAY + timedelta(days=rows.date[planned[-1]]) if planned else None,
    )


def _standing(snapshot: Snapshot) -> tuple[Status, int | None]:
    """How the deal stands, and when it closed: of several wins in a row the first one counts."""
    if snapshot.is_open:
        return "open", None
    occurred = snapshot.deal.occurred
    undone = snapshot.last("deal_lost", "deal_reopened")
    wins = [i for i in snapshot.of("deal_won") if i > undone]
    if wins:
        return "won", occurred[wins[0]]
    return "lost", occurred[snapshot.last("deal_lost")]


def _name(snapshot: Snapshot, kind: str) -> str | None:
    rows = snapshot.of(kind)
    code = snapshot.deal.name[rows[-1]] if rows else NONE
    return None if code == NONE else snapshot.deal.names[code]
