"""A database by its URL, and what its transactions promise."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event, func, select, text

from model.person_key import PersonKeyError
from service.composition import found_person_key, person_key
from service.storage import deals, turn
from service.storage.backup import copy_in, copy_out
from service.storage.database import Database, open_database, read_url
from service.storage.errors import StorageError, StoreUnavailable
from service.storage.schema import INSTALLATION
from service.storage.upgrade import upgrade
from tests.service.databases import on_sqlite


@pytest.mark.parametrize(
    "given",
    [
        "redflare.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://host/name",
        "sqlite:///a.db?mode=ro",
        "",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_those_that_can(given: str) -> None:
    with pytest.raises(StorageError, match="expected sqlite:///FILE or postgresql://"):
        read_url(given)


def test_no_message_tells_the_password() -> None:
    with pytest.raises(StorageError) as refusal:
        read_url("mysql://ann:secret@host/name")

    assert "secret" not in str(refusal.value)
    assert "secret" not in Database(read_url("postgresql://ann:secret@host/name")).name


def test_a_missing_file_is_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="redflare db upgrade"):
        open_database(f"sqlite:///{tmp_path / 'nowhere.db'}")

    assert list(tmp_path.iterdir()) == []


def test_what_holds_deliveries_is_for_its_owner_alone(tmp_path: Path) -> None:
    path, copy = tmp_path / "redflare.db", tmp_path / "copy.db"
    database = open_database(f"sqlite:///{path}", create=True)
    upgrade(database)
    copy_out(database, copy)
    restored = open_database(f"sqlite:///{tmp_path / 'restored.db'}", create=True)
    copy_in(restored, copy, replace=False)

    held = {each.name: oct(each.stat().st_mode & 0o777) for each in tmp_path.glob("*.db*")}

    assert held.keys() >= {"redflare.db", "redflare.db-wal", "copy.db", "restored.db"}
    full = {name for name in held if (tmp_path / name).stat().st_size}
    assert {name: held[name] for name in full} == dict.fromkeys(full, "0o600")
    for each in (database, restored):
        each.close()


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="a folder that is there"):
        open_database(f"sqlite:///{tmp_path / 'no' / 'such.db'}", create=True)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    database = open_database("postgresql://ann@127.0.0.1:1/name")

    with pytest.raises(StoreUnavailable, match="redflare doctor"), database.reading():
        pass
    database.close()


def test_a_sqlite_commit_lasts_and_foreign_keys_hold(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'redflare.db'}", create=True)
    with database.reading() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    database.close()


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    def write_and_raise() -> None:
        with database.writing() as connection:
            connection.execute(INSTALLATION.insert().values(name="a", value="b"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_raise()

    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(INSTALLATION)).scalar() == 0


def test_writers_wait_for_each_other(database: Database, another: Callable[[], Database]) -> None:
    """Each reads and writes back one more: none is lost, whoever they are."""
    with database.writing() as connection:
        connection.execute(INSTALLATION.insert().values(name="n", value="0"))

    def add(own: Database) -> None:
        for _ in range(20):
            with own.writing() as connection:
                row = select(INSTALLATION.c.value).with_for_update()
                value = int(connection.execute(row).scalar_one())
                connection.execute(INSTALLATION.update().values(value=str(value + 1)))

    threads = [threading.Thread(target=add, args=(own,)) for own in (database, database, another())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.reading() as connection:
        assert connection.execute(select(INSTALLATION.c.value)).scalar() == "60"


@on_sqlite
def test_a_reader_sees_one_state_while_another_writes(
    database: Database, another: Callable[[], Database]
) -> None:
    with database.reading() as connection:
        count = select(func.count()).select_from(INSTALLATION)
        before = connection.execute(count).scalar()
        with another().writing() as other:
            other.execute(INSTALLATION.insert().values(name="a", value="b"))

        assert connection.execute(count).scalar() == before


def test_a_database_held_by_another_program_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "BUSY_SECONDS", 0.05)
    path = tmp_path / "redflare.db"
    database = open_database(f"sqlite:///{path}", create=True)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    with pytest.raises(StoreUnavailable, match="locked"), database.writing():
        pass
    holder.close()
    database.close()


@on_sqlite
def test_who_has_written_lets_those_write_who_wait(
    database: Database, another: Callable[[], Database]
) -> None:
    order: list[str] = []

    def write_once(own: Database) -> None:
        with own.writing():
            order.append("another")

    for own in (database, another()):  # a thread of this process, and one of another
        waiting = threading.Thread(target=write_once, args=(own,))
        with database.writing():
            assert not database.is_awaited()
            order.append("first")
            waiting.start()
            while not database.is_awaited():
                time.sleep(0.001)
        with database.writing():
            order.append("again")
        waiting.join()

    assert order == ["first", "another", "again"] * 2


@on_sqlite
def test_a_turn_that_another_process_holds_is_waited_for_in_vain(
    database: Database, another: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "BUSY_SECONDS", 0.05)
    with (
        database.writing(),
        pytest.raises(StoreUnavailable, match="another process"),
        another().writing(),
    ):
        pass


@on_sqlite
def test_a_transaction_within_another_is_a_fault_and_no_wait(database: Database) -> None:
    with database.writing(), pytest.raises(RuntimeError, match="within another"):
        database.writing().__enter__()


def test_whether_deals_were_loaded_is_looked_up_by_their_own_index_alone(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'redflare.db'}", create=True)
    upgrade(database)
    asked: list[str] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *given: asked.append(str(given[2]))
    )
    with database.reading() as connection:
        assert not deals.is_any_loaded(connection)
        statement = asked[-1].replace("?", "1")
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all()
    database.close()

    assert [row[3] for row in plan] == ["SCAN deals USING INDEX ix_deals_loaded"]


def test_the_key_of_people_is_made_once_and_an_empty_file_is_none(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'redflare.db'}", create=True)
    upgrade(database)
    made = person_key(database, {})
    file = tmp_path / "redflare.person-key"

    assert len(made) == 64
    assert made == person_key(database, {}) == found_person_key(database, {})
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.glob("redflare.person-key?*")) == []
    file.write_bytes(b"")
    with pytest.raises(PersonKeyError, match="which is empty"):
        person_key(database, {})
    database.close()
