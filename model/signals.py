"""What features need beyond the last time and the count: runs of dates, stages, milestones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.asof import LOST, WON, AsOf
from model.events import DAY_US, KIND_CODES
from model.rates import WinRates, own_closings, smoothed

if TYPE_CHECKING:
    from model.history import Floats, Ints

CONTACT = ("customer_replied", "meeting_held")  # a human of the customer was there
OUTREACH = ("message_sent", "call_made")
TALKS = ("commercial_talks_started", "commercial_talks_absent")
VALIDATION = (
    "technical_validation_started",
    "technical_validation_passed",
    "technical_validation_failed",
)
VALIDATION_STATES = ("not started", "started", "passed", "failed")
MILESTONE = ("milestone_set", "milestone_moved", "milestone_reached", "milestone_dropped")


def as_of_days(asof: AsOf) -> Floats:
    """Each snapshot's time in days since 1970. Shape (S,)."""
    return asof.as_of / DAY_US


def silence_days(asof: AsOf) -> Floats:
    """Days since the customer's last real contact, or since the opening if there was none."""
    columns = [KIND_CODES[kind] for kind in CONTACT]
    contact = np.fmin.reduce(asof.since_days[:, columns], axis=1)
    opened = asof.since_days[:, KIND_CODES["deal_opened"]]
    never = np.isnan(contact)
    if never.any():
        silent = np.maximum(opened - asof.pause_days("customer_replied"), 0.0)
        contact = np.where(never, silent, contact)
    return np.where(asof.is_carried(*CONTACT), contact, np.nan)


def customer_people(asof: AsOf, days: int) -> Floats:
    """How many different people of the customer were in contact within `days`."""
    rows = asof.rows(*CONTACT)
    person = asof.history.person[asof.row[rows]]
    rows = rows[(person >= 0) & (asof.age[rows] < days * DAY_US)]
    people = np.zeros(asof.size)
    if rows.size:
        person = asof.history.person[asof.row[rows]]
        pairs = np.sort(asof.snap[rows] * (int(person.max()) + 1) + person)
        first = np.append(True, pairs[1:] != pairs[:-1])
        people = np.bincount(pairs[first] // (int(person.max()) + 1), minlength=asof.size).astype(
            np.float64
        )
    return np.where(asof.is_carried(*CONTACT), people, np.nan)


def onsite_meetings(asof: AsOf, days: int) -> Floats:
    """Meetings named ``onsite`` within `days`."""
    rows = asof.rows("meeting_held")
    count = np.zeros(asof.size)
    if rows.size:
        names = asof.history.names
        onsite = names.index("onsite") if "onsite" in names else -2
        rows = rows[
            (asof.history.name[asof.row[rows]] == onsite) & (asof.age[rows] < days * DAY_US)
        ]
        count = np.bincount(asof.snap[rows], minlength=asof.size).astype(np.float64)
    return np.where(asof.is_carried("meeting_held"), count, np.nan)


def after_contact(asof: AsOf, *kinds: str) -> Floats:
    """Rows of `kinds` since the customer's last real contact."""
    count = asof.count_after(asof.rows(*kinds), asof.last_of(*CONTACT))
    return np.where(asof.is_carried(*kinds), count, np.nan)


def requests_unanswered(asof: AsOf) -> Floats:
    """Internal requests for an update since the owner's last update."""
    rows = asof.rows("internal_update_requested")
    count = asof.count_after(rows, asof.last_of("internal_update_posted"))
    return np.where(asof.is_carried("internal_update_requested"), count, np.nan)


def internal_update_days(asof: AsOf) -> Floats:
    """Days since the owner's last internal update, or since the opening if there was none."""
    posted = asof.since_days[:, KIND_CODES["internal_update_posted"]]
    opened = asof.since_days[:, KIND_CODES["deal_opened"]]
    age = np.where(np.isnan(posted), opened, posted)
    return np.where(asof.is_carried("internal_update_posted"), age, np.nan)


def events_within(asof: AsOf, window: int) -> Floats:
    """Events of any kind within the n-th of `model.asof.WINDOWS_DAYS`."""
    return np.asarray(asof.recent[window].sum(axis=1))


