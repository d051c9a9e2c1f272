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
        phrase="no internal update for {value} days",
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
        phrase="{value} internal requests for an update unanswered",
        zero="no internal request unanswered",
        one="1 internal request for an update unanswered",
        term=Computed(compute=requests_unanswered, reads=(REQUESTED,), carriers=(REQUESTED,)),
    ),
    Feature(
        name="escalations_30_days",
        unit="events",
        question="escalations in 30 days",
        direction=0,
        missing=NOT_CARRIED,
        phrase="{value} escalations in 30 days",
        zero="no escalation in 30 days",
        one="1 escalation in 30 days",
        term=Count(codes=("escalation_raised",), days=30),
    ),
    Feature(
        name="owner_win_rate",
        unit="share",
        question="the owner's win rate, smoothed",
        direction=1,
        missing="no owner is known, or nothing has closed yet",
        phrase="the owner wins {value}",
        term=Rate(who="owner"),
    ),
    Feature(
        name="account_win_rate",
        unit="share",
        question="the account's win rate, smoothed",
        direction=1,
        missing="no account is known, or nothing has closed yet",
        phrase="deals with the account are won {value}",
        term=Rate(who="account"),
    ),
)
