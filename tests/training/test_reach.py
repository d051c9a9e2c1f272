"""What the record cannot tell is refused, not invented."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from model.errors import EventError, TrainingDataError
from model.events import DAY_US, microseconds, parse_time
from tests.training.companies import deals_table
from training.preparing import Options, prepare, reach
from training.simulate import simulate


def test_a_cut_off_long_after_the_record_s_end_is_refused() -> None:
    events = simulate(300, 1, truth=False).events
    with pytest.raises(TrainingDataError, match=r"the record ends on 2026-01-\d\d"):
        prepare(events, microseconds(datetime(2030, 1, 1, tzinfo=UTC)), Options())


def test_a_record_that_ended_days_ago_is_learned_from_up_to_its_end() -> None:
    """What was open at its end would count as never won in the days that nobody recorded."""
    events = deals_table(60)
    end = pc.max(events["known_at"].cast(pa.int64())).as_py()

    assert reach(events, end + 5 * DAY_US) == end + 5 * DAY_US  # a weekend and a holiday
    assert reach(events, end + 10 * DAY_US) == end + 1


def test_an_edge_that_nobody_won_in_is_refused() -> None:
    events = simulate(300, 1, truth=False).events
    options = Options(edges_days=(30.0, 800.0))
    with pytest.raises(TrainingDataError, match="an edge at 800 days with 0 deals won"):
        prepare(events, microseconds(datetime(2026, 1, 5, tzinfo=UTC)), options)


@pytest.mark.parametrize("text", ["2026-01-05t10:30", "2026-01-05_10:30", "2026-01-05 10:30"])
def test_a_time_without_its_offset_is_refused_however_it_is_written(text: str) -> None:
    with pytest.raises(EventError, match="a time with its UTC offset"):
        parse_time("as_of", text)
