from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.history import Floats
from training.clustered import calibration
from training.condition import coverage_condition, leaks_condition, refit_condition
from training.movers import movers
from training.promotion import (
    ALL,
    Comparison,
    Verdict,
    holm,
    judge_challenger,
)
from training.thresholds import read_thresholds

LIMITS = read_thresholds().promotion
DEALS, MOMENTS = 600, 4


def sigmoid(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def compared(
    seed: int = 0, *, challenger: float = 0.0, champion: float = 0.0, deals: int = DEALS
) -> Comparison:
    """Both models see the truth through noise of so many log-odds."""
    rng = np.random.default_rng(seed)
    deal = np.repeat(np.arange(deals), MOMENTS)
    truth = rng.normal(-1.0, 1.2, deals)
    won = (rng.random(deals) < sigmoid(truth))[deal]

    def seen(noise: float) -> Floats:
        return sigmoid(truth[deal] + rng.normal(0.0, 1.0, deals)[deal] * noise)

    return Comparison(
        deal=deal,
        won=won,
        challenger=seen(challenger),
        champion=seen(champion),
        segments={"stage Offer": deal % 2 == 0, "stage Terms": deal % 2 == 1, "rare": deal < 40},
    )


def condition(verdict: Verdict, name: str, segment: str = ALL) -> Any:
    return next(c for c in verdict.conditions if c.name == name and c.segment == segment)


def test_a_better_challenger_passes_and_every_condition_is_told() -> None:
    verdict = judge_challenger(compared(challenger=0.0, champion=0.8), LIMITS)

    assert verdict.passed
    assert verdict.untested == ("rare",)
    assert {each.segment for each in verdict.figures} == {ALL, "stage Offer", "stage Terms"}
    assert all(words.startswith("held: ") for words in verdict.words)
    assert "a loss of 0.005 or more is excluded" in condition(verdict, "loss").words
    overall = verdict.figures[0]
    assert overall.difference < 0.0
    assert overall.low <= overall.difference <= overall.high


def test_a_worse_challenger_is_refused_in_words() -> None:
    verdict = judge_challenger(compared(challenger=1.0, champion=0.0), LIMITS)

    assert not verdict.passed
    assert "it is worse by 0.005 or more" in condition(verdict, "loss").words
    assert verdict.words[0].startswith("FAILED: ")


def test_a_challenger_worse_in_one_segment_alone_is_refused() -> None:
    both = compared(challenger=0.0, champion=0.5, deals=2000)
    bad = both.segments["stage Offer"] & (both.deal < 500)
    p = np.where(bad, sigmoid(-3.0 * np.log(both.challenger / (1 - both.challenger))), 0.0)
    mixed = replace(both, challenger=np.where(bad, p, both.challenger), segments={"a few": bad})

    verdict = judge_challenger(mixed, replace(LIMITS, margin=0.5))

    assert condition(verdict, "loss").held
    assert not condition(verdict, "loss", "a few").held
    assert not verdict.passed


def test_too_few_deals_prove_nothing() -> None:
    verdict = judge_challenger(compared(champion=2.0, deals=150), LIMITS)

    assert not verdict.passed
    assert "150 deals" in verdict.words[0]
    assert "at least 200" in verdict.words[0]
    assert [each.segment for each in verdict.figures] == [ALL]  # told, and no condition of the gate
    assert [each.name for each in verdict.conditions] == ["enough"]
    assert judge_challenger(compared(champion=2.0, deals=12), LIMITS).figures == ()


def test_probabilities_out_of_their_band_are_refused_though_better() -> None:
    both = compared(champion=1.5)
    logit = np.log(both.challenger / (1 - both.challenger))

    too_high = judge_challenger(replace(both, challenger=sigmoid(logit + 0.6)), LIMITS)
    too_bold = judge_challenger(replace(both, challenger=sigmoid(1.7 * logit)), LIMITS)

    assert condition(too_high, "loss").held
    assert not condition(too_high, "intercept").held
    assert condition(too_bold, "loss").held
    assert not condition(too_bold, "slope").held
    assert "outside the band 0.7 to 1.4" in condition(too_bold, "slope").words


def test_a_challenger_that_tells_no_deal_from_another_is_refused() -> None:
    both = compared(champion=1.5)

    verdict = judge_challenger(replace(both, challenger=np.full(len(both.deal), 0.3)), LIMITS)

    assert not condition(verdict, "slope").held
    assert "all forecasts are alike" in condition(verdict, "slope").words


def of_log_odds(both: Comparison, by: Any, rows: Any = True) -> Comparison:
    """The challenger's log-odds higher by so much in some rows."""
    p = both.challenger
    return replace(both, challenger=sigmoid(np.log(p / (1 - p)) + np.where(rows, by, 0.0)))


def test_a_deal_forecast_five_times_as_often_counts_no_more() -> None:
    once = compared(challenger=0.3, champion=0.4, deals=240)
    often = Comparison(
        deal=np.repeat(once.deal, 5),
        won=np.repeat(once.won, 5),
        challenger=np.repeat(once.challenger, 5),
        champion=np.repeat(once.champion, 5),
        segments={name: np.repeat(rows, 5) for name, rows in once.segments.items()},
    )

    of_once, of_often = (judge_challenger(each, LIMITS).figures for each in (once, often))

    for one, other in zip(of_once, of_often, strict=True):
        assert (one.deals, one.won) == (other.deals, other.won)
        for name in ("difference", "low", "high", "p_value", "slope_low", "intercept_high"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-6)


def test_two_segments_that_each_pass_alone_are_refused_together() -> None:
    """By Holm: of two p-values alike the smaller must be below half the level."""
    both = compared(challenger=0.5, champion=0.5, deals=500)
    half = both.deal % 2 == 0
    wide = replace(LIMITS, margin=1.0, segment_margin=0.03)
    alone = judge_challenger(replace(both, segments={"half": half}), wide).figures[1].p_value
    assert 0.0 < alone < 0.6
    level = replace(wide, level=1.5 * alone)

    one = judge_challenger(replace(both, segments={"half": half}), level)
    two = judge_challenger(replace(both, segments={"half": half, "again": half}), level)

    assert condition(one, "loss", "half").held
    assert not condition(two, "loss", "half").held
    assert not condition(two, "loss", "again").held


def test_a_segment_is_held_to_its_own_margin() -> None:
    both = of_log_odds(compared(deals=4000), 0.3)
    everyone = replace(both, segments={"everyone": both.deal >= 0})

    verdict = judge_challenger(everyone, LIMITS)

    assert LIMITS.margin < verdict.figures[0].difference < LIMITS.segment_margin
    assert not condition(verdict, "loss").held
    assert condition(verdict, "loss", "everyone").held


def test_a_segment_is_refused_for_its_calibration_only_beyond_chance() -> None:
    both = compared(champion=2.0, deals=2000)
    few = both.deal < 60
    limits = replace(LIMITS, segment_deals=40, segment_won=5)

    def held(by: float) -> Any:
        verdict = judge_challenger(
            replace(of_log_odds(both, by, few), segments={"few": few}), limits
        )
        return condition(verdict, "intercept", "few")

    assert not held(2.5).held
    assert "outside the band" in held(2.5).words
    assert held(1.3).held
    assert "but not beyond chance" in held(1.3).words


def test_ten_deals_that_were_not_won_are_not_enough() -> None:
    both = compared(champion=2.0, deals=400)
    nearly_all = replace(both, won=both.deal >= 10)

    verdict = judge_challenger(nearly_all, LIMITS)

    assert verdict.words[0].startswith("FAILED: 400 deals with 390 won")
    one_sided = replace(
        both, segments={"won": both.deal % 2 == 0}, won=both.won | (both.deal % 2 == 0)
    )
    assert judge_challenger(one_sided, LIMITS).untested == ("won",)


def test_calibration_recovers_the_line_that_made_the_outcomes() -> None:
    rng = np.random.default_rng(5)
    logit = rng.normal(-1.0, 1.5, 40_000)
    won = rng.random(40_000) < sigmoid(0.3 + 1.2 * logit)

    line = calibration(np.arange(40_000), won, sigmoid(logit))

    assert line["slope"] == pytest.approx(1.2, abs=0.05)
    assert line["slope_low"] < 1.2 < line["slope_high"]  # type: ignore[operator]  # not None here
    shifted = calibration(
        np.arange(40_000), rng.random(40_000) < sigmoid(logit + 0.4), sigmoid(logit)
    )
    assert shifted["intercept"] == pytest.approx(0.4, abs=0.05)


def test_forecasts_of_one_deal_count_as_one() -> None:
    rng = np.random.default_rng(6)
    p = rng.random(400)
    won = rng.random(400) < p
    once = calibration(np.arange(400), won, p)
    often = calibration(np.repeat(np.arange(400), 5), np.repeat(won, 5), np.repeat(p, 5))

    assert often == pytest.approx(once, abs=1e-6)


@given(
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12), st.floats(0.001, 0.2), st.floats(0, 0.1)
)
def test_holm_rejects_no_more_than_uncorrected_and_no_less_than_bonferroni(
    p_values: list[float], level: float, more: float
) -> None:
    rejected = holm(p_values, level)

    for p, is_rejected in zip(p_values, rejected, strict=True):
        assert not is_rejected or p <= level
        assert is_rejected or p > level / len(p_values)
        assert all(r for q, r in zip(p_values, rejected, strict=True) if q < p) or not is_rejected
    assert sum(holm(p_values, level + more)) >= sum(rejected)


