"""A review's numbers as one CSV: the quarter, the bridge, and every open deal."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from typing import Final

from model.forecast import Spread
from service.review.view import Money, Review

COLUMNS: Final = ("section", "currency", "name", "figure", "number", "text")
DEAL_NUMBERS: Final = (
    "probability",
    "model_probability",
    "low",
    "high",
    "change",
    "expected",
    "at_stake",
)
DEAL_TEXTS: Final = ("owner", "segment", "stage", "category", "close_date")
Row = tuple[str, str, str, str, float | int | None, str]


def numbers(review: Review) -> str:
    """The CSV, of `COLUMNS`; amounts in their currency, probabilities from 0 to 1."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in _rows(review):
        section, currency, name, figure, number, text = row
        writer.writerow((section, _safe(currency), _safe(name), figure, number, _safe(text)))
    return out.getvalue()


def _rows(review: Review) -> Iterator[Row]:
    yield ("review", "", "", "week", None, review.week)
    yield ("review", "", "", "as_of", None, review.question.as_of.isoformat())
    yield ("review", "", "", "first_day", None, review.question.period.first.isoformat())
    yield ("review", "", "", "last_day", None, review.question.period.last.isoformat())
    for money in review.money:
        yield from _quarter(money)
        if money.bridge is not None:
            currency = money.outlook.currency
            yield ("bridge", currency, "", "before", money.bridge.before / 100, "")
            for bar, value in money.bridge.bars.items():
                yield ("bridge", currency, bar, "change", value / 100, "")
            yield ("bridge", currency, "", "after", money.bridge.after / 100, "")
            for move in money.bridge.moves:
                yield ("move", currency, move.deal_id, move.bar, move.cents / 100, "")
    for row in review.rows:
        deal = row.deal
        yield ("deal", deal.currency, deal.deal_id, "amount", deal.amount, "")
        for figure in DEAL_NUMBERS:
            yield ("deal", deal.currency, deal.deal_id, figure, getattr(row, figure), "")
        for figure in DEAL_TEXTS:
            told = getattr(deal, figure)
            yield (
                "deal",
                deal.currency,
                deal.deal_id,
                figure,
                None,
                "" if told is None else f"{told}",
            )
        yield ("deal", deal.currency, deal.deal_id, "data_quality", None, row.quality)
        for flare in row.flares:
            yield ("deal", deal.currency, deal.deal_id, "red_flare", None, flare.phrase)


def quarter_rows(review: Review) -> Iterator[Row]:
    """What the quarter may come to, by currency: whole, by month, owner and segment."""
    for money in review.money:
        yield from _quarter(money)


def _quarter(money: Money) -> Iterator[Row]:
    outlook = money.outlook
    currency = outlook.currency
    yield ("quarter", currency, "won", "amount", outlook.won, "")
    if money.reach is not None:
        yield ("quarter", currency, "target", "probability", money.reach, "")
    if outlook.forecast is not None:
        whole = outlook.forecast.whole
        for name in ("open", "unopened", "total"):
            yield from _spread("quarter", currency, name, getattr(whole, name))
    if money.before is not None and money.before.forecast is not None:
        last = money.before.forecast.whole.total
        yield from _spread("quarter", currency, "total last week", last)
    for month, part in outlook.months:
        name = f"{month.first:%Y-%m}"
        yield ("month", currency, name, "won", part.won, "")
        yield from _spread("month", currency, name, part.total)
    for way, groups in outlook.groups.items():
        for group in groups:
            yield (way, currency, group.name, "won", group.won, "")
            yield from _spread(way, currency, group.name, group.open)


def _spread(section: str, currency: str, name: str, spread: Spread) -> Iterator[Row]:
    for figure in ("expected", "p10", "p50", "p90"):
        yield (section, currency, name, figure, getattr(spread, figure), "")


def _safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"} else text
