"""What our own company does about the deal: updates, requests, escalations, win rates."""

from __future__ import annotations

from typing import Final

from model.asof import Snapshot
from model.feature import NOT_CARRIED, Computed, Count, Feature, Rate

UPDATED: Final = "internal_update_posted"
REQUESTED: Final = "internal_update_requested"


def internal_update_days(snapshot: Snapshot) -> float:
    """Days since the owner's last internal update, or since the opening if there was none."""
    return snapshot.since_or_opening_days(UPDATED)


def requests_unanswered(snapshot: Snapshot) -> float:
    """Internal requests for an update since the owner's last update."""
    return snapshot.count_after(REQUESTED, UPDATED)


COMPANY: Final[tuple[Feature, ...]] = (
    Feature(
        name="internal_update_days",
        unit="days",
        question="days since the last internal update",
        direction=-1,
        missing=NOT_CARRIED,
        phrase="the owner posted no internal update for {days}",
        unknown="internal updates are not on record",
        term=Computed(
            compute=internal_update_days, reads=(UPDATED, "deal_opened"), carriers=(UPDATED,)
        ),
    ),
    Feature(
        name="internal_requests_unanswered",
        unit="events",
        question="internal requests for an update unanswered",
        direction=-1,
        missing=NOT_CARRIED,
        phrase="{value} of our own requests for an update are unanswered",
        zero="no request of ours for an update is unanswered",
        one="one of our own requests for an update is unanswered",
        unknown="internal requests for an update are not on record",
        term=Computed(compute=requests_unanswered, reads=(REQUESTED,), carriers=(REQUESTED,)),
    ),
    Feature(
        name="escalations_30_days",
        unit="events",
        question="escalations in 30 days",
        direction=0,
        missing=NOT_CARRIED,
        phrase="{value} escalations in the last 30 days",
        zero="no escalation in the last 30 days",
        one="one escalation in the last 30 days",
        unknown="escalations are not on record",
        term=Count(codes=("escalation_raised",), days=30),
    ),
    Feature(
        name="owner_win_rate",
        unit="share",
        question="the owner's win rate, smoothed",
        direction=1,
        missing="no owner is known, or nothing has closed yet",
        phrase="the owner wins about {value} of deals",
        unknown="no closed deal of the owner is known",
        term=Rate(who="owner"),
    ),
    Feature(
        name="account_win_rate",
        unit="share",
        question="the account's win rate, smoothed",
        direction=1,
        missing="no account is known, or nothing has closed yet",
        phrase="about {value} of the account's deals are won",
        unknown="no closed deal of the account is known",
        term=Rate(who="account"),
    ),
)
