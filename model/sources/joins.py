"""Join the rows of one file to another's: an engagement to the deals that it is about."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.sources.mapping import Column, Join
from model.sources.rows import Header, Rows
from model.sources.values import Longs


def join(rows: Rows, how: Join, other: Rows, key: Column) -> tuple[Rows, Longs]:
    """Add the columns of `other`, once for each of its rows that agrees on the key.

    Parameters
    ----------
    rows
        Rows to add to.
    how
        Which column must agree, and whether rows without a partner stay.
    other
        The lookup's rows.
    key
        The lookup's column that must agree.

    Returns
    -------
    tuple
        The rows with columns ``<lookup>.<column>``, and the numbers of those left out.

    Examples
    --------
    >>> mail = Rows(header=Header(("id",)), columns={"id": pa.array(["7", "8"])},
    ...             row=np.array([0, 1]))
    >>> links = Rows(header=Header(("mail", "deal")), row=np.array([0, 1]),
    ...              columns={"mail": pa.array(["7", "7"]), "deal": pa.array(["D-1", "D-2"])})
    >>> how = Join(lookup="links", on=Column(names=("id",)), needed=True)
    >>> joined, left_out = join(mail, how, links, Column(names=("mail",)))
    >>> joined.columns["links.deal"].to_pylist(), left_out.tolist()
    (['D-1', 'D-2'], [1])
    """
    keys = other.text(key)
    distinct = pc.unique(keys.drop_null())
    code = np.asarray(pc.index_in(keys, value_set=distinct).fill_null(-1))
    order = np.argsort(code, kind="stable")[int((code < 0).sum()) :]
    counts = np.bincount(code[order], minlength=len(distinct))
    starts = np.concatenate([[0], np.cumsum(counts)])
    spot = np.asarray(pc.index_in(rows.text(how.on), value_set=distinct).fill_null(-1))
    found = spot >= 0
    repeats = np.where(found, np.append(counts, 0)[spot], 0 if how.needed else 1)
    index = np.repeat(np.arange(len(rows)), repeats)
    nth = np.arange(index.size) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    partner = starts[np.maximum(spot[index], 0)] + nth
    usable = found[index]
    places = pa.array(
        order[np.where(usable, partner, 0)] if order.size else np.zeros(index.size, np.int64),
        mask=~usable,
    )
    taken = rows.take(index)
    names = [f"{how.lookup}.{name}" for name in other.header.names]
    columns = {
        f"{how.lookup}.{name}": values.take(places) for name, values in other.columns.items()
    }
    joined = Rows(
        header=Header((*rows.header.names, *names), rows.header.prefixes),
        columns={**taken.columns, **columns},
        row=taken.row,
        nulls=rows.nulls,
    )
    return joined, rows.row[repeats == 0]
