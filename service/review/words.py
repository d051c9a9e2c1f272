"""The words of a review: amounts, probabilities, and what is to be said of a deal in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from model.events import EPOCH_DAY
from model.feature import counted, days_in_words
from model.rounding import shown_change
from model.what_if import OpenAction, WhatIf
from service.review.deal_page import DealPage
from service.review.deal_row import DealRow
from service.review.view import Money, Review

MINUS: Final = "\N{MINUS SIGN}"
NOTHING: Final = "-"
WORST_DRIVERS: Final = 3


def a_few(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are.

    Examples
    --------
    >>> a_few(["ann", "bob", "cleo"], most=2), a_few([])
    ('ann, bob and 1 more', 'none')
    """
    rest = len(names) - most
    return (", ".join(names[:most]) or "none") + (f" and {rest} more" if rest > 0 else "")


def amount(value: float | None) -> str:
    """An amount without its currency.

    Examples
    --------
    >>> amount(1248300.4), amount(None)
    ('1,248,300', '-')
    """
    return NOTHING if value is None else f"{value:,.0f}".replace("-", MINUS)


def change(value: float | None) -> str:
    """A change of an amount, with its sign.

    Examples
    --------
    >>> change(1200.0), change(-0.2), change(None)
    ('+1,200', '0', '-')
    """
    if value is None:
        return NOTHING
    return "0" if round(value) == 0 else f"{value:+,.0f}".replace("-", MINUS)


def cents(value: int) -> str:
    """A change in cents, to the cent."""
    return f"{value / 100:+,.2f}".replace("-", MINUS)


def percent(value: float | None) -> str:
    """A probability.

    Examples
    --------
    >>> [percent(share) for share in (0.0423, 0.42, 0.0, 0.0002, 0.999, None)]
    ['4.2%', '42%', '0%', 'under 0.1%', 'over 99%', '-']
    """
    if value is None:
        return NOTHING
    if 0 < value < 0.0005:
        return "under 0.1%"
    if 0.995 <= value < 1:
        return "over 99%"
    digits = 1 if 0 < value < 0.1 else 0
    return f"{100 * value:.{digits}f}%"


def points(value: float | None) -> str:
    """A change of a probability, in percentage points.

    Examples
    --------
    >>> points(0.0342), points(-0.0001), points(None)
    ('+3.4', '0.0', '-')
    """
    if value is None:
        return NOTHING
    told = f"{100 * value:+.1f}"
    return "0.0" if float(told) == 0 else told.replace("-", MINUS)


def moved(row: DealRow) -> float | None:
    """A deal's change since the last review, as it follows from both probabilities as shown."""
    if row.change is None or row.probability is None:
        return None
    return shown_change(row.probability - row.change, row.probability)


def span(row: DealRow) -> str:
    """The 80 % interval of a deal; none beside a zero by declaration."""
    if row.low is None or row.high is None or row.gated:
        return NOTHING
    return f"{100 * row.low:.0f} to {100 * row.high:.0f}%"


def flare_sentence(row: DealRow, page: DealPage | None, review: Review) -> str:
    """What fell and why, in one sentence.

    The flares first, then the strongest drivers downward that they do not say already.
    """
    said = [flare.phrase for flare in row.flares]
    if page is not None:
        down = [driver for driver in page.score.drivers if driver.points < 0]
        for driver in down[:WORST_DRIVERS]:
            if not any(driver.phrase in phrase or phrase in driver.phrase for phrase in said):
                said.append(driver.phrase)
    told = "; ".join(said)
    told += f"; {days_in_words(days_left(review))} left to {review.question.period.last}."
    return told[:1].upper() + told[1:]


def gate_words(row: DealRow) -> str:
    """The next must-hit gate with its days left; without one, what was missed."""
    gate = row.next_gate
    if gate is None or gate.days_left is None:
        return "none ahead; one is missed" if row.gated else "none declared"
    return f"{gate.name}, due {gate.due}, {days_in_words(gate.days_left)} left"


def action_words(page: DealPage | None) -> str:
    """The action that similar deals gained most from; it says that it is no promise."""
    if page is None or page.best is None or not page.best.best:
        return "none known"
    best = page.best.best[0]
    return f"{best.phrase}: {gain_words(page.best, best)}, in deals like this one"


def gain_words(told: WhatIf, action: OpenAction) -> str:
    """What an open action adds; where a must-hit milestone is missed, whether it clears that."""
    gain = points(shown_change(told.before, action.after))
    by = f"by {told.close_by}" if told.close_by else f"within {told.days:g} days"
    if told.gated_before != 0.0:
        return f"{gain} points {by}"
    if action.gated_after:
        return f"0% to {percent(action.gated_after)} {by}, as nothing must-hit is missed then"
    return f"{gain} points {by} by the model alone, and still 0%"


def supposed_words(answer: WhatIf) -> str:
    """What the supposed events make of the probability, in a sentence."""
    by = answer.close_by or f"{answer.days:g} days from then"
    told = f"{'; '.join(answer.phrases)}. To be won by {by}: "
    alone = f"{percent(answer.before)} becomes {percent(answer.after)}"
    zero = "0%"
    if answer.gated_before == 0.0 and answer.gated_after == 0.0:
        told += (
            f"{zero} as before, since a must-hit milestone is missed; by the model alone, {alone}."
        )
    elif answer.gated_before == 0.0:
        told += (
            f"{zero} becomes {percent(answer.after)}, as nothing must-hit is missed then; by the "
            f"model alone, {alone}."
        )
    elif answer.gated_after == 0.0:
        told += (
            f"{percent(answer.before)} becomes {zero}, since a must-hit milestone is missed then."
        )
    else:
        told += f"{alone}."
    return told[:1].upper() + told[1:]


def lead(money: Money, review: Review) -> str:
    """The quarter in a sentence."""
    unit = f" {money.outlook.currency}" if money.outlook.currency else ""
    made = money.outlook.forecast
    if made is None:
        deals = counted(money.outlook.won_deals, "deal")
        return (
            f"{amount(money.outlook.won)}{unit} won in {deals} since "
            f"{review.question.period.first}."
        )
    total = made.whole.total
    told = (
        f"Expected {amount(total.expected)}{unit}; eight times in ten between "
        f"{amount(total.p10)} and {amount(total.p90)}. {amount(made.whole.won)} are won already."
    )
    if money.reach is not None:
        told += (
            f" The target of {amount(money.target)} is reached by "
            f"{review.question.period.last} with a probability of {percent(money.reach)}."
        )
    return told


def is_empty(review: Review) -> bool:
    """Whether nothing was won, is open or is to come, so that there are no figures to show."""
    for money in review.money:
        made = money.outlook.forecast
        if money.outlook.won_deals or money.outlook.open_deals or money.bridge is not None:
            return False
        if made is not None and made.whole.total.expected:
            return False
    return True


def days_left(review: Review) -> float:
    """Days to the end of the period; not below 0."""
    end = (review.question.period.last - EPOCH_DAY).days + 1
    return max(end - review.question.as_of.timestamp() / 86_400, 0.0)
