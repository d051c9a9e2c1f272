"""Training: what it learns from, what it refuses, what it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from model.artifact import Artifact
from model.errors import HorizonError, TrainingDataError
from model.event_table import EVENT_SCHEMA, table_of
from model.events import Event, from_microseconds
from model.history import Floats, History
from model.scorer import Scorer
from model.tables import Tables
from tests.factories import day, day_us, deal_event
from tests.training.companies import DEALS, KNOWN_BEFORE, deals_events, deals_table
from training import calibrating, fit, judging, learners
from training.boosting import Settings
from training.compile import compile_leaves
from training.fit import BAGS, train
from training.judging import Judgement
from training.learners import candidates, title
from training.leaves import Leaves
from training.preparing import Options, prepare
from training.smooth import SmoothSettings

OPTIONS = Options(edges_days=(30.0,), spacing_days=10.0, jobs=1)


@pytest.fixture(autouse=True)
def few_trees() -> Iterator[None]:
    """Let there be little to choose, so that a test trains in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=10, trees=20)])
        yield


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return deals_table()


@pytest.fixture(scope="module")
def learned(table: pa.Table) -> Artifact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=10, trees=20)])
        return train(table, KNOWN_BEFORE, OPTIONS)


def test_the_same_events_and_seed_give_the_same_model(table: pa.Table, learned: Artifact) -> None:
    assert train(table, KNOWN_BEFORE, OPTIONS).model_version == learned.model_version


def test_another_seed_gives_another_model(table: pa.Table, learned: Artifact) -> None:
    other = Options(edges_days=(30.0,), spacing_days=10.0, jobs=1, seed=1)

    assert train(table, KNOWN_BEFORE, other).model_version != learned.model_version


def test_the_order_of_the_events_is_no_matter(table: pa.Table, learned: Artifact) -> None:
    order = np.random.default_rng(3).permutation(table.num_rows)

    shuffled = train(table.take(order), KNOWN_BEFORE, OPTIONS)

    assert shuffled.model_version == learned.model_version


def test_what_is_known_at_the_cut_off_or_later_changes_nothing(
    table: pa.Table, learned: Artifact
) -> None:
    cutoff = from_microseconds(KNOWN_BEFORE)
    at_it = [deal_event("deal_won", 470.0, deal_id=f"D-{n:04d}") for n in range(40)]
    late = [
        deal_event(kind, at, deal_id=f"D-{n:04d}", known=471.0 + n)
        for n in range(40)
        for kind, at in (("customer_replied", n * 3.0 + 2.0), ("deal_reopened", 465.0))
    ]
    new = [
        deal_event(kind, at, deal_id=f"later {n}", source="a new feed", name="new")
        for n in range(20)
        for kind, at in (("deal_opened", 480.0), ("stage_changed", 481.0), ("deal_won", 490.0))
    ]
    more = pa.concat_tables([table, table_of([*at_it, *late, *new])])
    assert all(event.known_at is not None and event.known_at >= cutoff for event in at_it + late)

    assert train(more, KNOWN_BEFORE, OPTIONS).model_version == learned.model_version


def test_a_cut_off_inside_the_record_forgets_what_came_after(table: pa.Table) -> None:
    cutoff = day_us(400)
    known = table.filter(pc.less(table["known_at"], pa.scalar(day(400), EVENT_SCHEMA.types[3])))
    assert known.num_rows < table.num_rows

    assert (
        train(table, cutoff, OPTIONS).model_version == train(known, cutoff, OPTIONS).model_version
    )


