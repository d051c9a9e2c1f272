"""What becomes of deliveries: events, scores and write-backs, in whatever order they came."""

from __future__ import annotations

import json
import random
import shutil
import string
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, select, text

from model.events import Event, microseconds
from model.feeds import Feed
from model.scorer import Scorer
from service.logs import TextLines
from service.metrics import Metrics
from service.rescoring import Policy
from service.storage import deals, events, feeds, flares, inbox, outbox, scores, tombstones
from service.storage.database import Database, open_database
from service.storage.schema import DEALS, EVENTS, OUTBOX, RETOLD, SCORES
from service.webhooks.delivery import Delivery, Translation
from service.writeback.entry import RED_FLARE_RAISED, SCORE_CHANGED
from tests.service.databases import on_postgresql, on_sqlite
from tests.service.deliveries import RECEIVER, SOURCE, delivery, give, processor, work_all
from tests.service.requests import AS_OF

NOW = AS_OF + timedelta(days=2)
LONG = "".join(random.Random(1).choices(string.ascii_letters, k=6_000))  # hard to compress


def known(event: Event) -> datetime:
    return event.known_at or event.occurred_at


@pytest.fixture(scope="session")
def stories(open_deals: list[list[Event]]) -> list[list[Event]]:
    """A few open deals as known at `AS_OF`, after which there is only what the tests tell."""
    return [[event for event in deal if known(event) <= AS_OF] for deal in open_deals[:4]]


def news(deal_id: str, index: int, kind: str = "call_made", **values: Any) -> Event:
    at = AS_OF + timedelta(hours=index + 1)
    return Event(
        deal_id=deal_id,
        kind=kind,
        occurred_at=at,
        source="crm",
        source_id=f"{deal_id}/news/{index}",
        **values,
    )


def test_an_id_that_an_event_of_another_deal_has_fails_its_delivery(database: Database) -> None:
    told = [replace(news(deal_id, 1), source_id="o") for deal_id in ("D-1", "D-2")]
    for event in told:
        give(database, delivery(event, key=event.deal_id, at=NOW))
    give(database, delivery(*told, key="both", at=NOW))
    work_all(processor(database, now=lambda: NOW))

    with database.reading() as connection:
        failed = inbox.listed(connection, "failed")
        assert [event.deal_id for event in events.of_deal(connection, "D-1")] == ["D-1"]
    assert [each.delivery.dedupe_key for each in failed] == ["both", "D-2"]
    assert "event 'o' of 'crm' of deal 'D-2'" in (failed[0].reason or "")


