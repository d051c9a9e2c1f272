"""The simulated company: owners, accounts and what is known of a deal on the day it opens.

Everything here is visible: the ids of owner and account stand in the events, and what they stand
for (an owner's skill, an account's readiness) can be learned from their other deals. The exact
filter takes them as known, so `p_observable` is the best possible answer of somebody who has
learned them fully.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import Final

import numpy as np

from training.simulation.seasons import LAST_DAY, Bools, Floats, Ints, clocks

DEALS_AN_OWNER: Final = 80
DEALS_AN_ACCOUNT: Final = 3
CONTACTS: Final = 5  # people of one account
MILESTONE_SLOTS: Final = 3
LANDMARK_DAYS: Final = 28  # between the moments at which the truth is asked
INDUSTRIES: Final = ("machinery", "logistics", "retail", "energy", "health", "finance")
LEAD_SOURCES: Final = ("referral", "inbound", "event", "partner", "outbound")
UNITS: Final = ("crm:simulated", "crm:simulated-south", "crm:simulated-west")
LAG_DAYS: Final = 14  # the longest an activity goes unlogged

_INDUSTRY_EFFECT: Final = np.array([0.25, 0.0, -0.2, 0.1, -0.1, 0.3])
_SOURCE_EFFECT: Final = np.array([0.5, 0.2, -0.15, 0.1, -0.45])


@dataclass(frozen=True, kw_only=True)
class Deals:
    """Deals on the day they open; every field [n], milestones [MILESTONE_SLOTS, n]."""

    owners: int  # of the whole company
    number: Ints  # from 0, in order of opening
    open_day: Ints
    owner: Ints
    account: Ints
    unit: Ints  # index of `UNITS`, the CRM that holds the deal
    industry: Ints
    lead_source: Ints
    amount: Floats
    seats: Floats  # NaN where nobody asked
    close_day: Ints  # as first planned
    category: Ints  # as first forecast
    due_day: Ints  # -1 where no such milestone is planned
    must_hit: Bools
    phase: Ints  # days from opening to the first landmark
    skill: Floats  # the owner's, standard normal
    optimism: Floats  # the owner's, standard normal
    diligence: Floats  # the owner's, standard normal
    log_habit: Ints  # the owner's: 0 logs at once, 1 as most, 2 late
    readiness: Floats  # the account's, standard normal
    chattiness: Floats  # the account's, standard normal
    fit: Floats  # of industry and lead source

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: slice) -> Deals:
        """The deals of `rows`."""
        arrays = {f.name for f in fields(self)} - {"owners"}
        return replace(self, **{name: getattr(self, name)[..., rows] for name in arrays})


def open_deals(
    count: int, units: tuple[float, ...], planless: tuple[int, ...], rng: np.random.Generator
) -> Deals:
    """Found a company and open its deals.

    Parameters
    ----------
    count
        Deals to open, at least 1.
    units
        Share of deals held by each CRM of `UNITS`; they sum to 1.
    planless
        Indices of the units that keep no milestones.
    rng
        The source of chance.

    Returns
    -------
    Deals
        In order of opening.

    Examples
    --------
    >>> deals = open_deals(5, (1.0, 0.0, 0.0), (), np.random.default_rng(0))
    >>> len(deals), bool(np.all(np.diff(deals.open_day) >= 0))
    (5, True)
    """
    owners = max(6, round(count / DEALS_AN_OWNER))
    accounts = max(12, round(count / DEALS_AN_ACCOUNT))
    skill, optimism, diligence = rng.standard_normal((3, owners))
    habit = rng.choice(3, owners, p=[0.35, 0.45, 0.2])
    readiness, chattiness = rng.standard_normal((2, accounts))
    account_industry = rng.choice(len(INDUSTRIES), accounts)
    appetite = rng.pareto(2.5, accounts) + 0.3  # a few accounts buy again and again
    # Business grows by half over the record, and fewer deals open in holidays.
    pace = clocks()["office"][:LAST_DAY] * np.linspace(1.0, 1.5, LAST_DAY)
    open_day = np.sort(rng.choice(LAST_DAY, count, p=pace / pace.sum()))
    owner = rng.integers(owners, size=count)
    account = rng.choice(accounts, count, p=appetite / appetite.sum())
    lead_source = rng.choice(len(LEAD_SOURCES), count, p=[0.15, 0.3, 0.15, 0.15, 0.25])
    unit = rng.choice(len(UNITS), count, p=units)
    amount = np.exp(rng.normal(np.log(40_000.0), 0.9, count)).round(-2) + 500.0
    seats = np.round(amount / np.exp(rng.normal(np.log(600.0), 0.5, count))) + 1.0
    seats[rng.random(count) < 0.5] = np.nan
    planned = rng.choice([30, 45, 60, 90, 120], count, p=[0.1, 0.2, 0.35, 0.25, 0.1])
    slack = np.round(12.0 * rng.standard_normal(count) - 10.0 * optimism[owner])
    first_due = rng.integers(18, 36, count)
    gaps = rng.integers(12, 32, (MILESTONE_SLOTS - 1, count))
    due = open_day + np.cumsum(np.vstack([first_due, gaps]), axis=0)
    slots = rng.choice([0, 2, 3], count, p=[0.64, 0.18, 0.18])
    slots[np.isin(unit, planless)] = 0
    planned_slot = np.arange(MILESTONE_SLOTS)[:, None] < slots
    industry = account_industry[account]
    return Deals(
        owners=owners,
        number=np.arange(count),
        open_day=open_day,
        owner=owner,
        account=account,
        unit=unit,
        industry=industry,
        lead_source=lead_source,
        amount=amount,
        seats=seats,
        close_day=open_day + np.maximum(14, planned + slack.astype(np.int64)),
        category=(rng.random(count) < 0.1 + 0.1 * (optimism[owner] > 0)).astype(np.int64) + 1,
        due_day=np.where(planned_slot, due, -1),
        must_hit=planned_slot & (rng.random(due.shape) < 0.12),
        phase=rng.integers(1, LANDMARK_DAYS + 1, count),
        skill=skill[owner],
        optimism=optimism[owner],
        diligence=diligence[owner],
        log_habit=habit[owner],
        readiness=readiness[account],
        chattiness=chattiness[account],
        fit=_INDUSTRY_EFFECT[industry] + _SOURCE_EFFECT[lead_source],
    )


def lag_chances() -> Floats:
    """P(an activity is logged that many days after it happened), by habit; [3, LAG_DAYS + 1].

    Examples
    --------
    >>> lag_chances().shape, bool(np.allclose(lag_chances().sum(axis=1), 1.0))
    ((3, 15), True)
    """
    at_once = np.array([0.85, 0.65, 0.35])
    daily = np.array([0.5, 0.35, 0.2])
    days = np.arange(LAG_DAYS)
    late = daily[:, None] * (1.0 - daily[:, None]) ** days
    late *= ((1.0 - at_once) / late.sum(axis=1))[:, None]
    return np.hstack([at_once[:, None], late])


def person_id(seed: int, account: int, contact: int) -> str:
    """The keyed hash that stands for a contact of an account.

    Examples
    --------
    >>> len(person_id(1, 2, 3))
    16
    """
    key = f"{seed}/{account}/{contact}".encode()
    return blake2b(key, digest_size=8, key=b"simulated").hexdigest()