def test_the_facts_tell_how_it_was_trained(learned: Artifact) -> None:
    facts = learned.facts["training"]

    assert learned.facts["known_before"] == from_microseconds(KNOWN_BEFORE).isoformat()
    assert (facts["deals"], facts["bags"], facts["seed"]) == (DEALS, BAGS, 0)
    assert (facts["division"], facts["folds"], facts["split"]) == ("cross-fitting by deal", 4, None)
    assert 40 <= facts["won"] <= DEALS - 40
    assert facts["snapshots"] >= 2 * DEALS
    assert facts["closing_lag_days"] == 0.0
    [part] = facts["blend"]
    assert (part["kind"], part["weight"]) == ("pairwise", 1.0)
    assert part["settings"] == Settings(rows_a_leaf=10, trees=20).to_json()
    assert part["sizes"] in ([10], [20])
    [judged] = learned.facts["judged"]
    assert judged["days"] == 30.0
    assert judged["auc"] > 0.65
    assert learned.tables.bags == BAGS


def test_a_feature_that_tells_is_learned_in_its_direction(learned: Artifact) -> None:
    scorer = Scorer(learned)
    opened = deal_event("deal_opened", 480.0)
    replies = [deal_event("customer_replied", 480.0 + n, person=f"p-{n % 3}") for n in range(1, 12)]

    def probability(events: list[Event]) -> float:
        return scorer.score(History.from_events(events), day(492), days=30.0).probability

    assert probability([opened, *replies]) > probability([opened]) + 0.1


def test_a_model_saved_and_loaded_gives_identical_scores(learned: Artifact, tmp_path: Path) -> None:
    learned.save(tmp_path / "artifact")
    loaded = Artifact.load(tmp_path / "artifact")
    history = History.from_events(
        [deal_event("deal_opened", 480.0), deal_event("customer_replied", 482.0)]
    )

    assert loaded.model_version == learned.model_version
    assert Scorer(loaded).score(history, day(490), days=20.0, most=None) == Scorer(learned).score(
        history, day(490), days=20.0, most=None
    )


def test_pure_noise_beats_the_base_rate_by_nothing_much() -> None:
    artifact = train(deals_table(240, signal=False), day_us(740), OPTIONS)

    [judged] = artifact.facts["judged"]
    share = judged["won_share"]
    base = -(share * np.log(share) + (1.0 - share) * np.log(1.0 - share))
    assert judged["log_loss"] > base - 0.03
    assert judged["log_loss"] < base + 0.01


def test_few_rows_try_stiffer_candidates_and_many_do_not() -> None:
    few, many = candidates(1000), candidates(1_000_000)

    assert [title(each) for each in few] == ["pairwise", "pairwise", "smooth"]
    assert [title(each) for each in many] == ["pairwise"]
    leaves = [candidates(rows)[0] for rows in (10, 3000, 10**7)]
    assert [each.rows_a_leaf for each in leaves if isinstance(each, Settings)] == [10, 20, 200]


