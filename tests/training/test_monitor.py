from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from prometheus_client.parser import text_string_to_metric_families
from threadpoolctl import threadpool_limits

from model.artifact import Artifact
from model.errors import TrainingDataError
from model.event_table import table_of, write_events
from model.events import DAY_US, from_microseconds
from model.scorer import Scorer
from model.tables import Calibration
from service.cli import main
from tests.factories import day_us
from tests.training.companies import deals_events
from training import fit
from training.boosting import Settings
from training.drift import Moved, drift_finding, moved_since
from training.fit import train
from training.held import Horizon, calibration_finding, horizon_of
from training.monitor import Monitoring, monitor
from training.preparing import Options
from training.record import Record
from training.said import Said, in_force, said_regularly
from training.thresholds import read_thresholds

DEALS = 500
CUTOFF, NOW = day_us(700), day_us(1400)
EVENTS = table_of(deals_events(DEALS))
THRESHOLDS = read_thresholds()
# A small company, whose last deals opened long before the end.
LIMITS = replace(
    THRESHOLDS,
    monitor=replace(
        # Thirty trees that nothing calibrated are timid.
        THRESHOLDS.monitor,
        fewest_deals=40,
        open_deals=8,
        judged_days=900.0,
        new_closings=2.0,
        slope=(0.5, 4.0),
    ),
    data=replace(THRESHOLDS.data, stale_days=(7.0, 3000.0)),
)


@pytest.fixture(scope="module")
def artifact() -> Iterator[Artifact]:
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=20, trees=30)])
        options = Options(edges_days=(10.0, 20.0, 40.0), spacing_days=7.0, jobs=1)
        yield train(EVENTS, CUTOFF, options)


def shifted(artifact: Artifact, by: float) -> Artifact:
    """The same model, whose log-odds are all too high."""
    lines = artifact.calibration
    return replace(
        artifact,
        calibration=Calibration(intercepts=lines.intercepts + by, slopes=lines.slopes),
        bag_calibrations=(),
    )


def look(artifact: Artifact, events: pa.Table = EVENTS, **given: Any) -> Monitoring:
    return monitor(events, given.pop("now", NOW), [artifact], LIMITS, **given)


def state(found: Monitoring, name: str) -> str:
    return {each.name: each.state for each in found.findings}[name]


def test_a_model_that_holds_is_left_alone(artifact: Artifact) -> None:
    found = look(artifact)

    assert not found.retrain_now, found.reasons
    assert state(found, "calibration") == state(found, "forecast") == "well"
    assert state(found, "win rate") == "well"
    assert [each.days for each in found.horizons] == [10.0, 20.0, 40.0]
    assert sum(each.came for each in found.windows) > 20
    assert all(each.low <= each.expected <= each.high for each in found.windows)
    starts = [each.day for each in found.windows]
    assert starts == sorted(set(starts))


def test_a_model_that_promises_too_much_is_to_be_trained_again(artifact: Artifact) -> None:
    found = look(shifted(artifact, 1.5))

    assert found.retrain_now
    assert state(found, "calibration") == state(found, "forecast") == "retrain"
    assert any("within 10 days the calibration intercept" in words for words in found.reasons)
    assert any("wins were expected" in words and "(+" in words for words in found.reasons)


def test_deals_that_became_others_are_told(artifact: Artifact) -> None:
    """From the cut-off on every customer stays silent."""
    crowd = table_of(
        [
            replace(each, deal_id=f"{seed}{each.deal_id}", source_id=f"{seed}{each.source_id}")
            for seed in range(4)
            for each in deals_events(300, seed=seed)
        ]
    )
    late = np.array(crowd["known_at"].cast(pa.int64())) >= CUTOFF
    replied = np.array(crowd["kind"].to_pylist()) == "customer_replied"
    now = day_us(890)

    found = look(artifact, crowd.filter(pa.array(~(late & replied))), now=now)
    before = look(artifact, crowd, now=now)

    moved = {each.feature: each for each in found.moved}
    assert moved["silence_days"].moved
    assert moved["silence_days"].psi > 1.0
    assert state(found, "drift") == "retrain"
    assert state(before, "drift") == "well"


