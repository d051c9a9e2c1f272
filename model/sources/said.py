"""What changes say, in a few characters: the end of their ids, and their order in one moment."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.events import KIND_CODES
from model.sources.carriers import CARRIERS
from model.sources.persons import fitting

HASH_BYTES: Final = 6  # of a value: a chance of 1 in 10^14 that two of one moment are alike


def said(changes: pa.Table, key: bytes) -> pa.Array:
    """What each field changed to; null where no field changed.

    Parameters
    ----------
    changes
        Rows of `model.sources.drafts.DRAFT_SCHEMA`, N of them.
    key
        The key under which people are hashed. Names stand there as a hash, and texts, a person's
        words maybe, as a keyed one: an id stays when what was said is erased, and whoever guesses
        a short text could try it.

    Returns
    -------
    pa.Array
        Text of shape (N,).
    """
    codes = np.asarray(changes["kind"])
    values = pa.nulls(codes.size, pa.string())
    for column in ("name", "text", "number", "date"):
        kinds = [KIND_CODES[kind] for kind, own in CARRIERS.items() if own == column]
        told = np.isin(codes, kinds)
        if not told.any():
            continue
        given = changes[column].combine_chunks()
        if column in ("name", "text"):
            texts = _hashed(given, key if column == "text" else b"")
        else:
            texts = given.cast(pa.string())
        values = pc.coalesce(values, pc.if_else(pa.array(told), texts, None))
    # A field of the company's own holds a text or a number.
    own_fields = codes == KIND_CODES["field_changed"]
    if own_fields.any():
        numbers = changes["number"].combine_chunks().cast(pa.string())
        values = pc.coalesce(values, pc.if_else(pa.array(own_fields), numbers, None))
    return values


def _hashed(texts: pa.Array, key: bytes) -> pa.Array:
    coded = texts.dictionary_encode()
    hashes = [
        hashlib.blake2b(str(each).encode(), key=fitting(key), digest_size=HASH_BYTES).hexdigest()
        for each in coded.dictionary
    ]
    return pa.array(hashes, pa.string()).take(coded.indices)
