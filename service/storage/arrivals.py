"""Deliveries put into the inbox: each once, and a corrected one beside the one that failed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, func, or_, select, tuple_, update

from model.events import microseconds
from service.storage import inbox
from service.storage.rows import insertion, json_of
from service.storage.schema import INBOX
from service.webhooks.delivery import Delivery

CORRECTED: Final = "/corrected:"  # parts a delivery's key from the hash of its corrected body


def add(connection: Connection, deliveries: Sequence[Delivery]) -> list[bool]:
    """Keep deliveries; whether each is new, and not one that came before.

    One that comes again with another body, after the first failed, is a corrected one: it is kept
    beside that, and worked on, and that is superseded.

    Parameters
    ----------
    connection
        Writing.
    deliveries
        In the order they came.
    """
    if not deliveries:
        return []
    keys = [(each.source, inbox.stored_key(each.dedupe_key)) for each in deliveries]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for key, each in zip(keys, deliveries, strict=True):
        rows.setdefault(key, _row(each, key[1]))
    statement = insertion(INBOX, ("source", "dedupe_key"), connection.dialect.name)
    # In one order everywhere, lest two writers wait for each other.
    ordered = [rows[key] for key in sorted(rows)]
    added = {(row.source, row.dedupe_key) for row in connection.execute(statement, ordered)}
    again = {key: row for key, row in rows.items() if key not in added}
    if again:
        corrected = _corrected(connection, again)
        if corrected:
            found = connection.execute(statement, list(corrected.values()))
            own = {(row.source, row.dedupe_key) for row in found}
            for key, row in corrected.items():
                if (row["source"], row["dedupe_key"]) in own:
                    added.add(key)
                    _supersede(connection, *key, row["dedupe_key"])
    answers = []
    for key in keys:
        answers.append(key in added)
        added.discard(key)  # the next of the same batch came before
    return answers


def _corrected(
    connection: Connection, again: Mapping[tuple[str, str], dict[str, Any]]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Of deliveries that came before, those of which another body failed, with keys of their own.

    The same body sent once more is the same again, and a body that was let go is not compared.
    """
    query = select(INBOX.c.source, INBOX.c.dedupe_key, INBOX.c.body).where(
        INBOX.c.state.in_(inbox.UNUSED),
        func.length(INBOX.c.body) > 0,
        tuple_(INBOX.c.source, INBOX.c.dedupe_key).in_(sorted(again)),
    )
    found = {}
    for kept in connection.execute(query):
        key = (kept.source, kept.dedupe_key)
        body = again[key]["body"]
        if bytes(kept.body) != body:
            digest = hashlib.sha256(body).hexdigest()
            own = inbox.stored_key(f"{kept.dedupe_key}{CORRECTED}{digest}")
            found[key] = {**again[key], "dedupe_key": own}
    return dict(sorted(found.items()))


def _supersede(connection: Connection, source: str, dedupe_key: str, corrected: str) -> None:
    """Say of what failed under an id that a corrected one came, and which."""
    number = select(INBOX.c.id).where(INBOX.c.source == source, INBOX.c.dedupe_key == corrected)
    notes = json_of([f"corrected by delivery {connection.execute(number).scalar_one()}"])
    same_id = or_(
        INBOX.c.dedupe_key == dedupe_key,
        INBOX.c.dedupe_key.startswith(f"{dedupe_key}{CORRECTED}", autoescape=True),
    )
    failed = and_(INBOX.c.source == source, INBOX.c.state == "failed", same_id)
    connection.execute(update(INBOX).where(failed).values(state="superseded", notes=notes))


def _row(delivery: Delivery, key: str) -> dict[str, Any]:
    headers = {name: _plain(value) for name, value in delivery.headers.items()}
    return {
        "source": delivery.source,
        "kind": delivery.kind,
        "dedupe_key": key,
        "received_at": microseconds(delivery.received_at),
        "headers": json.dumps(headers),
        "body": delivery.body,
        "state": "received",
    }


def _plain(value: str) -> str:
    return value.replace("\0", "")
