"""A retraining as a candidate: figures, page and plots, as they are kept and registered."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.feature_rows import decode
from model.scorer import Scorer
from training.backtest_page import page
from training.baselines_section import baselines_section
from training.candidate import Candidate
from training.curves import learned_curves
from training.curves_section import curves_section
from training.horizons_section import horizons_section
from training.kinds_section import kinds_section
from training.method_section import method_section
from training.movers import Mover
from training.provenance import code_version, events_digest, installed_packages, lock_file
from training.record import day_of
from training.reliability_section import reliability_section
from training.retrain import Plan, Retraining
from training.section import TIDY, Cell, Section, Table

MOST_MOVERS: Final = 10  # shown; the file has all
EXAMPLES: Final = 3
SMALLEST: Final = 30


def candidate_of(
    done: Retraining, plan: Plan, source: str, by: str, at: str, compared_with: str | None
) -> tuple[Candidate, dict[str, str]]:
    """What is recorded of a retraining, and its files.

    Parameters
    ----------
    source
        Where the events lie.
    by, at
        Who retrained, and when, ISO 8601 UTC.
    compared_with
        The champion's version; None where there was none.

    Returns
    -------
    tuple
        The candidate, and texts by their place in its folder.
    """
    facts, overall = done.artifact.facts, next(iter(done.verdict.figures), None)
    training, digest = facts["training"], events_digest(done.events)
    sections = [verdict_section(done), *_backtest_sections(done)]
    summary = {
        "known_before": facts["known_before"],
        "compared_with": compared_with or "none",
        "deals": training["deals"],
        "won": training["won"],
        "events": _events_before(done, Scorer(done.artifact).known_before),
        "dataset": digest,
        "log_loss": "" if overall is None else f"{overall.loss:.4f}",
        "difference": "" if overall is None else f"{overall.difference:+.4f}",
        "slope": "" if overall is None or overall.slope is None else f"{overall.slope:.2f}",
        "intercept": ""
        if overall is None or overall.intercept is None
        else f"{overall.intercept:+.2f}",
        "judged_model": done.judged.model_version,
    }
    candidate = Candidate(
        model_version=done.artifact.model_version,
        created_at=at,
        created_by=by,
        parameters=_parameters(done, plan),
        metrics=_metrics(done),
        dataset={
            "name": source.rpartition("/")[2],
            "digest": digest,
            "source": source,
            "profile": {"events": done.events.num_rows, "deals": training["deals"]},
        },
        summary=summary,
        code=code_version(),
        passed=done.verdict.passed,
        why=[*done.verdict.words, *done.notes],
        compared_with=compared_with,
        example=_example(done),
    )
    return candidate, _files(done, sections)


def _events_before(done: Retraining, known_before: int) -> int:
    """How many the next retraining should find again before this one's cut-off."""
    return int(pc.sum(pc.less(done.events["known_at"].cast(pa.int64()), known_before)).as_py() or 0)


def verdict_section(done: Retraining) -> Section:
    """Whether the challenger may take the champion's place, and what would change."""
    verdict = done.verdict
    words = [
        "The gate lets the challenger pass."
        if verdict.passed
        else "The gate refuses the challenger.",
        *(f"{words[:1].upper()}{words[1:]}." for words in (*verdict.words, *done.notes)),
        *(f"{check.result}: {check.words}." for check in done.checks),
    ]
    if verdict.untested:
        words.append(f"Too few deals to test alone: {', '.join(verdict.untested)}.")
    rows = [
        (
            each.segment,
            f"{each.deals:,}",
            f"{each.champion_loss:.4f}",
            f"{each.loss:.4f}",
            f"{each.difference:+.4f}",
            f"{each.low:+.4f} to {each.high:+.4f}",
            "-" if each.slope is None else f"{each.slope:.2f}",
            "-" if each.intercept is None else f"{each.intercept:+.2f}",
        )
        for each in verdict.figures
    ]
    tables = []
    if rows:
        header = (
            *("segment", "deals", "in force", "challenger"),
            *("difference", "95 %", "slope", "intercept"),
        )
        note = (
            "On the same forecasts. Where no champion is in force, a baseline is in its column; "
            "slope and intercept are the challenger's."
        )
        tables.append(Table(caption="Log-loss", header=header, rows=rows, note=note, wide=True))
    if done.movers:
        tables.append(movers_table(done.movers, done.days))
    return Section(
        key="promotion",
        title="May it be promoted?",
        words=words,
        tables=tables,
        figures=verdict.to_json() | {"checks": [check.__dict__ for check in done.checks]},
    )