def test_a_blend_of_trees_and_smooth_effects_is_tables_whose_parts_are_told(
    table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = [Settings(rows_a_leaf=10, trees=20), SmoothSettings(penalties=(10.0, 3.0))]
    monkeypatch.setattr(fit, "candidates", lambda _rows: tried)

    artifact = train(table, KNOWN_BEFORE, OPTIONS)

    parts = artifact.facts["training"]["blend"]
    assert {part["kind"] for part in parts} == {"pairwise", "smooth"}
    assert sum(part["weight"] for part in parts) == pytest.approx(1.0, abs=1e-5)
    assert artifact.tables.bags == BAGS
    assert artifact.facts["judged"][0]["auc"] > 0.65


def test_a_blend_is_made_and_calibrated_of_all_its_parts_at_the_size_of_each_edge(
    table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy, light = Settings(rows_a_leaf=10, trees=20), Settings(rows_a_leaf=30, trees=20)
    sizes = {heavy: [3, 5], light: [2, 4]}
    etas, fitted, compiled, calibrated = [], [], [], []

    def judged(*given: Any, **named: Any) -> Judgement:
        own = replace(judging.judge(*given, **named), sizes=np.array(sizes[given[5]]))
        etas.append(own.eta)
        return own

    def leaves(*given: Any) -> Leaves:
        fitted.append((given[5], given[6], learners.fit_leaves(*given)))
        return fitted[-1][2]

    def compiled_of(bags: Any, *given: Any) -> Tables:
        compiled.append(given)
        return compile_leaves(bags, *given)

    def calibrations(data: Any, edges: Floats, eta: Floats, **named: Any) -> Any:
        calibrated.append(eta)
        return calibrating.fit_calibrations(data, edges, eta, **named)

    monkeypatch.setattr(fit, "candidates", lambda _rows: [light, heavy])
    monkeypatch.setattr(fit, "blend_weights", lambda *_: np.array([0.25, 0.75]))
    monkeypatch.setattr(fit, "judge", judged)
    monkeypatch.setattr(fit, "fit_leaves", leaves)
    monkeypatch.setattr(fit, "compile_leaves", compiled_of)
    monkeypatch.setattr(fit, "fit_calibrations", calibrations)
    options = Options(edges_days=(20.0, 40.0), spacing_days=10.0, jobs=1)
    artifact = train(table, KNOWN_BEFORE, options)

    assert [(who, size) for who, size, _ in fitted] == [
        (heavy, 3), (light, 2), (heavy, 5), (light, 4)
    ] * BAGS  # fmt: skip
    np.testing.assert_allclose(calibrated[0], 0.25 * etas[0] + 0.75 * etas[1])
    apart = {}
    for part, who in enumerate((heavy, light)):
        own = [each[2] for each in fitted[part::2]]
        bags = [own[2 * bag : 2 * bag + 2] for bag in range(BAGS)]
        apart[who] = compile_leaves(bags, *compiled[0])
    rows = np.random.default_rng(0).integers(0, artifact.grid.bins, (50, len(artifact.grid)))
    bins = rows.astype(np.uint8)
    np.testing.assert_allclose(
        artifact.tables.eta_bags(bins),
        0.75 * apart[heavy].eta_bags(bins) + 0.25 * apart[light].eta_bags(bins),
        atol=1e-9,
    )


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(
        TrainingDataError,
        match=r"no event known before 2027-04-20: expected a rec.*that has events",
    ):
        train(EVENT_SCHEMA.empty_table(), KNOWN_BEFORE, OPTIONS)


def test_a_cut_off_before_every_event_is_refused(table: pa.Table) -> None:
    with pytest.raises(TrainingDataError, match=r"no event known before 2025-.*a later date"):
        train(table, day_us(-10), OPTIONS)


def only(*kinds: str) -> pa.Table:
    return table_of([e for e in deals_events() if e.kind not in kinds])


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (only("deal_won"), "0 won and 8. lost of 150 opened deals"),
        (only("deal_lost"), "6. won and 0 lost of 150 opened deals"),
        (deals_table(1), "[01] won and [01] lost of 1 opened deals"),
        (deals_table(60), "2. won and 3. lost of 60 opened deals"),
        (only("deal_won", "deal_lost", "deal_opened"), "0 won and 0 lost of 0 opened deals"),
    ],
    ids=["no won deal", "no lost deal", "one deal", "too few", "never opened"],
)
def test_too_little_to_learn_from_says_how_much_there_is_and_is_needed(
    events: pa.Table, told: str
) -> None:
    with pytest.raises(
        TrainingDataError, match=f"{told} known before 2027-04-20: expected at least 40 won and 40"
    ):
        train(events, KNOWN_BEFORE, OPTIONS)


def test_deals_never_seen_open_are_refused() -> None:
    closings = [
        deal_event(kind, n / 2, deal_id=f"D-{n}", known=400.0)
        for n in range(100)
        for kind in ("deal_opened", "deal_won" if n % 2 else "deal_lost")
    ]

    with pytest.raises(TrainingDataError, match="no moment at which a deal was known as open"):
        train(table_of(closings), KNOWN_BEFORE, OPTIONS)


