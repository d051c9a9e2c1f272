"""A review's pages from their templates: one file that needs nothing beside itself, or served.

Served pages name their style sheet and drawings as files of the same origin and sort, choose and
turn pages by links; the file has all of it inside and links to places in itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from model.feature import counted, days_in_words, name_in_words
from service import parts
from service.review import words
from service.review.deal_row import DealRow, update_in_words
from service.review.labels import (
    bridge_label,
    distribution_label,
    reliability_label,
    sparkline,
)
from service.review.links import SHOWS, Links
from service.review.listing import COLUMNS, Listing, whole
from service.review.measured import COVERAGE, COVERAGE_QUARTERS
from service.review.view import Money, Review

PAGES: Final = Path(__file__).parent / "pages"


def style() -> str:
    """The style sheet of all pages."""
    return (PAGES / "style.css").read_text(encoding="utf-8")


def page(review: Review) -> str:
    """The whole review as one file; every text in it is escaped but the drawings.

    Parameters
    ----------
    review
        What it shows.
    """
    from service.review.charts import curve_chart

    anchors = {row.deal.deal_id: f"deal-{place}" for place, row in enumerate(review.rows, 1)}

    def href(deal_id: str) -> str:
        return f"#{anchors[deal_id]}" if deal_id in anchors else ""

    return render(
        "review.html",
        **_facts(review),
        served=None,
        style=Markup(style()),  # noqa: S704 - a file of this package
        listing=whole(review),
        anchors=anchors,
        href=href,
        opened=lambda deal_id: f"#page-{anchors[deal_id]}",
        drawing=lambda name, place: _inline(review.money[place], name, place),
        curve=lambda each: Markup(  # noqa: S704 - a drawing
            curve_chart(each.score, anchors[each.row.deal.deal_id])
        ),
    )


def served_page(review: Review, listing: Listing, links: Links, choices: dict[str, Any]) -> str:
    """The review as a page of the service.

    Parameters
    ----------
    listing
        The page of the list of deals.
    choices
        What may be chosen: see `service.review.desk`.
    """
    return render(
        "review.html",
        **_facts(review),
        served=links,
        choices=choices,
        shows=SHOWS,
        listing=listing,
        anchors={},
        href=links.deal,
        opened=links.deal,
        drawing=lambda name, place: image(
            links.chart(f"{name}-{place}"), _label(review.money[place], name)
        ),
    )


def letter(review: Review, rows: Sequence[DealRow]) -> str:
    """The summary of a review as the body of a mail.

    Parameters
    ----------
    rows
        The red flares that it tells.
    """
    return render("mail.html", **_facts(review), rows=rows)


def render(template: str, **context: Any) -> str:
    """One page of a template."""
    rendered: str = _environment().get_template(template).render(**context)
    return rendered


def image(source: str, label: str) -> Markup:
    """A drawing that is a file of its own."""
    return Markup('<img class="drawing" src="{}" alt="{}">').format(source, label)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "amount": words.amount,
        "cents": words.cents,
        "counted": counted,
        "days": days_in_words,
        "in_words": name_in_words,
        "change": words.change,
        "moved": words.moved,
        "amount_parts": parts.amount_parts,
        "change_parts": parts.change_parts,
        "score_parts": parts.score_parts,
        "what_if_parts": parts.what_if_parts,
        "percent": words.percent,
        "points": words.points,
        "gain": words.gain_words,
        "supposed": words.supposed_words,
        "span": words.span,
        "sparkline": lambda values: Markup(sparkline(values)),  # noqa: S704 - a drawing
    }
    return environment


def _facts(review: Review) -> dict[str, Any]:
    """What the templates of file and service alike are told."""
    left, pages = words.days_left(review), review.pages
    facts = {} if review.scorer is None else review.scorer.artifact.facts
    as_of = int(review.question.as_of.timestamp() * 1e6)
    of_row: dict[str, Callable[[DealRow], str]] = {
        "sentence": lambda row: words.flare_sentence(row, pages.get(row.deal.deal_id), review),
        "action": lambda row: words.action_words(pages.get(row.deal.deal_id)),
        "update": lambda row: update_in_words(row, as_of),
    }
    return {
        "review": review,
        "question": review.question,
        "days_left": left,
        "columns": COLUMNS,
        "judged": facts.get("judged", []),
        "training": facts.get("training", {}),
        "coverage": COVERAGE,
        "coverage_quarters": COVERAGE_QUARTERS,
        "empty": words.is_empty(review),
        "lead": words.lead,
        "gate": words.gate_words,
        **of_row,
    }


def _label(money: Money, name: str) -> str:
    if name == "quarter" and money.outlook.forecast is not None:
        return distribution_label(money.outlook.forecast, money.target)
    if name == "bridge" and money.bridge is not None:
        return bridge_label(money.bridge)
    return reliability_label(money.past.reliability)


def _inline(money: Money, name: str, place: int) -> Markup:
    return Markup(chart(money, name, f"{name}-{place}"))  # noqa: S704 - a drawing


def chart(money: Money, name: str, key: str) -> str:
    """A drawing: ``quarter``, ``bridge`` or ``reliability``; empty without its facts.

    Parameters
    ----------
    key
        Before every id inside.
    """
    from service.review import charts, past_charts

    if name == "quarter" and money.outlook.forecast is not None:
        return charts.distribution_chart(money.outlook.forecast, money.target, key)
    if name == "bridge" and money.bridge is not None:
        return charts.bridge_chart(money.bridge, key)
    if name == "reliability" and money.past.reliability:
        return past_charts.reliability_chart(money.past.reliability, key)
    return ""
