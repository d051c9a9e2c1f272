"""Actions that may still be open for a deal, and what past deals with and without them did.

One definition serves learning and scoring: whether an action is open as known at a moment, what
would be supposed to take it, and whether a deal took it within `WINDOW_DAYS` of a moment.

What past deals did is counted from a landmark. For a past moment t at which an action was open,
deals are told apart by whether they took it in (t, t + 14 days], and both groups are counted from
t + 14 days on, and only deals still open then. To count those that acted from the day they did
would credit the action with the time they had to stay open for it (immortal time). Groups are
compared within a band of the probability predicted at t. It is still no experiment: who acts, and
on which deal, is chosen.

References
----------
Anderson, J. R., Cain, K. C. and Gelber, R. D. (1983), "Analysis of survival by tumor response",
Journal of Clinical Oncology 1(11).
Suissa, S. (2008), "Immortal time bias in pharmacoepidemiology", American Journal of
Epidemiology 167(4).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from model.asof import Snapshot
from model.catalogue.contact import onsite_meetings
from model.catalogue.promises import SET, milestone_stories
from model.catalogue.proof import VALIDATION_STATES, talks_started, validation_state
from model.events import DAY_US
from model.feature import counted
from model.gates import find_gates
from model.history import NONE, Ints
from model.hypothetical import Hypothetical

WINDOW_DAYS: Final = 14.0  # in which an action is taken or not; the landmark is its end
BANDS: Final = 5  # of the predicted probability
FEWEST_DEALS: Final = 20  # on either side: below it, nothing is said
MOST_MILESTONES: Final = 5  # of a deal, supposed to be reached
LATELY_DAYS: Final = 14.0  # what happened within them need not happen again


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something that may be done about a deal, or that its customer may do.

    Parameters
    ----------
    name
        Its key.
    phrase
        What happens, in words.
    kind, of
        The kind of event that takes it, and that event's name where only one such counts.
    is_open
        Whether it may still be taken, as known at a snapshot.
    suppose
        The events that take it, each by itself; one of the kind and name alone where not said.
    """

    name: str
    phrase: str
    kind: str
    is_open: Callable[[Snapshot], bool]
    of: str | None = None
    suppose: Callable[[Snapshot], tuple[Hypothetical, ...]] | None = None

    def supposed(self, snapshot: Snapshot) -> tuple[Hypothetical, ...]:
        """The events each of which would take it now."""
        if self.suppose is not None:
            return self.suppose(snapshot)
        return (Hypothetical(kind=self.kind, name=self.of),)

    def taken(self, later: Snapshot, since: int) -> bool:
        """Whether it happened after `since`, microseconds since 1970 UTC, as known later."""
        deal = later.deal
        return any(
            deal.occurred[i] > since and (self.of is None or _named(later, i) == self.of)
            for i in later.of(self.kind)
        )


def _named(snapshot: Snapshot, row: int) -> str | None:
    code = snapshot.deal.name[row]
    return None if code == NONE else snapshot.deal.names[code]


def _not_lately(kind: str, days: float = LATELY_DAYS) -> Callable[[Snapshot], bool]:
    def is_open(snapshot: Snapshot) -> bool:
        rows = snapshot.of(kind)
        return not rows or min(snapshot.age_days[i] for i in rows) > days

    return is_open


def _open_milestones(snapshot: Snapshot) -> list[str]:
    """The open milestones, those that are missed gates first, then those due first."""
    missed = _missed(snapshot)
    names = snapshot.deal.names
    still_open = [
        (due, names[code])
        for code, (state, _, due, _) in milestone_stories(snapshot).items()
        if state == SET and due is not None and names[code] not in missed
    ]
    return [*missed, *(name for _, name in sorted(still_open))]


def _missed(snapshot: Snapshot) -> list[str]:
    """The must-hit milestones missed, those due first; one that was dropped is missed still."""
    gates = [gate for gate in snapshot.once(find_gates) if gate.state == "missed"]
    return [gate.name for gate in sorted(gates, key=lambda gate: (gate.due or "", gate.name))]


def _reach(snapshot: Snapshot) -> tuple[Hypothetical, ...]:
    names = _open_milestones(snapshot)[:MOST_MILESTONES]
    return tuple(Hypothetical(kind="milestone_reached", name=name) for name in names)


