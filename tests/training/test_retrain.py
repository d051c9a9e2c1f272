from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from threadpoolctl import threadpool_limits

from model.errors import TrainingDataError
from model.events import DAY_US
from tests.factories import day_us
from tests.training.companies import deals_table
from training import fit
from training.boosting import Settings
from training.fit import no_progress, train
from training.preparing import Options
from training.record import Record
from training.retrain import (
    JUDGED_DAYS,
    Plan,
    _forgetting,
    default_origin,
    open_deals,
    retrain,
    scores_now,
)
from training.thresholds import read_thresholds

EVENTS = deals_table(320)
ORIGIN = day_us(860)
OPTIONS = Options(edges_days=(20.0, 60.0), spacing_days=28.0, jobs=1)
PLAN = Plan(known_before_us=day_us(960), spacing_days=14.0, options=OPTIONS)
LIMITS = replace(
    read_thresholds(),
    promotion=replace(read_thresholds().promotion, fewest_deals=20, fewest_won=5, refit_deals=1),
)


@pytest.fixture(autouse=True, scope="module")
def _few_trees() -> Iterator[None]:
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=20, trees=20)])
        yield


def test_a_refit_that_lies_far_is_not_promoted_nor_what_movers_are_told_of() -> None:
    """The champion ends at 20 days; the challenger answers 60 too."""
    champion = train(EVENTS, day_us(700), replace(OPTIONS, edges_days=(20.0,)))
    none_near = replace(LIMITS, promotion=replace(LIMITS.promotion, refit_mean=0.0))

    done = retrain(EVENTS, PLAN, none_near, champion)

    assert done.artifact is done.judged
    assert any("the judged model itself is what may be promoted" in each for each in done.notes)
    assert any("nothing was judged of wins within 60 days" in each for each in done.notes)
    record = Record.of(EVENTS.filter(pc.less(EVENTS["known_at"].cast(pa.int64()), day_us(960))))
    deal = open_deals(record)
    before, after = (
        scores_now(record, deal, each, PLAN, np.array([20.0]))[:, 0]
        for each in (champion, done.judged)
    )
    told = {each.deal_id: (each.before, each.after) for each in done.movers}
    ids = [record.history.deal_ids[each] for each in deal]
    assert told == {
        deal_id: (float(a), float(b)) for deal_id, a, b in zip(ids, before, after, strict=True)
    }


def test_a_leak_that_only_the_refit_has_learned_of_keeps_it_out() -> None:
    """From the origin on somebody fills a field an hour before each closing."""
    near = replace(LIMITS.promotion, refit_mean=1.0, refit_most=1.0, refit_log_odds=9.0, margin=9.0)
    rows = EVENTS.to_pylist()
    filled = [
        row
        | {
            "kind": "field_changed",
            "name": "contract",
            "text": row["kind"],
            "occurred_at": row["occurred_at"] - timedelta(hours=1),
            "known_at": row["known_at"] - timedelta(hours=1),
            "source_id": f"contract/{row['deal_id']}",
        }
        for row in rows
        if row["kind"] in ("deal_won", "deal_lost") and row["known_at"].timestamp() * 1e6 > ORIGIN
    ]
    events = pa.Table.from_pylist([*rows, *filled], schema=EVENTS.schema)

    quick = replace(OPTIONS, edges_days=(20.0,))

    done = retrain(
        events, replace(PLAN, origin_us=ORIGIN, options=quick), replace(LIMITS, promotion=near)
    )

    assert done.judged.facts["leaks"] == []
    assert done.artifact is not done.judged
    leaks = next(each for each in done.verdict.conditions if each.name == "leaks")
    assert not leaks.held
    assert "'field:contract'" in leaks.words


def lost_from(events: pa.Table, day: float) -> pa.Table:
    """The same, but nothing that closes from a day on is won."""
    late = np.array(events["known_at"].cast(pa.int64())) >= day_us(day)
    kind = np.array(events["kind"].to_pylist(), dtype=object)
    kind[late & (kind == "deal_won")] = "deal_lost"
    place = events.column_names.index("kind")
    return events.set_column(place, events.schema.field("kind"), pa.array(kind.tolist()))


def test_what_comes_after_the_origin_has_no_part_in_whether_to_forget() -> None:
    """The judged challenger could not know that the share won would fall."""
    options = Options(edges_days=(20.0,), spacing_days=28.0)

    def asked(company: pa.Table) -> bool:
        found = _forgetting(
            company, day_us(880), day_us(700), options, read_thresholds(), no_progress
        )
        return found is not None

    assert not asked(lost_from(EVENTS, 880))
    assert asked(lost_from(EVENTS, 700))


def test_a_record_too_short_to_judge_by_is_told_without_a_word_of_an_option_not_given() -> None:
    events = deals_table(60)
    begin = pc.min(events["known_at"].cast(pa.int64())).as_py()
    short = events.filter(pc.less(events["known_at"].cast(pa.int64()), begin + 70 * DAY_US))

    with pytest.raises(TrainingDataError, match="bring a longer record") as refused:
        default_origin(Record.of(short), np.array([0.0, 30.0]))
    assert "--origin" not in str(refused.value)
    assert "more than 86 days" in str(refused.value)

    record = Record.of(events)
    origin = default_origin(record, np.array([0.0, 30.0]))
    assert origin % DAY_US == 0
    assert 0 <= record.countable_until - (30 + JUDGED_DAYS) * DAY_US - origin < DAY_US
