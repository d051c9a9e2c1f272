"""What the record cannot tell is refused, not invented."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from model.errors import EventError, TrainingDataError
from model.events import microseconds, parse_time
from training.preparing import Options, prepare
from training.simulate import simulate


def test_a_cut_off_long_after_the_record_s_end_is_refused() -> None:
    events = simulate(300, 1, truth=False).events
    with pytest.raises(TrainingDataError, match=r"the record ends on 2026-01-\d\d"):
        prepare(events, microseconds(datetime(2030, 1, 1, tzinfo=UTC)), Options())


def test_an_edge_that_nobody_won_in_is_refused() -> None:
    events = simulate(300, 1, truth=False).events
    options = Options(edges_days=(30.0, 800.0))
    with pytest.raises(TrainingDataError, match="an edge at 800 days with 0 deals won"):
        prepare(events, microseconds(datetime(2026, 1, 5, tzinfo=UTC)), options)


@pytest.mark.parametrize("text", ["2026-01-05t10:30", "2026-01-05_10:30", "2026-01-05 10:30"])
def test_a_time_without_its_offset_is_refused_however_it_is_written(text: str) -> None:
    with pytest.raises(EventError, match="a time with its UTC offset"):
        parse_time("as_of", text)
