"""What a served review is asked for, in its URL, and the links that ask for something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from model.errors import ScoreError

PATH: Final = "/review"
SHOWS: Final = {
    "all": "every open deal",
    "flared": "with red flares",
    "disagreeing": "where rep and model disagree",
}
DESCENDING: Final = "-"  # before the name of a column
PAGE_DIGITS: Final = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a URL asks for; None and empty take the usual.

    Parameters
    ----------
    week, close_by
        As the command `review` takes them; empty: the present ones.
    owner, segment
        Chosen ones; None: all.
    show
        One of `SHOWS`.
    bar
        The bar of the bridge whose deals are listed; empty: none.
    currency
        Of the bridge that the bar is of; None: all.
    sort
        A column, with `DESCENDING` before it where the largest come first.
    page
        Of the list, from 1.
    """

    week: str = ""
    close_by: str = ""
    owner: str | None = None
    segment: str | None = None
    show: str = "all"
    bar: str = ""
    currency: str | None = None
    sort: str = ""
    page: int = 1

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Asked:
        """What the parameters of a URL ask for; ``*`` stands for all owners or segments.

        Raises
        ------
        ScoreError
            If one of them has no such value.

        Examples
        --------
        >>> Asked.read({"owner": "ann", "page": "2", "segment": "*"})
        Asked(week='', close_by='', owner='ann', segment=None, show='all', bar='', currency=None,
        sort='', page=2)
        """
        show, page = query.get("show") or "all", query.get("page") or "1"
        if show not in SHOWS:
            raise ScoreError(f"show={show}", "one of " + ", ".join(SHOWS), "choose one of these")
        if not (page.isascii() and page.isdigit() and len(page) <= PAGE_DIGITS and int(page) > 0):
            raise ScoreError(f"page={page}", "a number from 1", "follow the links of the list")
        return cls(
            week=query.get("week", ""),
            close_by=query.get("close_by", ""),
            owner=_chosen(query.get("owner")),
            segment=_chosen(query.get("segment")),
            show=show,
            bar=query.get("bar", ""),
            currency=query.get("currency"),
            sort=query.get("sort", ""),
            page=int(page),
        )

    @property
    def query(self) -> str:
        """The parameters that ask for it, without those that take the usual.

        Examples
        --------
        >>> Asked(owner="ann & bob", sort="-amount").query
        'owner=ann+%26+bob&sort=-amount'
        """
        usual = Asked()
        told = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if getattr(self, name) != getattr(usual, name)
        }
        return urlencode(told)


def _chosen(value: str | None) -> str | None:
    return None if value == "*" else value


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """The links of one page.

    Parameters
    ----------
    asked
        What the page was asked for.
    """

    asked: Asked

    def to(self, **changed: Any) -> str:
        """The same page with something else asked; from the first page of its list.

        Examples
        --------
        >>> Links(asked=Asked(owner="ann", page=3)).to(sort="-amount")
        '/review?owner=ann&sort=-amount'
        """
        return _url(PATH, replace(self.asked, **{"page": 1, **changed}).query)

    def sorting(self, column: str, *, numeric: bool) -> str:
        """The list by a column: numbers with the largest first, and the other way when again."""
        first = f"{DESCENDING}{column}" if numeric else column
        other = column if numeric else f"{DESCENDING}{column}"
        return self.to(sort=other if self.asked.sort == first else first) + "#deals"

    def sorted_by(self, column: str) -> str:
        """How the list is sorted by a column, as a screen reader is told; empty: not by it."""
        ways = {column: "ascending", f"{DESCENDING}{column}": "descending"}
        return ways.get(self.asked.sort or f"{DESCENDING}expected", "")

    def deal(self, deal_id: str, anchor: str = "") -> str:
        """The page of a deal, about the same week and period."""
        moment = Asked(week=self.asked.week, close_by=self.asked.close_by)
        return _url(f"{PATH}/deals/{quote(deal_id, safe='')}", moment.query) + anchor

    def chart(self, name: str, deal_id: str = "") -> str:
        """A drawing of the page."""
        chosen = replace(self.asked, show="all", bar="", currency=None, sort="", page=1)
        if deal_id:
            path = f"{PATH}/deals/{quote(deal_id, safe='')}/charts/{name}.svg"
            chosen = Asked(week=self.asked.week, close_by=self.asked.close_by)
        else:
            path = f"{PATH}/charts/{name}.svg"
        return _url(path, chosen.query)


def _url(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
