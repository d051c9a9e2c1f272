"""The section that a reader in haste reads: what was forecast, what came, what to make of it."""

from __future__ import annotations

from typing import Any, Final

from training.backtest_report import SMALLEST_COUNT, Report
from training.baselines import BASELINES
from training.figure_text import listed, of_all, percent
from training.section import Section

NEARLY_CHANCE: Final = 1.25  # times the error by chance


def summary_section(report: Report, early: str) -> Section:
    """What a reader in haste should know.

    Parameters
    ----------
    report
        All figures of the forecasts.
    early
        How early red flares were, in a sentence.
    """
    days = report.main_days
    facts, record = report.facts, report.facts["record"]
    trained = [origin["known_before"] for origin in facts["origins"]]
    main = next(row for row in report.figures if of_all(row, days))
    words = [
        (
            f"Redflare went back to {listed(trained)}, learned each time only from what was known "
            f"then, and forecast every deal that was open in the weeks after: "
            f"{facts['forecasts']:,} forecasts of {facts['deals']:,} deals. The record, from "
            f"{record['from']} until {record['until']}, then told what came."
        ),
        *_told_unjudged(facts),
        _told_bands(report, days),
        (
            f"Within {days:g} days, {percent(main['mean_probability'])} were forecast to be won "
            f"and {percent(main['won_share'])} were."
        ),
        _told_error(main, days),
        *_told_faults(main, days),
        *_told_baselines([row for row in report.baselines if of_all(row, days)], days),
        early,
    ]
    without = facts["without_number"]
    if without["forecasts"]:
        words.append(
            f"At {without['forecasts']:,} moments {without['deals']:,} deals were known too little "
            "for a number; these are not judged."
        )
    words += [
        f"No model could be trained on {left['known_before']}: {left['reason']}"
        for left in facts["left_out"]
    ]
    return Section(key="summary", title="In short", words=words, figures=facts)


def _told_unjudged(facts: dict[str, Any]) -> list[str]:
    """The horizons of which the record tells nothing, in a sentence if there are any."""
    unjudged = facts["horizons_not_judged_days"]
    if not unjudged:
        return []
    named = listed([f"{days:g}" for days in unjudged])
    return [
        (
            f"At {named} days ahead nothing could be judged: no such forecast ends while outcomes "
            "are known. Choose earlier origins, or bring a longer record."
        )
    ]


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
            names = listed([f"“{BASELINES[row['baseline']].title}”" for row in chosen])
            told.append(f"For {days:g} days ahead Redflare's forecasts {how} {names}.")
    return told