def _state(snapshot: Snapshot) -> str:
    return VALIDATION_STATES[int(validation_state(snapshot))]


ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        name="customer reply",
        phrase="the customer replies",
        kind="customer_replied",
        is_open=_not_lately("customer_replied"),
    ),
    Action(
        name="on-site meeting",
        phrase="we meet on site",
        kind="meeting_held",
        of="onsite",
        is_open=lambda snapshot: onsite_meetings(snapshot, 90.0) == 0.0,
    ),
    Action(
        name="remote meeting",
        phrase="we meet remotely",
        kind="meeting_held",
        of="remote",
        is_open=_not_lately("meeting_held"),
    ),
    Action(
        name="call",
        phrase="we call the customer",
        kind="call_made",
        is_open=_not_lately("call_made"),
    ),
    Action(
        name="commercial talks",
        phrase="commercial talks start",
        kind="commercial_talks_started",
        is_open=lambda snapshot: not talks_started(snapshot),
    ),
    Action(
        name="technical validation",
        phrase="the customer begins to test",
        kind="technical_validation_started",
        is_open=lambda snapshot: _state(snapshot) == "not started",
    ),
    Action(
        name="validation passed",
        phrase="the customer's test passes",
        kind="technical_validation_passed",
        is_open=lambda snapshot: _state(snapshot) in ("started", "failed"),
    ),
    Action(
        name="milestone",
        phrase="a milestone is reached",
        kind="milestone_reached",
        is_open=lambda snapshot: bool(_open_milestones(snapshot)),
        suppose=_reach,
    ),
    Action(
        name="next step",
        phrase="the next step is set anew",
        kind="next_step_changed",
        is_open=_not_lately("next_step_changed"),
    ),
    Action(
        name="internal update",
        phrase="the owner posts an internal update",
        kind="internal_update_posted",
        is_open=_not_lately("internal_update_posted"),
    ),
)


def open_actions(snapshot: Snapshot, carried: frozenset[str]) -> list[Action]:
    """The actions that may still be taken, of the kinds that the deal's sources carry.

    What clears a missed gate is one of them, whether or not any source has told of its kind yet.
    """
    if _missed(snapshot):
        carried |= {"milestone_reached"}
    return [each for each in ACTIONS if each.kind in carried and each.is_open(snapshot)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What past deals with an action open, and as probable as this one, did.

    Parameters
    ----------
    band_low, band_high
        The probability predicted for them, within `band_days`.
    band_days
        Days ahead of that prediction.
    window_days
        In which the action was taken or not.
    won_within_days
        From the end of that window, for all of them.
    took_deals, took_won
        Deals that took it, and those of them won within so many days.
    others_deals, others_won
        The same of deals that did not take it.
    phrase
        All this in words; where a side has fewer than 20 deals, that it is too few to say.
    """

    band_low: float
    band_high: float
    band_days: float
    window_days: float
    won_within_days: float
    took_deals: int
    took_won: int
    others_deals: int
    others_won: int
    phrase: str = field(init=False)

    def __post_init__(self) -> None:
        took, others = self.took_deals, self.others_deals
        window = f"within {self.window_days:g} days"
        if min(took, others) < FEWEST_DEALS:
            phrase = (
                f"too few to say: {counted(took, 'such deal')} saw it {window}, {others} did not"
            )
        else:
            phrase = (
                f"of {took} such deals that saw it {window}, {self.took_won / took:.0%} were won "
                f"in the {self.won_within_days:g} days after; of {others} that did not, "
                f"{self.others_won / others:.0%}"
            )
        object.__setattr__(self, "phrase", phrase)


@dataclass(frozen=True, kw_only=True, eq=False)
class ActionTable:
    """What past deals did, counted at training.

    Parameters
    ----------
    edge
        The edge of the predicted probability that makes the bands.
    cuts
        Between the bands, ascending.
    counts
        For each action by name: deals, [bands, B, 2, 2], of which the third axis tells those
        that did not take it from those that did, and the last all of them from those won by the
        landmark plus e_b.
    """

    edge: int
    cuts: tuple[float, ...]
    counts: Mapping[str, Ints]

    def evidence(
        self, action: str, predicted: float, edges_days: list[float], days: float
    ) -> Evidence | None:
        """What deals like one did.

        Parameters
        ----------
        action
            Its name.
        predicted
            The deal's probability within the edge that makes the bands.
        edges_days
            e_1 to e_B, days.
        days
            Asked about: counted is the first edge that reaches so far from the landmark.

        Returns
        -------
        Evidence or None
            None where training never saw the action open.
        """
        if action not in self.counts:
            return None
        band = bisect_right(self.cuts, predicted)
        reach = [b for b, edge in enumerate(edges_days) if edge >= days - WINDOW_DAYS]
        b = reach[0] if reach else len(edges_days) - 1
        (others, others_won), (took, took_won) = self.counts[action][band, b].tolist()
        bounds = (0.0, *self.cuts, 1.0)
        return Evidence(
            band_low=bounds[band],
            band_high=bounds[band + 1],
            band_days=edges_days[self.edge],
            window_days=WINDOW_DAYS,
            won_within_days=edges_days[b],
            took_deals=took,
            took_won=took_won,
            others_deals=others,
            others_won=others_won,
        )

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {
            "edge": self.edge,
            "cuts": list(self.cuts),
            "counts": {name: counts.tolist() for name, counts in self.counts.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ActionTable:
        """The inverse of `to_json`."""
        return cls(
            edge=int(value["edge"]),
            cuts=tuple(float(cut) for cut in value["cuts"]),
            counts={
                name: np.asarray(counts, dtype=np.int64) for name, counts in value["counts"].items()
            },
        )


def landmark(as_of: int) -> int:
    """The end of the window that begins at a moment; microseconds since 1970 UTC."""
    return as_of + int(WINDOW_DAYS * DAY_US)
