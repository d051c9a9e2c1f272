"""The section of how early red flares were, and at what price."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from training.early_form import EarlyReport, RuleFigures, SameWork
from training.figure_text import percent, points
from training.section import Cell, Section, Table

NAMES: Final = ("rule", "group")  # of what a row is, beside its figures
METHODS: Final = {"flare": "redflare", "simple": "simple_rule"}
OPEN_THEN: Final = "open so early: at most"
ANY_DEAL: Final = "any open deal"


def early_section(report: EarlyReport) -> Section:
    """The report for people, and its rows for the one CSV.

    Parameters
    ----------
    report
        Of `training.early.early_report`.
    """
    early, outcome = report.early_days, report.outcome_days
    return Section(
        key="early",
        title="Were red flares early enough?",
        words=[
            told_early(report),
            _told_alarms(report),
            (
                f"Followed were {report.deals:,} deals over {report.weeks} weeks from "
                f"{report.begins[:10]}, each week with what was known then. Leads are to the "
                "recorded loss: deals that die in silence are closed late, and part of each lead "
                "is the time in which nobody closed them."
            ),
            (
                f"Left out: {report.losses_left_out:,} losses too near the edges of that time, "
                f"and what came of the {report.still_open:,} deals still open at its end."
            ),
        ],
        tables=[
            Table(
                caption="What each rule would have warned of",
                note=(
                    f"Flares: an owner and week. Early: of the lost, flared {early} days or more "
                    f"before the loss. Lost, not won: of the flared deals, within {outcome} days."
                ),
                header=(
                    "rule",
                    "flares",
                    "lead, days",
                    "early deals",
                    "early amount",
                    "95 % interval",
                    "flared",
                    "lost",
                    "not won",
                    "left out",
                ),
                rows=[
                    *(_of_rule(figures, _together(report)) for figures in report.rules),
                    *_of_any(report),
                ],
                wide=True,
            ),
            Table(
                caption="The low-probability flare alone, beside each simple rule",
                note="With a limit that raises no more flares than the rule. Gains in points.",
                header=(
                    "rule",
                    "flares",
                    "early amount",
                    "gain",
                    "95 % interval",
                    "not won",
                    "gain",
                    "95 % interval",
                ),
                rows=[
                    _same_work(figures.rule, figures.same_work)
                    for figures in report.rules
                    if figures.same_work is not None
                ],
                wide=True,
            ),
        ],
        figures=report.to_json(),
        tidy=list(_tidy(report)),
    )


def told_early(report: EarlyReport) -> str:
    """In one sentence how early all red flares together were; what there is none of is said."""
    together = _together(report)
    if together.deals == 0:
        told = "No red flare would have been raised"
    else:
        told = (
            f"Red flares would have been raised {together.flares_an_owner_week:.2f} times an "
            f"owner and week, of {report.open_deals_an_owner:.1f} open deals"
        )
    if together.early_amount_share is None or report.reach_amount_share is None:
        lost = f"{report.lost_deals:,} losses without an amount" if report.lost_deals else "no loss"
        return f"{told}; with {lost} to warn of, nothing can be said of how early they were."
    return (
        f"{told}; {_share(together.early_amount_share)} of the lost amount had one at least "
        f"{report.early_days} days before the loss, of at most "
        f"{_share(report.reach_amount_share)} that was in deals open so early."
    )


def _told_alarms(report: EarlyReport) -> str:
    together, days = _together(report), report.outcome_days
    if together.not_won_share is None or report.base_not_won_share is None:
        return f"Of no flared deal does the record tell yet what came within {days} days."
    return (
        f"A flared deal that is soon won was a false alarm: {_share(together.not_won_share)} of "
        f"the {together.told:,} flared deals were not won within {days} days, of all deals from "
        f"when they were first looked at {_share(report.base_not_won_share)}."
    )


def _together(report: EarlyReport) -> RuleFigures:
    """All red flares: the last of their group."""
    return [figures for figures in report.rules if figures.group == "flare"][-1]


def _of_rule(figures: RuleFigures, together: RuleFigures) -> list[Cell]:
    lead, interval = figures.median_lead_days, figures.early_amount_interval
    told = [
        figures.rule,
        f"{figures.flares_an_owner_week:.2f}",
        "-" if lead is None else f"{lead:.0f}",
        _share(figures.early_deal_share),
        _share(figures.early_amount_share),
        "-" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %",
        f"{figures.told:,}",
        _share(figures.lost_share),
        _share(figures.not_won_share),
        f"{figures.left_out:,}",
    ]
    return [Cell(text=text, strong=figures is together) for text in told]


def _of_any(report: EarlyReport) -> list[list[str]]:
    """What could be had at all, and what chance would show."""
    reach = [_share(share) for share in (report.reach_deal_share, report.reach_amount_share)]
    base = [_share(share) for share in (report.base_lost_share, report.base_not_won_share)]
    return [
        [OPEN_THEN, "-", "-", *reach, "-", "-", "-", "-", "-"],
        [ANY_DEAL, "-", "-", "-", "-", "-", "-", *base, "-"],
    ]


def _same_work(rule: str, same: SameWork) -> list[str | Cell]:
    return [
        rule,
        f"{same.flares_an_owner_week:.2f}",
        _share(same.early_amount_share),
        *_gain(same.early_amount_gain, same.early_amount_gain_interval),
        _share(same.not_won_share),
        *_gain(same.not_won_gain, same.not_won_gain_interval),
    ]


def _gain(gain: float | None, interval: tuple[float, float] | None) -> list[str | Cell]:
    if gain is None or interval is None:
        return ["-", "-"]
    worse = interval[1] < 0.0
    said = Cell(text=f"{'✕ ' if worse else ''}{points(gain)}", danger=worse)
    return [said, f"{points(interval[0])} to {points(interval[1])}"]


def _share(share: float | None) -> str:
    return "-" if share is None else percent(share)


def _tidy(report: EarlyReport) -> Iterator[dict[str, Any]]:
    for row in report.rows():
        for figure in row:
            if figure in NAMES:
                continue
            yield _row(report, "rule", row["rule"], METHODS[row["group"]], figure, row[figure])
    for figure, number in report.to_json().items():
        if isinstance(number, float | int):
            yield _row(report, "all", "", "redflare", figure, number)


def _row(
    report: EarlyReport, part: str, value: str, who: str, figure: str, number: float | None
) -> dict[str, Any]:
    return {
        "section": "early",
        "part": part,
        "value": value,
        "horizon_days": report.horizon_days,
        "method": who,
        "figure": figure,
        "number": number,
    }
