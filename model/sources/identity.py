"""The id of every event, and what the same id twice means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.event_table import EVENT_SCHEMA
from model.events import KIND_CODES
from model.sources.board import DERIVED, EXPORTED, KIND_NAMES, Board, Places
from model.sources.closings import Refused
from model.sources.drafts import ROWS_OF_A_FILE, Identity, Origin
from model.sources.mapping import NAMED
from model.sources.said import said as said_by
from model.sources.values import Flags, Longs

SAID = tuple(name for name in EVENT_SCHEMA.names if name not in ("source", "source_id"))


def source_ids(drafts: pa.Table, key: bytes) -> pa.Array:
    """``row/kind``, or ``deal/kind/time`` for a fact that several records may tell.

    The name follows the kind where one row may tell several of it, and what a field changed to
    follows the time: in one second it may change twice, and each record tells one of both. Other
    facts of one deal, kind and time that differ are told apart by number, in the order of their
    rows.

    Parameters
    ----------
    drafts
        Rows of `DRAFT_SCHEMA`, N of them.
    key
        The key under which people are hashed, and what they may have said.

    Returns
    -------
    pa.Array
        Text of shape (N,).
    """
    kinds = _kinds_with_names(drafts)
    row_ids = drafts["row_id"].combine_chunks()
    facts = np.asarray(row_ids.is_null())
    if not facts.any():
        return pc.binary_join_element_wise(row_ids, kinds, "/")
    fact_ids = _fact_ids(drafts.filter(pa.array(facts)), kinds.filter(pa.array(facts)), key)
    if facts.all():
        return fact_ids
    ids = pc.binary_join_element_wise(pc.fill_null(row_ids, ""), kinds, "/")
    return pc.replace_with_mask(ids, pa.array(facts), fact_ids)


def _kinds_with_names(drafts: pa.Table) -> pa.Array:
    """The kind of each draft, with its name where that tells apart."""
    codes = np.asarray(drafts["kind"]).astype(np.int64)
    pool = list(KIND_NAMES)
    named = np.isin(codes, [KIND_CODES[kind] for kind in NAMED])
    if named.any():
        names = drafts["name"].combine_chunks().dictionary_encode()
        labels = [*names.dictionary.to_pylist(), ""]
        name = np.asarray(names.indices.fill_null(len(labels) - 1)).astype(np.int64)
        pairs = np.where(named, codes * len(labels) + name, 0)
        met = np.zeros(len(pool) * len(labels), np.bool_)
        met[pairs[named]] = True
        codes = np.where(named, len(pool) + np.cumsum(met)[pairs] - 1, codes)
        told = (divmod(int(pair), len(labels)) for pair in np.flatnonzero(met))
        pool += [f"{KIND_NAMES[code]}/{labels[spot]}" for code, spot in told]
    return pa.array(pool).take(pa.array(codes))


def _fact_ids(facts: pa.Table, kinds: pa.Array, key: bytes) -> pa.Array:
    times = facts["occurred_at"].combine_chunks().cast(pa.timestamp("us")).cast(pa.string())
    told_by_row = pc.equal(facts["origin"].combine_chunks(), int(Origin.CLOSING))
    times = pc.if_else(told_by_row, EXPORTED, times)
    ids = pc.binary_join_element_wise(
        facts["deal_id"].cast(pa.string()).combine_chunks(), kinds, times, "/"
    )
    ids = pc.coalesce(pc.binary_join_element_wise(ids, said_by(facts, key), "/"), ids)
    coded = ids.dictionary_encode().indices
    counts = np.bincount(np.asarray(coded)) if len(ids) else np.zeros(0, np.int64)
    several = np.flatnonzero(counts[np.asarray(coded)] > 1)
    return _numbered(ids, facts, several) if several.size else ids


def _numbered(ids: pa.Array, facts: pa.Table, several: Places) -> pa.Array:
    """Tell different facts of one id apart, within each file; equal ones are one fact."""
    part = facts.take(pa.array(several))
    row = np.asarray(part["row"])
    file = row // ROWS_OF_A_FILE
    said = part.select(["name", "text", "number", "date", "known_at", "person"]).to_pylist()
    texts = ids.take(pa.array(several)).to_pylist()
    met: dict[tuple[int, str], list[tuple[object, ...]]] = {}
    for place in np.lexsort((row, file)):
        contents = met.setdefault((int(file[place]), texts[place]), [])
        content = tuple(said[place].values())
        if content not in contents:
            contents.append(content)
        number = contents.index(content) + 1
        if number > 1:
            texts[place] = f"{texts[place]}~{number}"
    mask = np.zeros(len(ids), np.bool_)
    mask[several] = True
    return pc.replace_with_mask(ids, pa.array(mask), pa.array(texts, pa.string()))


@dataclass(kw_only=True)
class Events:
    """New events with what tells whether they may repeat an id.

    Parameters
    ----------
    table
        Rows of `EVENT_SCHEMA`, N of them.
    row
        The row that each came from. Shape (N,).
    claims
        Whether the id claims to be of one content, so that another content is wrong: states
        and what rows tell of closings may differ from one export to the next. Shape (N,).
    known_once
        Whether no other event of this import can have the id. Shape (N,).
    refused
        Rows whose id another content has.
    there
        How many events were told twice, or were there already.
    """

    table: pa.Table
    row: Longs
    claims: Flags
    known_once: Flags
    refused: list[Refused]
    there: int = 0

    def settle_among_themselves(self) -> None:
        """The same id twice is the same event, or a refusal where the content differs."""
        doubtful = np.flatnonzero(~self.known_once)
        if not doubtful.size:
            return
        ids = self.table["source_id"].take(pa.array(doubtful))
        coded = np.asarray(ids.dictionary_encode().combine_chunks().indices)
        order = np.lexsort((self.row[doubtful], coded))
        start = np.ones(order.size, np.bool_)
        start[1:] = coded[order[1:]] != coded[order[:-1]]
        if start.all():
            return
        heads = order[np.maximum.accumulate(np.where(start, np.arange(order.size), 0))]
        self._settle(doubtful[order[~start]], self.table, doubtful[heads[~start]])

    def settle_against(self, board: Board, source: str) -> None:
        """Leave out what is there already."""
        standing = np.flatnonzero(~board.superseded)
        if not standing.size or not self.table.num_rows:
            return
        known = board.existing.select(["source", "source_id"]).take(pa.array(standing))
        own = np.flatnonzero(np.asarray(pc.equal(known["source"], source)))
        ids = known["source_id"].take(pa.array(own)).combine_chunks()
        spot = pc.index_in(self.table["source_id"], value_set=ids).combine_chunks()
        again = np.flatnonzero(np.asarray(spot.is_valid()))
        if again.size:
            match = standing[own[np.asarray(spot.take(pa.array(again)))]]
            self._settle(again, board.existing, match)

    def _settle(self, again: Places, other: pa.Table, match: Places) -> None:
        """Drop events whose ids others have, refusing those of other content."""
        same = _same(self.table, again, other, match)
        self.there += int((same & (self.row[again] != DERIVED)).sum())
        wrong = again[~same & self.claims[again] & (self.row[again] >= 0)]
        if wrong.size:
            ids = self.table["source_id"].take(pa.array(wrong)).to_pylist()
            self.refused.append(
                Refused(
                    row=self.row[wrong],
                    column="source_id",
                    values=ids,
                    reason="duplicate id with other content",
                )
            )
        keep = np.ones(self.row.size, np.bool_)
        keep[again] = False
        self.table = self.table.filter(pa.array(keep))
        self.row, self.claims = self.row[keep], self.claims[keep]
        self.known_once = self.known_once[keep]


def _same(left: pa.Table, left_rows: Places, right: pa.Table, right_rows: Places) -> Flags:
    """Which pairs of rows say the same. Shape (pairs,)."""
    same = np.ones(left_rows.size, np.bool_)
    for name in SAID:
        a = left[name].take(pa.array(left_rows))
        b = right[name].take(pa.array(right_rows))
        alike = pc.fill_null(pc.equal(a, b), fill_value=False)
        same &= np.asarray(pc.or_(alike, pc.and_(a.is_null(), b.is_null())))
    return same


def claims_content(drafts: pa.Table) -> Flags:
    """Whether a draft's id is of one content only."""
    return np.asarray(pc.equal(drafts["origin"], int(Origin.FACT)))


def known_once(drafts: pa.Table, *, contents_once: bool) -> Flags:
    """Whether a draft's id cannot come twice: a row's content, once in all files."""
    by_content = np.asarray(pc.equal(drafts["identity"], int(Identity.CONTENT)))
    return by_content if contents_once else np.zeros(drafts.num_rows, np.bool_)


def repeats(digests: list[np.ndarray[tuple[int, ...], np.dtype[np.uint64]]]) -> Flags:
    """Which of equal numbers come after the first, in all arrays together.

    Examples
    --------
    >>> repeats([np.array([7, 8, 7], np.uint64), np.array([8], np.uint64)]).tolist()
    [False, False, True, True]
    """
    together = np.concatenate(digests)
    order = np.argsort(together, kind="stable")
    again = np.zeros(together.size, np.bool_)
    again[order[1:]] = together[order[1:]] == together[order[:-1]]
    return again
