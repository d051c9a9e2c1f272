"""The log of deals written out as events.

What is added here (hours, threads, contacts' hashes, the fields a deal opens with) is drawn without
regard to the hidden state. Events happen between 8 and 18 o'clock, in the order of the log within a
day; closings are entered after 18 o'clock, so nothing happens to a deal once it is known as closed.
A milestone's completion is entered up to two days after it happened.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.event_table import EVENT_SCHEMA
from model.events import DAY_US, KIND_CODES, KINDS
from training.simulation.company import (
    CONTACTS,
    INDUSTRIES,
    LEAD_SOURCES,
    UNITS,
    Deals,
    person_id,
)
from training.simulation.record import CATEGORIES, COMPETITORS, MILESTONES, NEXT_STEPS, STAGES
from training.simulation.seasons import EPOCH_DAYS, LAST_DAY, Floats, Ints
from training.simulation.unfolding import Unfolding
from training.simulation.world import LOSS_REASONS, World

HOUR_US: Final = DAY_US // 24
SOURCES: Final = (*UNITS, "mail:simulated")
MAIL: Final = len(UNITS)
CURRENCY: Final = "EUR"
FIELDS: Final = ("industry", "lead_source", "seats")
THREADS: Final = (0.6, 0.3, 0.1)  # how often a deal's first, second, third thread is used

_KIND_NAMES: Final = pa.array(list(KINDS))
_SOURCE_NAMES: Final = pa.array(list(SOURCES))
_NOTHING: Final = {"name": -1, "text": -1, "date": -1, "person": -1, "thread": -1}


class Listing:
    """Events as they are written down, column by column."""

    def __init__(self, deals: Deals, rng: np.random.Generator) -> None:
        self.deals = deals
        self.rng = rng
        self.blocks: list[dict[str, Ints | Floats]] = []
        self.words: dict[str, int] = {}

    def word(self, text: str) -> int:
        """The code of a text."""
        return self.words.setdefault(text, len(self.words))

    def words_of(self, texts: tuple[str, ...], index: Ints) -> Ints:
        """Codes of `texts[index]`."""
        return np.array([self.word(text) for text in texts])[index]

    def ids_of(self, letter: str, number: Ints) -> Ints:
        """Codes of owners' or accounts' ids."""
        found, where = np.unique(number, return_inverse=True)
        return np.array([self.word(f"{letter}-{n:05d}") for n in found], dtype=np.int64)[where]

    def add(
        self, kind: str, row: Ints, occurred: Ints, known: Ints, **columns: Ints | Floats | float
    ) -> None:
        """Write down one event for each of `row`; times in microseconds since `FIRST_DAY`."""
        if row.size == 0:
            return
        block: dict[str, Ints | Floats] = {"row": row, "occurred": occurred, "known": known}
        block["kind"] = np.full(row.size, KIND_CODES[kind])
        columns.setdefault("source", self.deals.unit[row])
        for column, missing in _NOTHING.items():
            value = columns.get(column, missing)
            block[column] = np.broadcast_to(np.asarray(value, dtype=np.int64), row.shape)
        for column in ("number", "span"):
            block[column] = np.broadcast_to(columns.get(column, np.nan), row.shape)
        block["source"] = np.broadcast_to(columns["source"], row.shape)
        self.blocks.append(block)

    def hours(self, count: int, start: float, length: float) -> Ints:
        """Times of day, microseconds, uniform over `length` hours from `start` o'clock."""
        spread = self.rng.random(count) * length + start
        return (spread * HOUR_US).astype(np.int64)

    def threads(self, row: Ints) -> Ints:
        """A thread of each deal, as a number: `row` * 3 + 0, 1 or 2."""
        return row * len(THREADS) + self.rng.choice(len(THREADS), row.size, p=THREADS)


