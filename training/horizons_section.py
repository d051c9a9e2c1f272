"""The section of every figure by horizon, for all forecasts and for new deals alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from training.backtest_report import Report
from training.figure_text import NAMES, OPENED_AFTER, number, percent, span, tidy
from training.section import Section, Table

FIGURES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "forecasts": lambda row: f"{row['rows']:,}",
    "deals": lambda row: f"{row['deals']:,}",
    "forecast on average": lambda row: percent(row["mean_probability"]),
    "won": lambda row: percent(row["won_share"]),
    "log-loss": lambda row: number(row["log_loss"]),
    "Brier score": lambda row: number(row["brier"]),
    "  reliability, best 0": lambda row: number(row["reliability"]),
    "  resolution, more is better": lambda row: number(row["resolution"]),
    "  uncertainty of the deals": lambda row: number(row["uncertainty"]),
    "AUC, best 1": lambda row: number(row["auc"], 3),
    "calibration slope, best 1": lambda row: number(row["calibration_slope"], 2),
    "  95 % interval of the slope": lambda row: (
        "-"
        if row["calibration_slope_low"] is None
        else f"{row['calibration_slope_low']:.2f} to {row['calibration_slope_high']:.2f}"
    ),
    "calibration intercept, best 0": lambda row: number(row["calibration_intercept"], 2),
    "calibration error (ECE)": lambda row: percent(row["ece"]),
    "  95 % interval of the error": lambda row: span("ece", row),
    "  by chance alone": lambda row: percent(row["ece_by_chance"]),
    "lift of the riskiest tenth": lambda row: number(row["riskiest_tenth_lift"], 2),
}


def horizons_section(report: Report) -> Section:
    """Every figure, for all forecasts and for new deals alone."""
    tables = []
    for part, caption in (
        ("all", "All forecasts"),
        (OPENED_AFTER, "Deals opened after the origin: none of them was learned from"),
    ):
        found = [row for row in report.figures if row["part"] == part]
        rows = [(name, *(say(row) for row in found)) for name, say in FIGURES.items()]
        if found:
            days = [f"{row['horizon_days']:g} days" for row in found]
            tables.append(Table(caption=caption, header=("figure", *days), rows=rows))
    return Section(
        key="figures",
        title="All figures by horizon",
        words=[
            (
                "The calibration slope says whether probabilities are too bold (below 1) or too "
                "timid (above 1). The calibration error is how far forecasts and outcomes lie "
                "apart on average over ten groups; even exact probabilities show the error by "
                "chance. The lift says how many times more often the tenth forecast as riskiest "
                "was not won."
            )
        ],
        tables=tables,
        figures=report.figures,
        tidy=[
            tidy("figures", row["part"], row["value"], row, figure)
            for row in report.figures
            for figure in row
            if figure not in NAMES
        ],
    )
