"""Features that know the outcome are named; honest ones are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from model.errors import TrainingDataError
from model.event_table import EVENT_SCHEMA, table_of
from model.events import microseconds
from model.own_features import declare
from tests.conftest import SMALL_KNOWN_BEFORE
from tests.factories import day_us
from tests.training.companies import late_stage_events
from training.fit import train
from training.leaks import Leak, find_leaks, refuse_leaks
from training.preparing import Options, prepare
from training.simulate import Simulation, simulate

HOUR_US = 3_600_000_000
CUTOFF = microseconds(SMALL_KNOWN_BEFORE)
OPTIONS = Options(edges_days=(7.0, 30.0, 90.0, 180.0), spacing_days=28.0, jobs=1)


def closings(events: pa.Table) -> list[tuple[str, int, int, bool]]:
    """Each closed deal with its opening, its closing (microseconds) and whether it was won."""
    opened: dict[str, int] = {}
    closed: dict[str, tuple[int, bool]] = {}
    columns = [events["deal_id"], events["kind"], events["known_at"].cast(pa.int64())]
    for deal, kind, known in zip(*(column.to_pylist() for column in columns), strict=True):
        if kind == "deal_opened":
            opened.setdefault(deal, known)
        elif kind in ("deal_won", "deal_lost"):
            closed[deal] = (known, kind == "deal_won")
    return [(deal, opened[deal], *closed[deal]) for deal in closed if deal in opened]


def fact(deal: str, own: str, at: int, **content: Any) -> dict[str, Any]:
    """A fact of the company's own, known when it happened."""
    return {
        "deal_id": deal,
        "kind": "field_changed",
        "occurred_at": at,
        "known_at": at,
        "source": "crm",
        "source_id": f"{own}/{deal}",
        "name": own,
        **content,
    }


def with_facts(events: pa.Table, facts: list[dict[str, Any]]) -> pa.Table:
    """The company's events and some more."""
    columns = []
    for field in EVENT_SCHEMA:
        values = [each.get(field.name) for each in facts]
        is_time = pa.types.is_timestamp(field.type)
        array = pa.array(values, pa.int64()).cast(field.type) if is_time else None
        columns.append(pa.array(values, field.type) if array is None else array)
    return pa.concat_tables([events, pa.table(columns, schema=EVENT_SCHEMA)])


def leaks_of(events: pa.Table) -> tuple[Leak, ...]:
    """What training on these events would name."""
    learning = prepare(events, CUTOFF, OPTIONS)
    return find_leaks(learning.history, learning.features, learning.data, CUTOFF)


def exported_as_always_known(events: pa.Table) -> pa.Table:
    """With a field written at closing, dated at the opening."""
    facts = [
        fact(deal, "end_code", opened, text="A" if won else "B")
        for deal, opened, _, won in closings(events)
    ]
    return with_facts(events, facts)


def test_a_field_written_at_closing_but_exported_as_always_known_is_named(
    small_company: Simulation,
) -> None:
    leaks = leaks_of(exported_as_always_known(small_company.events))
    assert [leak.feature for leak in leaks] == ["field:end_code"]
    assert "alone tells won from lost" in leaks[0].evidence


def test_a_field_written_just_before_closing_is_named(small_company: Simulation) -> None:
    facts = [
        fact(deal, "end_code", max(opened, closed - HOUR_US), text="A" if won else "B")
        for deal, opened, closed, won in closings(small_company.events)
    ]
    leaks = leaks_of(with_facts(small_company.events, facts))
    assert [leak.feature for leak in leaks] == ["field:end_code"]
    assert "within 1 day of the closing" in leaks[0].evidence


def test_a_hundred_honest_facts_raise_no_alarm(small_company: Simulation) -> None:
    random = np.random.default_rng(7)
    facts = []
    deals = closings(small_company.events)
    for k in range(100):
        for deal, opened, closed, won in deals:
            at = opened if k % 3 == 0 else int(random.integers(opened, max(closed, opened + 1)))
            value = random.normal() + won * (k % 5) / 4  # from saying nothing to saying much
            content: dict[str, Any] = {"number": float(value)}
            if k % 2:
                content = {"text": f"grade {round(value)}"}
            if k >= 60:
                content = {"kind": "activity_logged"}
            facts.append(fact(deal, f"honest {k:03d}", at, **content))
    learning = prepare(with_facts(small_company.events, facts), CUTOFF, OPTIONS)
    looked_at = {f.name.split(":")[1] for f in learning.features.features if "honest" in f.name}
    assert len(looked_at) >= 98  # the vocabulary keeps a hundred fields and sixty activities
    assert find_leaks(learning.history, learning.features, learning.data, CUTOFF) == ()