def flag(asof: AsOf, kind: str) -> Floats:
    """1 where the fact is known, 0 where it is not, NaN where no source carries it."""
    return np.where(asof.is_carried(kind), (asof.last_of(kind) >= 0).astype(np.float64), np.nan)


def talks_started(asof: AsOf) -> Floats:
    """1 if commercial talks started, 0 if not."""
    started = (asof.last_of(TALKS[0]) >= 0).astype(np.float64)
    return np.where(asof.is_carried(*TALKS), started, np.nan)


def no_talks_days_left(asof: AsOf) -> Floats:
    """Days left to the close date while no commercial talks have started; NaN once they have."""
    return np.where(talks_started(asof) == 0, close_date_days(asof), np.nan)


def validation_state(asof: AsOf) -> Floats:
    """Codes of `VALIDATION_STATES`."""
    columns = [KIND_CODES[kind] for kind in VALIDATION]
    last = asof.last[:, columns]
    state = np.where(last.max(axis=1) >= 0, last.argmax(axis=1) + 1.0, 0.0)
    return np.where(asof.is_carried(*VALIDATION), state, np.nan)


def close_date_days(asof: AsOf) -> Floats:
    """Days to the end of the planned close date; negative when overdue."""
    date = asof.value(asof.history.date, asof.last_of("close_date_changed"))
    return date + 1.0 - as_of_days(asof)


def close_date_pushes(asof: AsOf) -> tuple[Floats, Floats]:
    """How often the close date was moved later, and by how many days in all."""
    count, pushed = _rises(asof, "close_date_changed", asof.history.date)
    known = asof.last_of("close_date_changed") >= 0
    return np.where(known, count, np.nan), np.where(known, pushed, np.nan)


def stage_steps_back(asof: AsOf) -> Floats:
    """How often the deal went back to an earlier stage; NaN where stages have no order."""
    count, _ = _rises(asof, "stage_changed", -asof.history.number)
    order = asof.value(asof.history.number, asof.last_of("stage_changed"))
    return np.where(np.isnan(order), np.nan, count)


def amount_change(asof: AsOf) -> Floats:
    """Amount now over the first one, minus 1; NaN where the first was 0 or none is known."""
    rows = asof.rows("amount_changed")
    first = np.full(asof.size, -1, dtype=np.int64)
    first[asof.snap[rows][::-1]] = rows[::-1]
    before = asof.value(asof.history.number, first)
    now = asof.value(asof.history.number, asof.last_of("amount_changed"))
    changed = np.full(asof.size, np.nan)
    np.divide(now, before, out=changed, where=before > 0)
    return changed - 1.0


def _rises(asof: AsOf, kind: str, column: Floats) -> tuple[Floats, Floats]:
    """How often a value rose from one event of `kind` to the next, and by how much in all."""
    rows = asof.rows(kind)
    if rows.size < 2:
        return np.zeros(asof.size), np.zeros(asof.size)
    snap = asof.snap[rows]
    value = column[asof.row[rows]]
    rise = value[1:] - value[:-1]
    up = (snap[1:] == snap[:-1]) & (rise > 0)
    at = snap[1:][up]
    count = np.bincount(at, minlength=asof.size).astype(np.float64)
    total = np.bincount(at, weights=rise[up], minlength=asof.size).astype(np.float64)
    return count, total


@dataclass(frozen=True, kw_only=True)
class Milestones:
    """The milestones of each snapshot, added up; NaN where none is set. Each of shape (S,)."""

    open: Floats
    overdue: Floats
    overdue_days: Floats
    slippage_days: Floats
    reached_share: Floats
    next_days: Floats


