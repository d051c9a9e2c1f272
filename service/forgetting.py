"""A person forgotten, and the deals that told of them scored anew, in one transaction."""

from __future__ import annotations

import logging
from typing import Final

from sqlalchemy.exc import InterfaceError, OperationalError

from model.scorer import Scorer
from service.logs import fault_of, fields
from service.rescoring import Occasion, Policy, rescore
from service.storage import deals, events, feeds, tombstones
from service.storage.database import Database
from service.storage.errors import StoreUnavailable
from service.storage.tombstones import Tombstone

LOG: Final = logging.getLogger(__name__)


def forget_person(
    database: Database,
    person: str,
    scorer: Scorer | None,
    policy: Policy,
    *,
    by: str,
    at: int,
    said: str | None = None,
) -> tuple[Tombstone, int]:
    """Erase a person, and score what is left of the open deals that told of them.

    Parameters
    ----------
    database
        In use or not.
    person
        The keyed hash, as events carry it.
    scorer
        Of the model in force; None scores nothing.
    policy
        When and to whom a score that moved by it is told.
    by
        Who asks.
    at
        The present, microseconds since 1970 UTC.
    said
        The address or contact's id itself, by which deliveries name them.

    Returns
    -------
    tuple
        What was erased, and how many deals have a new score. One that cannot be scored keeps the
        one it has, and the log says why: the person is forgotten all the same.

    Raises
    ------
    StoreUnavailable
        If the database does not answer: nothing is forgotten.
    """
    occasion = Occasion(cause="forgetting", inbox_id=None, until=at, at=at)
    scored = 0
    with database.writing() as connection:
        tombstones.hold_alone(connection)
        touched = events.deals_of_person(connection, person)
        stone = tombstones.forget_person(connection, person, by=by, at=at, said=said)
        known = None if scorer is None else scorer.feeds(feeds.heard(connection))
        for row in deals.lock(connection, touched).values():
            try:
                with connection.begin_nested():
                    score = rescore(connection, row, scorer, known, policy, occasion)
            except (InterfaceError, OperationalError, StoreUnavailable):
                raise  # the deal can do nothing about it
            except Exception as error:  # noqa: BLE001 - a fault of ours; the erasure does not wait
                fault = fields(fault=fault_of(error))
                LOG.error("deal %r cannot be scored", row.deal_id, extra=fault)
                continue
            scored += score is not None
    return stone, scored
