"""Events as columns: the same from a list and from a table, whatever order they come in."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import HistoryError
from model.event_table import EVENT_SCHEMA, table_of
from model.events import Event, microseconds
from model.history import History
from tests.factories import START, date_of, day_us, deal_event
from tests.model.histories import histories


def contents(history: History) -> list[tuple[object, ...]]:
    """Every row with its strings spelt out, so that the numbering of strings does not matter."""
    deal = np.repeat(np.arange(history.deals), np.diff(history.start))
    people: dict[int, int] = {}

    def spelt(code: int, strings: list[str]) -> str | None:
        return None if code < 0 else strings[code]

    return [
        (
            history.deal_ids[deal[row]],
            int(history.kind[row]),
            int(history.occurred[row]),
            int(history.known[row]),
            spelt(history.name[row], list(history.names)),
            spelt(history.text[row], list(history.texts)),
            spelt(history.source[row], list(history.sources)),
            None if np.isnan(history.number[row]) else float(history.number[row]),
            None if np.isnan(history.date[row]) else float(history.date[row]),
            history.person[row] >= 0 and people.setdefault(int(history.person[row]), len(people)),
        )
        for row in range(history.kind.size)
    ]


@settings(max_examples=40)
@given(events=histories(), chance=st.randoms(use_true_random=False))
def test_a_list_and_a_table_make_the_same_history(
    events: list[Event], chance: random.Random
) -> None:
    expected = contents(History.from_events(events))
    shuffled = [*events, *chance.sample(events, len(events) // 2)]
    chance.shuffle(shuffled)
    rows = [table_of([event]) for event in shuffled]

    assert contents(History.from_events(shuffled)) == expected
    assert contents(History.from_table(table_of(events))) == expected
    assert contents(History.from_table(pa.concat_tables(rows))) == expected


def test_rows_stand_by_deal_and_time() -> None:
    history = History.from_events(
        [
            deal_event(deal_id="b", at=1, source_id="2"),
            deal_event(deal_id="b", at=1, source_id="1"),
            deal_event(deal_id="b", at=0, known=9),
            deal_event(deal_id="a", at=5),
        ]
    )

    assert history.deal_ids == ["a", "b"]
    assert history.start.tolist() == [0, 1, 4]
    assert history.known.tolist() == [day_us(5), day_us(9), day_us(1), day_us(1)]


def test_what_is_missing_is_not_zero() -> None:
    missing, zero = History.from_events(
        [deal_event("field_changed", name="seats"), deal_event("amount_changed", at=1, number=0.0)]
    ).number

    assert np.isnan(missing)
    assert zero == 0.0


def test_dates_are_days_since_1970_and_times_are_utc() -> None:
    elsewhere = timezone(timedelta(hours=-8))
    event = deal_event("close_date_changed", date=date_of(1))
    history = History.from_events(
        [
            event,
            deal_event(occurred_at=datetime(1970, 1, 1, 0, 0, 1, tzinfo=elsewhere)),
        ]
    )

    assert history.occurred.tolist() == [8 * 3_600_000_000 + 1_000_000, microseconds(START)]
    assert history.date[1] == (date_of(1) - date_of(1).replace(1970, 1, 1)).days


def test_only_the_texts_of_fields_are_kept() -> None:
    history = History.from_events(
        [
            deal_event("next_step_changed", text="call back"),
            deal_event("field_changed", at=1, name="region", text="north"),
        ]
    )

    assert history.texts == ["north"]
    assert history.text.tolist() == [-1, 0]


def history_of_table(events: list[Event]) -> History:
    return History.from_table(table_of(events))


@pytest.mark.parametrize("history_of", [History.from_events, history_of_table])
def test_one_id_with_two_contents_is_refused(
    history_of: Callable[[list[Event]], History],
) -> None:
    events = [
        deal_event("amount_changed", number=amount, source_id="D-1/7") for amount in (1.0, 2.0)
    ]

    with pytest.raises(HistoryError, match=r"event 'D-1/7' of 'crm' twice with other content"):
        history_of(events)


def test_one_id_in_two_sources_is_two_events() -> None:
    events = [deal_event(source=source, source_id="7") for source in ("crm", "mail")]

    assert History.from_events(events).kind.size == 2
    assert History.from_table(table_of(events)).kind.size == 2


def test_a_history_has_events() -> None:
    with pytest.raises(HistoryError, match="no event: expected at least one event"):
        History.from_events([])
    with pytest.raises(HistoryError, match="a table without events: expected at least one event"):
        History.from_table(EVENT_SCHEMA.empty_table())


def test_a_part_of_a_table_with_dictionaries_is_read_like_the_whole() -> None:
    table = table_of([deal_event(deal_id=deal, name=deal) for deal in "abcd"])
    for column in ("deal_id", "kind", "name", "source"):
        index = table.schema.get_field_index(column)
        table = table.set_column(index, column, table[column].dictionary_encode())

    history = History.from_table(table.slice(2, 1))

    assert (history.deal_ids, history.names) == (["c"], ["c"])
