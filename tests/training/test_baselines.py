"""The baselines recover what the past shows, and look at nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.event_table import table_of
from model.events import Event
from model.history import Floats, History
from tests.factories import date_of, day_us, deal_event
from training import preparing
from training.baselines import BASELINES, Known, smoothed_shares
from training.preparing import Options, prepare
from training.standing import Standing, standing_of

ORIGIN = 1000.0
DAYS = np.array([30.0])


def company(
    deals: int, *, won: Any, source: Any = lambda _: "web", category: Any = lambda _: None
) -> list[Event]:
    """Deals that open every day and close after twenty; won, source, category by number."""
    events = []
    for number in range(deals):
        deal, at = f"D-{number:04d}", 0.5 + number * 900.0 / deals
        told: list[tuple[str, float, dict[str, Any]]] = [
            ("deal_opened", at, {}),
            ("owner_changed", at, {"name": f"O-{number % 3}"}),
            ("stage_changed", at, {"name": "offer", "number": 1.0}),
            ("field_changed", at, {"name": "source", "text": source(number)}),
            ("amount_changed", at, {"number": 100.0 + number % 7}),
        ]
        if category(number):
            told.append(("forecast_category_changed", at, {"name": category(number)}))
            told.append(("close_date_changed", at, {"date": date_of(at + 25.0)}))
        told.append(("deal_won" if won(number) else "deal_lost", at + 20.0, {}))
        events += [
            deal_event(kind, when, deal_id=deal, source_id=f"{deal}/{place}", **values)
            for place, (kind, when, values) in enumerate(told)
        ]
    return events


def forecast(
    name: str, events: list[Event], asked: list[Event], *, at: float = 1000.5, days: Floats = DAYS
) -> Floats | None:
    """What a baseline says of the deals of `asked`, in the order of their ids."""
    past = table_of(events)
    whole = History.from_table(pa.concat_tables([past, table_of(asked)]))
    learning = prepare(past, day_us(ORIGIN), Options(edges_days=tuple(days), spacing_days=5.0))
    known = Known.of(whole, learning, day_us(ORIGIN))
    ids = sorted({event.deal_id for event in asked})
    deal = np.array([list(whole.deal_ids).index(each) for each in ids])
    as_of = np.full(len(deal), day_us(at))
    x = learning.features.matrix(whole, deal, as_of)
    standing = standing_of(whole, deal, as_of, known.text_fields)
    return BASELINES[name].forecast(known, days, x, standing)


@pytest.fixture(autouse=True)
def nearly_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the cut-off lie well after the last closing, so that everything counts."""
    monkeypatch.setattr(preparing, "MOST_UNRECORDED_DAYS", 100)


def fresh(deal: str, **values: Any) -> list[Event]:
    told: list[tuple[str, dict[str, Any]]] = [
        ("deal_opened", {}),
        ("owner_changed", {"name": values.get("owner", "O-1")}),
        ("stage_changed", {"name": "offer", "number": 1.0}),
        ("field_changed", {"name": "source", "text": values.get("source", "web")}),
        ("amount_changed", {"number": values.get("amount", 103.0)}),
    ]
    if "category" in values:
        told.append(("forecast_category_changed", {"name": values["category"]}))
    if "close" in values:
        told.append(("close_date_changed", {"date": date_of(values["close"])}))
    return [
        deal_event(kind, 1000.1, deal_id=deal, source_id=f"{deal}/{place}", **each)
        for place, (kind, each) in enumerate(told)
    ]


def test_the_base_rate_is_the_share_won_of_such_deals() -> None:
    p = forecast("base_rate", company(900, won=lambda n: n % 4 == 0), fresh("N-1"))

    assert p == pytest.approx(np.array([[0.25]]), abs=0.04)


def test_the_rep_s_category_counts_with_whether_the_close_date_falls_by_then() -> None:
    asked = [
        *fresh("N-1", category="commit", close=1020.0),
        *fresh("N-2", category="pipeline", close=1020.0),
        *fresh("N-3", category="commit", close=1300.0),
    ]
    events = company(
        900, won=lambda n: n % 10 < 6, category=lambda n: "commit" if n % 10 < 5 else "pipeline"
    )
    p = forecast("rep_forecast", events, asked)

    assert p is not None
    # All five of commit are won, and one of five of pipeline; later dates were never seen.
    assert p[:, 0] == pytest.approx([1.0, 0.2, 0.6], abs=0.02)


def test_without_categories_and_dates_there_is_no_rep_s_forecast() -> None:
    assert forecast("rep_forecast", company(200, won=lambda n: n % 2), fresh("N-1")) is None


