"""The report on how early flares were: its figures, and their forms for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from model.red_flare import Thresholds
from training.early_rules import Group

EARLY_DAYS: Final = 30  # before the loss, for a flare to leave time to act
OUTCOME_DAYS: Final = 90  # after the first flare in which its deal is won, lost, or neither


@dataclass(frozen=True, kw_only=True)
class SameWork:
    """The low-probability flare with a limit that raises about as many flares as a rule.

    Parameters
    ----------
    low_share
        That limit, a share of the usual probability.
    flares_an_owner_week, early_amount_share, not_won_share
        As in `RuleFigures`.
    early_amount_gain, not_won_gain
        Above the rule's own, in shares; None where nothing was lost, or nothing could be told.
    early_amount_gain_interval, not_won_gain_interval
        95 % intervals of the gains; None with them.
    """

    low_share: float
    flares_an_owner_week: float
    early_amount_share: float | None
    not_won_share: float | None
    early_amount_gain: float | None
    early_amount_gain_interval: tuple[float, float] | None
    not_won_gain: float | None
    not_won_gain_interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class RuleFigures:
    """One rule over past deals.

    Parameters
    ----------
    rule, group
        Its name; "flare" or "simple".
    flares
        Raised in all; those that stood when the walk began are not among them.
    deals
        Flared, including those at the beginning.
    flares_an_owner_week
        For each owner with an open deal.
    median_lead_days
        From the first flare to the loss, of lost deals that were flared; None if none was.
    early_deal_share, early_amount_share
        Of the lost deals and of their amount, flared `EARLY_DAYS` or more before the loss; None
        where nothing was lost.
    early_amount_interval
        95 % interval of the latter; None with it.
    lost_share, not_won_share
        Of the flared deals, lost and not won within `OUTCOME_DAYS`; None where nothing is told.
    told, left_out
        Flared deals of which the record tells so much, and of which it does not.
    same_work
        What the low-probability flare achieves at the same work; None for the flares themselves.
    """

    rule: str
    group: Group
    flares: int
    deals: int
    flares_an_owner_week: float
    median_lead_days: float | None
    early_deal_share: float | None
    early_amount_share: float | None
    early_amount_interval: tuple[float, float] | None
    lost_share: float | None
    not_won_share: float | None
    told: int
    left_out: int
    same_work: SameWork | None


@dataclass(frozen=True, kw_only=True)
class EarlyReport:
    """Every rule over past deals, and what it is to be held against.

    Parameters
    ----------
    begins, ends
        Of the time walked, ISO 8601 UTC.
    weeks
        Looks at the open deals.
    horizon_days
        Of the probabilities in the rules.
    deals, still_open
        Seen open, and those without an outcome at the end of the record.
    owner_weeks, open_deals_an_owner
        Owners with an open deal, summed over the weeks; and how many such deals each had.
    lost_deals, lost_amount
        That the early shares are of.
    losses_left_out
        Lost deals whose last moment for an early flare was not walked.
    losses_without_amount
        Of `lost_deals`; they weigh nothing in shares of the amount.
    reach_deal_share, reach_amount_share
        Of them, open so long before the loss that an early flare was possible at all; None where
        nothing was lost.
    base_lost_share, base_not_won_share
        Of all deals, from the first week each was seen, lost and not won within `OUTCOME_DAYS`;
        None if not told.
    thresholds
        Of the red flares.
    rules
        The red flares, all of them together, then the simple rules.
    """

    begins: str
    ends: str
    weeks: int
    horizon_days: float
    deals: int
    still_open: int
    owner_weeks: int
    open_deals_an_owner: float
    lost_deals: int
    lost_amount: float
    losses_left_out: int
    losses_without_amount: int
    reach_deal_share: float | None
    reach_amount_share: float | None
    base_lost_share: float | None
    base_not_won_share: float | None
    thresholds: Thresholds
    rules: tuple[RuleFigures, ...]
    early_days: int = EARLY_DAYS
    outcome_days: int = OUTCOME_DAYS

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self)

    def rows(self) -> list[dict[str, Any]]:
        """One flat row for each rule, for a CSV file."""
        flat = []
        for figures in self.rules:
            row = asdict(figures)
            same = row.pop("same_work") or {}
            row |= {f"same_work_{name}": same.get(name) for name in SameWork.__dataclass_fields__}
            for name in [name for name in row if name.endswith("_interval")]:
                row[f"{name[:-9]}_low"], row[f"{name[:-9]}_high"] = row.pop(name) or (None, None)
            flat.append(row)
        return flat