def test_columns_and_fields_that_are_missing_throughout_do_no_harm() -> None:
    events = deals_events()
    fields = [
        deal_event("field_changed", 3.0 * n + 2.0, deal_id=f"D-{n:04d}", name="budget")
        for n in range(DEALS)
    ]
    # A reply before the first snapshot: until one is known, contact is missing and not zero.
    reply = deal_event("customer_replied", 0.0, deal_id="D-0000")
    table = table_of([reply, *events, *fields])
    for name in ("person", "thread", "number"):
        place = table.column_names.index(name)
        field = EVENT_SCHEMA.field(name)
        table = table.set_column(place, field, pa.nulls(table.num_rows, field.type))

    artifact = train(table, KNOWN_BEFORE, OPTIONS)

    assert "field:budget" not in artifact.grid.names
    assert "customer_people_90_days" not in artifact.grid.names
    assert "silence_days" in artifact.grid.names


def test_a_dropped_feature_is_left_out(table: pa.Table) -> None:
    dropped = prepare(table, KNOWN_BEFORE, Options(edges_days=(30.0,), drop=("silence_days",)))

    assert "silence_days" not in dropped.features.names
    assert "stage" in dropped.features.names
    assert dropped.grid.names == dropped.features.names
    assert dropped.data.x.shape[1] == len(dropped.features.names)


def test_dropping_an_unknown_feature_lists_those_there_are(table: pa.Table) -> None:
    with pytest.raises(
        TrainingDataError, match=r"--drop 'silence': expected one of silence_days, .*stage"
    ):
        prepare(table, KNOWN_BEFORE, Options(drop=("silence",)))


def test_a_feature_that_never_varies_is_left_out(table: pa.Table) -> None:
    learning = prepare(table, KNOWN_BEFORE, OPTIONS)

    for column in learning.data.x.T:
        assert len(np.unique(column)) > 1
    assert "competitor_named" not in learning.features.names


@pytest.mark.parametrize(
    ("asked", "edges"),
    [
        (Options(edges_days=(60.0, 14.0)), [0.0, 14.0, 60.0]),
        (Options(edges_days=(30.0,), within_days=(7.0, 30.0)), [0.0, 7.0, 30.0]),
    ],
)
def test_edges_asked_for_are_the_edges(asked: Options, edges: list[float], table: pa.Table) -> None:
    assert prepare(table, KNOWN_BEFORE, asked).edges.tolist() == edges


def test_days_asked_for_are_among_the_default_edges(table: pa.Table) -> None:
    edges = prepare(table, KNOWN_BEFORE, Options(within_days=(9.0, 33.0))).edges.tolist()

    assert {9.0, 33.0} <= set(edges)
    assert len(edges) > 3


@pytest.mark.parametrize("asked", [Options(edges_days=(30.0, 5000.0)), Options(within_days=(5e3,))])
def test_an_edge_past_the_record_is_refused(asked: Options, table: pa.Table) -> None:
    with pytest.raises(
        TrainingDataError, match=r"an edge at 5000 days: expected less than the 4\d\d days on rec"
    ):
        prepare(table, KNOWN_BEFORE, asked)


@pytest.mark.parametrize("day", [-3.0, float("nan"), float("inf")])
def test_an_edge_that_is_no_day_ahead_is_refused(day: float, table: pa.Table) -> None:
    with pytest.raises((HorizonError, TrainingDataError), match="expected"):
        prepare(table, KNOWN_BEFORE, Options(edges_days=(30.0, day)))


def test_progress_is_told_step_by_step(table: pa.Table) -> None:
    promised: dict[str, int] = {}
    done: dict[str, int] = {}

    def progress(stage: str, steps: int) -> Callable[[], None]:
        promised[stage], done[stage] = steps, 0

        def step() -> None:
            done[stage] += 1

        return step

    train(table, KNOWN_BEFORE, OPTIONS, progress)

    assert set(promised) == {"choosing", "fitting"}
    assert done == promised
