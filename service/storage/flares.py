"""The red flares of each deal: those that stand, and those that have cleared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from model.red_flare import RedFlare
from service.storage.rows import AnyRow
from service.storage.schema import FLARES

_STANDING: Final = (
    select(FLARES)
    .where(FLARES.c.deal_id == bindparam("deal_id"), FLARES.c.cleared_as_of.is_(None))
    .order_by(FLARES.c.id)
)


def standing(connection: Connection, deal_id: str) -> tuple[RedFlare, ...]:
    """The flares that stand for a deal."""
    return tuple(_flare(row) for row in connection.execute(_STANDING, {"deal_id": deal_id}))


def standing_of(
    connection: Connection, deal_ids: Sequence[str]
) -> Mapping[str, tuple[RedFlare, ...]]:
    """The flares that stand for each of a few deals that have any."""
    query = select(FLARES).where(FLARES.c.deal_id.in_(deal_ids), FLARES.c.cleared_as_of.is_(None))
    found: dict[str, list[RedFlare]] = {}
    for row in connection.execute(query.order_by(FLARES.c.id)):
        found.setdefault(str(row.deal_id), []).append(_flare(row))
    return {deal_id: tuple(each) for deal_id, each in found.items()}


def _flare(row: AnyRow) -> RedFlare:
    return RedFlare(
        rule=row.rule,
        since=row.since,
        phrase=row.phrase,
        subject=row.subject,
        fallen_from=row.fallen_from,
    )


def replace(
    connection: Connection,
    deal_id: str,
    stood: Sequence[RedFlare],
    now: Sequence[RedFlare],
    *,
    as_of: int,
) -> None:
    """Keep how a deal's flares stand, those raised and those cleared.

    Parameters
    ----------
    connection
        Writing.
    stood
        As `standing` answered.
    now
        As they stand now.
    as_of
        The moment, microseconds since 1970 UTC.
    """
    before = {(flare.rule, flare.subject): flare for flare in stood}
    after = {(flare.rule, flare.subject): flare for flare in now}
    for rule, subject in before.keys() | after.keys():
        flare = after.get((rule, subject))
        found = (
            (FLARES.c.deal_id == deal_id)
            & (FLARES.c.rule == rule)
            & (FLARES.c.subject == subject)
            & FLARES.c.cleared_as_of.is_(None)
        )
        if flare is None:
            connection.execute(update(FLARES).where(found).values(cleared_as_of=as_of))
        elif (rule, subject) not in before:
            connection.execute(
                FLARES.insert().values(
                    deal_id=deal_id,
                    rule=rule,
                    subject=subject,
                    since=flare.since,
                    phrase=flare.phrase,
                    fallen_from=flare.fallen_from,
                    raised_as_of=as_of,
                )
            )
        elif flare != before[rule, subject]:
            connection.execute(
                update(FLARES)
                .where(found)
                .values(since=flare.since, phrase=flare.phrase, fallen_from=flare.fallen_from)
            )
