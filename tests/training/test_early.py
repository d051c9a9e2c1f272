"""Early enough: past deals week by week, flares by each rule, and what came of the flared."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from model.artifact import Artifact
from model.asof import AsOf
from model.errors import TrainingDataError
from model.event_table import table_of
from model.events import DAY_US, Event, from_microseconds, microseconds
from model.feeds import feeds_of
from model.gates import find_gates
from model.history import History
from model.red_flare import RedFlare, Thresholds, red_flares
from model.scorer import Scorer
from model.vocabulary import Vocabulary
from tests.factories import day_us, deal_event
from training.backtest import Origin
from training.early import ALL_FLARES, Judge, early_report, judge_walk, outcomes
from training.early_choice import Tried, choose_thresholds, try_thresholds
from training.early_form import EarlyReport, RuleFigures
from training.early_rules import as_busy, fallen_rows, flare_rules, flares_counted, low_rows
from training.early_section import early_section
from training.early_walk import Walk, walk
from training.section import section_text
from training.simulate import Simulation

WEEK_US = 7 * DAY_US
THRESHOLDS = Thresholds(silence_days=28.0, fallen_share=0.2, fallen_amount=0.0, low_share=0.7)
BEGINS = microseconds(datetime(2025, 9, 1, tzinfo=UTC))
CHANGES = microseconds(datetime(2025, 10, 16, tzinfo=UTC))  # no whole number of weeks later
ENDS = microseconds(datetime(2025, 12, 1, tzinfo=UTC))


def claiming(artifact: Artifact, known_before: int, until: int) -> Origin:
    """An origin with an artifact that claims to have learned from what was known before it."""
    when = datetime.fromtimestamp(known_before / 1e6, UTC).isoformat()
    told = replace(artifact, facts={**artifact.facts, "known_before": when})
    return Origin(known_before_us=known_before, until_us=until, artifact=told)


@pytest.fixture(scope="module")
def origins(small_artifact: Path) -> list[Origin]:
    artifact = Artifact.load(small_artifact)
    return [claiming(artifact, CHANGES, ENDS), claiming(artifact, BEGINS, CHANGES)]


@pytest.fixture(scope="module")
def history(small_company: Simulation) -> History:
    return History.from_table(small_company.events)


@pytest.fixture(scope="module")
def walked(history: History, origins: list[Origin]) -> Walk:
    return walk(history, origins)


def test_every_open_deal_is_looked_at_once_a_week_as_known_then(
    walked: Walk, history: History
) -> None:
    plain = Vocabulary()
    codes = plain.codes(history)
    looks = np.arange(BEGINS, ENDS, WEEK_US)
    for look in looks[[0, 6, -1]].tolist():
        every = np.arange(history.deals)
        is_open = AsOf(history, plain, codes, every, np.full(every.size, look)).is_open
        assert walked.deal[walked.as_of == look].tolist() == every[is_open].tolist()
    assert np.unique(walked.as_of).tolist() == looks.tolist()
    assert (walked.first_of_walk == (walked.as_of == BEGINS)).all()


def test_weeks_in_which_a_deal_could_not_be_scored_are_left_out(
    small_company: Simulation, origins: list[Origin], walked: Walk
) -> None:
    opened = deal_event(
        deal_id="Z", source="unheard of", occurred_at=from_microseconds(BEGINS + 9 * DAY_US)
    )
    others = small_company.events
    history = History.from_table(pa.concat_tables([others, table_of([opened])]))
    with_it = walk(history, origins)
    assert history.deal_ids[-1] == "Z"
    assert with_it.deal.tolist() == walked.deal.tolist()


def test_each_week_is_scored_by_the_artifact_then_in_force(
    walked: Walk, history: History, origins: list[Origin]
) -> None:
    later, earlier = (Scorer(origin.artifact) for origin in origins)
    own = earlier.feeds(feeds_of(history))
    for scorer, rows in ((earlier, walked.as_of < CHANGES), (later, walked.as_of >= CHANGES)):
        scored = scorer.score_many(history, walked.deal[rows], walked.as_of[rows], None, own)
        p = scorer.probabilities(scored, [walked.horizon_days])[:, 0]
        assert p.tolist() == walked.probability[rows].tolist()


def test_what_is_known_later_changes_no_week_that_was_walked(
    small_company: Simulation, history: History, origins: list[Origin], walked: Walk
) -> None:
    known = pc.less(pc.cast(small_company.events["known_at"], "int64"), CHANGES)
    before = History.from_table(small_company.events.filter(known))
    early = walk(before, origins)
    ids = {deal_id: place for place, deal_id in enumerate(history.deal_ids)}
    place = np.array([ids[deal_id] for deal_id in before.deal_ids])
    same, then = walked.as_of < CHANGES, early.as_of < CHANGES
    assert place[early.deal[then]].tolist() == walked.deal[same].tolist()
    for column in ("silence_days", "inactive_days", "pushes", "close_date_days", "amount"):
        np.testing.assert_array_equal(getattr(early, column)[then], getattr(walked, column)[same])
    np.testing.assert_array_equal(early.gates_missed[then], walked.gates_missed[same])
    np.testing.assert_array_equal(early.probability[then], walked.probability[same])


def test_past_deals_are_judged_by_the_flares_of_today(walked: Walk, history: History) -> None:
    plain = Vocabulary()
    feeds = feeds_of(history)
    asof = AsOf(history, plain, plain.codes(history), walked.deal, walked.as_of, feeds)
    stood = np.array([rule.rows for rule in flare_rules(walked, THRESHOLDS)])
    before: tuple[RedFlare, ...] = ()
    for row, snapshot in enumerate(asof.snapshots):
        began = walked.nth[row] == 0
        before = red_flares(
            snapshot,
            find_gates(snapshot),
            now=float(walked.probability[row]),
            week_before=None if began else float(walked.probability[row - 1]),
            horizon_days=90.0,
            usual=float(walked.usual[row]),
            standing=() if began else before,
            thresholds=THRESHOLDS,
        )
        rules = {flare.rule for flare in before}
        expected = ("gate missed", "silence", "value fallen", "low probability")
        assert [rule in rules for rule in expected] == stood[:, row].tolist()
    assert (stood.sum(axis=1) > 0).all(), "each rule is tried"


# By hand: one deal a row of weeks, from the first day of all tests' time, one look each week.
Week = tuple[float, float]  # silence in days, probability


def by_hand(
    deals: dict[str, tuple[list[Week], str | None, float]], weeks: int = 30
) -> tuple[Walk, History]:
    """Deals with their weeks from the first on, how they ended and after how many days."""
    events: list[Event] = []
    rows: list[dict[str, Any]] = []
    for place, (deal_id, (told, end, end_days)) in enumerate(sorted(deals.items())):
        events.append(deal_event("deal_opened", 0, deal_id=deal_id))
        if end is not None:
            events.append(deal_event(end, end_days, deal_id=deal_id))
        for week, (silence, probability) in enumerate(told):
            rows.append(
                {
                    "deal": place,
                    "as_of": day_us(7.0 * week),
                    "silence_days": silence,
                    "inactive_days": silence,
                    "pushes": 0.0,
                    "close_date_days": 1.0,
                    "gates_missed": 0.0,
                    "amount": 100.0 * (place + 1),
                    "probability": probability,
                    "usual": 0.4,
                    "owner": 0,
                    "first_of_walk": week == 0,
                }
            )
    events.append(deal_event("message_sent", 7.0 * weeks + 100, deal_id=min(deals)))
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    made = Walk(
        **columns,
        horizon_days=90.0,
        spans=np.array([[day_us(0), day_us(7.0 * weeks)]]),
    )
    return made, History.from_events(events)


def quiet_from(week: int, weeks: int, p: float = 0.5) -> list[Week]:
    return [(30.0 if at >= week else 0.0, p) for at in range(weeks)]


def figures_of(report: EarlyReport, start: str) -> RuleFigures:
    (found,) = [figures for figures in report.rules if figures.rule.startswith(start)]
    return found


def test_the_figures_of_a_rule_are_those_worked_out_by_hand() -> None:
    made, history = by_hand(
        {
            "D-1": (quiet_from(2, 10), "deal_lost", 70.0),  # flared 56 days before
            "D-2": (quiet_from(8, 10), "deal_lost", 70.0),  # 14 days before: too late
            "D-3": (quiet_from(99, 10), "deal_lost", 70.0),  # never
            "D-4": (quiet_from(1, 20), "deal_won", 140.0),  # flared, and won after 133 days
            "D-5": (quiet_from(25, 30), None, 0.0),  # flared and open, told of to the 90th day
            "D-6": (quiet_from(99, 3), "deal_lost", 20.0),  # lost too near the beginning
        }
    )
    report = judge_walk(made, history, THRESHOLDS)
    silent = figures_of(report, "silent")
    assert (report.deals, report.still_open) == (6, 1)
    assert (report.lost_deals, report.losses_left_out) == (3, 1)
    assert report.lost_amount == 100 + 200 + 300
    assert (silent.flares, silent.deals, silent.told, silent.left_out) == (4, 4, 4, 0)
    assert silent.median_lead_days == (56 + 14) / 2
    assert silent.early_deal_share == pytest.approx(1 / 3)
    assert silent.early_amount_share == pytest.approx(100 / 600)
    assert (silent.lost_share, silent.not_won_share) == (2 / 4, 4 / 4)
    # Each deal counts once, from its first week on, however long it was open.
    assert (report.base_lost_share, report.base_not_won_share) == (4 / 6, 6 / 6)
    assert report.owner_weeks == 29
    assert silent.flares_an_owner_week == pytest.approx(4 / 29)
    assert silent.early_amount_interval is not None
    low, high = silent.early_amount_interval
    assert 0.0 <= low < 100 / 600 < high <= 1.0


def test_flares_too_near_the_end_of_the_record_tell_no_outcome() -> None:
    made, history = by_hand({"D-1": (quiet_from(28, 30), None, 0.0)}, weeks=30)
    cut = replace(made, as_of=made.as_of + int(80 * DAY_US))
    silent = figures_of(judge_walk(cut, history, THRESHOLDS), "silent")
    assert (silent.deals, silent.told, silent.left_out) == (1, 0, 1)
    assert silent.lost_share is None
    assert silent.not_won_share is None


def test_a_loss_that_was_undone_is_none() -> None:
    made, history = by_hand({"D-1": (quiet_from(2, 10), "deal_lost", 70.0)})
    assert outcomes(made, history).judged.tolist() == [True]
    undone = History.from_events(
        [
            deal_event(),
            deal_event("deal_lost", 70),
            deal_event("deal_reopened", 80),
            deal_event("message_sent", 300),
        ]
    )
    assert outcomes(made, undone).judged.tolist() == [False]


def test_a_flare_that_clears_and_comes_again_is_raised_twice() -> None:
    told = [(30.0, 0.5), (30.0, 0.5), (0.0, 0.5), (30.0, 0.5), (30.0, 0.5)]
    made, history = by_hand({"D-1": (told, "deal_lost", 70.0)})
    silent = figures_of(judge_walk(made, history, THRESHOLDS), "silent")
    assert silent.flares == 1, "the one that stood when the walk began was raised before"
    assert silent.median_lead_days == 70.0


def test_a_fall_stands_while_the_value_is_not_back() -> None:
    told = [(0.0, p) for p in (0.5, 0.35, 0.38, 0.45, 0.3)]
    made, _ = by_hand({"D-1": (told, None, 0.0)})
    assert fallen_rows(made, THRESHOLDS).tolist() == [False, True, True, False, True]


def test_a_low_probability_is_beside_the_usual_one() -> None:
    told = [(0.0, p) for p in (0.3, 0.27, 0.3, 0.36, 0.3)]
    made, _ = by_hand({"D-1": (told, None, 0.0)})
    assert low_rows(made, THRESHOLDS).tolist() == [False, True, True, False, False]


def test_a_deal_not_followed_the_week_before_begins_anew() -> None:
    told = [(0.0, p) for p in (0.5, 0.1, 0.1)]
    made, _ = by_hand({"D-1": (told, None, 0.0)})
    gap = replace(made, as_of=made.as_of + np.array([0, WEEK_US, WEEK_US]))
    assert fallen_rows(gap, THRESHOLDS).tolist() == [False, False, False]


def test_the_flare_of_the_same_work_raises_no_more_flares(walked: Walk) -> None:
    for most in (0, 10, 40):
        low_share, rows = as_busy(walked, THRESHOLDS, most)
        assert flares_counted(walked, rows) <= most
        assert 0.0 <= low_share <= 1.0
        assert (rows == low_rows(walked, replace(THRESHOLDS, low_share=low_share))).all()


def test_the_report_has_a_form_for_programs_and_one_for_people(
    history: History, origins: list[Origin]
) -> None:
    report = early_report(history, origins, THRESHOLDS)
    told = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert told["thresholds"]["silence_days"] == 28.0
    assert [rule["rule"] for rule in told["rules"]] == [f.rule for f in report.rules]
    rows = report.rows()
    assert len(rows) == len(report.rules)
    assert all(row.keys() == rows[0].keys() for row in rows)
    assert rows[0].keys() >= {f.name for f in fields(RuleFigures)} - {
        "early_amount_interval",
        "same_work",
    }
    lines = section_text(early_section(report)).splitlines()
    assert sum(ALL_FLARES in line for line in lines) == 1
    assert sum("close date overdue" in line for line in lines) == 2
    together = figures_of(report, ALL_FLARES)
    alone = [f for f in report.rules if f.group == "flare" and f.rule != ALL_FLARES]
    assert together.flares == sum(figures.flares for figures in alone)
    assert together.early_amount_share is not None
    assert together.early_amount_share >= max(f.early_amount_share or 0.0 for f in alone)
    assert report.reach_amount_share is not None
    assert together.early_amount_share <= report.reach_amount_share
    assert report == early_report(history, origins, THRESHOLDS), "chance has a seed"


Deals = dict[str, tuple[list[Week], str | None, float]]
QUIET, CALM = quiet_from(2, 10), quiet_from(99, 10)


@pytest.mark.parametrize(
    ("deals", "told"),
    [
        ({"D-1": (CALM, "deal_lost", 70.0)}, "No red flare would have been raised; 0.0 % of"),
        ({"D-1": (QUIET, "deal_won", 70.0)}, "with no loss to warn of, nothing can be said"),
        ({"D-1": (CALM, "deal_won", 70.0)}, "raised; with no loss to warn of, nothing"),
    ],
)
def test_no_flare_or_no_loss_is_said_and_shows_no_share(deals: Deals, told: str) -> None:
    made, history = by_hand(deals)
    report = judge_walk(made, history, THRESHOLDS)
    section = early_section(report)
    assert told in section.words[0]
    json.dumps(section.figures, allow_nan=False)
    lost = report.lost_deals > 0
    for row in section.tables[0].cells[: len(report.rules)]:
        assert [cell.text == "-" for cell in row[3:6]] == [not lost] * 3
    shares = [row["number"] for row in section.tidy if row["figure"] == "early_amount_share"]
    assert shares == [0.0 if lost else None] * len(report.rules)


@pytest.mark.parametrize(
    ("begin", "end", "message"),
    [
        (BEGINS, BEGINS, r"an origin of 2025-09-01 until 2025-09-01: expected an end after"),
        (ENDS + 9_000 * DAY_US, ENDS + 9_100 * DAY_US, r"no deal open from 2050-07-23 on"),
    ],
)
def test_origins_that_cannot_be_walked_are_refused(
    history: History, small_artifact: Path, begin: int, end: int, message: str
) -> None:
    with pytest.raises(TrainingDataError, match=message):
        walk(history, [claiming(Artifact.load(small_artifact), begin, end)])


def test_no_origin_at_all_is_refused(history: History) -> None:
    with pytest.raises(TrainingDataError, match=r"no origin: expected at least one artifact"):
        walk(history, [])


def test_an_artifact_that_learned_from_the_time_it_answers_for_is_refused(
    history: History, small_artifact: Path
) -> None:
    artifact = Artifact.load(small_artifact)
    late = Origin(known_before_us=BEGINS, until_us=ENDS, artifact=artifact)
    with pytest.raises(TrainingDataError, match=r"learned from what was known before 2026-01-05"):
        walk(history, [late])


def test_thresholds_are_tried_as_the_report_judges_them(walked: Walk, history: History) -> None:
    tried = try_thresholds([(walked, history)], [28.0, 60.0], [0.2], [0.0, 0.7])
    assert len(tried) == 4
    for one in tried:
        report = judge_walk(walked, history, one.thresholds)
        together = figures_of(report, ALL_FLARES)
        assert one.flares_an_owner_week == pytest.approx(together.flares_an_owner_week)
        assert one.early_amount_share == pytest.approx(together.early_amount_share)
        assert together.lost_share is not None
        assert together.not_won_share is not None
        base_lost, base_not_won = Judge(walked, outcomes(walked, history)).base_of_weeks()
        assert base_lost is not None
        assert base_not_won is not None
        assert one.lost_ratio == pytest.approx(together.lost_share / base_lost)
        won, base_won = 1.0 - together.not_won_share, 1.0 - base_not_won
        assert one.won_ratio == pytest.approx(won / base_won)


def tried_with(flares: float, early: float, won_ratio: float) -> Tried:
    return Tried(
        thresholds=THRESHOLDS,
        flares_an_owner_week=flares,
        early_amount_share=early,
        lost_ratio=1.2,
        won_ratio=won_ratio,
    )


def test_the_choice_warns_of_most_within_the_work_and_the_false_alarms_allowed() -> None:
    busy, untrue = tried_with(1.4, 0.9, 0.5), tried_with(0.6, 0.8, 0.9)
    fair, poor = tried_with(0.9, 0.5, 0.6), tried_with(0.1, 0.1, 0.3)
    assert choose_thresholds([busy, untrue, poor, fair]) is fair
    assert choose_thresholds([busy, untrue, poor, fair], most_flares=2.0) is busy
    with pytest.raises(TrainingDataError, match=r"2 sets of thresholds: expected one with at most"):
        choose_thresholds([busy, untrue])


def test_a_record_that_tells_no_outcome_cannot_choose() -> None:
    made, history = by_hand({"D-1": (quiet_from(28, 30), None, 0.0)})
    with pytest.raises(
        TrainingDataError, match=r"expected deals lost and deals won within 90 days"
    ):
        try_thresholds([(made, history)])