def _list_openings(listing: Listing) -> None:
    deals = listing.deals
    row = np.arange(len(deals))
    at = deals.open_day * DAY_US + listing.hours(row.size, 7.0, 0.99)
    listing.add("deal_opened", row, at, at)
    listing.add("currency_changed", row, at, at, name=listing.word(CURRENCY))
    listing.add("account_changed", row, at, at, name=listing.ids_of("A", deals.account))
    listing.add("owner_changed", row, at, at, name=listing.ids_of("O", deals.owner))
    listing.add("stage_changed", row, at, at, name=listing.word(STAGES[0]), number=0.0)
    listing.add("amount_changed", row, at, at, number=deals.amount)
    listing.add("close_date_changed", row, at, at, date=deals.close_day)
    category = listing.words_of(CATEGORIES, deals.category)
    listing.add("forecast_category_changed", row, at, at, name=category)
    for field, texts, value in (
        ("industry", INDUSTRIES, deals.industry),
        ("lead_source", LEAD_SOURCES, deals.lead_source),
    ):
        text = listing.words_of(texts, value)
        listing.add("field_changed", row, at, at, name=listing.word(field), text=text)
    asked = row[np.isfinite(deals.seats)]
    name = listing.word("seats")
    listing.add("field_changed", asked, at[asked], at[asked], name=name, number=deals.seats[asked])
    for slot, milestone in enumerate(MILESTONES):
        name = listing.word(milestone)
        set_ = row[deals.due_day[slot] >= 0]
        due = deals.due_day[slot, set_]
        listing.add("milestone_set", set_, at[set_], at[set_], name=name, date=due)
        gate = row[deals.must_hit[slot]]
        listing.add("must_hit_declared", gate, at[gate], at[gate], name=name)


def _list_log(listing: Listing, world: World, lived: Unfolding) -> None:
    log, deals, rng = lived.log, listing.deals, listing.rng
    known_in_time = log.known_day < LAST_DAY
    order = np.argsort(log.channel[known_in_time], kind="stable")
    order = np.flatnonzero(known_in_time)[order]
    ends = np.searchsorted(log.channel[order], np.arange(len(world.channels) + 1))
    at = _times(listing, lived)
    for c, channel in enumerate(world.channels):
        mine = order[ends[c] : ends[c + 1]]
        row, value = log.row[mine], log.value[mine]
        occurred = at[mine]
        known = occurred
        if channel.late:
            at_once = log.known_day[mine] == log.day[mine]
            later = log.known_day[mine] * DAY_US + listing.hours(mine.size, 8.0, 10.0)
            known = np.where(at_once, occurred + listing.hours(mine.size, 0.0, 4.0), later)
        elif channel.kind == "milestone_reached":
            back = rng.choice(3, mine.size, p=[0.6, 0.25, 0.15])
            since = np.maximum(log.day[mine] - deals.open_day[row] - 1, 0)
            occurred = known - np.minimum(back, since) * DAY_US
        columns = _columns_of(listing, channel.writes, row, value)
        if channel.name is not None:
            columns["name"] = listing.word(channel.name)
        if channel.mail:
            columns["source"] = MAIL
        listing.add(channel.kind, row, occurred, known, **columns)
        if channel.writes == "answered":
            back_at = occurred + listing.hours(mine.size, 0.01, 0.08)
            listing.add("auto_reply_received", row, back_at, back_at, **columns)


def _times(listing: Listing, lived: Unfolding) -> Ints:
    """When each event of the log happened: at random in office hours, in the order of channels."""
    log = lived.log
    at = log.day * DAY_US + listing.hours(lived.events, 8.0, 10.0)
    times = np.empty_like(at)
    times[np.lexsort((log.channel, log.day, log.row))] = at[np.lexsort((at, log.row))]
    return times


def _columns_of(
    listing: Listing, writes: str, row: Ints, value: Floats
) -> dict[str, Ints | Floats | float]:
    """How an event's value is shown."""
    if writes in {"reply", "message", "answered"}:
        person = listing.deals.account[row] * CONTACTS + value.astype(np.int64)
        return {"person": person, "thread": listing.threads(row)}
    if writes in {"number", "span"}:
        return {writes: value}
    if writes == "date":
        return {"date": value.astype(np.int64)}
    if writes == "stage":
        return {"name": listing.words_of(STAGES, value.astype(np.int64)), "number": value}
    if writes == "owner":
        return {"name": listing.ids_of("O", value.astype(np.int64))}
    if writes == "yes":
        return {"text": listing.word("yes")}
    texts = {"category": CATEGORIES, "competitor": COMPETITORS, "next_step": NEXT_STEPS}
    if writes in texts:
        column = "text" if writes == "next_step" else "name"
        return {column: listing.words_of(texts[writes], value.astype(np.int64))}
    return {}


