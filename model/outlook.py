"""The outlook of a period: its open deals scored by its dates, and the forecast that they make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.arrivals import Arrivals, mixed
from model.errors import ScoreError
from model.events import DAY_US
from model.feeds import Feeds
from model.forecast import Forecast, OpenDeals, Part, Spread, forecast
from model.hazard import edge_weights, log_odds, probability
from model.history import Floats, History, Ints
from model.money import CENTS, cents
from model.period import Period
from model.pipeline import NO_CURRENCY, Deal
from model.scored import Checks, Scored
from model.scorer import Scorer

NOTHING: Final = Spread(expected=0.0, p10=0.0, p50=0.0, p90=0.0)
GROUPINGS: Final = ("owner", "segment")


@dataclass(frozen=True, kw_only=True, eq=False)
class Chances:
    """Open deals scored by some dates.

    Parameters
    ----------
    probability
        By each date, by the model alone. Shape (D, C).
    bag_log_odds
        The same under each bag. Shape (bags, D, C).
    gated
        Whether a must-hit milestone is missed. Shape (D,).
    checks
        Gates and data quality of each; an unscorable deal counts in no forecast.
    """

    probability: Floats
    bag_log_odds: Floats
    gated: NDArray[np.bool_]
    checks: Sequence[Checks]

    @property
    def scorable(self) -> NDArray[np.bool_]:
        """Whether each deal is given a number. Shape (D,)."""
        return np.array([check.scorable for check in self.checks], dtype=bool)

    def take(self, rows: Sequence[int]) -> Chances:
        """Some of the deals."""
        at = np.array(rows, dtype=np.int64)
        return Chances(
            probability=self.probability[at],
            bag_log_odds=self.bag_log_odds[:, at],
            gated=self.gated[at],
            checks=[self.checks[row] for row in rows],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """An owner or a segment in a period.

    Parameters
    ----------
    name
        Empty for the deals that have none.
    won
        Amount won in the period.
    deals
        Open ones that have a number.
    open
        What they come to.
    """

    name: str
    won: float
    deals: int
    open: Spread


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlook:
    """The forecast of a period in one currency.

    Parameters
    ----------
    currency
        ISO 4217, or empty where deals tell none.
    won, won_deals
        Amount won in the period as known, and of how many deals.
    forecast
        Of the whole period; None without a model, or once the period is over.
    months
        Its months, those over too, with what was won and is to come.
    groups
        For each of `GROUPINGS` the groups that occur, by name.
    open_deals, unscorable, without_amount
        Open deals; those that have no number, and those whose amount is not known: neither counts.
    """

    currency: str
    won: float
    won_deals: int
    forecast: Forecast | None
    months: tuple[tuple[Period, Part], ...]
    groups: Mapping[str, tuple[Group, ...]]
    open_deals: int
    unscorable: int
    without_amount: int


def cut_moments(period: Period, as_of: int) -> list[int]:
    """The moments by which open deals are asked about: the ends of the months still ahead.

    Of a period that has not begun, its begin comes first.

    Parameters
    ----------
    as_of
        Microseconds since 1970 UTC, before the period's end.
    """
    ends = [month.end_us for month in period.months() if month.end_us > as_of]
    return [period.begin_us, *ends] if period.begin_us > as_of else ends


def chances(
    scorer: Scorer,
    history: History,
    deal: Ints,
    as_of: int,
    until: Sequence[int],
    feeds: Feeds | None = None,
) -> Chances:
    """Score open deals by some moments.

    Parameters
    ----------
    deal
        Indices into ``history.deal_ids``, all open as known at `as_of`. Shape (D,).
    as_of, until
        Microseconds since 1970 UTC; `until` rises and lies after `as_of`. Shape (C,).
    feeds
        As `Scorer.feeds` gives them; None takes those of training.

    Raises
    ------
    HorizonError
        If a moment lies past what the artifact answers.
    ScoreError
        If a deal is not open.
    """
    _weights(scorer, as_of, until)
    moment = np.full(len(deal), as_of, dtype=np.int64)
    scored = None
    if len(deal):
        scored = scorer.score_many(history, deal, moment, None, feeds, checked=True)
    return chances_of(scorer, scored, as_of, until)


def chances_of(scorer: Scorer, scored: Scored | None, as_of: int, until: Sequence[int]) -> Chances:
    """The chances of open deals scored already, by some moments; `chances` of the same.

    Parameters
    ----------
    scored
        With checks, as known at `as_of`; None where there is no deal.
    """
    weights = _weights(scorer, as_of, until)
    if scored is None:
        none = np.zeros((0, len(until)))
        bags = np.zeros((scorer.tables.bags, *none.shape))
        return Chances(probability=none, bag_log_odds=bags, gated=np.zeros(0, bool), checks=[])
    deals = len(scored.is_open)
    checks = [check for check in scored.checks if check is not None]
    if scored.eta_bags is None or len(checks) < deals:
        raise ScoreError(
            f"{deals} deals, {deals - len(checks)} of them not open",
            "deals open as known then",
            "leave out the others",
        )
    of_bags = [log_odds(scored.eta_bags, w) for w in weights]
    return Chances(
        probability=np.stack([probability(scored.eta, w) for w in weights], axis=1),
        bag_log_odds=np.stack(of_bags, axis=2).transpose(1, 0, 2),
        gated=np.array([any(g.state == "missed" for g in each.gates) for each in checks], bool),
        checks=checks,
    )


def _weights(scorer: Scorer, as_of: int, until: Sequence[int]) -> Floats:
    ahead = (np.array(until, dtype=np.float64) - as_of) / DAY_US
    return edge_weights(scorer.edges, ahead, as_of_us=np.full(len(ahead), as_of))


def converted(deals: Sequence[Deal], rates: Mapping[str, float], reporting: str) -> list[Deal]:
    """The same deals with all amounts in one currency.

    Parameters
    ----------
    rates
        What one unit of each currency is worth in `reporting`, which needs none itself. Deals that
        tell no currency count as in `reporting`.

    Raises
    ------
    ScoreError
        If a deal's currency has no rate.
    """
    known = {**rates, reporting: 1.0, NO_CURRENCY: 1.0}
    for deal in deals:
        if deal.currency not in known:
            raise ScoreError(
                f"deal {deal.deal_id!r} in {deal.currency}, which has no rate",
                "a rate for every currency of the deals",
                "add it to the rates",
            )
    return [
        replace(
            deal,
            amount=None if deal.amount is None else deal.amount * known[deal.currency],
            currency=reporting,
        )
        for deal in deals
    ]


def outlooks(
    deals: Sequence[Deal],
    of_open: Chances | None,
    period: Period,
    as_of: int,
    *,
    arrivals: Mapping[str, Arrivals],
    shock_variance: float,
    seed: int = 0,
) -> list[Outlook]:
    """The forecast of a period, one for each currency: amounts of several are never added up.

    Parameters
    ----------
    deals
        The whole pipeline as known at `as_of`; where rates are known, `converted`.
    of_open
        The chances of its open deals, in their order, by `cut_moments`; None without a model or
        once the period is over.
    arrivals
        Of deals not yet opened, by currency.
    shock_variance
        Of the shock common to all deals.
    seed
        Of the draws.

    Returns
    -------
    list of Outlook
        Of most deals first; one that holds nothing where there is no deal.
    """
    count = Counter(deal.currency for deal in deals)
    opened = [deal for deal in deals if deal.status == "open"]
    found = []
    for currency in sorted(count, key=lambda name: (-count[name], name)) or [NO_CURRENCY]:
        won = [
            deal
            for deal in deals
            if deal.currency == currency
            and deal.status == "won"
            and period.holds(deal.closed_us or 0)
        ]
        rows = [row for row, deal in enumerate(opened) if deal.currency == currency]
        own = [opened[row] for row in rows]
        names = {
            way: tuple(sorted({_group(deal, way) for deal in (*won, *own)})) for way in GROUPINGS
        }
        made = None
        if of_open is not None and as_of < period.end_us:
            made = _forecast(
                won,
                own,
                of_open.take(rows),
                period,
                as_of,
                names,
                arrivals.get(currency),
                shock_variance,
                seed,
            )
        found.append(
            Outlook(
                currency=currency,
                won=_amount(won, period),
                won_deals=len(won),
                forecast=made,
                months=_months(won, made, period, as_of),
                groups={way: _groups(won, made, way, names[way]) for way in GROUPINGS},
                open_deals=len(own),
                unscorable=0 if of_open is None else int((~of_open.take(rows).scorable).sum()),
                without_amount=sum(deal.amount is None for deal in own),
            )
        )
    return found


def _forecast(
    won: Sequence[Deal],
    opened: Sequence[Deal],
    of_open: Chances,
    period: Period,
    as_of: int,
    names: Mapping[str, Sequence[str]],
    arrivals: Arrivals | None,
    shock_variance: float,
    seed: int,
) -> Forecast:
    rows = np.flatnonzero(of_open.scorable).tolist()
    kept = of_open.take(rows)
    until = cut_moments(period, as_of)
    begun = until[0] != period.begin_us
    ahead = [month for month in period.months() if month.end_us > as_of]
    by_month = [_amount(won, month) for month in ahead]
    codes = {
        way: np.array([names[way].index(_group(opened[row], way)) for row in rows], np.int64)
        for way in GROUPINGS
    }
    return forecast(
        OpenDeals(
            amount=np.array([opened[row].amount or 0.0 for row in rows]),
            gated=kept.gated,
            probability=kept.probability,
            bag_log_odds=kept.bag_log_odds,
            groups=codes,
        ),
        [(moment - as_of) / DAY_US for moment in until],
        won=by_month if begun else [0.0, *by_month],
        earlier=_amount(won, period) - sum(by_month),
        arrivals=arrivals,
        shock_variance=shock_variance,
        seed=seed,
        begun=begun,
    )


def _months(
    won: Sequence[Deal], made: Forecast | None, period: Period, as_of: int
) -> tuple[tuple[Period, Part], ...]:
    """Every month of the period: those ahead from the forecast, the others as they were."""
    ahead = list(made.months) if made is not None else []
    found = []
    for month in period.months():
        if ahead and month.end_us > as_of:
            found.append((month, ahead.pop(0)))
            continue
        amount = _amount(won, month)
        total = NOTHING.plus(amount)
        found.append((month, Part(won=amount, open=NOTHING, unopened=NOTHING, total=total)))
    return tuple(found)


def _groups(
    won: Sequence[Deal], made: Forecast | None, way: str, names: Sequence[str]
) -> tuple[Group, ...]:
    parts = {} if made is None else {part.code: part for part in made.groups[way]}
    found = []
    for code, name in enumerate(names):
        part = parts.get(code)
        found.append(
            Group(
                name=name,
                won=_sum([deal for deal in won if _group(deal, way) == name]),
                deals=0 if part is None else part.deals,
                open=NOTHING if part is None else part.open,
            )
        )
    return tuple(found)


def _amount(won: Sequence[Deal], period: Period) -> float:
    return _sum([deal for deal in won if period.holds(deal.closed_us or 0)])


def _sum(deals: Sequence[Deal]) -> float:
    return sum(cents(deal.amount or 0.0) for deal in deals) / CENTS


def _group(deal: Deal, way: str) -> str:
    return (deal.owner if way == "owner" else deal.segment) or ""


def shock_variance(forecast_facts: Mapping[str, Any], days: float) -> float:
    """The variance of the shock common to all deals over so many days, linear between horizons.

    Parameters
    ----------
    forecast_facts
        The artifact's fact ``forecast``.
    days
        Ahead; nearer than the first horizon, or past the last, that one's holds.

    Examples
    --------
    >>> shocks = [{"days": 30.0, "variance": 0.3}, {"days": 90.0, "variance": 0.1}]
    >>> round(shock_variance({"shocks": shocks}, 60.0), 6)
    0.2
    """
    shocks = forecast_facts["shocks"]
    known = [float(each["days"]) for each in shocks]
    return float(np.interp(days, known, [float(each["variance"]) for each in shocks]))


def arrivals_by_currency(forecast_facts: Mapping[str, Any]) -> dict[str, Arrivals]:
    """Deals not yet opened, by currency, from the artifact's fact ``forecast``."""
    told = forecast_facts["arrivals"]
    return {currency: Arrivals.from_json(each) for currency, each in told.items()}


def arrivals_converted(
    arrivals: Mapping[str, Arrivals], rates: Mapping[str, float], reporting: str
) -> dict[str, Arrivals]:
    """Deals not yet opened of all currencies as if of one, amounts converted.

    Raises
    ------
    ScoreError
        If a currency in which deals open has no rate.
    """
    known = {**rates, reporting: 1.0, NO_CURRENCY: 1.0}
    mine = []
    for name, each in sorted(arrivals.items()):
        if name in known:
            amounts = tuple(amount * known[name] for amount in each.amounts)
            mine.append(replace(each, amounts=amounts))
        elif each.opened:
            raise ScoreError(
                f"deals not yet opened in {name}, which has no rate",
                "a rate for every currency that the model learned from",
                "add it to the rates",
            )
    return {reporting: mixed(mine)} if mine else {}
