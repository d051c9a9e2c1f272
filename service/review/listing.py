"""The table of deals, page by page, sorted and chosen as asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from model.bridge import BARS, Move
from model.errors import ScoreError
from service.review.deal_row import DealRow
from service.review.links import DESCENDING, Asked
from service.review.view import Review

ROWS_A_PAGE: Final = 100
# By column of the table: its heading, whether it holds numbers, and what it is sorted by.
COLUMNS: Final[dict[str, tuple[str, bool, Callable[[DealRow], Any]]]] = {
    "deal": ("deal", False, lambda row: row.deal.deal_id),
    "amount": ("amount", True, lambda row: _last(row.deal.amount)),
    "probability": ("probability", True, lambda row: _last(row.probability)),
    "interval": ("8 times in 10", True, lambda row: _last(row.low)),
    "change": ("points since last week", True, lambda row: _last(row.change)),
    "trend": ("weeks", False, lambda row: len(row.trend)),
    "expected": ("expected", True, lambda row: row.expected),
    "stage": ("stage", False, lambda row: row.deal.stage or ""),
    "category": ("rep says", False, lambda row: row.deal.category or ""),
    "close_date": ("close date", False, lambda row: str(row.deal.close_date or "")),
    "owner": ("owner", False, lambda row: row.deal.owner or ""),
    "data": ("data", False, lambda row: row.quality),
}


def _last(value: float | None) -> float:
    return -inf if value is None else value


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One page of the table.

    Parameters
    ----------
    rows
        Of this page.
    moves
        Instead of rows, what each deal of a bar of the bridge adds to it, with its row while open.
    total
        Deals on all pages.
    page, pages
        Which it is, from 1, of how many.
    """

    rows: Sequence[DealRow]
    moves: Sequence[tuple[Move, DealRow | None]]
    total: int
    page: int
    pages: int

    @property
    def span(self) -> str:
        """Which deals these are, for paper too, that has no links to the others."""
        first = (self.page - 1) * ROWS_A_PAGE
        last = first + len(self.rows) + len(self.moves)
        return f"Deals {first + 1:,} to {last:,} of {self.total:,}"


def listed(review: Review, asked: Asked) -> Listing:
    """The page of the table that is asked for; past the last one, the last one.

    Raises
    ------
    ScoreError
        If there is no such column to sort by, or no such bar.
    """
    if asked.bar:
        if asked.bar not in BARS:
            raise ScoreError(f"bar={asked.bar}", "one of " + ", ".join(BARS), "follow a link")
        moves = [
            move
            for money in review.money
            if money.bridge and asked.currency in (None, money.outlook.currency)
            for move in money.bridge.of(asked.bar)
        ]
        first, page, pages = _page(len(moves), asked.page)
        by_id = {row.deal.deal_id: row for row in review.rows}
        shown = [(move, by_id.get(move.deal_id)) for move in moves[first : first + ROWS_A_PAGE]]
        return Listing(rows=(), moves=shown, total=len(moves), page=page, pages=pages)
    rows = _shown(review.rows, asked.show)
    name = asked.sort.removeprefix(DESCENDING)
    if name:
        if name not in COLUMNS:
            raise ScoreError(f"sort={asked.sort}", "one of " + ", ".join(COLUMNS), "follow a link")
        key = COLUMNS[name][2]
        rows = sorted(rows, key=key, reverse=asked.sort.startswith(DESCENDING))
    first, page, pages = _page(len(rows), asked.page)
    return Listing(
        rows=rows[first : first + ROWS_A_PAGE],
        moves=(),
        total=len(rows),
        page=page,
        pages=pages,
    )


def whole(review: Review) -> Listing:
    """Every open deal on one page, for a file."""
    return Listing(rows=review.rows, moves=(), total=len(review.rows), page=1, pages=1)


def _shown(rows: Sequence[DealRow], show: str) -> Sequence[DealRow]:
    if show == "flared":
        return [row for row in rows if row.flares]
    if show == "disagreeing":
        return [row for row in rows if row.disagreement]
    return rows


def _page(total: int, page: int) -> tuple[int, int, int]:
    pages = max(1, -(-total // ROWS_A_PAGE))
    page = min(page, pages)
    return (page - 1) * ROWS_A_PAGE, page, pages
