"""A key is told once, kept by its hash, and opens what its scopes say until it is revoked."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from service.storage import keys
from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.keys import ApiKey, Scope
from service.storage.schema import API_KEYS


def make(database: Database, *scopes: Scope, owners: list[str] | None = None) -> str:
    with database.writing() as connection:
        return keys.make(connection, title="dashboard", scopes=scopes, owners=owners, at=1)


def verified(database: Database, key: str) -> ApiKey | None:
    with database.reading() as connection:
        return keys.verify(connection, key)


def test_a_key_is_known_again_and_its_secret_is_not_kept(database: Database) -> None:
    key = make(database, "read", owners=["ann"])
    found = verified(database, key)

    assert found is not None
    assert (found.title, found.scopes, found.owners) == ("dashboard", ("read",), ("ann",))
    assert key.startswith(f"{found.key_id}_")
    secret = key.removeprefix(f"{found.key_id}_")
    with database.reading() as connection:
        assert secret not in repr(connection.execute(select(API_KEYS)).all())


@pytest.mark.parametrize(
    ("own", "opened"),
    [("read", {"read"}), ("write", {"read", "write"}), ("admin", {"read", "write", "admin"})],
)
def test_a_scope_opens_what_stands_before_it(
    own: Scope, opened: set[str], database: Database
) -> None:
    found = verified(database, make(database, own))

    assert found is not None
    assert {scope for scope in keys.SCOPES if found.opens(scope)} == opened


@pytest.mark.parametrize("given", ["", "rf", "rf__", "rf_0_x", "xx_1_2", "rf_\ud800_x", "rf_a\0_b"])
def test_what_is_no_key_opens_nothing(given: str, database: Database) -> None:
    key = make(database, "read")

    assert verified(database, given) is None
    assert verified(database, key + "x") is None
    assert verified(database, key[:-1]) is None


def test_two_keys_are_good_at_once_and_a_revoked_one_is_not(database: Database) -> None:
    older, newer = make(database, "read"), make(database, "read")
    known = verified(database, older)
    assert known is not None
    assert verified(database, newer) is not None
    with database.writing() as connection:
        keys.revoke(connection, known.key_id, at=2)

    assert verified(database, older) is None
    assert verified(database, newer) is not None
    with database.reading() as connection:
        assert [each.revoked_at for each in keys.listed(connection)].count(2) == 1
    with (
        database.writing() as connection,
        pytest.raises(StorageError, match="redflare keys list"),
    ):
        keys.revoke(connection, known.key_id, at=3)
