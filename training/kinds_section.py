"""The section of figures by origin, stage, age, amount and owner."""

from __future__ import annotations

from typing import Any

from training.backtest_report import OTHER, SMALLEST_COUNT, Report
from training.figure_text import find, number
from training.section import Cell, Section, Table


def kinds_section(report: Report, smallest: int = SMALLEST_COUNT) -> Section:
    """By origin, stage, age, amount and owner."""
    main = report.main_days
    tables = []
    for part in ("stage", "age", "amount", "owner", "origin"):
        found = [row for row in report.figures if row["part"] == part]
        values = list(dict.fromkeys(row["value"] for row in found))
        rows = []
        for value in values:
            cells: list[str | Cell] = [value]
            at_main = find(found, value=value, horizon_days=main)
            cells += [f"{at_main['deals']:,}" if at_main else "-"]
            for days in report.days:
                row = find(found, value=value, horizon_days=days)
                cells.append(_both(row) if row else "-")
            cells += [
                number(at_main["log_loss"]) if at_main else "-",
                number(at_main["auc"], 3) if at_main else "-",
            ]
            rows.append(cells)
        header = [part, "deals", *(f"{days:g} days" for days in report.days)]
        tables.append(
            Table(
                caption=f"By {part}: forecast and won",
                header=(*header, "log-loss", "AUC"),
                rows=rows,
                on_terminal=part in ("stage", "age"),
                wide=True,
            )
        )
    return Section(
        key="kinds",
        title="By stage, age, amount and owner",
        words=[
            (
                "For each horizon the average forecast and, after the arrow, the share won. ▲ "
                "marks forecasts above and ▼ below the 95 % interval of that share. Deals, "
                f"log-loss and AUC are those of {main:g} days. Values of fewer than {smallest} "
                f"deals are pooled as “{OTHER}”. Of twenty sound rows one is marked by chance."
            )
        ],
        tables=tables,
    )


def _both(row: dict[str, Any]) -> Cell:
    said, came = row["mean_probability"], row["won_share"]
    sign = "▲ " if said > row["won_share_high"] else "▼ " if said < row["won_share_low"] else ""
    return Cell(text=f"{sign}{100 * said:.1f} → {100 * came:.1f} %", danger=bool(sign))