@settings(max_examples=8)  # each asks the gate
@given(st.integers(0, 10_000), st.floats(0.0, 1.5), st.floats(0.0, 1.5))
def test_the_verdict_is_of_the_forecasts_alone(seed: int, ours: float, theirs: float) -> None:
    """The order of rows, and the names of deals, change nothing."""
    both = compared(seed, challenger=ours, champion=theirs, deals=240)
    order = np.random.default_rng(seed).permutation(len(both.deal))
    shuffled = Comparison(
        deal=both.deal[order],
        won=both.won[order],
        challenger=both.challenger[order],
        champion=both.champion[order],
        segments={name: rows[order] for name, rows in both.segments.items()},
    )

    first, second = judge_challenger(both, LIMITS), judge_challenger(shuffled, LIMITS)

    assert [c.held for c in first.conditions] == [c.held for c in second.conditions]
    assert first.passed == all(c.held for c in first.conditions)


@settings(max_examples=8)  # each asks the gate
@given(st.integers(0, 10_000), st.floats(0.0, 0.05))
def test_a_wider_margin_never_refuses_what_a_narrower_one_let_pass(seed: int, more: float) -> None:
    both = compared(seed, challenger=0.4, champion=0.4, deals=240)
    wider = replace(
        LIMITS, margin=LIMITS.margin + more, segment_margin=LIMITS.segment_margin + more
    )

    assert judge_challenger(both, wider).passed or not judge_challenger(both, LIMITS).passed