def milestones(asof: AsOf) -> Milestones:
    """Follow every milestone of every deal: due dates as set and moved, reached, dropped.

    A milestone is overdue after the end of its due date. Slippage is what its due date moved
    later, and what it was reached late.
    """
    size = asof.size
    rows = asof.rows(*MILESTONE)
    if rows.size == 0:
        nothing = np.full(size, np.nan)
        return Milestones(
            open=nothing,
            overdue=nothing,
            overdue_days=nothing,
            slippage_days=nothing,
            reached_share=nothing,
            next_days=nothing,
        )
    names = len(asof.history.names)
    group_key = asof.snap[rows] * names + asof.history.name[asof.row[rows]]
    keys, group = np.unique(group_key, return_inverse=True)
    snap = keys // names
    kind = asof.code[rows]
    date = asof.history.date[asof.row[rows]]
    first, dated = _first_and_last(group, keys.size, np.isfinite(date))
    reached = _first_and_last(group, keys.size, kind == KIND_CODES["milestone_reached"])[1]
    dropped = _first_and_last(group, keys.size, kind == KIND_CODES["milestone_dropped"])[1]
    set_at = _first_and_last(group, keys.size, kind == KIND_CODES["milestone_set"])[1]
    is_dropped = dropped > np.maximum(set_at, reached)
    is_reached = (reached > set_at) & ~is_dropped
    is_open = ~is_reached & ~is_dropped & (dated >= 0)
    due = np.where(dated >= 0, date[dated], np.nan)  # last due date, days since 1970
    first_due = np.where(first >= 0, date[first], np.nan)
    left = due + 1.0 - as_of_days(asof)[snap]
    overdue = is_open & (left < 0)
    occurred = asof.history.occurred[asof.row[rows]] / DAY_US
    late = np.where(is_reached, occurred[reached] - (due + 1.0), 0.0)
    slipped = np.fmax(due - first_due, 0.0) + np.fmax(late, 0.0)

    def total(weights: Floats) -> Floats:
        return np.bincount(snap, weights=weights, minlength=size).astype(np.float64)

    counted = total((~is_dropped).astype(np.float64))
    any_set = counted > 0
    overdue_days = np.zeros(size)
    np.maximum.at(overdue_days, snap[overdue], -left[overdue])
    next_days = np.full(size, np.inf)
    ahead = is_open & (left >= 0)
    np.minimum.at(next_days, snap[ahead], left[ahead])
    return Milestones(
        open=np.where(any_set, total(is_open.astype(np.float64)), np.nan),
        overdue=np.where(any_set, total(overdue.astype(np.float64)), np.nan),
        overdue_days=np.where(any_set, overdue_days, np.nan),
        slippage_days=np.where(any_set, total(np.where(is_dropped, 0.0, slipped)), np.nan),
        reached_share=np.where(
            any_set, total(is_reached.astype(np.float64)) / np.maximum(counted, 1.0), np.nan
        ),
        next_days=np.where(np.isfinite(next_days), next_days, np.nan),
    )


def _first_and_last(group: Ints, groups: int, marked: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Position of the first and last marked row of each group, -1 where none."""
    rows = np.flatnonzero(marked)
    first = np.full(groups, -1, dtype=np.int64)
    last = np.full(groups, -1, dtype=np.int64)
    first[group[rows][::-1]] = rows[::-1]
    last[group[rows]] = rows
    return first, last


def win_rate(asof: AsOf, rates: WinRates | None, who: str) -> Floats:
    """Smoothed win rate of the deal's owner or account, without the deal itself."""
    if rates is None:
        return np.full(asof.size, np.nan)
    history = asof.history
    codes = asof.string_code(history.name, asof.last_of(f"{who}_changed"))
    won, closed, all_won, all_closed = rates.counts(who, codes, history.names, asof.as_of)
    closed_once = np.flatnonzero(asof.last[:, [WON, LOST]].max(axis=1) >= 0)
    for snap in closed_once.tolist():
        rows = asof.row[asof.snap == snap]
        time = int(asof.as_of[snap])
        pairs = ((int(codes[snap]), won, closed), (None, all_won, all_closed))
        for code, part, whole in pairs:
            own_won, own_closed = own_closings(
                history, who, code, rows, partial(rates.counted, as_of=time)
            )
            part[snap] = max(part[snap] - own_won, 0.0)
            whole[snap] = max(whole[snap] - own_closed, 0.0)
    return np.where(codes >= 0, smoothed(won, closed, all_won, all_closed), np.nan)
