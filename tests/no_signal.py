"""Companies in which nothing tells how a deal ends: what a learner must not find anything in.

One is an export of a made-up CRM whose deals end by chance alone, at a constant rate, so that the
chance of a win within some days is the same for every open deal, whatever its history. The other
takes a company's real course and hands its endings, outcome and duration together, to other deals.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from model.event_table import EVENT_SCHEMA
from model.events import DAY_US, microseconds
from model.history import Floats, History
from training.dataset import NEVER, open_span, win_times

WON_SHARE: Final = 0.35  # of the deals, by lot
LIFE_DAYS: Final = 45.0  # mean of the exponential time to the end
FIRST: Final = microseconds(datetime(2024, 1, 1, tzinfo=UTC))
YEARS: Final = 2  # of openings
STAGES: Final = ("Qualification", "Needs Analysis", "Proposal", "Negotiation")
OWNERS: Final = 25
CLOSINGS: Final = ("deal_won", "deal_lost", "deal_reopened")


def chance_of_a_win(days: float) -> float:
    """That an open deal of the made-up CRM is won within so many days."""
    return WON_SHARE * float(-np.expm1(-days / LIFE_DAYS))


def write_crm_export(folder: Path, deals: int, seed: int) -> list[Path]:
    """Write a Salesforce export of deals that end by lot: opportunities, their changes, tasks."""
    rng = np.random.default_rng(seed)
    number = np.arange(deals)
    opened = FIRST + (rng.random(deals) * YEARS * 365 * DAY_US).astype(np.int64)
    closed = opened + (rng.exponential(LIFE_DAYS, deals) * DAY_US).astype(np.int64)
    end = FIRST + int(YEARS * 365 * DAY_US)
    is_closed, won = closed < end, rng.random(deals) < WON_SHARE
    until = np.minimum(closed, end)
    planned = opened + (rng.uniform(20, 150, deals) * DAY_US).astype(np.int64)
    ids = np.array([f"006{n:012d}AAA" for n in number])

    def while_open(mean_days: float) -> tuple[Any, Any]:
        """Deals and moments of something that happens to all alike while they are open."""
        times = rng.poisson((until - opened) / (mean_days * DAY_US))
        deal = np.repeat(number, times)
        return deal, opened[deal] + (rng.random(deal.size) * (until - opened)[deal]).astype(int)

    moved, moved_at = while_open(15.0)
    order = np.lexsort((moved_at, moved))
    moved, moved_at = moved[order], moved_at[order]
    stage = rng.integers(0, len(STAGES), moved.size)
    first_stage = rng.integers(0, len(STAGES), deals)
    new_deal = np.r_[True, moved[1:] != moved[:-1]][: moved.size]
    before = np.where(new_deal, first_stage[moved], np.r_[0, stage[:-1]][: moved.size])
    last_stage = first_stage.copy()
    last_stage[moved] = stage
    names = np.array(STAGES)
    end_name = np.where(won, "Closed Won", "Closed Lost")
    shut = number[is_closed]
    changes = pd.concat(
        [
            _changes(ids[moved], "StageName", names[before], names[stage], moved_at),
            _changes(ids[shut], "StageName", names[last_stage[shut]], end_name[shut], closed[shut]),
            _changes(
                ids[shut], "CloseDate", _days(planned[shut]), _days(closed[shut]), closed[shut]
            ),
        ]
    )
    changes.insert(0, "Id", [f"017{n:012d}AAA" for n in range(len(changes))])
    opportunities = pd.DataFrame(
        {
            "Id": ids,
            "StageName": np.where(is_closed, end_name, names[last_stage]),
            "CloseDate": np.where(is_closed, _days(closed), _days(planned)),
            "CreatedDate": _times(opened),
            "LastStageChangeDate": np.where(is_closed, _times(closed), ""),
            "IsWon": is_closed & won,
            "IsClosed": is_closed,
            "Amount": np.exp(rng.normal(10.0, 1.0, deals)).round(),
            "OwnerId": [f"005{n:012d}AAA" for n in rng.integers(0, OWNERS, deals)],
            "LeadSource": rng.choice(["Web", "Referral", "Partner", "Event"], deals),
        }
    )
    done, done_at = while_open(6.0)
    tasks = pd.DataFrame(
        {
            "Id": [f"00T{n:012d}AAA" for n in range(done.size)],
            "WhatId": ids[done],
            "Status": "Completed",
            "TaskSubtype": rng.choice(["Call", "Email", "Task"], done.size),
            "Subject": rng.choice(["Demo", "Question", "Offer"], done.size),
            "CreatedDate": _times(done_at),
            "CompletedDateTime": _times(done_at),
        }
    )
    written = []
    for name, rows in (
        ("Opportunity", opportunities),
        ("OpportunityFieldHistory", changes),
        ("Task", tasks),
    ):
        written.append(folder / f"{name}.csv")
        rows.to_csv(written[-1], index=False)
    return written


def endings_permuted(events: pa.Table, seed: int) -> pa.Table:
    """The events of a company whose closed deals exchanged outcome and duration by lot."""
    history = History.from_table(events)
    end = int(history.known.max()) + 1
    opened, until = open_span(history, end)
    won = win_times(history, end) != NEVER
    closed = np.flatnonzero(until < end)
    giver = np.random.default_rng(seed).permutation(closed)
    at = opened[closed] + (until - opened)[giver]
    told = at < end
    columns: dict[str, Any] = {
        "deal_id": np.array(history.deal_ids)[closed][told],
        "kind": np.where(won[giver], "deal_won", "deal_lost")[told],
        "occurred_at": at[told],
        "known_at": at[told],
        "source": np.repeat("crm", told.sum()),
        "source_id": [f"end/{history.deal_ids[deal]}" for deal in closed[told]],
    }
    rows = int(told.sum())
    endings = [
        pa.array(columns[field.name]).cast(field.type)
        if field.name in columns
        else pa.nulls(rows, field.type)
        for field in EVENT_SCHEMA
    ]
    course = events.filter(pc.invert(pc.is_in(events["kind"], pa.array(CLOSINGS))))
    return pa.concat_tables([course, pa.table(endings, schema=EVENT_SCHEMA)])


def log_loss_above_truth(p: Floats, truth: float) -> float:
    """Expected log-loss of probabilities above that of the true one, in nats."""
    p = np.clip(p, 1e-9, 1 - 1e-9)
    cross = -(truth * np.log(p) + (1 - truth) * np.log1p(-p))
    return float(cross.mean() + truth * np.log(truth) + (1 - truth) * np.log1p(-truth))


def _changes(deal: Any, field: str, old: Any, new: Any, at: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "OpportunityId": deal,
            "Field": field,
            "OldValue": old,
            "NewValue": new,
            "CreatedDate": _times(at),
        }
    )


def _times(at: Any) -> Any:
    return pd.to_datetime(at, unit="us", utc=True).strftime("%Y-%m-%dT%H:%M:%SZ").to_numpy()


def _days(at: Any) -> Any:
    return pd.to_datetime(at, unit="us", utc=True).strftime("%Y-%m-%d").to_numpy()
