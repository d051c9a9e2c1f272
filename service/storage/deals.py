"""Each deal as it stands: what its events and its last score say, ready to be listed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, false, func, or_, select, text, update

from service.storage.rows import AnyRow, insertion, json_of
from service.storage.schema import DEALS

AT_ONCE: Final = 500
_UPDATE: Final = update(DEALS).where(DEALS.c.deal_id == bindparam("updated"))
# As its index says it, which SQLite uses for nothing else; and not by the index of open deals.
_LOADED: Final = select(DEALS.c.deal_id).where(
    text("deals.is_loaded"), func.coalesce(DEALS.c.is_open, false())
)
_FIND: Final = select(DEALS).where(DEALS.c.deal_id == bindparam("deal_id"))
_LOCK: Final = (
    select(DEALS)
    .where(DEALS.c.deal_id.in_(bindparam("deal_ids", expanding=True)))
    .order_by(DEALS.c.deal_id)
    .with_for_update()
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the last write-back said of a deal.

    Parameters
    ----------
    probability
        As shown; None where it had none.
    drivers
        The three strongest features.
    """

    probability: float | None
    drivers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a deal stands. Times are microseconds since 1970 UTC, dates days since 1970.

    Parameters
    ----------
    is_open
        Whether it is open as known.
    owner, account, pipeline, stage, currency, amount, close_date
        The last known; None where never told.
    opened_at
        When it was last opened.
    known_at
        When the latest of its events was known.
    """

    is_open: bool
    owner: str | None
    account: str | None
    pipeline: str | None
    stage: str | None
    currency: str | None
    amount: float | None
    close_date: int | None
    opened_at: int | None
    known_at: int | None


def lock(connection: Connection, deal_ids: Iterable[str]) -> dict[str, AnyRow]:
    """The rows of deals, made where there are none, held until the transaction ends.

    Parameters
    ----------
    connection
        Writing. Whoever holds a deal is the only one to score it.

    Returns
    -------
    dict
        By deal, ascending.
    """
    ordered = sorted(set(deal_ids))
    rows = {}
    for first in range(0, len(ordered), AT_ONCE):
        part = ordered[first : first + AT_ONCE]
        found = _locked(connection, part)
        missing = [deal_id for deal_id in part if deal_id not in found]
        if missing:
            statement = insertion(DEALS, ("deal_id",), connection.dialect.name)
            connection.execute(statement, [{"deal_id": deal_id} for deal_id in missing])
            found = _locked(connection, part)
        rows.update(found)
    return rows


def _locked(connection: Connection, deal_ids: Sequence[str]) -> dict[str, AnyRow]:
    found = connection.execute(_LOCK, {"deal_ids": deal_ids})
    return {str(row.deal_id): row for row in found}


def stand(connection: Connection, deal_id: str, standing: Standing) -> None:
    """Keep how a deal stands."""
    values = {name: getattr(standing, name) for name in Standing.__dataclass_fields__}
    _set(connection, deal_id, **values)


def scored(
    connection: Connection,
    deal_id: str,
    *,
    score_id: int,
    as_of: int,
    probability: float | None,
    shown_probability: float | None,
    verdict: str,
) -> None:
    """Keep which score of a deal is its last."""
    _set(
        connection,
        deal_id,
        score_id=score_id,
        scored_as_of=as_of,
        probability=probability,
        shown_probability=shown_probability,
        verdict=verdict,
    )


def looked_at(connection: Connection, deal_id: str, *, as_of: int) -> None:
    """Keep that a deal was looked at, whether or not it could be scored."""
    _set(connection, deal_id, is_loaded=False)
    earlier = or_(DEALS.c.scored_as_of.is_(None), DEALS.c.scored_as_of < as_of)
    connection.execute(
        update(DEALS).where(DEALS.c.deal_id == deal_id, earlier).values(scored_as_of=as_of)
    )


def open_for_now(connection: Connection, deal_ids: Iterable[str]) -> None:
    """Count deals as open until the next tick has looked at them; no score is taken back."""
    ordered = sorted(set(deal_ids))
    for first in range(0, len(ordered), AT_ONCE):
        part = ordered[first : first + AT_ONCE]
        lock(connection, part)
        connection.execute(
            update(DEALS).where(DEALS.c.deal_id.in_(part)).values(is_open=True, is_loaded=True)
        )


def tell(connection: Connection, deal_id: str, told: Told) -> None:
    """Keep what a write-back says."""
    value = {"probability": told.probability, "drivers": list(told.drivers)}
    _set(connection, deal_id, told=json_of(value))


def told_of(row: AnyRow) -> Told | None:
    """What the last write-back of a deal's row said; None where there was none."""
    if row.told is None:
        return None
    value = json.loads(row.told)
    return Told(probability=value["probability"], drivers=tuple(value["drivers"]))


def stale(connection: Connection, before: int, most: int) -> Sequence[str]:
    """Open deals of which events were loaded; then those last scored before, the stalest first.

    Parameters
    ----------
    connection
        Reading.
    before
        Microseconds since 1970 UTC.
    most
        How many.
    """
    loaded = _LOADED.order_by(DEALS.c.deal_id).limit(most)
    found = connection.execute(loaded).scalars().all()
    if found:
        return found
    query = (
        select(DEALS.c.deal_id)
        .where(
            DEALS.c.is_open,
            or_(DEALS.c.scored_as_of.is_(None), DEALS.c.scored_as_of < before),
        )
        .order_by(DEALS.c.scored_as_of, DEALS.c.deal_id)
        .limit(most)
    )
    return connection.execute(query).scalars().all()


def is_any_loaded(connection: Connection) -> bool:
    """Whether events of an open deal were loaded that no tick has looked at."""
    return connection.execute(_LOADED.limit(1)).first() is not None


def is_stale(row: AnyRow, before: int) -> bool:
    """Whether `stale` would name a deal, by its row."""
    return row.is_loaded or row.scored_as_of is None or row.scored_as_of < before


def find(connection: Connection, deal_id: str) -> AnyRow | None:
    """The row of a deal."""
    return connection.execute(_FIND, {"deal_id": deal_id}).one_or_none()


def _set(connection: Connection, deal_id: str, **values: Any) -> None:
    connection.execute(_UPDATE, {"updated": deal_id, **values})
