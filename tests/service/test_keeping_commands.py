"""The commands about what a database keeps, as users type them, on both databases."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from model.event_table import read_events, write_events
from model.events import Event, microseconds
from model.person_key import VARIABLE as KEY_VARIABLE
from model.scorer import Scorer
from model.sources.persons import person_of
from service import cli
from service.composition import check_key
from service.doctor import examine
from service.sending import Sending
from service.storage import (
    arrivals,
    audit,
    deals,
    events,
    inbox,
    models,
    outbox,
    scores,
    tombstones,
)
from service.storage.database import VARIABLE, Database, open_database
from service.storage.retention import retain
from service.storage.upgrade import upgrade
from service.webhooks.sources import SECRETS_VARIABLE
from service.writeback.addresses import ALLOWED_VARIABLE
from service.writeback.destinations import FILE_VARIABLE
from service.writeback.entry import Refused
from tests.service.databases import on_sqlite
from tests.service.deliveries import delivery, give, processor, work_all
from tests.service.requests import AS_OF
from tests.service.test_processing import known
from tests.service.test_sending import Destination
from training.simulate import Simulation

NOW = AS_OF + timedelta(days=1)
Say = Callable[..., str]


@pytest.fixture
def say(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Say:
    """Run a command on the database; what it printed, after checking its exit status."""
    monkeypatch.setenv(VARIABLE, url)
    monkeypatch.setenv("REDFLARE_PERSON_KEY", "a long random text of the company")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, status: int = 0) -> str:
        assert cli.main(list(arguments)) == status, capsys.readouterr().err
        shown = capsys.readouterr()
        return shown.out if status == 0 else shown.out + shown.err

    return run


def test_deliveries_are_listed_shown_and_retried(
    say: Say, database: Database, scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    give(
        database,
        delivery(*open_deals[0], key="good", at=NOW),
        delivery(key="odd", at=NOW, body=b"{", source="events"),
    )
    work_all(processor(database, scorer, now=lambda: NOW))
    listed = say("inbox", "list")

    assert "0 received, 1 done, 1 failed" in listed
    assert "new events" in listed
    (failed,) = json.loads(say("inbox", "list", "--state", "failed", "--json"))
    assert failed["dedupe_key"] == "odd"
    shown = json.loads(say("inbox", "show", str(failed["id"])))
    assert (shown["body"], shown["headers"]) == ("{", {"webhook-id": "odd"})
    assert say("inbox", "retry", str(failed["id"])) == "1 deliveries wait for the worker\n"
    assert say("inbox", "retry", "--all") == "0 deliveries wait for the worker\n"
    told = say("inbox", "retry", "99", "2", status=1)
    assert "2 is received: expected one that is failed or superseded or done" in told
    assert "99 is not in the inbox" in told
    assert "redflare inbox list" in told
    assert "redflare inbox list" in say("inbox", "show", "99", status=2)
    assert "exactly one of them" in say("inbox", "retry", status=2)


def test_write_backs_are_listed_shown_and_retried(
    say: Say, database: Database, scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    give(database, delivery(*open_deals[0], key="good", at=NOW))
    work_all(processor(database, scorer, now=lambda: NOW))
    refusing = Destination(Refused(reason="status 404: no deal"))
    Sending(database, {"crm": refusing}, lambda: NOW).send()

    assert "1 parked, 0 superseded" in say("outbox", "list")
    (parked,) = json.loads(say("outbox", "list", "--state", "parked", "--json"))
    assert (parked["destination"], parked["reason"]) == ("crm", "status 404: no deal")
    assert parked["delivery_id"] == delivery(key="good", at=NOW).id
    number = str(parked["number"])
    shown = json.loads(say("outbox", "show", number))
    assert shown["payload"]["score"]["deal_id"] == open_deals[0][0].deal_id
    assert say("outbox", "list", "--destination", "other", "--json") == "[]\n"
    assert say("outbox", "list", "--before", "1", "--json") == "[]\n"
    assert say("outbox", "retry", number).startswith("1 entries are due again, 0 were superseded")
    assert say("outbox", "retry", "--all").startswith("0 entries")
    told = say("outbox", "retry", number, "99", status=1)
    assert f"entry {number} is pending: expected one that is parked" in told
    assert "99 is not in the outbox" in told
    assert "redflare outbox list" in say("outbox", "show", "99", status=2)
    assert "exactly one of them" in say("outbox", "retry", status=2)


def test_a_key_is_printed_once(say: Say) -> None:
    key = say("keys", "create", "dashboard", "--scope", "write", "--owner", "ann").strip()
    (listed,) = json.loads(say("keys", "list", "--json"))

    assert key.startswith(listed["key_id"])
    assert (listed["scopes"], listed["owners"]) == (["write"], ["ann"])
    assert key not in say("keys", "list")
    say("keys", "revoke", listed["key_id"])
    assert "revoked" in say("keys", "list")
    assert "redflare keys list" in say("keys", "revoke", listed["key_id"], status=2)


def test_a_model_is_installed_once_and_listed(
    say: Say, small_artifact: Path, scorer: Scorer, tmp_path: Path
) -> None:
    version = scorer.artifact.model_version

    assert say("model", "install", str(small_artifact)) == f"model {version} is in force\n"
    assert say("model", "install", str(small_artifact)) == f"model {version} is in force already\n"
    assert json.loads(say("model", "list", "--json"))[0]["in_force"] is True
    assert "train again" in say("model", "install", str(tmp_path), status=2)


def test_events_loaded_are_exported_as_they_were_and_scored_at_the_next_tick(
    say: Say,
    database: Database,
    scorer: Scorer,
    small_company: Simulation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "STREAMED", 1_000)
    log = tmp_path / "log.parquet"
    write_events(small_company.events.slice(0, 3_000), log)
    loaded = say("db", "load-events", str(log))
    again = say("db", "load-events", str(log))
    say("export-events", "--out", "out.parquet")

    assert loaded.startswith("3000 new events of 3000")
    assert again.startswith("0 new events of 3000")
    assert read_events(tmp_path / "out.parquet").equals(read_events(log))
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups >= 1
    deal_ids = set(read_events(log)["deal_id"].to_pylist())
    assert processor(database, scorer, now=lambda: NOW).tick() == len(deal_ids)
    with database.reading() as connection:
        assert any(scores.latest(connection, deal_id) is not None for deal_id in deal_ids)


def test_a_person_is_forgotten_by_an_address_and_their_deals_are_scored_at_once(
    say: Say, database: Database, small_artifact: Path, open_deals: list[list[Event]]
) -> None:
    from service.webhooks.mapped import Terms
    from service.webhooks.standard import StandardReceiver

    own = processor(database)
    terms = Terms(mapping="", person_key=lambda: b"a long random text of the company")
    own._receivers = {"events": StandardReceiver(keys=(b"k" * 32,), terms=terms)}
    reply = Event(
        deal_id="D-1",
        kind="customer_replied",
        occurred_at=AS_OF,
        source="mail",
        source_id="1",
        person="Ann@Example.com",
        text="words",
    )
    give(database, delivery(reply, key="a", at=NOW))
    work_all(own)

    with database.writing() as connection:
        models.install(connection, *models.read_artifact(small_artifact), at=0)
        events.append(connection, open_deals[0], at=0)
        ann = person_of("ann@example.com", b"a long random text of the company")
        told = replace(reply, deal_id=open_deals[0][0].deal_id, source_id="2", person=ann)
        events.append(connection, [told], at=0)
        deals.lock(connection, [told.deal_id])
    assert "2 of events" in say("forget", "--person", "ann@example.com")
    with database.reading() as connection:  # scored at once, where the next tick is far
        (made,) = scores.history(connection, told.deal_id)
    assert (made.cause, made.as_of) == ("forgetting", made.made_at)
    assert "person" in say("forget", "--list")
    first = say("forget", "--person", "ANN@example.com")  # what became of it then
    assert "2 of events" in first
    with database.reading() as connection:
        (found,) = events.of_deal(connection, "D-1")
    assert (found.person, found.text) == (None, None)
    assert "exactly one of them" in say("forget", status=2)


def test_forgetting_somebody_of_whom_nothing_is_kept_is_no_success(say: Say) -> None:
    assert "--deal 'D-l': expected one of whom anything is kept" in say(
        "forget", "--deal", "D-l", status=1
    )
    assert "--person 'nobody@example.com'" in say(
        "forget", "--person", "nobody@example.com", status=1
    )
    assert "deal" in say("forget", "--deal", "D-l")  # forgotten before, with who and when


def test_what_is_old_is_let_go_and_what_scores_need_stays(
    say: Say,
    database: Database,
    scorer: Scorer,
    open_deals: list[list[Event]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.storage.retention.AT_ONCE", 1)
    now = [NOW]
    own = processor(database, scorer, now=lambda: now[0])
    open_deals = [[each for each in deal if known(each) <= NOW] for deal in open_deals]
    for index, deal in enumerate(open_deals[:3]):
        give(database, delivery(*deal, key=str(index), at=NOW))
    give(database, delivery(key="odd", at=NOW, body=b"{"))
    work_all(own)
    while Sending(database, {"crm": Destination()}, lambda: now[0]).send():
        pass
    now[0] += timedelta(days=40)
    own.tick()
    closed = open_deals[0][0].deal_id
    won = Event(deal_id=closed, kind="deal_won", occurred_at=now[0], source="crm", source_id="won")
    give(database, delivery(won, key="won", at=now[0]))
    work_all(own)
    now[0] += timedelta(days=30)
    own.tick()
    with database.reading() as connection:
        kept = events.count(connection)
        last = [scores.latest(connection, deal[0].deal_id) for deal in open_deals[:3]]

    def let_go(days: float, **asked: bool) -> audit.Deed:
        at = microseconds(now[0])
        cut = at - int(days * 86_400_000_000)
        given = {"failed": False, "closed_deals": False} | asked
        return retain(database, cut, at=at, by="ann", **given)

    assert let_go(100).detail == {
        "inbox": 0,
        "outbox": 0,
        "scores": 0,
        "deals": 0,
        "older_than": microseconds(now[0] - timedelta(days=100)),
    }
    first = let_go(50).detail
    assert (first["inbox"], first["scores"], first["deals"]) == (3, 3, 0)
    assert first["outbox"] >= 3
    with database.reading() as connection:
        bodies = [inbox.find(connection, number).delivery.body for number in (5, 4, 3, 2, 1)]
        assert [len(body) > 0 for body in bodies] == [True, True, False, False, False]
        assert events.count(connection) == kept
        assert [scores.latest(connection, deal[0].deal_id) for deal in open_deals[:3]] == last
        assert outbox.counts(connection)["sent"] == 0
        assert outbox.counts(connection)["pending"] > 0
    assert give(database, delivery(*open_deals[1], key="1", at=now[0])) == [False]

    assert let_go(50, failed=True).detail["inbox"] == 1
    assert let_go(35, closed_deals=True).detail["deals"] == 0
    assert let_go(20, closed_deals=True).detail["deals"] == 1
    with database.reading() as connection:
        assert events.of_deal(connection, closed) == []
        assert events.count(connection) < kept
        assert tombstones.listed(connection) == []
    assert len(say("retain", "--list").splitlines()) == 5
    assert "by ann, before" in say("retain", "--list")
    assert "at least 14 days" in say("retain", "--older-than", "13", status=2)
    assert "exactly one of them" in say("retain", status=2)
    assert json.loads(say("retain", "--older-than", "90", "--json"))["what"] == "retain"


def test_a_deal_that_was_let_go_and_is_opened_again_is_not_swallowed(
    database: Database, scorer: Scorer
) -> None:
    def told(kind: str, days: int) -> Event:
        at = AS_OF - timedelta(days=days)
        return Event(deal_id="D-9", kind=kind, occurred_at=at, source="crm", source_id=kind)

    own, again = processor(database, scorer), told("deal_reopened", 1)
    give(database, delivery(told("deal_opened", 99), told("deal_lost", 50), key="1", at=AS_OF))
    work_all(own)
    old, now = microseconds(AS_OF - timedelta(days=30)), microseconds(AS_OF)
    done = retain(database, old, at=now, by="ann", failed=False, closed_deals=True)
    give(database, delivery(again, key="2", at=AS_OF))
    work_all(own)

    assert done.detail["deals"] == 1
    with database.reading() as connection:
        assert events.of_deal(connection, "D-9") == [again]


def test_a_deal_whose_opening_was_never_told_is_not_let_go_as_closed(
    database: Database, scorer: Scorer
) -> None:
    at = AS_OF - timedelta(days=50)
    told = [
        Event(deal_id=deal_id, kind=kind, occurred_at=at, number=5.0, source="crm", source_id=name)
        for deal_id, kind, name in (
            ("D-8", "amount_changed", "8/amount"),
            ("D-9", "amount_changed", "9/amount"),
            ("D-9", "deal_lost", "9/lost"),
        )
    ]
    give(database, delivery(*told, key="1", at=AS_OF))
    work_all(processor(database, scorer, now=lambda: AS_OF))
    old, now = microseconds(AS_OF - timedelta(days=30)), microseconds(AS_OF)
    retain(database, old, at=now, by="ann", failed=False, closed_deals=True)

    with database.reading() as connection:
        kept = [len(events.of_deal(connection, deal_id)) for deal_id in ("D-8", "D-9")]
    assert kept == [1, 0]


def test_another_key_for_people_is_refused(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    say("forget", "--person", "ann@example.com", status=1)
    monkeypatch.setenv("REDFLARE_PERSON_KEY", "another text")

    assert "people would be told apart wrongly" in say("forget", "--person", "bob", status=2)


@on_sqlite
def test_a_backup_overwrites_neither_the_database_nor_what_is_no_backup(
    say: Say, database: Database, tmp_path: Path
) -> None:
    assert database.path is not None
    before = database.path.stat().st_ino
    assert "another file than the database" in say("backup", str(database.path), status=2)
    assert database.path.stat().st_ino == before
    notes = tmp_path / "notes.txt"
    notes.write_text("what was said", "utf-8")
    assert "no backup: expected a new file" in say("backup", "notes.txt", status=2)
    assert notes.read_text("utf-8") == "what was said"
    say("backup", "copy.db")
    say("backup", "copy.db")


def test_a_backup_is_taken_while_others_write_and_brought_back(
    say: Say, database: Database, tmp_path: Path
) -> None:
    if not database.is_sqlite:
        assert "use pg_dump" in say("backup", "copy.db", status=2)
        return
    give(database, delivery(key="before", at=NOW))
    with database.writing() as connection:
        arrivals.add(connection, [delivery(key="not committed", at=NOW)])
        say("backup", "copy.db")
    give(database, delivery(key="after", at=NOW))

    assert "--replace" in say("restore", "copy.db", status=2)
    database.close()
    say("restore", "copy.db", "--replace")
    with database.reading() as connection:
        assert [each.delivery.dedupe_key for each in inbox.listed(connection)] == ["before"]
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]


@on_sqlite
def test_what_a_service_uses_is_not_replaced(say: Say, database: Database) -> None:
    say("backup", "copy.db")
    database.use()

    assert "stop redflare serve and redflare worker" in say(
        "restore", "copy.db", "--replace", status=2
    )
    database.close()
    say("restore", "copy.db", "--replace")


@on_sqlite
def test_a_backup_ends_while_another_writes_without_a_pause(say: Say, database: Database) -> None:
    give(database, delivery(key="large", at=NOW, body=b"x" * 20_000_000))
    most, written = 5_000, 0
    ended = threading.Event()

    def write() -> None:
        nonlocal written
        other = open_database(str(database.url))
        while written < most and not ended.is_set():
            give(other, delivery(key=str(written), at=NOW, body=b"x" * 10_000))
            written += 1
        other.close()

    writer = threading.Thread(target=write)
    writer.start()
    say("backup", "copy.db")
    ended.set()
    writer.join()

    assert written < most


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "none"])
@on_sqlite
def test_a_copy_that_is_not_whole_is_not_brought_back(
    damage: str, say: Say, database: Database, tmp_path: Path
) -> None:
    say("backup", "copy.db")
    copy = tmp_path / "copy.db"
    content = copy.read_bytes()
    match damage:
        case "cut":
            copy.write_bytes(content[: len(content) // 2])
        case "text":
            copy.write_text("no database")
        case "empty":
            copy.write_bytes(b"")
        case "none":
            copy.unlink()

    assert "Remedy" in say("restore", "copy.db", "--replace", status=2)
    with database.reading() as connection:
        assert inbox.counts(connection)["received"] == 0


def test_the_doctor_names_what_is_wrong_and_what_to_do(
    say: Say, database: Database, small_artifact: Path
) -> None:
    shown = say("doctor", status=1)
    assert "redflare model install DIRECTORY" in shown
    assert "set REDFLARE_WEBHOOKS or REDFLARE_WEBHOOK_SECRETS" in shown

    say("model", "install", str(small_artifact))
    give(database, delivery(key="a", at=NOW))
    environment = {
        SECRETS_VARIABLE: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "REDFLARE_PERSON_KEY": "a long random text of the company",
    }
    verdicts = {
        check.name: check.verdict
        for check in examine(database, environment, NOW + timedelta(seconds=20))
        if check.name not in ("sqlite", "clock")
    }
    assert set(verdicts.values()) == {"ok"}, verdicts
    late = {check.name: check for check in examine(database, environment, NOW + timedelta(hours=2))}
    assert late["inbox"].verdict == "failed"
    assert "waits for 7200 s" in late["inbox"].found


def test_the_doctor_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "redflare.db"
    made = open_database(f"sqlite:///{path}", create=True)
    upgrade(made)
    before = sorted(each.name for each in tmp_path.iterdir())

    checks = {check.name: check for check in examine(made, {}, NOW)}
    assert checks["person key"].found == "none yet: the first start makes it"
    assert sorted(each.name for each in tmp_path.iterdir()) == before
    check_key(made, b"a key that was lost")
    lost = {check.name: check for check in examine(made, {}, NOW)}["person key"]
    assert (lost.verdict, "bring the file back" in lost.remedy) == ("failed", True)
    other = {KEY_VARIABLE: "another"}
    assert {check.name: check.verdict for check in examine(made, other, NOW)}[
        "person key"
    ] == "failed"
    made.close()


@pytest.mark.parametrize(
    ("entries", "allowed", "verdict", "said"),
    [
        ('url = "https://10.0.0.7/"', "", "failed", "hook: 10.0.0.7"),
        ('url = "https://10.0.0.7/"', "10.0.0.0/8", "ok", "hook"),
        ('url = "https://9.9.9.9/"\nsources = ["hs"]', "", "warning", "of sources hs no event"),
        ('url = "https://9.9.9.9/"\nsources = ["crm"]', "", "ok", "hook"),
    ],
)
def test_the_doctor_names_a_destination_that_is_not_allowed_or_takes_nothing(
    database: Database, tmp_path: Path, entries: str, allowed: str, verdict: str, said: str
) -> None:
    told = Event(
        deal_id="D-1", kind="deal_opened", occurred_at=AS_OF, source="crm", source_id="D-1/1"
    )
    give(database, delivery(told, key="1", at=AS_OF))
    work_all(processor(database))
    path = tmp_path / "destinations.toml"
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    path.write_text(f'[destinations.hook]\nkind = "callback"\nsecrets = ["{secret}"]\n{entries}\n')
    given = {FILE_VARIABLE: str(path), ALLOWED_VARIABLE: allowed}
    found = {check.name: check for check in examine(database, given, NOW)}["destinations"]

    assert (found.verdict, said in found.found) == (verdict, True)
    if verdict == "failed":
        assert ALLOWED_VARIABLE in found.remedy


def test_the_doctor_of_a_database_out_of_reach_says_so() -> None:
    database = open_database("postgresql://ann@127.0.0.1:1/name")
    checks = {check.name: check.verdict for check in examine(database, {}, NOW)}
    database.close()

    assert checks["migrations"] == checks["inbox"] == "failed"
    assert checks["destinations"] == "ok"
