"""The section of forecast bands against what came."""

from __future__ import annotations

from typing import Any

from training.backtest_report import Report
from training.charts import FEWEST_DRAWN, reliability_chart
from training.figure_text import percent, span, tidy
from training.section import Cell, Section, Table


def reliability_section(report: Report) -> Section:
    """Forecast bands against what came."""
    charts = [
        reliability_chart(bands, days)
        for days in report.days
        if (bands := [band for band in report.reliability if band["horizon_days"] == days])
    ]
    tables = [
        Table(
            caption=f"Forecasts of a win within {days:g} days, and what came",
            header=(
                "forecast",
                "verdict",
                "won",
                "95 % interval",
                "on average",
                "forecasts",
                "deals",
            ),
            rows=[
                (
                    f"{100 * band['low']:g} to {100 * band['high']:g} %",
                    _verdict(band),
                    percent(band["won_share"]),
                    span("won_share", band),
                    percent(band["mean_probability"]),
                    f"{band['rows']:,}",
                    f"{band['deals']:,}",
                )
                for band in report.reliability
                if band["horizon_days"] == days
            ],
            words=2,
            on_terminal=days == report.main_days,
        )
        for days in report.days
    ]
    named = ("low", "high", "horizon_days")
    return Section(
        key="reliability",
        title="Did what was forecast come?",
        words=[
            (
                "Each point is a band of forecasts: how probable they said a win was, against "
                "how many were won. On the dashed line both agree. The stroke is the 95 % "
                "interval, for the number of deals rather than of forecasts. A triangle marks a "
                "band whose interval the forecast misses: pointing up, forecasts were too high; "
                f"pointing down, too low. Bands of fewer than {FEWEST_DRAWN} deals are in the "
                "tables alone."
            )
        ],
        charts=charts,
        tables=tables,
        figures=report.reliability,
        tidy=[
            tidy("reliability", "band", f"{band['low']:g}-{band['high']:g}", band, figure)
            for band in report.reliability
            for figure in band
            if figure not in named
        ],
    )


def _verdict(band: dict[str, Any]) -> Cell:
    if band["mean_probability"] > band["won_share_high"]:
        return Cell(text="▲ too high", danger=True)
    if band["mean_probability"] < band["won_share_low"]:
        return Cell(text="▼ too low", danger=True)
    return Cell(text="as forecast")