def test_what_comes_later_changes_no_judgement(artifact: Artifact) -> None:
    now = day_us(1100)
    known = np.array(EVENTS["known_at"].cast(pa.int64())) < now

    assert (
        look(artifact, now=now).horizons
        == look(artifact, EVENTS.filter(pa.array(known)), now=now).horizons
    )


def test_each_moment_is_scored_by_the_model_in_force_then(artifact: Artifact) -> None:
    """A model promoted today is not asked about yesterday, and none of what it saw counts."""
    later = replace(
        shifted(artifact, 3.0),
        facts=artifact.facts | {"known_before": from_microseconds(day_us(1200)).isoformat()},
    )

    both = monitor(EVENTS, NOW, [artifact, later], LIMITS)
    alone = look(artifact)

    early = [each for each in both.months if each.month < "2029-04"]
    assert early
    assert [each for each in alone.months if each.month < "2029-04"] == early
    late = {each.month: each.expected for each in both.months}
    assert late["2029-06"] > {each.month: each.expected for each in alone.months}["2029-06"]


def test_a_model_answers_for_the_time_in_which_it_was_in_force_and_no_other(
    artifact: Artifact,
) -> None:
    """Promoted on day 950, gone back to after the other one had been in force for 100 days."""
    bad = shifted(artifact, 3.0)
    days = [day_us(day) for day in (950, 1100, 1200)]

    found = monitor(EVENTS, NOW, [artifact, bad, artifact], LIMITS, since=days)
    alone = monitor(EVENTS, NOW, [artifact], LIMITS, since=days[:1])

    months = {each.month: each.expected for each in found.months}
    assert min(months) == from_microseconds(days[0]).isoformat()[:7]
    whole = {each.month: each.expected for each in alone.months}
    assert months.keys() == whole.keys()
    assert months["2029-02"] > whole["2029-02"] + 0.2  # in it lies day 1130
    assert months["2028-10"] == whole["2028-10"]
    assert months["2029-06"] == whole["2029-06"]


def test_what_looks_at_a_time_before_the_promotions_takes_models_by_their_cut_off(
    artifact: Artifact,
) -> None:
    """A record of the past, retrained on today: no model had been promoted by then."""
    later = [NOW + 1, NOW + 2]

    assert (
        monitor(EVENTS, NOW, [shifted(artifact, 3.0), artifact], LIMITS, since=later).horizons
        == look(artifact).horizons
    )


def test_no_weekday_alarms_by_being_one(artifact: Artifact) -> None:
    """Customers write on working days alone, so that on a Sunday all have been silent longer."""
    events = [
        replace(each, deal_id=f"{seed}{each.deal_id}", source_id=f"{seed}{each.source_id}")
        for seed in range(8)
        for each in deals_events(300, seed=seed)
    ]
    weekend = [each.kind == "customer_replied" and each.known_at.weekday() > 4 for each in events]
    worked = table_of([e for e, is_off in zip(events, weekend, strict=True) if not is_off])
    current = Scorer(artifact)

    for day in range(880, 887):
        now = day_us(day)
        known = np.array(worked["known_at"].cast(pa.int64())) < now
        record = Record.of(worked.filter(pa.array(known)))
        found = moved_since(record, now, current, 20.0, LIMITS.monitor)
        assert found
        assert not [each for each in found if each.moved], day


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_wins_that_stay_out_are_no_reason_to_say_too_little_came(
    artifact: Artifact, share: float
) -> None:
    """The worse the forecast, the fewer of the wins that it promised."""
    kind = np.array(EVENTS["kind"].to_pylist(), dtype=object)
    won = np.flatnonzero(
        (kind == "deal_won") & (np.array(EVENTS["known_at"].cast(pa.int64())) > CUTOFF)
    )
    kind[won[np.random.default_rng(3).random(len(won)) >= share]] = "deal_lost"
    place = EVENTS.column_names.index("kind")
    lost = EVENTS.set_column(place, EVENTS.schema.field("kind"), pa.array(kind.tolist()))

    found = look(artifact, lost)

    assert sum(each.came for each in found.windows) < LIMITS.monitor.fewest_won
    assert state(found, "forecast") == state(found, "calibration") == "retrain"
    told = " ".join(found.reasons)
    assert "wins were expected" in told
    assert ("0.0% of what was said" in told) == (share == 0.0)


