"""A review's numbers as a workbook: the quarter, the bridge, every open deal, past forecasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from io import BytesIO
from typing import Final

from xlsxwriter import Workbook

from service.review.numbers import quarter_rows
from service.review.view import Review

Value = str | float | int | date | None
AMOUNT: Final = "#,##0"
CENTS: Final = "#,##0.00"
SHARE: Final = "0.0%"
DAY: Final = "yyyy-mm-dd"
TEXT: Final = "@"
# By sheet: each column's heading, number format and width in characters.
Columns = Sequence[tuple[str, str, int]]
QUARTER: Final[Columns] = (
    ("section", TEXT, 12),
    ("currency", TEXT, 9),
    ("name", TEXT, 18),
    ("figure", TEXT, 12),
    ("number", "#,##0.####", 16),
)
BRIDGE: Final[Columns] = (("currency", TEXT, 9), ("reason", TEXT, 20), ("amount", CENTS, 16))
MOVES: Final[Columns] = (
    ("currency", TEXT, 9),
    ("reason", TEXT, 20),
    ("deal", TEXT, 16),
    ("amount", CENTS, 16),
)
DEALS: Final[Columns] = (
    ("deal", TEXT, 16),
    ("currency", TEXT, 9),
    ("amount", AMOUNT, 14),
    ("probability", SHARE, 11),
    ("by the model alone", SHARE, 11),
    ("low", SHARE, 9),
    ("high", SHARE, 9),
    ("change since last week", SHARE, 12),
    ("expected", AMOUNT, 14),
    ("at stake", AMOUNT, 14),
    ("owner", TEXT, 14),
    ("segment", TEXT, 14),
    ("stage", TEXT, 16),
    ("rep says", TEXT, 14),
    ("disagreement", TEXT, 14),
    ("close date", DAY, 12),
    ("data quality", TEXT, 12),
    ("red flares", TEXT, 60),
)
PAST: Final[Columns] = (
    ("currency", TEXT, 9),
    ("kind", TEXT, 9),
    ("until", DAY, 12),
    ("P10", AMOUNT, 14),
    ("expected", AMOUNT, 14),
    ("P90", AMOUNT, 14),
    ("came to", AMOUNT, 14),
    ("hindsight", TEXT, 10),
)


def workbook(review: Review) -> bytes:
    """The bytes of an ``.xlsx`` file; a text is never a formula or a link in it."""
    out = BytesIO()
    book = Workbook(
        out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    book.set_properties({"title": f"Forecast review {review.week}"})
    book.set_properties({"created": review.question.as_of.replace(tzinfo=None)})
    _sheet(book, "Quarter", QUARTER, (row[:5] for row in quarter_rows(review)))
    _sheet(book, "Bridge", BRIDGE, _bridge(review))
    _sheet(book, "Moves", MOVES, _moves(review))
    _sheet(book, "Deals", DEALS, _deals(review))
    _sheet(book, "Past", PAST, _past(review))
    book.close()
    return out.getvalue()


def _sheet(book: Workbook, name: str, columns: Columns, rows: Iterable[Sequence[Value]]) -> None:
    sheet = book.add_worksheet(name)
    heading = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    for place, (title, form, width) in enumerate(columns):
        sheet.set_column(place, place, width, book.add_format({"num_format": form}))
        sheet.write_string(0, place, title, heading)
    forms = [book.add_format({"num_format": form}) for _, form, _ in columns]
    count = 0
    for count, row in enumerate(rows, 1):
        for place, value in enumerate(row):
            if value is None:
                continue
            if isinstance(value, str):
                sheet.write_string(count, place, value)
            elif isinstance(value, date):
                sheet.write_datetime(count, place, value, forms[place])
            else:
                sheet.write_number(count, place, value, forms[place])
    sheet.freeze_panes(1, 1)
    sheet.autofilter(0, 0, max(count, 1), len(columns) - 1)


def _bridge(review: Review) -> Iterable[Sequence[Value]]:
    for money in review.money:
        if money.bridge is not None:
            currency = money.outlook.currency
            yield currency, "last week", money.bridge.before / 100
            for bar, cents in money.bridge.bars.items():
                yield currency, bar, cents / 100
            yield currency, "this week", money.bridge.after / 100


def _moves(review: Review) -> Iterable[Sequence[Value]]:
    for money in review.money:
        for move in () if money.bridge is None else money.bridge.moves:
            yield money.outlook.currency, move.bar, move.deal_id, move.cents / 100


def _deals(review: Review) -> Iterable[Sequence[Value]]:
    for row in review.rows:
        deal = row.deal
        yield (
            deal.deal_id,
            deal.currency,
            deal.amount,
            row.probability,
            row.model_probability,
            row.low,
            row.high,
            row.change,
            None if row.probability is None else row.expected,
            None if row.probability is None else row.at_stake,
            deal.owner,
            deal.segment,
            deal.stage,
            deal.category,
            row.disagreement,
            deal.close_date,
            row.quality,
            "; ".join(flare.phrase for flare in row.flares),
        )


def _past(review: Review) -> Iterable[Sequence[Value]]:
    for money in review.money:
        for each in (*money.past.quarters, *money.past.weeks):
            total = each.total
            yield (
                money.outlook.currency,
                each.moment.kind,
                each.moment.period.last,
                None if total is None else total.p10,
                None if total is None else total.expected,
                None if total is None else total.p90,
                each.won,
                "yes" if each.hindsight else "no",
            )
