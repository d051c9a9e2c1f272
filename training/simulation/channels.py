"""The channels of the worlds: which event each makes, and how the record bears on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from training.simulation import rules
from training.simulation.company import MILESTONE_SLOTS
from training.simulation.record import MILESTONES
from training.simulation.world import Channel

_REPLY = Channel(
    kind="customer_replied", base=(), habit="customer_mail", writes="reply", count=True, mail=True
)
_TURN = replace(_REPLY, count=False)
_MESSAGE = Channel(
    kind="message_sent",
    base=(),
    clock="workday",
    habit="rep_mail",
    rule=rules.Contact(main=True),
    writes="message",
    count=True,
    mail=True,
)
_CALL = Channel(kind="call_made", base=(), habit="rep", writes="span", rule=rules.Length(0.01))
_LOGGED = Channel(kind="activity_logged", base=(), habit="rep", count=True, late=True)
_MEETING = Channel(kind="meeting_held", base=(), habit="rep", writes="span", count=True, late=True)
_STAGE = Channel(kind="stage_changed", base=(), writes="stage")
_CATEGORY = Channel(kind="forecast_category_changed", base=(), clock="push", writes="category")
_CLOSE = Channel(kind="close_date_changed", base=(), clock="push", writes="date")
_AMOUNT = Channel(kind="amount_changed", base=(), writes="number")
_UPDATE = Channel(kind="internal_update_posted", base=(), habit="internal")


def _milestones(kind: str, rule: type[rules.Milestone], writes: str) -> tuple[Channel, ...]:
    return tuple(
        Channel(
            kind=kind,
            name=MILESTONES[slot],
            base=(),
            rule=rule(slot),
            writes=writes,
        )
        for slot in range(MILESTONE_SLOTS)
    )


# By name, in the order in which a day shows them.
TEMPLATES: Final[dict[str, tuple[Channel, ...]]] = {
    "reply": (replace(_REPLY, rule=rules.Contact(main=True)),),
    "reply_other": (replace(_REPLY, rule=rules.Contact(main=False)),),
    "reply_same": (replace(_TURN, rule=rules.Alternation(switch=False)),),
    "reply_switch": (replace(_TURN, rule=rules.Alternation(switch=True)),),
    "customer_call": (
        replace(_REPLY, habit="customer_crm", late=True, mail=False, rule=rules.Contact(main=True)),
    ),
    "message": (_MESSAGE,),
    "message_answered": (replace(_MESSAGE, writes="answered"),),
    "message_away": (replace(_MESSAGE, clock="away"),),
    "message_away_answered": (replace(_MESSAGE, clock="away", writes="answered"),),
    "call": (replace(_CALL, count=True, late=True),),
    "call_in_rhythm": (replace(_CALL, writes="nothing", rule=rules.Rhythm(kept=True)),),
    "call_off_rhythm": (replace(_CALL, writes="nothing", rule=rules.Rhythm(kept=False)),),
    "meeting_remote": (replace(_MEETING, name="remote", rule=rules.Length(0.04)),),
    "meeting_onsite": (replace(_MEETING, name="onsite", rule=rules.Length(0.12)),),
    "demo": (replace(_LOGGED, name="demo_given"),),
    "pricing_page": (
        replace(_LOGGED, name="pricing_page_viewed", clock="always", habit="customer", late=False),
    ),
    "proposal": (replace(_LOGGED, name="proposal_sent"),),
    "contract": (replace(_LOGGED, name="contract_sent"),),
    "stage_1": (replace(_STAGE, rule=rules.StageForward(1)),),
    "stage_2": (replace(_STAGE, rule=rules.StageForward(2)),),
    "stage_3": (replace(_STAGE, rule=rules.StageForward(3)),),
    "stage_4": (replace(_STAGE, rule=rules.StageForward(4)),),
    "stage_back": (replace(_STAGE, rule=rules.StageBack()),),
    "to_omitted": (replace(_CATEGORY, habit="wary", rule=rules.CategoryTo("omitted")),),
    "to_pipeline": (replace(_CATEGORY, habit="wary", rule=rules.CategoryTo("pipeline")),),
    "to_best_case": (replace(_CATEGORY, habit="hopeful", rule=rules.CategoryTo("best_case")),),
    "to_commit": (replace(_CATEGORY, habit="hopeful", rule=rules.CategoryTo("commit")),),
    "push": (replace(_CLOSE, rule=rules.CloseMove((14, 21, 30))),),
    "push_far": (replace(_CLOSE, rule=rules.CloseMove((60, 90))),),
    "pull_in": (replace(_CLOSE, rule=rules.CloseMove((-14, -7))),),
    "milestone_moved": _milestones("milestone_moved", rules.MilestoneMoved, "date"),
    "milestone_reached": _milestones("milestone_reached", rules.MilestoneReached, "nothing"),
    "milestone_dropped": _milestones("milestone_dropped", rules.MilestoneDropped, "nothing"),
    "must_hit": _milestones("must_hit_declared", rules.MustHit, "nothing"),
    "talks": (Channel(kind="commercial_talks_started", base=(), rule=rules.Once("talks")),),
    "talks_absent": (Channel(kind="commercial_talks_absent", base=(), rule=rules.TalksAbsent()),),
    "validation_start": (
        Channel(kind="technical_validation_started", base=(), rule=rules.ValidationStart()),
    ),
    "validation_passed": (
        Channel(kind="technical_validation_passed", base=(), rule=rules.ValidationEnd(passed=True)),
    ),
    "validation_failed": (
        Channel(
            kind="technical_validation_failed", base=(), rule=rules.ValidationEnd(passed=False)
        ),
    ),
    "competitor": (
        Channel(kind="competitor_named", base=(), rule=rules.Competitor(), writes="competitor"),
    ),
    "amount_cut": (replace(_AMOUNT, rule=rules.AmountTimes(0.7, 0.8, 0.9)),),
    "amount_raised": (replace(_AMOUNT, rule=rules.AmountTimes(1.1, 1.25, 1.5)),),
    "next_step": (
        Channel(
            kind="next_step_changed",
            base=(),
            habit="rep",
            rule=rules.NextStep(),
            writes="next_step",
        ),
    ),
    "budget": (
        Channel(
            kind="field_changed",
            name="budget_confirmed",
            base=(),
            rule=rules.Once("budget"),
            writes="yes",
        ),
    ),
    "update_posted": (_UPDATE,),
    "update_requested": (replace(_UPDATE, kind="internal_update_requested", clock="push"),),
    "escalation": (replace(_UPDATE, kind="escalation_raised"),),
    "owner": (Channel(kind="owner_changed", base=(), rule=rules.OwnerTo(), writes="owner"),),
}


def channels(base: Mapping[str, tuple[float, ...]]) -> tuple[Channel, ...]:
    """Every channel for which `base` gives rates, in the order in which a day shows them.

    Parameters
    ----------
    base
        Events a day by open state, by the channel's name. A milestone's rates hold for each.

    Returns
    -------
    tuple[Channel, ...]
        As `TEMPLATES` orders them.

    Examples
    --------
    >>> [channel.kind for channel in channels({"owner": (0.1, 0.1), "reply": (0.1, 0.2)})]
    ['customer_replied', 'owner_changed']
    """
    return tuple(
        replace(template, base=base[name])
        for name, templates in TEMPLATES.items()
        if name in base
        for template in templates
    )