def test_a_forecast_counts_only_where_its_end_is_known_whatever_came(artifact: Artifact) -> None:
    known = np.array(EVENTS["known_at"].cast(pa.int64())) < NOW
    record = Record.of(EVENTS.filter(pa.array(known)))

    models = in_force([artifact], None, NOW)
    said = said_regularly(record, models, Scorer(artifact), LIMITS.monitor)

    ends = said.as_of[:, None] + (np.array([10.0, 20.0, 40.0]) * DAY_US).astype(np.int64)
    assert (said.counted == (ends <= record.countable_until)).all()
    assert said.counted[:, 0].all()
    assert (said.won & ~said.counted).any()  # a fast win, beside which slow deals are open yet


def test_a_shock_common_to_all_deals_widens_the_range_of_wins(artifact: Artifact) -> None:
    def shaken(variance: float) -> Artifact:
        shocks = {"shocks": [{"days": 30.0, "variance": variance}]}
        facts = artifact.facts | {"forecast": artifact.facts["forecast"] | shocks}
        return replace(artifact, facts=facts)

    for one, other in zip(look(shaken(0.0)).windows, look(shaken(0.5)).windows, strict=True):
        assert one.expected == other.expected
        assert other.high > one.high or one.expected == 0.0


def test_win_rates_of_new_accounts_are_not_set_beside_those_of_old_ones() -> None:
    told = deals_events(DEALS)
    accounts = [
        replace(
            each, kind="account_changed", name=f"A {each.deal_id}", source_id=f"{each.deal_id}/a"
        )
        for each in told
        if each.kind == "deal_opened"
    ]
    events = table_of([*told, *accounts])
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=20, trees=5)])
        options = Options(edges_days=(10.0, 20.0, 40.0), spacing_days=14.0, jobs=1)
        artifact = train(events, CUTOFF, options)

    looked_at = {each.feature for each in look(artifact, events, now=day_us(890)).moved}

    assert "account_win_rate" in artifact.grid.names
    assert "silence_days" in looked_at
    assert "account_win_rate" not in looked_at


def test_today_is_set_beside_the_time_before_the_cut_off_alone(artifact: Artifact) -> None:
    none_before = replace(LIMITS, monitor=replace(LIMITS.monitor, reference_days=1.0))
    now = day_us(890)

    assert look(artifact, now=now).moved
    assert monitor(EVENTS, now, [artifact], none_before).moved == []


@pytest.mark.parametrize(("level", "expected"), [(0.01, "well"), (0.4, "retrain")])
def test_calibration_is_left_alone_until_the_level_shows_it_outside(
    level: float, expected: str
) -> None:
    seen = Horizon(
        days=30.0,
        deals=500,
        won=100,
        expected=0.22,
        came=0.2,
        loss=0.4,
        slope=1.6,
        slope_error=0.1,
        intercept=0.0,
        intercept_error=0.1,
    )

    found = calibration_finding([seen], replace(THRESHOLDS.monitor, level=level))

    assert found.state == expected


@pytest.mark.parametrize(
    ("features", "expected"),
    [((), "well"), (("silence_days",), "told"), (("score",), "retrain"), ("abcdef", "retrain")],
)
def test_one_feature_that_moved_is_told_and_many_or_the_score_ask_for_a_retraining(
    features: tuple[str, ...], expected: str
) -> None:
    names = {*features, "score", *(f"still {number}" for number in range(12))}
    moved = [
        Moved(feature=name, psi=0.4, p_value=1e-9, moved=name in features) for name in sorted(names)
    ]

    assert drift_finding(moved, THRESHOLDS.monitor).state == expected