@settings(max_examples=8)  # each asks the gate
@given(st.integers(0, 10_000))
def test_a_challenger_that_is_the_champion_differs_by_nothing(seed: int) -> None:
    both = compared(seed, champion=0.3, deals=240)

    verdict = judge_challenger(replace(both, challenger=both.champion), LIMITS)

    for each in verdict.figures:
        assert each.difference == each.low == each.high == 0.0
    assert all(c.held for c in verdict.conditions if c.name == "loss")


def test_a_refit_far_from_what_was_judged_may_not_stand_for_it() -> None:
    judged = np.linspace(0.1, 0.8, 50)[:, None]
    far = judged + np.where(np.arange(50) < 5, 0.25, 0.0)[:, None]

    assert refit_condition(judged, judged + 0.01, 0, LIMITS).held
    assert not refit_condition(judged, judged + 0.05, 0, LIMITS).held
    assert not refit_condition(judged, far, 0, LIMITS).held
    assert "50 open deals 2.5 points apart" in refit_condition(judged, far, 0, LIMITS).words


def test_a_refit_is_looked_at_on_enough_open_deals_and_in_log_odds_at_every_horizon() -> None:
    judged = np.tile(np.linspace(0.1, 0.8, 50)[:, None], (1, 3))
    twice_the_odds = 2 * judged[:, 2] / (1 + judged[:, 2])
    other_at_the_last = np.column_stack([judged[:, :2], twice_the_odds])
    few = np.full((200, 1), 0.04)

    assert refit_condition(judged, judged, 1, LIMITS).held
    assert not refit_condition(judged, other_at_the_last, 1, LIMITS).held
    assert not refit_condition(few, few + 0.024, 0, LIMITS).held  # more than half as many again
    assert not refit_condition(judged[:5], judged[:5], 1, LIMITS).held
    none = refit_condition(judged[:0], judged[:0], 1, LIMITS)
    assert not none.held
    assert "scores 0 open deals" in none.words


def test_a_challenger_that_takes_numbers_away_is_refused() -> None:
    lost = coverage_condition(1000, 600, 590, LIMITS)

    assert not lost.held
    assert "no number at 600 of 1,000 moments of open deals" in lost.words
    assert "at 590 of these the champion does" in lost.words
    assert coverage_condition(1000, 600, 10, LIMITS).held
    assert coverage_condition(0, 0, 0, LIMITS).held


def test_a_good_challenger_passes_however_many_segments_share_the_level() -> None:
    both = compared(champion=1.5, deals=2400)
    owners = {f"owner {number}": both.deal % 150 == number for number in range(150)}
    limits = replace(LIMITS, segment_deals=10, segment_won=2, segment_margin=1.0)

    verdict = judge_challenger(replace(both, segments=owners), limits)

    assert len(verdict.figures) > 120
    assert all(c.held for c in verdict.conditions if c.name == "loss")


def test_what_is_enough_is_asked_of_the_usual_horizon_and_what_none_came_of_is_named() -> None:
    both = compared(champion=1.5)
    short = both.deal >= 60
    split = replace(both, usual=~short, segments={"wins within 90 days": short & ~short})

    verdict = judge_challenger(split, LIMITS)

    assert not verdict.passed
    assert verdict.words[0].startswith("FAILED: 60 deals with")
    assert "beside the champion at the usual horizon" in verdict.words[0]
    assert verdict.unjudged == ("wins within 90 days",)
    assert judge_challenger(replace(split, usual=short), LIMITS).passed


def test_a_leak_is_refused_and_a_note_let_pass() -> None:
    leak = {"feature": "field:signed", "evidence": "tells won from lost", "is_note": False}

    assert leaks_condition([]).held
    assert leaks_condition([leak | {"is_note": True}]).held
    assert not leaks_condition([leak]).held
    assert "'field:signed' tells won from lost" in leaks_condition([leak]).words


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=20))
def test_movers_are_all_deals_with_the_largest_shift_first(
    pairs: list[tuple[float, float]],
) -> None:
    before, after = (np.array([pair[i] for pair in pairs]) for i in (0, 1))
    ids = [f"D-{number}" for number in range(len(pairs))]

    found = movers(ids, before, after)

    assert sorted(each.deal_id for each in found) == sorted(ids)
    shifts = [abs(each.shift) for each in found]
    assert shifts == sorted(shifts, reverse=True)
