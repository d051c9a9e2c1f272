"""What the simulated company's events are like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model.event_table import EVENT_SCHEMA, event_from_row, read_events, sort_events
from training.simulate import WORLDS, Simulation, SimulationError, simulate
from training.simulation.company import LAG_DAYS
from training.simulation.seasons import FIRST_DAY, LAST_DAY, seasons

DEALS = 1500
Company = Callable[[int], Simulation]


@pytest.fixture(scope="module", params=sorted(WORLDS))
def events(request: pytest.FixtureRequest) -> pd.DataFrame:
    return simulate(DEALS, seed=1, world=request.param, truth=False).events.to_pandas()


def times_of(events: pd.DataFrame, kind: str, column: str = "occurred_at") -> pd.Series:
    return events[events.kind == kind].groupby("deal_id")[column].min()


def test_a_deal_has_about_twenty_events_and_a_third_of_closed_deals_are_won(
    events: pd.DataFrame,
) -> None:
    opened = times_of(events, "deal_opened")
    won = times_of(events, "deal_won")
    early = opened[opened < opened.max() - pd.Timedelta(days=250)].index
    assert len(opened) == DEALS
    assert 18 <= len(events) / DEALS <= 26
    assert 0.25 <= won.index.isin(early).sum() / len(early) <= 0.35
    took = (won - opened.reindex(won.index)).dt.days
    assert 40 <= took.median() <= 90
    assert took.quantile(0.9) <= 170
    closed = events[events.kind.isin(["deal_won", "deal_lost"])].deal_id.nunique()
    assert 0.05 <= 1 - closed / DEALS <= 0.25


def test_every_kind_of_the_company_occurs(events: pd.DataFrame) -> None:
    assert set(events.kind) >= {
        "account_changed",
        "activity_logged",
        "amount_changed",
        "auto_reply_received",
        "call_made",
        "close_date_changed",
        "commercial_talks_absent",
        "commercial_talks_started",
        "competitor_named",
        "currency_changed",
        "customer_replied",
        "deal_lost",
        "deal_opened",
        "deal_reopened",
        "deal_won",
        "escalation_raised",
        "field_changed",
        "forecast_category_changed",
        "internal_update_posted",
        "internal_update_requested",
        "meeting_held",
        "message_sent",
        "milestone_dropped",
        "milestone_moved",
        "milestone_reached",
        "milestone_set",
        "must_hit_declared",
        "next_step_changed",
        "owner_changed",
        "stage_changed",
        "technical_validation_failed",
        "technical_validation_passed",
        "technical_validation_started",
    }


def test_every_event_is_a_valid_one(events: pd.DataFrame) -> None:
    rows = events.sample(2000, random_state=0).astype(object)
    for row in rows.where(rows.notna(), None).to_dict("records"):
        row["occurred_at"], row["known_at"] = (
            row[column].to_pydatetime() for column in ("occurred_at", "known_at")
        )
        assert event_from_row(row).deal_id == row["deal_id"]


def test_nothing_is_known_before_it_happened_and_some_of_it_much_later(
    events: pd.DataFrame,
) -> None:
    lag = events.known_at - events.occurred_at
    assert lag.min() == pd.Timedelta(0)
    calls = lag[events.kind == "call_made"]
    assert calls.max() <= pd.Timedelta(days=LAG_DAYS + 1)
    assert (calls > pd.Timedelta(days=1)).mean() > 0.1 or (calls == pd.Timedelta(0)).all()
    assert (lag[events.kind == "meeting_held"] > pd.Timedelta(days=1)).mean() > 0.1
    end = pd.Timestamp(FIRST_DAY, tz="UTC") + pd.Timedelta(days=LAST_DAY)
    assert events.known_at.max() < end


def test_an_event_has_one_source_and_id_that_no_other_has(events: pd.DataFrame) -> None:
    assert not events.duplicated(["source", "source_id"]).any()
    mail = events.source == "mail:simulated"
    assert set(events.kind[mail]) == {"customer_replied", "message_sent", "auto_reply_received"}


def test_auto_replies_gather_in_holidays(events: pd.DataFrame) -> None:
    holiday = seasons().holiday[:LAST_DAY]
    sent, answered = (
        (
            events[events.kind == kind].occurred_at.dt.tz_localize(None) - pd.Timestamp(FIRST_DAY)
        ).dt.days.to_numpy()
        for kind in ("message_sent", "auto_reply_received")
    )
    share = [np.sum(holiday[answered] == away) / np.sum(holiday[sent] == away) for away in (1, 0)]
    assert share[0] > 5 * share[1]


def test_nothing_happens_to_a_deal_known_as_closed_but_that_it_is_opened_again(
    events: pd.DataFrame,
) -> None:
    turns = events[events.kind.isin(["deal_won", "deal_lost", "deal_reopened"])]
    assert (turns[turns.kind == "deal_reopened"].groupby("deal_id").size() > 0).any()
    for _, history in events[events.deal_id.isin(turns.deal_id.unique()[:400])].groupby("deal_id"):
        closed = history[history.kind.isin(["deal_won", "deal_lost"])].sort_values("known_at")
        again = history[history.kind == "deal_reopened"].occurred_at.sort_values().to_numpy()
        for i, known in enumerate(closed.known_at):
            until = again[i] if i < len(again) else pd.Timestamp.max.tz_localize("UTC")
            after = history[(history.occurred_at > known) & (history.occurred_at < until)]
            assert after.empty


def test_a_win_stands(events: pd.DataFrame) -> None:
    won = events[events.kind == "deal_won"]
    assert not won.deal_id.duplicated().any()
    last = events[events.kind == "deal_reopened"].groupby("deal_id").occurred_at.max()
    both = won.set_index("deal_id").occurred_at
    both = both[both.index.isin(last.index)]
    assert (both > last.reindex(both.index)).all()


def test_milestones_slip(events: pd.DataFrame) -> None:
    moved = events[events.kind == "milestone_moved"]
    assert len(moved) > 0.2 * (events.kind == "milestone_set").sum()
    days = moved.occurred_at.dt.tz_localize(None).dt.normalize()
    assert (pd.to_datetime(moved.date) > days).all()


def test_feeds_are_missing_in_the_second_world() -> None:
    events = simulate(400, seed=2, world=2, truth=False).events.to_pandas()
    unit = events[events.kind == "deal_opened"].set_index("deal_id").source
    assert set(unit) == {"crm:simulated", "crm:simulated-south", "crm:simulated-west"}
    of_unit = events.groupby(events.deal_id.map(unit)).kind.unique().map(set)
    mail = {"customer_replied", "message_sent", "auto_reply_received"}
    milestones = {"milestone_set", "milestone_moved", "milestone_reached", "must_hit_declared"}
    updates = {"internal_update_posted", "internal_update_requested", "escalation_raised"}
    assert of_unit["crm:simulated"] >= mail | milestones | updates
    assert not of_unit["crm:simulated-south"] & mail
    assert of_unit["crm:simulated-south"] >= milestones | updates
    assert not of_unit["crm:simulated-west"] & (milestones | updates)
    assert of_unit["crm:simulated-west"] >= mail


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    world: int, tmp_path: Path
) -> None:
    written = {}
    for run, seed in (("first", 3), ("second", 3), ("other", 4)):
        files = simulate(150, seed, world).write(tmp_path / run)
        written[run] = [file.read_bytes() for file in files]
        assert [file.name for file in files] == ["events.parquet", "truth.parquet"]
    assert written["first"] == written["second"]
    assert written["first"][0] != written["other"][0]
    assert written["first"][1] != written["other"][1]


def test_events_are_the_same_whether_or_not_the_truth_is_told(tmp_path: Path) -> None:
    told, untold = simulate(120, seed=5), simulate(120, seed=5, truth=False)
    assert told.events.equals(untold.events)
    assert untold.truth is None
    assert [file.name for file in untold.write(tmp_path)] == ["events.parquet"]


def test_events_have_the_schema_and_the_order_of_a_table(tmp_path: Path) -> None:
    company = simulate(80, seed=6, truth=False)
    assert company.events.schema.equals(EVENT_SCHEMA)
    assert company.events.equals(sort_events(company.events).combine_chunks())
    company.write(tmp_path)
    assert read_events(tmp_path / "events.parquet").equals(company.events)


def test_deals_too_many_for_one_piece_are_told_of_in_pieces() -> None:
    done: list[int] = []
    company = simulate(8200, seed=7, truth=False, progress=done.append)
    assert done == [8192, 8]
    assert len(company.events["deal_id"].unique()) == 8200


@pytest.mark.parametrize(
    ("deals", "seed", "world", "match"),
    [
        (0, 1, 1, "deals 0: expected at least 1"),
        (10, -1, 1, "seed -1: expected 0 or more"),
        (10, 1, 9, "world 9: expected 1 or 2"),
    ],
)
def test_what_cannot_be_simulated_is_refused(deals: int, seed: int, world: int, match: str) -> None:
    with pytest.raises(SimulationError, match=match):
        simulate(deals, seed, world)


@pytest.mark.parametrize("deals", [1, 2, 7])
def test_a_company_of_few_deals_has_events_and_truth(deals: int) -> None:
    for seed in range(3):
        company = simulate(deals, seed)
        assert len(company.events["deal_id"].unique()) == deals
        assert company.truth is not None