def test_much_to_learn_from_is_a_reason_and_age_is_none(artifact: Artifact) -> None:
    much = replace(LIMITS, monitor=replace(LIMITS.monitor, new_closings=0.5))

    found = monitor(EVENTS, NOW, [artifact], much)

    assert state(look(artifact), "closings") == "well"
    assert state(found, "closings") == "retrain"
    assert any("deals closed since the cut-off" in words for words in found.reasons)


def test_a_constant_model_that_is_far_off_is_found() -> None:
    deal = np.arange(400)
    said = Said(
        deal=deal,
        as_of=deal * 0,
        probability=np.full((400, 1), 0.4),
        counted=np.ones((400, 1), dtype=bool),
        won=(deal < 30)[:, None],
    )

    found = calibration_finding([horizon_of(said, 0, 30.0)], THRESHOLDS.monitor)

    assert found.state == "retrain"
    assert "the calibration intercept over 400 deals is -2.1" in found.words


def test_soon_after_a_promotion_nothing_can_be_judged_and_it_says_so(artifact: Artifact) -> None:
    found = look(artifact, now=day_us(706))

    assert not found.retrain_now, found.reasons
    assert state(found, "calibration") == state(found, "forecast") == "unknown"
    with pytest.raises(TrainingDataError, match="the cut-off of the model in force"):
        look(artifact, now=day_us(600))


@pytest.fixture
def desk(artifact: Artifact, tmp_path: Path) -> Path:
    artifact.save(tmp_path / "good")
    shifted(artifact, 1.5).save(tmp_path / "bad")
    write_events(EVENTS, tmp_path / "events.parquet")
    (tmp_path / "limits.toml").write_text(
        "[monitor]\nfewest_deals = 40\nopen_deals = 8\n"
        "judged_days = 900\nnew_closings = 2.0\nslope = [0.5, 4.0]\n"
        "[data]\nstale_days = [7, 3000]\n"
    )
    return tmp_path


def run(desk: Path, artifact: str, *more: str) -> int:
    return main(
        [
            *("monitor", str(desk / "events.parquet"), "--artifact", str(desk / artifact)),
            *("--known-before", from_microseconds(NOW).isoformat(), *more),
        ]
    )


def test_the_exit_status_and_the_metrics_tell_alerts(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits, metrics = str(desk / "limits.toml"), desk / "redflare.prom"
    asked = ("--thresholds", limits, "--metrics", str(metrics), "--json")

    assert run(desk, "good", *asked) == 0
    good = json.loads(capsys.readouterr().out)
    assert run(desk, "bad", *asked) == 3
    bad = json.loads(capsys.readouterr().out)

    assert (good["retrain_now"], good["reasons"]) == (False, [])
    assert bad["retrain_now"]
    assert any("calibration intercept" in words for words in bad["reasons"])
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.read_text())
        for sample in family.samples
    }
    assert found["redflare_monitor_retrain_now",] == 1.0
    assert found["redflare_monitor_state", "calibration"] == 3.0
    assert found["redflare_monitor_psi", "silence_days"] >= 0.0
    assert found["redflare_monitor_model_known_before_timestamp_seconds",] == CUTOFF / 1e6
    assert run(desk, "bad", "--thresholds", limits) == 3
    said = capsys.readouterr().out
    assert "Retrain now." in said
    assert "retrain: within 10 days the calibration intercept" in said


def test_a_record_that_ended_is_no_ground_to_judge_by_but_the_metrics_say_so(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = desk / "redflare.prom"
    write_events(EVENTS.slice(0, EVENTS.num_rows - 2000), desk / "events.parquet")

    assert (
        main(
            [
                *("monitor", str(desk / "events.parquet"), "--artifact", str(desk / "good")),
                *("--known-before", from_microseconds(day_us(2400)).isoformat()),
                *("--metrics", str(metrics)),
            ]
        )
        == 2
    )
    assert "data that is broken: the last event became known on" in capsys.readouterr().err
    assert "redflare_monitor_data_broken 1.0" in metrics.read_text()
    assert run(desk, "good", "--registry", str(desk)) == 2
