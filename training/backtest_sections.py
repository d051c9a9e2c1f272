"""A backtest in words, tables and charts, for somebody who has to decide whether to believe it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from training.backtest_report import OTHER, SMALLEST_COUNT, Report
from training.baselines import BASELINES
from training.charts import FEWEST_DRAWN, curve_chart, difference_chart, reliability_chart
from training.curves import Curve
from training.section import Cell, Section, Table

SHOWN_CURVES: Final = 12
LISTED_CURVES: Final = 25
NAMES: Final = ("part", "value", "horizon_days")
NEARLY_CHANCE: Final = 1.25  # times the error by chance
OPENED_AFTER: Final = "opened after the origin"


def summary(report: Report) -> Section:
    """What a reader in haste should know."""
    days = report.main_days
    facts, record = report.facts, report.facts["record"]
    trained = [origin["known_before"] for origin in facts["origins"]]
    main = _one(report.figures, part="all", horizon_days=days)
    words = [
        (
            f"Redflare went back to {_listed(trained)}, learned each time only from what was known "
            f"then, and forecast every deal that was open in the weeks after: "
            f"{facts['forecasts']:,} forecasts of {facts['deals']:,} deals. The record, from "
            f"{record['from']} until {record['until']}, then told what came."
        ),
        _told_bands(report, days),
        (
            f"Within {days:g} days, {percent(main['mean_probability'])} were forecast to be won "
            f"and {percent(main['won_share'])} were."
        ),
        _told_error(main, days),
        *_told_faults(main, days),
        *_told_baselines([row for row in report.baselines if _is(row, days)], days),
    ]
    words += [
        f"No model could be trained on {left['known_before']}: {left['reason']}"
        for left in facts["left_out"]
    ]
    return Section(key="summary", title="In short", words=words, figures=facts)


def reliability(report: Report) -> Section:
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
                    _span("won_share", band),
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
            _tidy("reliability", "band", f"{band['low']:g}-{band['high']:g}", band, figure)
            for band in report.reliability
            for figure in band
            if figure not in named
        ],
    )


def beside(report: Report) -> Section:
    """Ours against each baseline."""
    charts = []
    rows = []
    for days in report.days:
        compared = [row for row in report.baselines if _is(row, days)]
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
            _tidy("baselines", row["part"], row["value"], row, figure, row["baseline"])
            for row in report.baselines
            for figure in row
            if figure not in (*NAMES, "baseline")
        ],
    )


def by_horizon(report: Report) -> Section:
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
            _tidy("figures", row["part"], row["value"], row, figure)
            for row in report.figures
            for figure in row
            if figure not in NAMES
        ],
    )


def by_kind(report: Report, smallest: int = SMALLEST_COUNT) -> Section:
    """By origin, stage, age, amount and owner."""
    main = report.main_days
    tables = []
    for part in ("stage", "age", "amount", "owner", "origin"):
        found = [row for row in report.figures if row["part"] == part]
        values = list(dict.fromkeys(row["value"] for row in found))
        rows = []
        for value in values:
            cells: list[str | Cell] = [value]
            at_main = _find(found, value=value, horizon_days=main)
            cells += [f"{at_main['deals']:,}" if at_main else "-"]
            for days in report.days:
                row = _find(found, value=value, horizon_days=days)
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


def learned(curves: Sequence[Curve], days: float, known_before: str) -> Section:
    """The learned curves."""
    return Section(
        key="curves",
        title="What the model has learned",
        words=[
            (
                f"What a value adds to the probability of a win within {days:g} days for the "
                f"average deal, in percentage points, by the model of {known_before}; the "
                "strongest features first. The shade or bar is the 80 % interval over the "
                "model's bags of half the deals. What a value adds together with another one is "
                "not in it. It says what such deals did, not what changing the value would do."
            ),
        ],
        charts=[curve_chart(curve, n) for n, curve in enumerate(curves[:SHOWN_CURVES])],
        tables=[
            Table(
                caption="The strongest features: the mean size of what they add, in points",
                header=("feature", "direction", "mean", "lowest", "highest"),
                rows=[
                    (
                        curve.question,
                        curve.direction,
                        f"{100 * curve.strength:.2f}",
                        _points(min(step.points for step in curve.steps)),
                        _points(max(step.points for step in curve.steps)),
                    )
                    for curve in curves[:LISTED_CURVES]
                ],
                words=2,
                on_terminal=False,
                wide=True,
            )
        ],
        figures=[curve.to_json() for curve in curves],
        tidy=[
            {
                "section": "curves",
                "part": curve.feature,
                "value": step.value,
                "horizon_days": days,
                "method": "redflare",
                "figure": figure,
                "number": getattr(step, figure),
            }
            for curve in curves
            for step in curve.steps
            for figure in ("points", "points_low", "points_high", "share")
        ],
    )


def method(report: Report) -> Section:
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
                "real use; deals opened after the origin are also reported alone."
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


def percent(share: float) -> str:
    """A share for people.

    Examples
    --------
    >>> percent(0.0312)
    '3.1 %'
    """
    return f"{100 * share:.1f} %"


def number(value: float | None, digits: int = 4) -> str:
    """A figure for people, or a dash where there is none.

    Examples
    --------
    >>> number(0.41567), number(None)
    ('0.4157', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _span(key: str, row: dict[str, Any]) -> str:
    return f"{100 * row[f'{key}_low']:.1f} to {100 * row[f'{key}_high']:.1f} %"


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
    "  95 % interval of the error": lambda row: _span("ece", row),
    "  by chance alone": lambda row: percent(row["ece_by_chance"]),
    "lift of the riskiest tenth": lambda row: number(row["riskiest_tenth_lift"], 2),
}


