"""Origins, what is forecast from them, and that nothing later is ever used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from model.errors import HorizonError, TrainingDataError
from model.event_table import EVENT_SCHEMA, table_of
from model.events import DAY_US, from_microseconds
from model.history import Floats
from tests.factories import day_us, deal_event
from tests.training.companies import deals_table
from training import comparing, fit
from training.backtest import Backtest, Plan, backtest, open_moments
from training.backtest_report import build_report
from training.boosting import Settings
from training.comparing import compare, coverage
from training.dataset import NEVER
from training.preparing import Options
from training.promotion import judge_challenger
from training.record import Record, day_of
from training.thresholds import read_thresholds

PLAN = Plan(
    origins_us=(day_us(300), day_us(380)),
    within_days=(14.0, 40.0),
    options=Options(spacing_days=10.0, jobs=1),
)


@pytest.fixture(autouse=True, scope="module")
def few_trees() -> Iterator[None]:
    """Let there be little to choose, so that a test trains in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=10, trees=20)])
        yield


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return deals_table()


@pytest.fixture(scope="module")
def tested(table: pa.Table) -> Backtest:
    return backtest(table, PLAN)


def known_before(table: pa.Table, moment: int) -> pa.Table:
    return table.filter(table["known_at"].cast(pa.int64()).to_numpy() < moment)


def test_each_origin_answers_until_the_next_and_the_last_to_the_end(tested: Backtest) -> None:
    first, last = tested.origins

    assert (first.known_before_us, first.until_us) == (day_us(300), day_us(380))
    assert (last.known_before_us, last.until_us) == (day_us(380), tested.record.end_us)
    assert tested.left_out == []
    moments = tested.forecasts.as_of
    assert (moments[tested.forecasts.origin == 0] < first.until_us).all()
    assert (moments[tested.forecasts.origin == 1] >= last.known_before_us).all()


def test_every_deal_open_at_a_weekly_moment_is_forecast_once(tested: Backtest) -> None:
    forecasts, record = tested.forecasts, tested.record
    expected = set()
    for origin in tested.origins:
        for moment in range(origin.known_before_us, origin.until_us, 7 * DAY_US):
            if moment + 14 * DAY_US <= record.countable_until:
                is_open = (record.opened <= moment) & (moment < record.closed)
                expected |= {(deal, moment) for deal in np.flatnonzero(is_open).tolist()}

    rows = list(zip(forecasts.deal.tolist(), forecasts.as_of.tolist(), strict=True))
    assert len(rows) == len(set(rows))
    assert set(rows) == expected