def _list_closings(listing: Listing, lived: Unfolding) -> None:
    closings, reopenings = lived.closings, lived.reopenings
    for kind, won in (("deal_won", True), ("deal_lost", False)):
        mine = (closings.won == won) & (closings.known_day < LAST_DAY)
        row = closings.row[mine]
        occurred = closings.day[mine] * DAY_US + listing.hours(row.size, 8.0, 10.0)
        known = closings.known_day[mine] * DAY_US + listing.hours(row.size, 18.0, 2.0)
        reason = -1 if won else listing.words_of(LOSS_REASONS, closings.reason[mine])
        listing.add(kind, row, occurred, known, name=reason)
    mine = reopenings.day < LAST_DAY
    row = reopenings.row[mine]
    at = reopenings.day[mine] * DAY_US + listing.hours(row.size, 7.0, 0.99)
    listing.add("deal_reopened", row, at, at)


def list_events(
    world: World,
    deals: Deals,
    lived: Unfolding,
    deal_ids: pa.Array,
    seed: int,
    rng: np.random.Generator,
) -> pa.Table:
    """The events of deals that are known when the record ends.

    Parameters
    ----------
    world, deals, lived
        The laws, the deals and what happened to them.
    deal_ids
        Of the deals, [n].
    seed
        Of the company: it keys the contacts' hashes.
    rng
        The source of chance.

    Returns
    -------
    pa.Table
        Of `EVENT_SCHEMA`, sorted.
    """
    listing = Listing(deals, rng)
    _list_openings(listing)
    _list_log(listing, world, lived)
    _list_closings(listing, lived)
    columns = {
        column: np.concatenate([block[column] for block in listing.blocks])
        for column in listing.blocks[0]
    }
    order = np.lexsort([columns[key] for key in ("source", "known", "occurred", "row")])
    columns = {column: values[order] for column, values in columns.items()}
    row = columns["row"].astype(np.int64)
    number = np.arange(row.size) - np.searchsorted(row, row)
    ids = deal_ids.take(pa.array(row))
    words = pa.array(list(listing.words))
    deal_threads = [f"{deal}/t{n}" for deal in deal_ids.to_pylist() for n in range(len(THREADS))]
    people, person = np.unique(columns["person"], return_inverse=True)
    hashes = [person_id(seed, *divmod(int(code), CONTACTS)) for code in people]

    def text(table: pa.Array, code: Ints | Floats) -> pa.Array:
        return table.take(pa.array(code.astype(np.int64), mask=code < 0))

    def time(value: Ints | Floats) -> pa.Array:
        since = value.astype(np.int64) + EPOCH_DAYS * DAY_US
        return pa.array(since).cast(EVENT_SCHEMA.field("known_at").type)

    def real(value: Ints | Floats) -> pa.Array:
        return pa.array(value.astype(np.float64), mask=np.isnan(value))

    date = columns["date"].astype(np.int64)
    shown = {
        "deal_id": ids,
        "kind": _KIND_NAMES.take(pa.array(columns["kind"].astype(np.int64))),
        "occurred_at": time(columns["occurred"]),
        "known_at": time(columns["known"]),
        "name": text(words, columns["name"]),
        "text": text(words, columns["text"]),
        "number": real(columns["number"]),
        "date": pa.array((date + EPOCH_DAYS).astype(np.int32), mask=date < 0).cast(pa.date32()),
        "person": text(pa.array(hashes), np.where(people[person] < 0, -1, person)),
        "thread": text(pa.array(deal_threads), columns["thread"]),
        "span": real(columns["span"]),
        "source": _SOURCE_NAMES.take(pa.array(columns["source"].astype(np.int64))),
        "source_id": pc.binary_join_element_wise(
            ids, pc.utf8_lpad(pa.array(number).cast(pa.string()), 5, padding="0"), "/"
        ),
    }
    return pa.Table.from_arrays(list(shown.values()), schema=EVENT_SCHEMA)