def test_a_crm_is_told_of_no_deal_that_only_another_crm_tells_of(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    other, own = (
        [replace(event, source=source) for event in story]
        for story, source in zip(stories[:2], ("pipedrive", "hubspot"), strict=True)
    )
    give(database, delivery(*other, *own, key="1", at=AS_OF))
    policy = Policy(
        destinations=dict.fromkeys(("sales", "hook"), ()),
        crms={"sales": "hubspot"},
        tells=dict.fromkeys(("sales", "hook"), (SCORE_CHANGED,)),
    )
    work_all(processor(database, scorer, now=lambda: NOW, policy=policy))

    assert rows(database, OUTBOX, "destination", "deal_id") == sorted(
        [("hook", own[0].deal_id), ("hook", other[0].deal_id), ("sales", own[0].deal_id)]
    )


def test_what_a_transaction_that_came_to_nothing_showed_of_feeds_is_not_gone_by(
    database: Database, scorer: Scorer, stories: list[list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    read = feeds.heard

    def heard(connection: Connection) -> dict[str, Feed]:
        found = read(connection)
        seen.append(set(found) & {"a new one"})
        return found

    def fall(step: str) -> None:
        if step == "finished" and seen[-1]:
            raise KeyboardInterrupt

    monkeypatch.setattr("service.processing.feeds.heard", heard)
    own = processor(database, scorer, now=lambda: NOW, step=fall)
    give(database, delivery(*stories[1], key="1", at=AS_OF))
    own.work()
    give(database, delivery(replace(stories[0][0], source="a new one"), key="2", at=AS_OF))
    with pytest.raises(KeyboardInterrupt):
        own.work()
    with database.writing() as connection:
        inbox.fail(connection, inbox.listed(connection)[0].id, "another saw to it", at=0)
    told = replace(stories[1][-1], source_id="once more")  # a kind that its source carried before
    give(database, delivery(told, key="3", at=AS_OF))
    own.work()

    assert seen == [set(), {"a new one"}, set()]


def rows(database: Database, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    with database.reading() as connection:
        found = connection.execute(select(*(table.c[name] for name in columns)))
        return sorted(tuple(row) for row in found)


def outcome(database: Database) -> dict[str, Any]:
    """All that follows from the events, whenever and in whatever order they came."""
    with database.reading() as connection:
        deal_ids = connection.execute(select(DEALS.c.deal_id).order_by(DEALS.c.deal_id)).scalars()
        return {
            deal_id: (
                events.of_deal(connection, deal_id),
                scores.latest(connection, deal_id),
                flares.standing(connection, deal_id),
                tuple(deals.find(connection, deal_id) or ())[1:11],
            )
            for deal_id in deal_ids.all()
        }


def test_a_delivery_is_scored_as_of_its_last_event_and_told(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    deal = [*stories[0], news(stories[0][0].deal_id, 0)]
    give(database, delivery(*deal, key="a", at=NOW))
    own = processor(database, scorer, now=lambda: NOW)

    assert work_all(own) == 1
    with database.reading() as connection:
        assert events.of_deal(connection, deal[0].deal_id)[-1] == deal[-1]
        score = scores.latest(connection, deal[0].deal_id)
        (entry,) = [
            each.entry for each in outbox.listed(connection) if each.entry.kind == SCORE_CHANGED
        ]
        kept = inbox.find(connection, 1)
    assert score is not None
    assert score.as_of == max(map(known, deal)).isoformat()
    assert entry.payload["score"]["probability"] == score.probability
    assert (kept.state, kept.events) == ("done", len(deal))
    expected = scorer.score(
        own_history(deal), max(map(known, deal)), days=score.days, feeds=heard(deal)
    )
    assert score == expected


def own_history(deal: Sequence[Event]) -> Any:
    from model.history import History

    return History.from_events(list(deal))


def heard(deal: Sequence[Event]) -> Any:
    from model.feeds import feeds_of

    return feeds_of(own_history(deal))


def test_a_redelivery_changes_nothing(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    own = processor(database, scorer, now=lambda: NOW)
    give(database, delivery(*stories[0], key="a", at=NOW))
    work_all(own)
    before = outcome(database), rows(database, SCORES, "id"), rows(database, OUTBOX, "message_id")
    give(database, delivery(*stories[0], key="a", at=NOW + timedelta(minutes=1)))
    give(database, delivery(*stories[0], key="another id", at=NOW + timedelta(minutes=2)))
    work_all(own)

    assert (
        outcome(database),
        rows(database, SCORES, "id"),
        rows(database, OUTBOX, "message_id"),
    ) == before
    with database.reading() as connection:
        assert inbox.counts(connection) == {"received": 0, "done": 2, "failed": 0, "superseded": 0}


@pytest.mark.parametrize("seed", range(3))
def test_any_order_with_repetitions_ends_as_the_clean_order_does(
    seed: int,
    database: Database,
    scorer: Scorer,
    stories: list[list[Event]],
    sqlite_template: Path,
    tmp_path: Path,
) -> None:
    """A day's deliveries after those of the past, in one database in order, in another not."""
    path = tmp_path / "clean.db"
    shutil.copy(sqlite_template, path)
    in_order = open_database(f"sqlite:///{path}")
    now = [AS_OF]
    workers = [processor(each, scorer, now=lambda: now[0]) for each in (in_order, database)]
    past = sorted((event for story in stories for event in story), key=known)
    for own, each in zip(workers, (in_order, database), strict=True):
        give(each, delivery(*past, key="past", at=AS_OF))
        work_all(own)
    told = [
        delivery(news(stories[index % 4][0].deal_id, index), key=str(index), at=NOW)
        for index in range(23)
    ]
    now[0] = NOW
    give(in_order, *told)
    work_all(workers[0])

    rng = np.random.default_rng(seed)
    for number, index in enumerate(rng.permutation([*range(len(told))] * 2)):
        is_other = rng.random() < 0.5
        each = told[index]
        give(database, replace(each, dedupe_key=f"again {number}") if is_other else each)
        if rng.random() < 0.5:
            workers[1].work()
    work_all(workers[1])

    assert outcome(database) == outcome(in_order)
    now[0] += timedelta(days=1.5)
    assert [own.tick() for own in workers] == [4, 4]
    assert outcome(database) == outcome(in_order)
    in_order.close()


def test_what_comes_late_takes_no_deal_back(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    deal = stories[0]
    deal_id = deal[0].deal_id
    later = news(deal_id, 5, "stage_changed", name="later", number=5.0)
    earlier = news(deal_id, 1, "stage_changed", name="earlier", number=4.0)
    own = processor(database, scorer, now=lambda: NOW)
    for key, event in (("b", later), ("a", earlier)):
        give(database, delivery(*deal, event, key=key, at=NOW))
        work_all(own)

    with database.reading() as connection:
        row = deals.find(connection, deal_id)
        score = scores.latest(connection, deal_id)
    assert row is not None
    assert score is not None
    assert row.stage == "later"
    assert row.scored_as_of == microseconds(known(later))
    assert score.as_of == known(later).isoformat()


def test_a_fact_told_days_late_changes_no_score_that_was_said(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    deal, deal_id = stories[0], stories[0][0].deal_id
    own = processor(database, scorer, now=lambda: NOW)
    for key, event in enumerate((news(deal_id, 2), news(deal_id, 30), news(deal_id, 40))):
        give(database, delivery(*deal, event, key=str(key), at=NOW))
        work_all(own)
    said = rows(database, SCORES, "id", "as_of", "answer")
    give(database, delivery(news(deal_id, 1, "customer_replied"), key="late", at=NOW))
    work_all(own)

    after = rows(database, SCORES, "id", "as_of", "answer")
    assert after[: len(said)] == said
    assert [row[1] for row in after[len(said) :]] == [max(row[1] for row in said)]


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"body": b"{"}, "JSON"),
        ({"body": b'{"kind": "woon"}'}, "no deal_id"),
        ({"source": "gone"}, "redflare inbox retry"),
        ({"body": b"\xff"}, ""),
    ],
)
def test_a_delivery_that_tells_nothing_stays_with_its_reason(
    overrides: dict[str, Any], reason: str, database: Database, scorer: Scorer
) -> None:
    give(database, delivery(key="a", at=NOW, **overrides))
    own = processor(database, scorer, now=lambda: NOW)

    assert work_all(own) == 1
    with database.reading() as connection:
        kept = inbox.find(connection, 1)
    assert kept.state == "failed"
    assert reason in (kept.reason or "")
    assert rows(database, EVENTS, "id") == []


def test_a_failed_delivery_leaves_nothing_and_the_next_is_worked_on(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    deal = stories[0]
    odd = replace(news(deal[0].deal_id, 0), text="a\0b")
    give(database, delivery(*deal, odd, key="a", at=NOW), delivery(*deal, key="b", at=NOW))
    own = processor(database, scorer, now=lambda: NOW)

    assert work_all(own) == 2
    with database.reading() as connection:
        assert "U+0000" in (inbox.find(connection, 1).reason or "")
        assert inbox.find(connection, 2).state == "done"
        assert len(events.of_deal(connection, deal[0].deal_id)) == len(deal)


@pytest.mark.parametrize("values", [{"source_id": LONG}, {"deal_id": LONG}, {"name": LONG}])
@pytest.mark.parametrize("is_limited", [True, False])
def test_an_id_too_long_to_be_put_in_order_holds_up_no_other_delivery(
    values: dict[str, str], is_limited: bool, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_limited:  # as far as the database itself goes
        monkeypatch.setattr("service.storage.events.check_length", lambda *_: None)
    odd = replace(news("D-1", 1, "owner_changed", name="ann"), **values)
    give(database, delivery(odd, key="a", at=NOW), delivery(news("D-2", 2), key="b", at=NOW))
    assert work_all(processor(database, now=lambda: NOW)) == 2

    with database.reading() as connection:
        first, second = (inbox.find(connection, number) for number in (1, 2))
    assert second.state == "done"
    if is_limited:
        assert first.state == "failed"
        assert "bytes" in (first.reason or "")


@on_sqlite
def test_of_several_deliveries_of_one_transaction_each_stands_or_fails_alone(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    first, second = stories[:2]
    odd = replace(news(first[0].deal_id, 0), text="a\0b")
    give(database, delivery(*first, key="a", at=NOW))
    give(database, delivery(odd, *second, key="b", at=NOW), delivery(key="c", at=NOW, body=b"{"))
    give(database, delivery(news(first[0].deal_id, 1), key="d", at=NOW))

    assert processor(database, scorer, now=lambda: NOW).work() == 4
    with database.reading() as connection:
        states = [inbox.find(connection, number).state for number in (1, 2, 3, 4)]
        assert states == ["done", "failed", "failed", "done"]
        assert len(events.of_deal(connection, first[0].deal_id)) == len(first) + 1
        assert events.of_deal(connection, second[0].deal_id) == []
    assert len(rows(database, SCORES, "id")) == 2


@on_sqlite
def test_the_worker_ends_its_transaction_for_whoever_waits_to_write(
    database: Database,
    another: Callable[[], Database],
    scorer: Scorer,
    stories: list[list[Event]],
) -> None:
    receiver = another()
    given = [delivery(*deal, key=deal[0].deal_id, at=NOW) for deal in stories[:3]]
    waiting = threading.Thread(target=give, args=(receiver, delivery(key="late", at=NOW)))

    def receive(step: str) -> None:
        if step == "taken" and waiting.ident is None:
            waiting.start()
            while not database.is_awaited():
                time.sleep(0.001)

    give(database, *given)
    own = processor(database, scorer, now=lambda: NOW, step=receive)

    assert own.work() == 1
    waiting.join()
    assert work_all(own) == 3


def test_a_fault_of_ours_fails_one_delivery_and_its_words_are_not_logged(
    database: Database,
    scorer: Scorer,
    stories: list[list[Event]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fault(step: str) -> None:
        if step == "scored":
            raise ZeroDivisionError("oh")

    give(database, delivery(*stories[0], key="a", at=NOW))
    work_all(processor(database, scorer, now=lambda: NOW, step=fault))

    with database.reading() as connection:
        assert inbox.find(connection, 1).reason == "a fault of Redflare: ZeroDivisionError: oh"
    assert rows(database, EVENTS, "id") == rows(database, SCORES, "id") == []
    assert not [
        each for each in caplog.records if each.exc_info or "oh" in TextLines().format(each)
    ]
    assert any("ZeroDivisionError at " in TextLines().format(each) for each in caplog.records)
    with database.writing() as connection:
        inbox.retry(connection, None)
    work_all(processor(database, scorer, now=lambda: NOW))
    assert len(rows(database, SCORES, "id")) == 1


def test_a_delivery_that_is_done_tells_more_once_its_mapping_was_mended(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    deal = stories[0]
    whole = delivery(*deal, key="a", at=NOW)
    give(database, whole)

    class Mending:
        """Tells all but the last event until it is mended."""

        is_mended = False

        def translate(self, kept: Delivery) -> Translation:
            told = RECEIVER.translate(kept)
            return told if self.is_mended else replace(told, events=told.events[:-1])

    receiver: Any = Mending()
    own = processor(database, scorer, now=lambda: NOW, receivers={SOURCE: receiver})
    work_all(own)
    assert len(rows(database, EVENTS, "id")) == len(deal) - 1
    receiver.is_mended = True
    for _ in range(2):
        with database.writing() as connection:
            inbox.retry(connection, [1])
        work_all(own)

    with database.reading() as connection:
        assert inbox.find(connection, 1).state == "done"
    assert len(rows(database, EVENTS, "id")) == len(deal)
    kept = rows(database, SCORES, "id", "inbox_id", "cause")
    assert [row[1:] for row in kept] == [(1, "delivery"), (None, "delivery")]


def test_a_red_flare_is_told_once_until_it_clears(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    deal = stories[0]
    deal_id = deal[0].deal_id
    due = (AS_OF + timedelta(days=1)).date()
    gate = [
        news(deal_id, 0, "milestone_set", name="pilot", date=due),
        news(deal_id, 1, "must_hit_declared", name="pilot", text="ann"),
    ]
    now = [NOW]
    own = processor(database, scorer, now=lambda: now[0])
    give(database, delivery(*deal, *gate, key="a", at=NOW))
    work_all(own)

    def alerts() -> list[str]:
        with database.reading() as connection:
            return [
                each.entry.payload["red_flare"]["phrase"]
                for each in outbox.listed(connection)
                if each.entry.kind == RED_FLARE_RAISED
                and each.entry.payload["red_flare"]["subject"]
            ]

    assert alerts() == []
    for _ in range(3):  # the due date has passed, and days go by
        now[0] += timedelta(days=1.5)
        assert own.tick() >= 1
    (alert,) = alerts()
    assert "'pilot' missed" in alert
    with database.reading() as connection:
        told = [e.entry.payload for e in outbox.listed(connection)]
        row = deals.find(connection, deal_id)
    assert row is not None
    said = [each["deal"] for each in told if "red_flare" in each]
    assert {(each["owner"], each["stage"]) for each in said} == {(row.owner, row.stage)}
    reached = replace(
        news(deal_id, 2, "milestone_reached", name="pilot"), occurred_at=now[0], known_at=now[0]
    )
    give(database, delivery(reached, key="b", at=now[0]))
    work_all(own)
    with database.reading() as connection:
        assert not [each for each in flares.standing(connection, deal_id) if each.subject]
    assert len(alerts()) == 1


@pytest.mark.parametrize("is_loaded", [True, False])
def test_what_stands_at_the_first_look_at_a_loaded_deal_is_no_news(
    is_loaded: bool, database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    deal, deal_id = stories[0], stories[0][0].deal_id
    due = (AS_OF - timedelta(days=2)).date()
    gate = [
        replace(each, occurred_at=AS_OF - timedelta(days=3))
        for each in (
            news(deal_id, 0, "milestone_set", name="pilot", date=due),
            news(deal_id, 1, "must_hit_declared", name="pilot", text="ann"),
        )
    ]
    # Without a model nothing is looked at: so a deal stands that was loaded.
    give(database, delivery(*deal, *gate, news(deal_id, 2), key="a", at=NOW))
    work_all(processor(database, None if is_loaded else scorer, now=lambda: NOW))
    own = processor(database, scorer, now=lambda: NOW)
    own.tick()

    with database.reading() as connection:
        stood = [each for each in flares.standing(connection, deal_id) if each.subject]
        told = [e for e in outbox.listed(connection) if e.entry.kind == RED_FLARE_RAISED]
    assert len(stood) == 1
    assert bool(told) is not is_loaded


def test_a_delivery_worked_on_after_a_later_one_forgets_nothing_that_one_told(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    deal, deal_id = stories[0], stories[0][0].deal_id
    later = news(deal_id, 40, "stage_changed", name="later", number=5.0)
    own = processor(database, scorer, now=lambda: NOW)
    for key, told, at in (("b", [*deal, later], NOW), ("a", [news(deal_id, 1)], AS_OF)):
        give(database, delivery(*told, key=key, at=at))
        work_all(own)

    assert rows(database, DEALS, "stage", "scored_as_of") == [("later", microseconds(known(later)))]


def test_a_tick_scores_what_only_time_has_changed(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    for index, deal in enumerate(stories[:3]):
        give(database, delivery(*deal, key=str(index), at=NOW))
    now = [NOW]
    own = processor(database, scorer, now=lambda: now[0])
    work_all(own)
    now[0] = NOW + timedelta(days=3)
    before = len(rows(database, SCORES, "id"))

    assert own.tick() == 3
    assert own.tick() == 0
    assert len(rows(database, SCORES, "id")) == before + 3
    assert {as_of for (as_of,) in rows(database, DEALS, "scored_as_of")} == {microseconds(now[0])}


def test_loading_events_takes_no_score_back_and_the_next_tick_looks_at_them(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    give(database, delivery(*stories[0], key="0", at=NOW))
    own, deal_id = processor(database, scorer, now=lambda: NOW), stories[0][0].deal_id
    work_all(own)

    def scored_as_of() -> int | None:
        with database.reading() as connection:
            row = deals.find(connection, deal_id)
        assert row is not None
        found: int | None = row.scored_as_of
        return found

    before = scored_as_of()
    with database.writing() as connection:
        deals.open_for_now(connection, [deal_id])

    assert before is not None
    assert scored_as_of() == before
    assert [own.tick(), own.tick()] == [1, 0]
    assert scored_as_of() == microseconds(NOW)


def test_a_deal_that_cannot_be_scored_holds_up_no_other(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    for index, deal in enumerate(stories[:3]):
        give(database, delivery(*deal, key=str(index), at=NOW))
    work_all(processor(database, scorer, now=lambda: NOW))
    before = len(rows(database, SCORES, "id"))
    steps: list[str] = []

    def fault(step: str) -> None:
        steps.append(step)
        if steps == ["scored"]:
            raise ZeroDivisionError("oh")

    metrics = Metrics()
    later = NOW + timedelta(days=3)
    own = processor(database, scorer, now=lambda: later, step=fault, metrics=metrics)

    assert own.tick() == 3
    assert own.tick() == 0
    assert len(rows(database, SCORES, "id")) == before + 2
    assert {as_of for (as_of,) in rows(database, DEALS, "scored_as_of")} == {microseconds(later)}
    assert [metrics.ticked.labels(each)._value.get() for each in ("failed", "done")] == [1, 2]


def test_a_deal_that_is_told_of_too_early_is_seen_when_it_is_known(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    deal_id = "D-1"
    early = [
        replace(each, deal_id=deal_id, known_at=NOW + timedelta(days=3), source_id=f"{index}")
        for index, each in enumerate(stories[0])
    ]
    now = [NOW]
    own = processor(database, scorer, now=lambda: now[0])
    give(database, delivery(*early, key="a", at=NOW))
    work_all(own)
    assert rows(database, DEALS, "is_open", "known_at") == [(True, None)]

    assert own.tick() == 1
    assert rows(database, SCORES, "id") == []
    now[0] += timedelta(days=4)
    assert own.tick() == 1
    assert rows(database, DEALS, "is_open", "stage") != [(True, None)]
    assert len(rows(database, SCORES, "id")) == 1


def test_without_a_model_events_are_kept_and_scored_when_there_is_one(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    give(database, delivery(*stories[0], key="a", at=NOW))
    work_all(processor(database, None, now=lambda: NOW))
    assert rows(database, SCORES, "id") == []
    assert rows(database, DEALS, "is_open") == [(True,)]

    assert processor(database, scorer, now=lambda: NOW).tick() == 1
    assert len(rows(database, SCORES, "id")) == 1


def test_nothing_of_a_forgotten_deal_comes_back(
    database: Database, scorer: Scorer, stories: list[list[Event]]
) -> None:
    deal = stories[0]
    deal_id = deal[0].deal_id
    own = processor(database, scorer, now=lambda: NOW)
    give(database, delivery(*deal, key="a", at=NOW))
    work_all(own)
    with database.writing() as connection:
        stone = tombstones.forget_deal(connection, deal_id, by="ann", at=microseconds(NOW))
    give(database, delivery(*deal, news(deal_id, 9), key="b", at=NOW))
    work_all(own)

    assert stone.counts["events"] == len(deal)
    with database.reading() as connection:
        assert events.of_deal(connection, deal_id) == []
        assert inbox.find(connection, 1).delivery.body == b""
        assert inbox.find(connection, 2).events == 0
        assert [each.subject for each in tombstones.listed(connection)] == [
            tombstones.subject_of(deal_id)
        ]
    for table in (SCORES, OUTBOX, DEALS):
        assert rows(database, table, "deal_id") == []


@on_postgresql
def test_forgetting_waits_for_who_keeps_what_is_to_be_forgotten(
    database: Database, stories: list[list[Event]]
) -> None:
    deal = stories[0]
    forgotten = threading.Event()

    def forget() -> None:
        with database.writing() as connection:
            tombstones.forget_deal(connection, deal[0].deal_id, by="ann", at=0)
        forgotten.set()

    thread = threading.Thread(target=forget)

    def waits() -> bool:
        query = text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        with database.reading() as connection:
            return connection.execute(query).first() is not None

    def step(name: str) -> None:
        if name == "appended":
            thread.start()
            while not waits() and not forgotten.is_set():
                pass

    give(database, delivery(*deal, key="a", at=NOW))
    work_all(processor(database, now=lambda: NOW, step=step))
    thread.join()

    assert rows(database, EVENTS, "id") == rows(database, DEALS, "deal_id") == []
    with database.reading() as connection:
        assert inbox.find(connection, 1).delivery.body == b""


def test_no_body_of_a_forgotten_deal_stays_however_often_it_was_told_or_failed(
    database: Database,
) -> None:
    told = [news("D-1", 0, "deal_opened"), news("D-1", 1, person="p" * 32)]
    other = news("D-11", 0, "deal_opened")
    odd = replace(news("D-1", 2), text="a\0b")
    give(
        database,
        delivery(*told, key="first", at=NOW),
        delivery(*told, other, key="again", at=NOW),
        delivery(odd, key="failed", at=NOW),
        delivery(other, key="of another", at=NOW),
        delivery(key="failed of another", at=NOW, body=b'{"deal_id": "D-11"'),
        delivery(key="broken", at=NOW, body=b'{"deal_id": "D-1"'),
    )
    own = processor(database, now=lambda: NOW)
    work_all(own)

    def with_bodies() -> list[str]:
        with database.reading() as connection:
            kept = [each.id for each in inbox.listed(connection)]
            found = [inbox.find(connection, each).delivery for each in kept]
        return sorted(each.dedupe_key for each in found if each.body)

    with database.writing() as connection:
        stone = tombstones.forget_deal(connection, "D-1", by="ann", at=0)
    assert stone.counts["inbox"] == 4
    assert with_bodies() == ["failed of another", "of another"]
    give(database, delivery(*told, key="later", at=NOW))
    work_all(own)
    assert with_bodies() == ["failed of another", "of another"]
    assert rows(database, RETOLD, "deal_id") == [("D-11",)]


@pytest.mark.parametrize("subject", ["D-1", "Ann@example.com"])
def test_no_delivery_that_names_the_forgotten_stays_though_no_event_of_it_does(
    subject: str, database: Database
) -> None:
    class Dropping:
        """Tells of another deal alone, and of what it leaves out in a note."""

        def translate(self, kept: Delivery) -> Translation:
            said = json.loads(kept.body)["said"]
            return Translation(events=(news("D-2", 1),), notes=(f"left out: {said}",))

    receiver: Any = Dropping()
    for key in ("deal D-1: of ann@EXAMPLE.com", "deal D-11: of joann@example.com"):
        body = json.dumps({"said": key}).encode()
        give(database, delivery(key=key, at=NOW, body=body))
    work_all(processor(database, now=lambda: NOW, receivers={SOURCE: receiver}))
    with database.writing() as connection:
        if subject == "D-1":
            tombstones.forget_deal(connection, subject, by="ann", at=0)
        else:
            tombstones.forget_person(connection, "p" * 32, by="ann", at=0, said=subject)

    with database.reading() as connection:
        first, second = (inbox.find(connection, number) for number in (1, 2))
    assert (first.delivery.body, first.notes) == (b"", ())
    assert second.delivery.body
    assert len(second.notes) == 1


def test_no_body_of_a_forgotten_person_stays_however_often_it_was_told(database: Database) -> None:
    told = [news("D-1", 0, "deal_opened"), news("D-1", 1, person="p" * 32)]
    give(
        database,
        *(delivery(*told, key=key, at=NOW) for key in ("first", "again")),
        delivery(told[0], key="of nobody", at=NOW),
    )
    work_all(processor(database, now=lambda: NOW))
    with database.reading() as connection:
        (person,) = {each.person for each in events.of_deal(connection, "D-1")} - {None}
    with database.writing() as connection:
        assert tombstones.forget_person(connection, person, by="ann", at=0).counts["inbox"] == 2

    with database.reading() as connection:
        bodies = {each: bool(inbox.find(connection, each).delivery.body) for each in (1, 2, 3)}
    assert bodies == {1: False, 2: False, 3: True}


def test_a_forgotten_person_is_nobody_and_what_happened_stays(database: Database) -> None:
    reply = news("D-1", 0, "customer_replied", person="p" * 32, text="words", thread="t")
    other = news("D-1", 1, "customer_replied", person="q" * 32)
    own = processor(database, None, now=lambda: NOW)
    opened = news("D-1", 2, "deal_opened")
    hashed = [opened, reply, other]
    give(database, delivery(*hashed, key="a", at=NOW))
    work_all(own)
    with database.reading() as connection:
        person = next(
            each.person for each in events.of_deal(connection, "D-1") if each.text == "words"
        )
    assert person is not None
    with database.writing() as connection:
        stone = tombstones.forget_person(connection, person, by="ann", at=0)
    give(database, delivery(*hashed, key="b", at=NOW))
    work_all(own)

    assert stone.counts == {"inbox": 1, "events": 1}
    with database.reading() as connection:
        found = events.of_deal(connection, "D-1")
        assert inbox.find(connection, 2).notes == ()  # told again, it is no contradiction
    assert [each.kind for each in found].count("customer_replied") == 2
    assert {each.person for each in found if each.person} == {found[1].person}
    assert all(each.text is None and each.thread is None for each in found)


def test_a_policy_of_points_and_drivers_says_what_is_news() -> None:
    from service.rescoring import is_news

    before = deals.Told(probability=0.5, drivers=("a", "b", "c"))
    cases = {
        (0.5, ("a", "b", "c")): False,
        (0.5, ("c", "a", "b")): False,
        (0.5, ("a", "b", "d")): True,
        (0.549, ("a", "b", "c")): False,
        (0.45, ("a", "b", "c")): True,
        (None, ("a", "b", "c")): True,
    }
    for (probability, drivers), told in cases.items():
        now = deals.Told(probability=probability, drivers=drivers)
        assert is_news(before, now, Policy()) is told, (probability, drivers)
    assert is_news(None, before, Policy())
