"""The schema is made by the migrations, once, and held against the release at every start."""

from __future__ import annotations

import shutil
import threading
import zipfile
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from service.storage.database import Database, open_database
from service.storage.errors import StorageError
from service.storage.schema import METADATA
from service.storage.upgrade import HEAD, MIGRATIONS, check, revision, upgrade


def test_the_migrations_make_the_schema_that_the_code_knows(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, METADATA) == []


def test_the_last_migration_is_the_revision_that_is_checked() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_database_of_the_first_release_keeps_what_is_in_it(empty_url: str) -> None:
    database = open_database(empty_url, create=True)
    with database.writing() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "os")
        command.upgrade(config, "0001")
        connection.execute(text("INSERT INTO installation VALUES ('a', 'b')"))

    assert upgrade(database) == ("0001", HEAD)
    check(database)
    with database.reading() as connection:
        assert connection.execute(text("SELECT value FROM installation")).scalar() == "b"
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    database.close()


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(database: Database) -> None:
    assert upgrade(database) == (HEAD, HEAD)
    check(database)


def test_a_database_without_tables_is_refused_with_the_remedy(empty_url: str) -> None:
    database = open_database(empty_url, create=True)

    with pytest.raises(StorageError, match=r"of revision none: .*redflare db upgrade"):
        check(database)
    database.close()


def test_a_database_of_a_later_release_is_left_alone(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StorageError, match="a later release made it"):
        check(database)
    with pytest.raises(StorageError, match="a later release made it"):
        upgrade(database)


def test_an_upgrade_that_fails_halfway_leaves_nothing(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, broken)
    first = broken / "versions" / "first.py"
    first.write_text(first.read_text() + "    raise RuntimeError('halfway')\n")
    monkeypatch.setattr("service.storage.upgrade.MIGRATIONS", broken)
    database = open_database(empty_url, create=True)

    with pytest.raises(RuntimeError, match="halfway"):
        upgrade(database)

    with database.reading() as connection:
        assert revision(connection) is None
        assert not MigrationContext.configure(connection).get_current_heads()
    database.close()


def test_several_processes_may_upgrade_at_once(empty_url: str) -> None:
    databases = [open_database(empty_url, create=True) for _ in range(3)]
    ends: list[tuple[str | None, str]] = []
    threads = [
        threading.Thread(target=lambda each=each: ends.append(upgrade(each))) for each in databases
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in databases:
        each.close()

    assert sorted(before or "" for before, _ in ends) == ["", HEAD, HEAD]


def test_the_wheel_carries_the_migrations(root: Path, tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    (built,) = WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])

    assert {
        "service/storage/migrations/env.py",
        "service/storage/migrations/versions/first.py",
    } <= set(zipfile.ZipFile(built).namelist())


def test_an_upgrade_fills_the_verdicts_of_deals_scored_before(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(empty_url, create=True)
    with monkeypatch.context() as patch:
        patch.setattr("service.storage.upgrade.HEAD", "0002")
        upgrade(database)
    with database.writing() as connection:
        for number in range(1, 1_002):
            verdict = "thin" if number % 2 else "good"
            connection.execute(
                text(
                    "INSERT INTO scores (id, deal_id, as_of, made_at, cause, model_version, days, "
                    "answer) VALUES (:id, :deal, 1, 1, 'tick', 'm', 90, :answer)"
                ),
                {
                    "id": number,
                    "deal": f"D-{number}",
                    "answer": f'{{"data_quality": {{"verdict": "{verdict}"}}}}',
                },
            )
            connection.execute(
                text("INSERT INTO deals (deal_id, score_id) VALUES (:deal, :id)"),
                {"deal": f"D-{number}", "id": number},
            )
        connection.execute(text("INSERT INTO deals (deal_id) VALUES ('E-1')"))
    upgrade(database)

    with database.reading() as connection:
        kept = dict(connection.execute(text("SELECT deal_id, verdict FROM deals")).all())
    database.close()
    assert kept.pop("E-1") is None
    assert len(kept) == 1_001
    assert all(
        verdict == ("thin" if int(deal_id[2:]) % 2 else "good") for deal_id, verdict in kept.items()
    )
