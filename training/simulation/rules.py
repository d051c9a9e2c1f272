# ruff: noqa: D102 - what the methods of a rule do is said by Rule
"""How the record bears on an event's chance, and what the event does to the record.

A rule answers three questions for the deals `rows` on `day`: its `factor` multiplies the rate of
the event in every hidden state alike; `value` draws what the event says, without regard to the
hidden state; `apply` writes it to the record.
"""

from __future__ import annotations

import numpy as np

from training.simulation.company import CONTACTS
from training.simulation.record import (
    CATEGORIES,
    COMPETITORS,
    FAILED,
    NEXT_STEPS,
    STAGES,
    TESTED,
    TESTING,
    UNTESTED,
    Record,
)
from training.simulation.seasons import Floats, Ints

Rows = Ints


class Rule:
    """An event whose chance does not depend on the record, and that says nothing more."""

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats | None:
        """Multiplier of the rate, [rows]; None stands for 1."""
        return None

    def value(
        self,
        record: Record,
        rows: Rows,
        day: Ints,
        rng: np.random.Generator,
    ) -> Floats:
        """What the event says, as a number, [rows]; NaN where it says nothing."""
        return np.full(len(rows), np.nan)

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        """Write the event to the record."""


class Contact(Rule):
    """Somebody of the customer: the main contact, or any of the others."""

    def __init__(self, *, main: bool) -> None:
        self.main = main

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        if self.main:
            return np.zeros(len(rows))
        return rng.integers(1, CONTACTS, len(rows)).astype(np.float64)


class Alternation(Rule):
    """A reply by one of two contacts: the one who replied last, or the other one."""

    def __init__(self, *, switch: bool) -> None:
        self.switch = switch

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        last = np.maximum(record.last_contact[rows], 0)
        return np.asarray(1 - last if self.switch else last, dtype=np.float64)

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.last_contact[rows] = value.astype(np.int64)


class Rhythm(Rule):
    """A call a whole number of weeks after the last one, or off that rhythm."""

    def __init__(self, *, kept: bool) -> None:
        self.kept = kept

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        last = record.last_call[rows]
        kept = (last >= 0) & ((day - last) % 7 == 0)
        return np.asarray(kept == self.kept, dtype=np.float64)

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.last_call[rows] = day


class Length(Rule):
    """Something that lasts `days`, give or take."""

    def __init__(self, days: float) -> None:
        self.days = days

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        return self.days * rng.choice([0.5, 1.0, 1.0, 1.5, 2.0], len(rows))


class StageForward(Rule):
    """The stage before `target` is left for it."""

    def __init__(self, target: int) -> None:
        self.target = target

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        return np.asarray(record.stage[rows] == self.target - 1, dtype=np.float64)

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        return np.full(len(rows), float(self.target))

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.stage[rows] = value.astype(np.int64)


class StageBack(StageForward):
    """Any stage but the first is left for the one before."""

    def __init__(self) -> None:
        super().__init__(len(STAGES))

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        return np.asarray(record.stage[rows] > 0, dtype=np.float64)

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        return np.asarray(np.maximum(record.stage[rows] - 1.0, 0.0))


class CategoryTo(Rule):
    """The rep's opinion changes to `target`."""

    def __init__(self, target: str) -> None:
        self.target = CATEGORIES.index(target)

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        return np.asarray(record.category[rows] != self.target, dtype=np.float64)

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        return np.full(len(rows), float(self.target))

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.category[rows] = value.astype(np.int64)


class CloseMove(Rule):
    """The planned close date moves by one of `days`; pushes come when it is near or past."""

    def __init__(self, days: tuple[int, ...]) -> None:
        self.days = days

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        left = record.close_day[rows] - day
        if self.days[0] < 0:
            return np.where(left > 20, 1.0, 0.0)
        return np.select([left < 0, left <= 7, left <= 21], [3.0, 2.0, 0.7], 0.1)

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        moved = np.maximum(record.close_day[rows], day) + rng.choice(self.days, len(rows))
        return np.asarray(moved, dtype=np.float64)

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.close_day[rows] = value.astype(np.int64)