def test_the_frequencies_are_bayes_rule_on_the_counts_of_closed_deals() -> None:
    events = company(
        900,
        won=lambda n: n % 10 < 4,
        source=lambda n: "fair" if n % 10 in (0, 1, 2, 9) else "web",
    )
    p = forecast("frequencies", events, [*fresh("N-1", source="fair"), *fresh("N-2")])

    assert p is not None
    # Of 360 won 270 came from fairs, of 540 lost 90; all won ones close within the horizon, and
    # owner and stage say nothing.
    fair = 360 * (270.1 / 360.1) / (360 * (270.1 / 360.1) + 540 * (90.1 / 540.1))
    web = 360 * (90.1 / 360.1) / (360 * (90.1 / 360.1) + 540 * (450.1 / 540.1))
    assert p[:, 0] == pytest.approx([fair, web], abs=0.002)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("field_changed", {"name": "source", "text": "archive"}),
        ("owner_changed", {"name": "Archive"}),
        ("stage_changed", {"name": "offer again", "number": 2.0}),
    ],
)
def test_what_became_of_a_deal_after_its_closing_teaches_the_frequencies_nothing(
    kind: str, told: dict[str, Any]
) -> None:
    events = company(900, won=lambda n: n % 10 < 4, source=lambda n: "fair" if n % 2 else "web")
    lost = [event for event in events if event.kind == "deal_lost"]
    later = [
        deal_event(kind, 950.0, deal_id=event.deal_id, source_id=f"{event.deal_id}/later", **told)
        for event in lost
    ]
    asked = [
        *fresh("N-1"),
        *fresh("N-2", source="fair", owner="O-2"),
        *fresh("N-3", source="archive", owner="Archive"),
        deal_event("stage_changed", 1000.2, deal_id="N-3", source_id="N-3/s", name="offer again"),
    ]

    assert forecast("frequencies", events + later, asked) == pytest.approx(
        forecast("frequencies", events, asked)
    )


def test_a_value_never_seen_is_no_evidence() -> None:
    events = company(900, won=lambda n: n % 10 < 4)
    p = forecast(
        "frequencies", events, [*fresh("N-1"), *fresh("N-2", owner="O-99", source="radio")]
    )

    assert p is not None
    assert p[1, 0] == pytest.approx(0.4, abs=0.005)


def test_the_frequencies_are_spread_over_time_by_how_soon_such_deals_were_won() -> None:
    days = np.array([12.0, 30.0])
    p = forecast(
        "frequencies", company(900, won=lambda n: n % 10 < 4), fresh("N-1"), at=1005.0, days=days
    )

    assert p is not None
    # Every won deal is won on its twentieth day: from the fifth on it takes longer than 12 days.
    assert p[0, 0] < 0.05
    assert p[0, 1] == pytest.approx(0.4, abs=0.01)


def test_logistic_regression_finds_the_field_that_tells() -> None:
    events = company(
        900,
        won=lambda n: n * 7 % 10 < 5,
        source=lambda n: "fair" if n * 7 % 10 in (0, 1, 2, 3, 9) else "web",
    )
    p = forecast("logistic_regression", events, [*fresh("N-1", source="fair"), *fresh("N-2")])

    assert p is not None
    assert p[:, 0] == pytest.approx([0.8, 0.2], abs=0.1)  # calendar features go on past 900 days


def test_shares_of_no_row_are_the_prior() -> None:
    shares = smoothed_shares(
        np.array([0]), np.array([True]), np.ones(1), 3, np.array([0.5, 0.1, 0.9])
    )

    assert shares == pytest.approx([11 / 21, 0.1, 0.9])


def test_standings_are_as_known_then_and_join_with_unknown_fields_left_open() -> None:
    history = History.from_events(
        [
            *fresh("N-1", source="fair"),
            deal_event("owner_changed", 1002.0, deal_id="N-1", name="O-2", known=1003.0),
        ]
    )
    deal = np.zeros(2, dtype=np.int64)
    moments = np.array([day_us(1002.5), day_us(1003.5)])
    plain = standing_of(history, deal, moments)
    told = standing_of(history, deal, moments, ["source"])
    joined = Standing.joined([plain, told])

    assert [plain.word("owner", row) for row in (0, 1)] == ["O-1", "O-2"]
    assert [joined.word("field:source", row) for row in range(4)] == [None, None, "fair", "fair"]
    assert plain.word("pipeline", 0) is None
    assert joined.age_days == pytest.approx([2.4, 3.4] * 2)
    assert joined.amount.tolist() == [103.0] * 4