def test_of_too_many_forecasts_some_are_drawn_and_are_the_same(
    table: pa.Table, tested: Backtest, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(PLAN, origins_us=PLAN.origins_us[1:])
    monkeypatch.setattr("training.backtest.MOST_FORECASTS", 50)

    some = backtest(table, plan).forecasts

    every = tested.forecasts
    last = every.origin == 1
    keys = zip(every.deal[last].tolist(), every.as_of[last].tolist(), strict=True)
    said = dict(zip(keys, every.probability[last].tolist(), strict=True))
    assert 0 < len(some.deal) <= 50 < last.sum()
    for deal, as_of, p in zip(
        some.deal.tolist(), some.as_of.tolist(), some.probability.tolist(), strict=True
    ):
        assert said[deal, as_of] == p


def test_a_horizon_counts_only_where_its_end_is_known_whatever_came(tested: Backtest) -> None:
    forecasts = tested.forecasts
    for column, days in enumerate(forecasts.days.tolist()):
        ends = forecasts.as_of + int(days * DAY_US)
        known = ends <= tested.record.countable_until
        assert (forecasts.counted[:, column] == known).all()
        won = tested.record.win[forecasts.deal]
        assert (forecasts.won[:, column] == ((won != NEVER) & (won <= ends))).all()
    assert 0 < forecasts.counted[:, 1].sum() < forecasts.counted[:, 0].sum()


def test_new_deals_are_those_that_became_known_after_their_origin(tested: Backtest) -> None:
    forecasts = tested.forecasts
    origins = np.array([origin.known_before_us for origin in tested.origins])

    opened = tested.record.opened[forecasts.deal]
    assert (forecasts.new == (opened >= origins[forecasts.origin])).all()
    assert 0 < forecasts.new.sum() < len(forecasts.new)


def test_what_becomes_known_later_changes_no_forecast(table: pa.Table) -> None:
    until = day_us(400)
    plan = replace(PLAN, origins_us=(day_us(320),), within_days=(14.0,))
    cut, whole = backtest(known_before(table, until), plan), backtest(table, plan)

    kept = whole.forecasts.as_of + 14 * DAY_US < until
    names = np.array(whole.record.history.deal_ids)[whole.forecasts.deal]
    expected = {
        (name, moment): (p, *rest)
        for name, moment, p, *rest in zip(
            names[kept].tolist(),
            whole.forecasts.as_of[kept].tolist(),
            whole.forecasts.probability[kept, 0].tolist(),
            *(values[kept, 0].tolist() for values in whole.forecasts.baselines.values()),
            strict=True,
        )
    }
    assert len(expected) > 50
    found = cut.forecasts
    for row in range(len(found.deal)):
        key = (cut.record.history.deal_ids[found.deal[row]], int(found.as_of[row]))
        values = (found.probability[row, 0], *(v[row, 0] for v in found.baselines.values()))
        # A sum over the features may round otherwise in a batch of another size.
        np.testing.assert_allclose(values, expected.pop(key), rtol=1e-12)
    assert len(expected) < 20  # the last moments, whose outcome the shorter record cannot tell


def test_an_origin_that_cannot_be_trained_is_left_out_and_said(table: pa.Table) -> None:
    plan = replace(PLAN, origins_us=(day_us(60), day_us(300)), within_days=(14.0,))
    tested = backtest(table, plan)

    assert [origin.known_before_us for origin in tested.origins] == [day_us(300)]
    (left,) = tested.left_out
    assert left.known_before_us == day_us(60)
    assert "lost of 20 opened deals known before" in left.reason


def test_the_data_chooses_origins_spread_over_the_later_half(table: pa.Table) -> None:
    tested = backtest(table, Plan(origins=2, options=Options(spacing_days=10.0, jobs=1)))
    record, days = tested.record, tested.forecasts.days

    moments = [origin.known_before_us for origin in tested.origins]
    assert all(moment % DAY_US == 0 for moment in moments)
    assert moments[0] > (record.begin_us + record.end_us) // 2 - DAY_US
    last = record.countable_until - int(days[-1] * DAY_US)
    assert moments[1] == pytest.approx((moments[0] + last) / 2, abs=2 * DAY_US)
    for origin in tested.origins:
        assert origin.artifact.edges[1:].tolist() == days.tolist()


def test_a_reopened_deal_is_not_forecast_while_it_was_closed() -> None:
    record = Record.of(
        table_of(
            [
                deal_event("deal_opened", 0.0),
                deal_event("deal_lost", 10.0),
                deal_event("deal_reopened", 20.0),
                deal_event("deal_won", 30.0),
                deal_event("deal_opened", 0.0, deal_id="D-2"),
            ]
        )
    )
    deal, as_of = open_moments(record, day_us(-3), day_us(26), 7 * DAY_US)
    assert deal.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert ((as_of - day_us(0)) // DAY_US).tolist() == [4, 11, 18, 25] * 2


@pytest.fixture(scope="module")
def with_new(table: pa.Table) -> Backtest:
    """Of D-NEW only an opening is known, told by a source that no training met."""
    new = table_of([deal_event("deal_opened", 385.0, deal_id="D-NEW", source="other")])
    return backtest(pa.concat_tables([table, new]), PLAN)


def test_a_champion_that_knows_a_source_keeps_a_challenger_out_that_does_not(
    with_new: Backtest,
) -> None:
    limits, challenger = read_thresholds().promotion, with_new.origins[-1].artifact
    carried = next(iter(challenger.facts["feeds"].values()))
    feeds = challenger.facts["feeds"] | {"other": carried}
    knows = replace(challenger, facts=challenger.facts | {"feeds": feeds})

    kept = coverage(with_new, knows, limits)
    few = coverage(with_new, knows, replace(limits, lost_numbers=0.2))
    alike = coverage(with_new, challenger, replace(limits, lost_numbers=0.0))
    first = coverage(with_new, None, limits)

    count = with_new.unscorable.size
    assert count > 0
    assert not kept.held
    assert f"and at {count} of these the champion does" in kept.words
    assert few.held
    assert alike.held
    assert f"no number at {count} of" in alike.words
    assert first.held
    assert f"no number at {count} of" in first.words
    assert first.words.endswith(
        "moments of open deals; no champion is in force that could give one there"
    )


def test_what_was_never_judged_is_named_and_enough_is_asked_at_the_usual_horizon(
    tested: Backtest,
) -> None:
    """The champion has seen all but a last time too short for any forecast of 40 days."""
    countable = tested.record.countable_until
    champion = tested.origins[-1].artifact
    late = from_microseconds(countable - 35 * DAY_US).isoformat()
    recent = replace(champion, facts=champion.facts | {"known_before": late})

    compared, _ = compare(tested, recent, 1)

    assert compared.usual is not None
    assert not compared.usual.any()
    verdict = judge_challenger(compared, replace(read_thresholds().promotion, fewest_deals=1))
    assert not verdict.passed
    assert verdict.words[0].startswith("FAILED: 0 deals with 0 won")
    assert verdict.unjudged == ("wins within 40 days",)


def test_enough_is_asked_at_the_usual_horizon_of_those_that_the_champion_answers(
    tested: Backtest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends_earlier(tested: Backtest, *_: object) -> Floats:
        return np.where(tested.forecasts.days < 20.0, tested.forecasts.probability, np.nan)

    monkeypatch.setattr(comparing, "_by_champion", ends_earlier)
    early = from_microseconds(tested.record.begin_us).isoformat()
    champion = tested.origins[-1].artifact
    champion = replace(champion, facts=champion.facts | {"known_before": early})

    compared, _ = compare(tested, champion, 1)

    assert compared.usual is not None
    assert compared.usual.all()
    assert compared.usual.size == tested.forecasts.counted[:, 0].sum()


def test_a_segment_that_holds_all_deals_is_not_asked_of_again(tested: Backtest) -> None:
    """Where each value has too few deals to stand alone, the rest is all of them."""
    few, many = (set(compare(tested, None, smallest)[0].segments) for smallest in (10, 10_000))

    assert any(name.startswith("stage ") for name in few)
    assert {name for name in many if not name.startswith("wins ")} == {"opened after the origin"}


def test_a_deal_that_a_score_gives_no_number_is_counted_and_not_judged(
    table: pa.Table, with_new: Backtest
) -> None:
    without = backtest(table, PLAN)

    ids = with_new.record.history.deal_ids
    assert {ids[deal] for deal in with_new.unscorable.tolist()} == {"D-NEW"}
    assert "D-NEW" not in {ids[deal] for deal in with_new.forecasts.deal.tolist()}
    assert with_new.forecasts.probability.tolist() == without.forecasts.probability.tolist()
    facts = build_report(with_new).facts
    assert facts["without_number"] == {"forecasts": with_new.unscorable.size, "deals": 1}
    assert without.unscorable.size == 0


@pytest.mark.parametrize(
    ("deals", "plan", "error", "told"),
    [
        (40, Plan(), TrainingDataError, r"\d+ won deals, in a record from 2026-01-0.*at least 40"),
        (150, replace(PLAN, within_days=(1000.0,), origins_us=()), HorizonError, "1000 days after"),
        (150, replace(PLAN, within_days=(-3.0,)), HorizonError, "days ahead above 0"),
        (150, replace(PLAN, origins_us=(day_us(600),)), TrainingDataError, "--origin 2027-08-"),
        (150, replace(PLAN, origins_us=(day_us(60),)), TrainingDataError, r"no origin of 1 .* won"),
    ],
)
def test_what_cannot_be_tested_is_refused_with_the_reason(
    deals: int, plan: Plan, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as refused:
        backtest(deals_table(deals), plan)

    assert str(refused.value).count("expected") == str(refused.value).count("Remedy") == 1


def test_an_empty_record_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="a record without events"):
        backtest(EVENT_SCHEMA.empty_table(), PLAN)


def test_a_day_is_the_utc_date() -> None:
    assert day_of(day_us(0)) == "2026-01-05"
