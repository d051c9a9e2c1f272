"""The section of ours against each other way to forecast."""

from __future__ import annotations

from typing import Any

from training.backtest_report import Report
from training.baselines import BASELINES
from training.charts import difference_chart
from training.figure_text import NAMES, OPENED_AFTER, number, of_all, signed, tidy
from training.section import Cell, Section, Table


def baselines_section(report: Report) -> Section:
    """Ours against each baseline."""
    charts = []
    rows = []
    for days in report.days:
        compared = [row for row in report.baselines if of_all(row, days)]
        if compared:
            named = [
                (
                    BASELINES[row["baseline"]].title,
                    row["difference"],
                    row["difference_low"],
                    row["difference_high"],
                )
                for row in compared
            ]
            charts.append(difference_chart(named, days))
            rows += [_compared(row) for row in compared]
    new = [_compared(row) for row in report.baselines if row["part"] == OPENED_AFTER]
    header = ("baseline", "verdict", "days", "ours minus theirs", "95 % interval", "ours", "theirs")
    return Section(
        key="baselines",
        title="Against what you could forecast with anyway",
        words=[
            (
                "Log-loss is the penalty for a probability that did not come true; smaller is "
                "better. Every method learned from the same past and forecast the same deals at "
                "the same moments. Where the interval of the difference reaches over zero, the "
                "record is too small to tell who is better."
            ),
            *(f"{each.title}: {each.method}." for each in BASELINES.values()),
            *(
                f"{BASELINES[name].title}: not compared, the record has nothing to go by."
                for name in report.facts["baselines_without_grounds"]
            ),
        ],
        charts=charts,
        tables=[
            Table(
                caption="Log-loss of all forecasts", header=header, rows=rows, words=2, wide=True
            ),
            Table(
                caption="Log-loss on deals opened after the origin, none of which was learned from",
                header=header,
                rows=new,
                words=2,
                on_terminal=False,
                wide=True,
            ),
        ],
        figures=report.baselines,
        tidy=[
            tidy("baselines", row["part"], row["value"], row, figure, row["baseline"])
            for row in report.baselines
            for figure in row
            if figure not in (*NAMES, "baseline")
        ],
    )


def _compared(row: dict[str, Any]) -> list[str | Cell]:
    low, high = row["difference_low"], row["difference_high"]
    so = Cell(text="no clear difference")
    if high < 0.0:
        so = Cell(text="ours is better")
    elif low > 0.0:
        so = Cell(text="✕ ours is worse", danger=True)
    return [
        BASELINES[row["baseline"]].title,
        so,
        f"{row['horizon_days']:g}",
        signed(row["difference"]),
        f"{signed(low)} to {signed(high)}",
        number(row["our_log_loss"]),
        number(row["log_loss"]),
    ]