def movers_table(found: Sequence[Mover], days: float) -> Table:
    """The open deals whose score changes most."""
    shifts = np.array([abs(each.shift) for each in found])
    rows = [
        (
            each.deal_id,
            f"{100 * each.before:.1f} %",
            f"{100 * each.after:.1f} %",
            Cell(text=f"{100 * each.shift:+.1f}", danger=each.shift < 0.0),
        )
        for each in found[:MOST_MOVERS]
    ]
    return Table(
        caption=f"Open deals that the change of models moves most, won within {days:g} days",
        header=("deal", "in force", "challenger", "points"),
        rows=rows,
        note=f"Of {len(found):,} open deals, {100 * shifts.mean():.1f} points on average.",
    )


def _backtest_sections(done: Retraining) -> list[Section]:
    tested, report = done.tested, done.report
    origin = tested.origins[-1]
    curves = learned_curves(origin.artifact, tested.shown, report.main_days)
    return [
        reliability_section(report),
        baselines_section(report),
        horizons_section(report),
        kinds_section(report, SMALLEST),
        curves_section(curves, report.main_days, report.facts["origins"][-1]["known_before"]),
        method_section(report),
    ]


def _parameters(done: Retraining, plan: Plan) -> dict[str, Any]:
    training = done.artifact.facts["training"]
    return {
        "known_before": day_of(plan.known_before_us),
        "origin": day_of(done.tested.origins[-1].known_before_us),
        "spacing_days": plan.spacing_days,
        "refit": plan.refit,
        "edges_days": done.artifact.edges[1:].tolist(),
        "features": len(done.artifact.grid),
        "dropped": list(plan.options.drop),
        "half_life_days": done.tested.plan.options.half_life_days or "none",
        "seed": plan.options.seed,
        **{f"training/{k}": v for k, v in training.items()},
    }


def _metrics(done: Retraining) -> dict[str, float]:
    """Figures by horizon and segment of the judged forecasts, and beside the champion."""
    found: dict[str, float | None] = {}
    for row in done.report.figures:
        place = f"within_{row['horizon_days']:g}_days"
        if row["part"] != "all":
            place += f"/{row['part']}/{row['value']}" if row["value"] else f"/{row['part']}"
        for name in ("log_loss", "brier", "auc", "ece", "calibration_slope", "deals"):
            found[f"{name}/{place}"] = row[name]
    for each in done.verdict.figures:
        place = each.segment.replace("/", "_")
        found[f"gate_log_loss/{place}"] = each.loss
        found[f"gate_difference/{place}"] = each.difference
        found[f"gate_slope/{place}"] = each.slope
        found[f"gate_intercept/{place}"] = each.intercept
    return {name: float(value) for name, value in found.items() if value is not None}


def _example(done: Retraining) -> dict[str, list[Any]]:
    return decode(Scorer(done.judged).features, done.tested.shown[:EXAMPLES])


def _files(done: Retraining, sections: Sequence[Section]) -> dict[str, str]:
    facts = done.report.facts
    lead = (
        f"{facts['forecasts']:,} forecasts of {facts['deals']:,} deals, made from "
        f"{facts['origins'][-1]['known_before']} on from what was known then, and what came."
    )
    document = {each.key: each.figures for each in sections if each.figures is not None}
    plots = {
        f"plots/{each.key}-{number + 1:02d}.svg": chart.svg
        for each in sections
        for number, chart in enumerate(each.charts)
    }
    tidy = [row for each in sections for row in each.tidy]
    moved = [
        {"deal_id": m.deal_id, "before": m.before, "after": m.after, "shift": m.shift}
        for m in done.movers
    ]
    return {
        "report/report.html": page(sections, lead),
        "report/report.json": json.dumps(document, allow_nan=False),
        "report/figures.csv": _csv(TIDY, tidy),
        "report/movers.csv": _csv(("deal_id", "before", "after", "shift"), moved),
        "environment.txt": installed_packages(),
        **lock_file(),
        **plots,
    }


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
