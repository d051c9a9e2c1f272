"""The whole record of a company, and which moments of it can be looked back on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from model.asof import LOST, WON
from model.errors import HorizonError, TrainingDataError
from model.events import DAY_US, from_microseconds
from model.features import FeatureSet
from model.hazard import check_edges
from model.history import Floats, History, Ints
from model.vocabulary import Vocabulary
from training.dataset import build_dataset, closing_lag, open_span, win_times
from training.horizons import check_within, choose_edges, default_spacing_days
from training.preparing import FEWEST_LOST, FEWEST_WON

LEARNED_SHARE: Final = 0.5  # of the record, before the first origin that the data chooses


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """The whole record, which alone tells what came.

    Parameters
    ----------
    events
        Of `model.event_table.EVENT_SCHEMA`.
    history
        The same, arranged.
    begin_us, end_us
        When the first event became known, and just after the last did: the end of knowledge K.
    countable_until
        K - L: later than this nothing is known to have happened or not, microseconds.
    win
        When each deal was won, microseconds; `NEVER` if it was not. Shape (D,).
    opened, closed
        From when each deal was known as open, until its last closing was. Shape (D,).
    """

    events: pa.Table
    history: History
    begin_us: int
    end_us: int
    countable_until: int
    win: Ints
    opened: Ints
    closed: Ints

    @classmethod
    def of(cls, events: pa.Table) -> Record:
        """Arrange events.

        Raises
        ------
        TrainingDataError
            If there is none.
        """
        if events.num_rows == 0:
            raise TrainingDataError(
                "a record without events", "the events of closed deals", "import a record first"
            )
        history = History.from_table(events)
        end = int(history.known.max()) + 1
        opened, closed = open_span(history, end)
        return cls(
            events=events,
            history=history,
            begin_us=int(history.known.min()),
            end_us=end,
            countable_until=end - closing_lag(history, end),
            win=win_times(history, end),
            opened=opened,
            closed=closed,
        )


def choose_days(
    record: Record,
    within_days: Sequence[float],
    edges_days: Sequence[float] | None,
    first_us: int | None,
) -> Floats:
    """The horizons to judge: those asked for, or the edges that the data known at first chooses.

    Parameters
    ----------
    within_days, edges_days
        As asked; the former alone are judged where both are given.
    first_us
        The first origin, microseconds since 1970 UTC; None where the data chooses it.

    Returns
    -------
    ndarray
        Days, rising. Shape (H,).

    Raises
    ------
    HorizonError
        If one asked for is no number of days above 0.
    TrainingDataError
        If the record is too short for any.
    """
    asked = within_days or edges_days
    check_within(within_days)
    if asked:
        return check_edges(sorted({0.0, *map(float, asked)}))[1:]
    first = first_us or _first_moment(record)
    history = _known_before(record, first)
    data = build_dataset(
        history,
        FeatureSet(Vocabulary(), ()),
        first,
        spacing_days=default_spacing_days(history, first),
        seed=0,
    )
    if data.rows == 0:
        raise too_short(record, f"no deal open at any moment known before {day_of(first)}")
    return choose_edges(data)[1:]


def choose_origins(record: Record, days: Floats, origins: int) -> list[int]:
    """Origins spread evenly from the first that can be trained to the last that can be judged.

    The first lies `LEARNED_SHARE` into the record, or later where enough closings are known only
    then; after the last so much time is left that even its furthest horizon is judged.

    Parameters
    ----------
    days
        The horizons. Shape (H,).
    origins
        How many.

    Returns
    -------
    list of int
        Midnights UTC, microseconds since 1970, rising; fewer where days are fewer.

    Raises
    ------
    HorizonError
        If the furthest horizon of what is scored at the first origin ends past the record.
    """
    first = _first_moment(record)
    last = record.countable_until - int(days[-1] * DAY_US)
    if last <= first:
        most = (record.countable_until - first) / DAY_US
        raise HorizonError(
            f"a horizon of {days[-1]:g} days after a first origin on {day_of(first)}",
            f"at most {max(most, 0.0):.0f} days, then outcomes are no more known",
            "ask for fewer days with --within, set an earlier --origin, or bring a longer record",
        )
    evenly = first + np.arange(origins) * ((last - first) / origins)
    midnights = np.unique((evenly // DAY_US).astype(np.int64) * DAY_US)
    return [int(at) for at in midnights if at > record.begin_us]


def check_origins(record: Record, origins_us: Sequence[int], days: Floats) -> list[int]:
    """Origins asked for, in order of time.

    Raises
    ------
    TrainingDataError
        If one lies before the record, or so late that nothing after it can be judged.
    """
    latest = record.countable_until - int(days[0] * DAY_US)
    for origin in sorted(set(origins_us)):
        if not record.begin_us < origin <= latest:
            raise TrainingDataError(
                f"--origin {day_of(origin)}",
                f"a day after {day_of(record.begin_us)} and until {day_of(latest)}, so that at "
                f"least {days[0]:g} days after it are known",
                "choose another day, or leave --origin out",
            )
    return sorted(set(origins_us))


def too_short(record: Record, found: str) -> TrainingDataError:
    """The error of a record that no origin fits into."""
    return TrainingDataError(
        f"{found}, in a record from {day_of(record.begin_us)} to {day_of(record.end_us)}",
        f"at least {FEWEST_WON} won and {FEWEST_LOST} lost deals before an origin, and time after "
        "it to see what came",
        "bring a longer record",
    )


def day_of(moment_us: int) -> str:
    """The UTC date of a moment in microseconds since 1970.

    Examples
    --------
    >>> day_of(0)
    '1970-01-01'
    """
    return from_microseconds(moment_us).date().isoformat()


def _first_moment(record: Record) -> int:
    """When the first origin may be: enough of the record, and of each kind of closing, is known."""
    history = record.history
    moments = [record.begin_us + int(LEARNED_SHARE * (record.end_us - record.begin_us))]
    for kind, fewest, name in ((WON, FEWEST_WON, "won"), (LOST, FEWEST_LOST, "lost")):
        known = np.sort(history.known[history.standing == kind])
        if len(known) < fewest:
            raise too_short(record, f"{len(known)} {name} deals")
        moments.append(int(known[fewest - 1]) + DAY_US)
    return max(moments)


def _known_before(record: Record, moment: int) -> History:
    known = record.events["known_at"].cast(pa.int64()).to_numpy() < moment
    if not known.any():
        raise too_short(record, f"nothing known before {day_of(moment)}")
    return History.from_table(record.events.filter(known))
