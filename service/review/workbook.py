"""A review's numbers as a workbook: the quarter, the bridge, every open deal, past forecasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from io import BytesIO
from typing import Any, Final

from xlsxwriter import Workbook

from service.review.deal_row import DealRow
from service.review.numbers import quarter_rows
from service.review.view import Review

Value = str | float | int | date | None
AMOUNT: Final = "#,##0"
CENTS: Final = "#,##0.00"
SHARE: Final = "0.0%"
POINTS: Final = "+0.0%;-0.0%;0.0%"
DAY: Final = "yyyy-mm-dd"
TEXT: Final = "@"
A4: Final = 9  # as Excel numbers paper
# By sheet: each column's heading, number format and width in characters.
Columns = Sequence[tuple[str, str, int]]
WHOLE: Final = "0"
FIGURES: Final = ("won", "expected", "p10", "p50", "p90", "probability")
QUARTER: Final[Columns] = (
    ("section", TEXT, 12),
    ("currency", TEXT, 9),
    ("part", TEXT, 18),
    ("won", AMOUNT, 16),
    ("expected", AMOUNT, 16),
    ("P10", AMOUNT, 16),
    ("P50", AMOUNT, 16),
    ("P90", AMOUNT, 16),
    ("probability to reach it", SHARE, 12),
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
    ("amount", AMOUNT, 16),
    ("probability by {last}", SHARE, 14),
    ("by the model alone", SHARE, 11),
    ("80% interval, low", SHARE, 11),
    ("80% interval, high", SHARE, 11),
    ("change since last week, points", POINTS, 14),
    ("expected", AMOUNT, 16),
    ("at stake", AMOUNT, 16),
    ("owner", TEXT, 14),
    ("segment", TEXT, 14),
    ("stage", TEXT, 16),
    ("rep says", TEXT, 14),
    ("disagreement", TEXT, 14),
    ("close date", DAY, 12),
    ("next must-hit gate", TEXT, 20),
    ("gate due", DAY, 12),
    ("owner's last update, days ago", WHOLE, 14),
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
    last = f"{review.question.period.last}"
    deals = [(title.format(last=last), form, width) for title, form, width in DEALS]
    _sheet(book, "Quarter", QUARTER, _quarter(review))
    _sheet(book, "Bridge", BRIDGE, _bridge(review))
    _sheet(book, "Moves", MOVES, _moves(review))
    _sheet(book, "Deals", deals, _deals(review))
    _sheet(book, "Past", PAST, _past(review))
    book.close()
    return out.getvalue()


def _sheet(book: Workbook, name: str, columns: Columns, rows: Iterable[Sequence[Value]]) -> None:
    sheet = book.add_worksheet(name)
    heading = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    for place, (title, form, width) in enumerate(columns):
        sheet.set_column(place, place, width, book.add_format({"num_format": form}))
        sheet.write_string(0, place, title, heading)
    of_currency = next(place for place, column in enumerate(columns) if column[0] == "currency")
    forms: dict[str, Any] = {}
    count = 0
    for count, row in enumerate(rows, 1):
        for place, value in enumerate(row):
            if value is None:
                continue
            if isinstance(value, str):
                sheet.write_string(count, place, value)
                continue
            form = _in_currency(columns[place][1], row[of_currency])
            if form not in forms:
                forms[form] = book.add_format({"num_format": form})
            if isinstance(value, date):
                sheet.write_datetime(count, place, value, forms[form])
            else:
                sheet.write_number(count, place, value, forms[form])
    sheet.freeze_panes(1, 1)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.autofilter(0, 0, max(count, 1), len(columns) - 1)


def _in_currency(form: str, currency: Value) -> str:
    """The format of an amount, with its currency where that is told by a plain code."""
    if form not in (AMOUNT, CENTS) or not isinstance(currency, str) or not currency.isalnum():
        return form
    return f'{form} "{currency}"'


def _quarter(review: Review) -> Iterable[Sequence[Value]]:
    """What the quarter may come to, a line a part, with the figures beside each other."""
    parts: dict[tuple[str, str, str], dict[str, Value]] = {}
    for section, currency, name, figure, number, _ in quarter_rows(review):
        told = "won" if figure == "amount" else figure
        parts.setdefault((section, currency, name), {})[told] = number
    for part, figures in parts.items():
        yield (*part, *(figures.get(figure) for figure in FIGURES))


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
            None if row.next_gate is None else row.next_gate.name,
            _due(row),
            row.update_days,
            row.quality,
            "; ".join(flare.phrase for flare in row.flares),
        )


def _due(row: DealRow) -> date | None:
    gate = row.next_gate
    return None if gate is None or gate.due is None else date.fromisoformat(gate.due)


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
