"""The section of how the backtest was done."""

from __future__ import annotations

from training.backtest import MOST_FORECASTS
from training.backtest_report import Report
from training.section import Section, Table


def method_section(report: Report) -> Section:
    """How it was done."""
    facts = report.facts
    return Section(
        key="method",
        title="How this was done",
        words=[
            (
                "An origin is a moment of the past. Its model learned only from what was known "
                "before it, and forecast every deal open every "
                f"{facts['spacing_days']:g} days until the next origin, each from what was known "
                "at that moment. Deals learned from occur again while they are still open, as in "
                "real use; deals opened after the origin are also reported alone. Of more than "
                f"{MOST_FORECASTS:,} forecasts of an origin so many are drawn evenly."
            ),
            (
                "A forecast is judged only if its end lies at least "
                f"{facts['record']['closing_lag_days']:.1f} days before the record's end, whatever "
                "came of it: so long it takes until 99 of 100 closings are entered."
            ),
            "Intervals draw deals anew, not forecasts: those of one deal stand or fall together.",
        ],
        tables=[
            Table(
                caption="Origins",
                header=("known before", "until", "model", "deals learned", "won", "forecasts"),
                rows=[
                    (
                        origin["known_before"],
                        origin["until"],
                        origin["model_version"],
                        f"{origin['deals_learned']:,}",
                        f"{origin['won_learned']:,}",
                        f"{origin['forecasts']:,}",
                    )
                    for origin in facts["origins"]
                ],
                words=3,
                wide=True,
            )
        ],
    )