def test_strict_training_refuses_a_leak_and_says_what_to_do(small_company: Simulation) -> None:
    events = exported_as_always_known(small_company.events)
    strict = Options(edges_days=OPTIONS.edges_days, spacing_days=28.0, jobs=1, strict=True)
    with pytest.raises(TrainingDataError, match=r"field:end_code.*leave it out with --drop"):
        train(events, CUTOFF, strict)


def test_a_dropped_leak_is_not_named_again(small_company: Simulation) -> None:
    events = exported_as_always_known(small_company.events)
    without = Options(edges_days=OPTIONS.edges_days, spacing_days=28.0, drop=("field:end_code",))
    learning = prepare(events, CUTOFF, without)
    assert find_leaks(learning.history, learning.features, learning.data, CUTOFF) == ()


COMMISSION = """
from model.feature import {term}, Feature

def paid(snapshot):
    deal = snapshot.deal
    paid = [row for row in snapshot.rows if deal.names[deal.name[row]] == "po_number"]
    numbers = [deal.number[row] for row in paid]
    return numbers[-1] if numbers else float("nan")

FEATURES = (
    Feature(name="commission", unit="number", question="Is it paid?", direction=0, missing="none",
            phrase="{{value}}", unknown="never paid", term={term}({made_of})),
)
"""


@pytest.mark.parametrize(
    ("hours", "term", "made_of"),
    [
        (1, "NumberField", "code='field:po_number'"),
        (72, "NumberField", "code='field:po_number'"),
        (72, "Computed", "compute=paid"),
    ],
)
def test_a_feature_of_the_companys_own_file_hides_no_leak(
    hours: int, term: str, made_of: str, small_company: Simulation, tmp_path: Path
) -> None:
    """The field itself is dropped, as was told, and lives on in the feature made of it."""
    file = tmp_path / "own.py"
    file.write_text(COMMISSION.format(term=term, made_of=made_of))
    facts = [
        fact(deal, "po_number", closed - hours * HOUR_US, number=float(won))
        for deal, opened, closed, won in closings(small_company.events)
        if closed - hours * HOUR_US > opened
    ]
    events = with_facts(small_company.events, facts)
    without = replace(OPTIONS, own=declare(file), drop=("field:po_number",))
    learning = prepare(events, CUTOFF, without)

    leaks = find_leaks(learning.history, learning.features, learning.data, CUTOFF)

    assert [leak.feature for leak in leaks if not leak.is_note] == ["commission"]


@pytest.mark.parametrize(
    ("hours", "kind", "content", "named"),
    [
        (30, "field_changed", {"name": "po_number", "number": 1.0}, "field:po_number"),
        (48, "escalation_raised", {"name": None}, "escalations_30_days"),
        (72, "competitor_named", {"name": "them"}, "competitor_named"),
    ],
)
def test_a_fact_of_any_kind_written_days_before_the_end_is_named(
    hours: int, kind: str, content: dict[str, Any], named: str, small_company: Simulation
) -> None:
    facts = [
        fact(deal, "late", closed - hours * HOUR_US, **({"kind": kind} | content))
        for deal, opened, closed, won in closings(small_company.events)
        if won and closed - hours * HOUR_US > opened
    ]
    leaks = leaks_of(with_facts(small_company.events, facts))
    evidence = {leak.feature: leak.evidence for leak in leaks}
    assert named in evidence
    assert "an hour before the closing" in evidence[named]
    assert "as known 7 days earlier" in evidence[named]
    is_note = {leak.feature: leak.is_note for leak in leaks}
    assert is_note == {name: not name.startswith("field:") for name in is_note}


def test_an_honest_late_stage_is_noted_and_not_refused() -> None:
    options = Options(edges_days=(14.0, 45.0), spacing_days=10.0)
    learning = prepare(table_of(late_stage_events()), day_us(440), options)
    leaks = find_leaks(learning.history, learning.features, learning.data, day_us(440))

    assert "stage" in {leak.feature for leak in leaks}
    assert all(leak.is_note for leak in leaks)
    refuse_leaks(leaks)  # does not raise


def test_an_activity_logged_days_before_wins_alone_is_refused(small_company: Simulation) -> None:
    facts = [
        fact(deal, "kick-off booked", closed - 72 * HOUR_US, kind="activity_logged")
        for deal, opened, closed, won in closings(small_company.events)
        if won and closed - 72 * HOUR_US > opened
    ]
    leaks = leaks_of(with_facts(small_company.events, facts))

    with pytest.raises(TrainingDataError, match="activity:kick-off booked") as refused:
        refuse_leaks(leaks)
    noted = {leak.feature for leak in leaks if leak.is_note}
    assert not [name for name in noted if repr(name) in str(refused.value)]


@pytest.mark.parametrize("world", [1, 2])
def test_an_honest_company_raises_no_alarm(world: int) -> None:
    events = simulate(500, seed=11, world=world, truth=False).events
    assert leaks_of(events) == ()
