"""Stored tables laid out as a `Lookup`: means of some bags, for every edge at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.hazard import FloatArray
from model.lookup import IndexArray, Lookup

if TYPE_CHECKING:
    from model.tables import Tables


def lay_out(tables: Tables, ensembles: list[IndexArray]) -> Lookup:
    """The look-up of some means over bags, side by side.

    A pair's cells are those that any bag or edge tells apart: one gather then brings the effects
    of all edges of all ensembles.

    Parameters
    ----------
    tables
        Stored tables.
    ensembles
        The bags that each ensemble is the mean of.

    Returns
    -------
    Lookup
        B columns for each ensemble, one ensemble after another.
    """
    features, width, edges = len(tables.bins), tables.mains.shape[-1], tables.edges
    rows, columns = _Union.of(tables.left_groups), _Union.of(tables.right_groups)
    sizes = rows.counts * columns.counts
    main_cells = features * width
    starts = main_cells + sizes.cumsum() - sizes
    cells = np.empty((main_cells + int(sizes.sum()), len(ensembles) * edges))
    for place, bags in enumerate(ensembles):
        own = slice(place * edges, (place + 1) * edges)
        cells[:main_cells, own] = tables.mains[bags].mean(axis=0).reshape(edges, -1).T
        cells[main_cells:, own] = _half_pairs(tables, bags, rows, columns).T
    return Lookup(
        intercepts=np.concatenate([tables.intercepts[bags].mean(axis=0) for bags in ensembles]),
        cells=cells,
        mains=np.arange(features) * width,
        pairs=tables.pairs,
        left=starts[:, None] + rows.of_bin * columns.counts[:, None],
        right=columns.of_bin,
    )


def _half_pairs(tables: Tables, bags: IndexArray, rows: _Union, columns: _Union) -> FloatArray:
    # Half of the mean effect in every cell of every pair, row by row; [B, cells].
    sizes = tables.block_sizes
    starts = (sizes.cumsum() - sizes.reshape(-1)).reshape(sizes.shape)
    strides = tables.right_groups[..., -1].astype(np.intp) + 1
    # Every row of a pair has a cell in each of its columns.
    across = columns.counts[rows.pairs]
    row = np.arange(len(rows.pairs)).repeat(across)
    within = np.arange(len(row)) - (across.cumsum() - across).repeat(across)
    column = (columns.counts.cumsum() - columns.counts)[rows.pairs][row] + within
    effects = np.zeros((tables.edges, len(row)))
    for bag in bags:
        for edge in range(tables.edges):
            groups = tables.left_groups[bag, edge].reshape(-1)[rows.firsts].astype(np.intp)
            groups *= strides[bag, edge][rows.pairs]
            groups += starts[bag, edge][rows.pairs]
            at = groups.take(row)
            at += tables.right_groups[bag, edge].reshape(-1)[columns.firsts].take(column)
            effects[edge] += tables.values.take(at)
    effects *= 0.5 / len(bags)
    return effects


@dataclass(frozen=True, kw_only=True, eq=False)
class _Union:
    """The coarse bins of each pair that tell apart whatever any bag or edge does.

    Parameters
    ----------
    of_bin
        Union bin of every bin; [P, W].
    counts
        Union bins of every pair; [P].
    pairs, firsts
        Of each union bin, one pair after another: its pair, and its first bin as a place in a
        [P, W] array.
    """

    of_bin: IndexArray
    counts: IndexArray
    pairs: IndexArray
    firsts: IndexArray

    @classmethod
    def of(cls, groups: NDArray[np.uint8]) -> _Union:
        opens = np.ones(groups.shape[2:], dtype=np.bool_)
        opens[:, 1:] = (groups[..., 1:] != groups[..., :-1]).any(axis=(0, 1))
        return cls(
            of_bin=opens.cumsum(axis=1) - 1,
            counts=opens.sum(axis=1),
            pairs=np.nonzero(opens)[0],
            firsts=np.flatnonzero(opens),
        )