class Milestone(Rule):
    """Something about the milestone in `slot` that is neither reached nor dropped."""

    def __init__(self, slot: int) -> None:
        self.slot = slot

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        return np.asarray(record.pending[self.slot, rows], dtype=np.float64)


class MilestoneMoved(Milestone):
    """Its due date moves by a week or more; near or past the due date above all."""

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        left = record.due_day[self.slot, rows] - day
        near = np.select([left < -20, left <= 5], [0.4, 1.0], 0.1)
        return np.asarray(record.pending[self.slot, rows] * near)

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        due = np.maximum(record.due_day[self.slot, rows], day)
        return np.asarray(due + rng.choice([7, 10, 14, 21], len(rows)), dtype=np.float64)

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.due_day[self.slot, rows] = value.astype(np.int64)


class MilestoneReached(Milestone):
    """It is reached, most of all in the days around its due date, and in order."""

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        left = record.due_day[self.slot, rows] - day
        near = np.select([left > 21, left > 7, left >= -7], [0.15, 0.6, 1.8], 0.8)
        before = record.pending[: self.slot, rows].any(axis=0)
        return np.asarray(record.pending[self.slot, rows] * near * np.where(before, 0.1, 1.0))

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.pending[self.slot, rows] = False


class MilestoneDropped(Milestone):
    """It no longer applies."""

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.pending[self.slot, rows] = False


class MustHit(Milestone):
    """It is declared to gate the deal."""

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        gate = record.pending[self.slot, rows] & ~record.must_hit[self.slot, rows]
        return np.asarray(gate, dtype=np.float64)

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.must_hit[self.slot, rows] = True


class Once(Rule):
    """Something that happens to a deal once at most."""

    def __init__(self, flag: str) -> None:
        self.flag = flag

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        return np.asarray(~record.flags[self.flag][rows], dtype=np.float64)

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.flags[self.flag][rows] = True


class Competitor(Once):
    """A competitor is named."""

    def __init__(self) -> None:
        super().__init__("competitor")

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        return rng.integers(len(COMPETITORS), size=len(rows)).astype(np.float64)


class TalksAbsent(Rule):
    """Somebody notes that no talks have begun, the close date being near."""

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        near = record.close_day[rows] - day < 45
        return np.asarray(near & ~record.flags["talks"][rows], dtype=np.float64)


class ValidationStart(Rule):
    """The customer begins to test; after a failure more rarely."""

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        state = record.validation[rows]
        return np.select([state == UNTESTED, state == FAILED], [1.0, 0.4], 0.0)

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.validation[rows] = TESTING


class ValidationEnd(Rule):
    """The customer's running test ends."""

    def __init__(self, *, passed: bool) -> None:
        self.after = TESTED if passed else FAILED

    def factor(self, record: Record, rows: Rows, day: Ints) -> Floats:
        return np.asarray(record.validation[rows] == TESTING, dtype=np.float64)

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.validation[rows] = self.after


class AmountTimes(Rule):
    """The amount is multiplied by one of `factors`."""

    def __init__(self, *factors: float) -> None:
        self.factors = factors

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        changed = record.amount[rows] * rng.choice(self.factors, len(rows))
        return np.asarray(np.maximum(np.round(changed, -2), 100.0))

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.amount[rows] = value


class OwnerTo(Rule):
    """The deal is given to another owner."""

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        step = rng.integers(1, record.owners, len(rows))
        return ((record.owner[rows] + step) % record.owners).astype(np.float64)

    def apply(self, record: Record, rows: Rows, value: Floats, day: Ints) -> None:
        record.owner[rows] = value.astype(np.int64)


class NextStep(Rule):
    """One of the usual next steps."""

    def value(self, record: Record, rows: Rows, day: Ints, rng: np.random.Generator) -> Floats:
        return rng.integers(len(NEXT_STEPS), size=len(rows)).astype(np.float64)
