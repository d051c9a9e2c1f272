"""Edges and spacing chosen by the data's own time to win."""

from __future__ import annotations

import numpy as np
import pytest

from model.errors import TrainingDataError
from model.history import History
from tests.factories import day_us, deal_event
from tests.training.companies import snapshots
from training.dataset import Dataset
from training.horizons import (
    FEWEST_WINS,
    LONGEST_SHARE,
    LONGEST_SPACING_DAYS,
    SHORTEST_SPACING_DAYS,
    check_reach,
    choose_edges,
    default_spacing_days,
)


def deals(days_to_win: np.ndarray, *, record_days: float = 1000.0) -> Dataset:
    """A row for each deal, the first at the start of the record."""
    at = np.linspace(0.0, record_days / 2.0, len(days_to_win))
    return snapshots(np.arange(len(days_to_win)), at, days_to_win, known_days=record_days)


def waits(rows: int = 600) -> np.ndarray:
    rng = np.random.default_rng(6)
    return np.where(rng.random(rows) < 0.6, rng.exponential(40.0, rows), np.inf)


def test_default_edges_rise_from_zero_through_the_time_to_win() -> None:
    days = waits()
    edges = choose_edges(deals(days))

    assert edges[0] == 0.0
    assert 4 <= len(edges) <= 6
    assert (np.diff(edges) > 0.0).all()
    share = [(days <= edge).sum() / np.isfinite(days).sum() for edge in edges[1:]]
    assert share[0] == pytest.approx(0.1, abs=0.03)
    assert share[-1] == pytest.approx(0.97, abs=0.03)


def test_each_default_edge_has_enough_wins_of_its_own() -> None:
    days = waits(150)
    edges = choose_edges(deals(days))

    wins = np.histogram(days[np.isfinite(days)], edges)[0]
    assert (wins >= FEWEST_WINS).all()
    assert len(edges) < len(choose_edges(deals(waits())))


def test_asked_days_are_edges_and_near_defaults_give_way() -> None:
    own = choose_edges(deals(waits())).tolist()
    asked = [own[2] * 1.1, 77.0]
    edges = choose_edges(deals(waits()), asked).tolist()

    assert set(asked) <= set(edges)
    assert own[2] not in edges


def test_asked_days_stay_however_few_wins_they_have() -> None:
    assert {0.5, 1.0} <= set(choose_edges(deals(waits()), [1.0, 0.5, 1.0]).tolist())


def test_default_edges_stay_within_what_the_record_can_tell() -> None:
    days = np.where(np.isfinite(waits()), 4.0 * waits(), np.inf)
    edges = choose_edges(deals(days, record_days=200.0))

    assert edges[-1] <= LONGEST_SHARE * 200.0


def test_too_few_wins_for_any_edge_is_refused() -> None:
    days = np.full(200, np.inf)
    days[:10] = 20.0

    with pytest.raises(
        TrainingDataError,
        match=r"10 snapshots of won deals, the record 1000 days long: expected an interval that 30",
    ):
        choose_edges(deals(days))


def test_no_won_deal_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="0 snapshots of won deals"):
        choose_edges(deals(np.full(50, np.inf)))


@pytest.mark.parametrize("asked", [[1000.0], [30.0, 2000.0]])
def test_days_past_the_record_are_refused(asked: list[float]) -> None:
    with pytest.raises(
        TrainingDataError,
        match=f"an edge at {max(asked):g} days: expected less than the 1000 days on record",
    ):
        choose_edges(deals(waits()), asked)
    with pytest.raises(TrainingDataError, match="ask for fewer days, or bring an older record"):
        check_reach(deals(waits()), asked)


def test_days_within_the_record_are_allowed() -> None:
    check_reach(deals(waits()), [30.0, 999.0])
    check_reach(deals(waits()), [])


@pytest.mark.parametrize(
    ("days", "spacing"),
    [(16.0, 2.0), (1.0, SHORTEST_SPACING_DAYS), (400.0, LONGEST_SPACING_DAYS)],
)
def test_snapshots_are_an_eighth_of_the_time_to_win_apart(days: float, spacing: float) -> None:
    history = History.from_events(
        [
            event
            for n in range(5)
            for event in (
                deal_event("deal_opened", n, deal_id=f"D-{n}"),
                deal_event("deal_won", n + days, deal_id=f"D-{n}"),
            )
        ]
    )

    assert default_spacing_days(history, day_us(1000)) == spacing


def test_without_a_win_snapshots_are_a_week_apart() -> None:
    history = History.from_events([deal_event("deal_opened")])

    assert default_spacing_days(history, day_us(100)) == LONGEST_SPACING_DAYS
