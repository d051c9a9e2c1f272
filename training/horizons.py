"""Where the horizon edges and the snapshots fall, when nobody says: the data's own time to win."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from model.errors import HorizonError, TrainingDataError
from model.events import DAY_US
from model.hazard import check_edges
from model.history import Floats, History, Ints
from training.dataset import NEVER, Dataset, open_span, win_times

QUANTILES: Final = (0.1, 0.3, 0.55, 0.8, 0.97)  # of the days from a snapshot to its win
APART: Final = 0.5  # a default edge this near an asked one, relatively, gives way to it
FEWEST_WINS: Final = 30  # winning deals that an edge of its own needs
SNAPSHOTS_A_DEAL: Final = 8.0  # in the median time to win
SHORTEST_SPACING_DAYS: Final = 0.5
LONGEST_SPACING_DAYS: Final = 7.0
FEWEST_ASKED_WINS: Final = 5  # that an edge asked for needs
LONGEST_SHARE: Final = 0.6  # of the time on record that the last edge may take


def default_spacing_days(history: History, known_before: int) -> float:
    """Days between regular snapshots: an eighth of the median time to win, at most a week.

    Parameters
    ----------
    history
        All deals.
    known_before
        K, microseconds since 1970 UTC.
    """
    win = win_times(history, known_before)
    opened, _ = open_span(history, known_before)
    won = (win != NEVER) & (opened != NEVER)
    if not won.any():
        return LONGEST_SPACING_DAYS
    median = float(np.median((win[won] - opened[won]) / DAY_US))
    return float(np.clip(median / SNAPSHOTS_A_DEAL, SHORTEST_SPACING_DAYS, LONGEST_SPACING_DAYS))


def choose_edges(
    data: Dataset, within_days: Sequence[float] = (), fewest_wins: int = FEWEST_WINS
) -> Floats:
    """Edges from quantiles of the time to win, kept only where enough wins fall.

    Parameters
    ----------
    data
        The snapshots.
    within_days
        Days asked for at training: each becomes an edge.
    fewest_wins
        Winning deals that an edge of its own needs.

    Returns
    -------
    ndarray
        Days, from 0. Shape (B + 1,).

    Raises
    ------
    TrainingDataError
        If no deal was won, or a day asked for lies past what the record can tell.
    """
    asked = sorted({float(day) for day in within_days})
    days = data.days_to_win()
    won = np.isfinite(days) & (days > 0)
    check_reach(data, asked)
    record_days = _record_days(data)
    furthest = record_days * LONGEST_SHARE
    own = np.quantile(days[won], QUANTILES) if won.any() else np.empty(0)
    rounded = {float(max(1.0, np.round(day))) for day in own if day <= furthest}
    kept = {day for day in rounded if all(abs(day - a) > APART * a for a in asked)}
    edges = [0.0, *sorted(kept | set(asked))]
    edges = _with_enough_wins(data, edges, set(asked), fewest_wins)
    if len(edges) < 2:
        raise TrainingDataError(
            f"{won.sum()} snapshots of won deals, the record {record_days:.0f} days long",
            f"an interval that {fewest_wins} won deals fall into",
            "bring more closed deals, or set --edges",
        )
    return check_edges(edges)


def check_within(days: Sequence[float]) -> None:
    """Refuse days ahead that are none.

    Raises
    ------
    HorizonError
        If one is not a finite number above 0.
    """
    for day in days:
        if not 0.0 < day < np.inf:
            raise HorizonError(f"within {day:g} days", "days ahead above 0", "correct --within")


def check_reach(data: Dataset, days: Sequence[float]) -> None:
    """Refuse days ahead that no snapshot on record could have seen the end of.

    Raises
    ------
    TrainingDataError
        If one lies past what the record can tell.
    """
    record_days = _record_days(data)
    if days and max(days) >= record_days:
        raise TrainingDataError(
            f"an edge at {max(days):g} days",
            f"less than the {record_days:.0f} days on record",
            "ask for fewer days, or bring an older record",
        )


def _record_days(data: Dataset) -> float:
    return (data.countable_until - int(data.as_of.min())) / DAY_US


def check_wins(data: Dataset, edges: Floats) -> None:
    """Refuse an edge that hardly any won deal falls into: its hazard would be invented.

    Raises
    ------
    TrainingDataError
        Naming the first such edge.
    """
    wins = data.won(edges) & data.countable(edges)
    for b, edge in enumerate(edges[1:]):
        deals = _deals(data.deal[wins[:, b]])
        if deals < FEWEST_ASKED_WINS:
            raise TrainingDataError(
                f"an edge at {edge:g} days with {deals} deals won from {edges[b]:g} days on",
                f"at least {FEWEST_ASKED_WINS} won deals in each interval that the record shows",
                "leave the edge out, or bring a longer record",
            )


def _with_enough_wins(
    data: Dataset, edges: list[float], asked: set[float], fewest_wins: int
) -> list[float]:
    """Merge each edge that too few winning deals fall before into the next one."""
    kept = [0.0]
    for position, edge in enumerate(edges[1:], start=1):
        if edge in asked or _wins(data, kept[-1], edge) >= fewest_wins:
            kept.append(edge)
        elif (
            position == len(edges) - 1
            and len(kept) > 1
            and kept[-1] not in asked
            # Of what came of the longer interval fewer snapshots tell.
            and _wins(data, kept[-2], edge) >= FEWEST_ASKED_WINS
        ):
            kept.pop()
            kept.append(edge)
    return kept


def _wins(data: Dataset, low: float, edge: float) -> int:
    """How many deals were won between two edges, as far as the record shows."""
    upto = np.array(sorted({0.0, low, edge}))
    return _deals(data.deal[data.won(upto)[:, -1] & data.countable(upto)[:, -1]])


def _deals(deal: Ints) -> int:
    return len(np.unique(deal))