def _is(row: dict[str, Any], days: float) -> bool:
    return bool(row["part"] == "all" and row["horizon_days"] == days)


def _find(rows: Iterable[dict[str, Any]], **named: Any) -> dict[str, Any] | None:
    return next((row for row in rows if all(row[k] == v for k, v in named.items())), None)


def _one(rows: Iterable[dict[str, Any]], **named: Any) -> dict[str, Any]:
    found = _find(rows, **named)
    if found is None:
        raise KeyError(named)
    return found


def _tidy(
    section: str,
    part: str,
    value: str,
    row: dict[str, Any],
    figure: str,
    who: str = "redflare",
) -> dict[str, Any]:
    return {
        "section": section,
        "part": part,
        "value": value,
        "horizon_days": row["horizon_days"],
        "method": who,
        "figure": figure,
        "number": row[figure],
    }


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _told_bands(report: Report, days: float) -> str:
    """The lowest, a middle and the highest band of enough deals, in words."""
    bands = [band for band in report.reliability if band["horizon_days"] == days]
    large = [band for band in bands if band["deals"] >= SMALLEST_COUNT] or bands
    places = sorted({0, len(large) // 2, len(large) - 1})
    told = [
        f"of {large[at]['rows']:,} forecasts of {100 * large[at]['low']:g} to "
        f"{100 * large[at]['high']:g} % ({large[at]['deals']:,} deals), "
        f"{percent(large[at]['won_share'])} were won within {days:g} days"
        for at in places
    ]
    return "What was said, and what came: " + "; ".join(told) + "."


def _told_error(row: dict[str, Any], days: float) -> str:
    chance = row["ece_by_chance"]
    told = (
        f"For {days:g} days ahead forecasts and outcomes lay {100 * row['ece']:.1f} points apart "
        f"on average (95 % interval {100 * row['ece_low']:.1f} to {100 * row['ece_high']:.1f}); "
        f"exact probabilities would show {100 * chance:.1f} by chance alone."
    )
    if row["ece"] > NEARLY_CHANCE * chance:
        return told + " So they are somewhat off: read them with that margin."
    if not _told_faults(row, days):
        return told + " So nothing speaks against taking the probabilities as they are."
    return told


def _told_faults(row: dict[str, Any], days: float) -> list[str]:
    told = []
    if not row["won_share_low"] <= row["mean_probability"] <= row["won_share_high"]:
        side = "high" if row["mean_probability"] > row["won_share"] else "low"
        told.append(f"In total the forecasts for {days:g} days were too {side}.")
    slope, low, high = (row[f"calibration_slope{end}"] for end in ("", "_low", "_high"))
    if slope is not None and (low > 1.0 or high < 1.0):
        how = "timid: high ones came more often, low ones less often, than they said"
        if slope < 1.0:
            how = "bold: high ones came less often, low ones more often, than they said"
        told.append(
            f"The forecasts for {days:g} days were too {how} (slope {slope:.2f}, 95 % interval "
            f"{low:.2f} to {high:.2f}; 1 is best)."
        )
    return told


def _told_baselines(rows: list[dict[str, Any]], days: float) -> list[str]:
    """Who forecast better, in a sentence for each outcome that there is."""
    told = []
    for how, chosen in (
        ("were better than those of", [row for row in rows if row["difference_high"] < 0.0]),
        ("were WORSE than those of", [row for row in rows if row["difference_low"] > 0.0]),
        (
            "showed no clear difference from those of",
            [row for row in rows if row["difference_low"] <= 0.0 <= row["difference_high"]],
        ),
    ):
        if chosen:
            names = _listed([f"“{BASELINES[row['baseline']].title}”" for row in chosen])
            told.append(f"For {days:g} days ahead Redflare's forecasts {how} {names}.")
    return told


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "\N{MINUS SIGN}")


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
        _signed(row["difference"]),
        f"{_signed(low)} to {_signed(high)}",
        number(row["our_log_loss"]),
        number(row["log_loss"]),
    ]


def _verdict(band: dict[str, Any]) -> Cell:
    if band["mean_probability"] > band["won_share_high"]:
        return Cell(text="▲ too high", danger=True)
    if band["mean_probability"] < band["won_share_low"]:
        return Cell(text="▼ too low", danger=True)
    return Cell(text="as forecast")


def _both(row: dict[str, Any]) -> Cell:
    said, came = row["mean_probability"], row["won_share"]
    sign = "▲ " if said > row["won_share_high"] else "▼ " if said < row["won_share_low"] else ""
    return Cell(text=f"{sign}{100 * said:.1f} → {100 * came:.1f} %", danger=bool(sign))
