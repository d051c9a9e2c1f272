"""The review as one page that needs nothing beside itself: no script, no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.review import charts, words
from service.review.deal_row import update_in_words
from service.review.view import Review

TEMPLATE: Final = "page.html"
# Week of the quarter and share within P10 to P90, as measured; the README says how.
COVERAGE: Final[tuple[tuple[int, float], ...]] = ((1, 0.772), (6, 0.832), (11, 0.792))
COVERAGE_QUARTERS: Final = 149


def page(review: Review) -> str:
    """The whole page; every text in it is escaped but the drawings.

    Parameters
    ----------
    review
        What it shows.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "amount": words.amount,
        "cents": words.cents,
        "change": words.change,
        "percent": words.percent,
        "points": words.points,
        "span": words.span,
        "sparkline": charts.sparkline,
    }
    left = words.days_left(review)
    anchors = {row.deal.deal_id: f"deal-{place}" for place, row in enumerate(review.rows, 1)}
    facts = {} if review.scorer is None else review.scorer.artifact.facts
    rendered: str = environment.get_template(TEMPLATE).render(
        review=review,
        question=review.question,
        days_left=left,
        anchors=anchors,
        judged=facts.get("judged", []),
        training=facts.get("training", {}),
        coverage=COVERAGE,
        coverage_quarters=COVERAGE_QUARTERS,
        distributions=[
            None
            if money.outlook.forecast is None
            else charts.distribution_chart(
                money.outlook.forecast, review.question.target, f"quarter-{place}"
            )
            for place, money in enumerate(review.money)
        ],
        bridges=[
            None if money.bridge is None else charts.bridge_chart(money.bridge, f"bridge-{place}")
            for place, money in enumerate(review.money)
        ],
        curves={
            deal_id: charts.curve_chart(each.score, anchors[deal_id])
            for deal_id, each in review.pages.items()
        },
        lead=words.lead,
        sentence=lambda row: words.flare_sentence(row, review.pages.get(row.deal.deal_id), left),
        gate=words.gate_words,
        action=lambda row: words.action_words(review.pages.get(row.deal.deal_id)),
        update=lambda row: update_in_words(row, int(review.question.as_of.timestamp() * 1e6)),
    )
    return rendered
