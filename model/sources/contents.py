"""A number for the content of each row, so that the same row is the same fact in every export."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.sources.values import Longs

Words = npt.NDArray[np.uint64]

P1: Final = np.uint64(0x9E3779B185EBCA87)
P2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
P3: Final = np.uint64(0x165667B19E3779F9)
P4: Final = np.uint64(0x85EBCA77C2B2AE63)
SEEDS: Final = (np.uint64(0), np.uint64(0x27D4EB2F165667C5))  # of the two lanes
WORD_BYTES: Final = 8
ID_DIGITS: Final = 24
LONG_BYTES: Final = 2048  # longer rows are few, and hashed one by one


def contents(rows: pa.Array) -> Words:
    """Two 64-bit numbers for each text, equal for equal texts and else by chance never.

    Parameters
    ----------
    rows
        Texts without missing ones. Shape (N,).

    Returns
    -------
    Words
        Shape (N, 2). The rounds that XXH64 applies to whole words, on all rows at once
        (Y. Collet, "xxHash fast digest algorithm"), under two seeds.

    Examples
    --------
    >>> numbers = contents(pa.array(["one", "two", "one"]))
    >>> bool((numbers[0] == numbers[2]).all()), bool((numbers[0] == numbers[1]).any())
    (True, False)
    """
    starts, data = _bytes(rows)
    lengths = np.diff(starts)
    # Every byte of the text is the first of some word; those past the end are masked.
    words = np.ndarray((max(data.size - WORD_BYTES + 1, 0),), "<u8", data, strides=(1,))
    lanes = [np.full(lengths.size, seed + P3) + lengths.astype(np.uint64) for seed in SEEDS]
    active = np.flatnonzero((lengths > 0) & (lengths <= LONG_BYTES))
    for offset in range(0, int(lengths[active].max(initial=0)), WORD_BYTES):
        active = active[lengths[active] > offset]
        word = words[starts[active] + offset].astype(np.uint64)
        left = np.minimum(lengths[active] - offset, WORD_BYTES).astype(np.uint64)
        word &= np.uint64(2**64 - 1) >> (np.uint64(8) * (np.uint64(WORD_BYTES) - left))
        word = _rotated(word * P2, 31) * P1
        for lane in lanes:
            lane[active] = _rotated(lane[active] ^ word, 27) * P1 + P4
    numbers = np.stack([_avalanche(lane) for lane in lanes], axis=1)
    for row in np.flatnonzero(lengths > LONG_BYTES):
        text = data[starts[row] : starts[row + 1]].tobytes()
        numbers[row] = np.frombuffer(blake2b(text, digest_size=16).digest(), "<u8")
    return numbers


def _bytes(rows: pa.Array) -> tuple[Longs, npt.NDArray[np.uint8]]:
    """Where each text starts and ends, and all bytes with a word of zeros behind."""
    _, offsets, data = rows.buffers()
    ends = np.frombuffer(offsets, np.int32)[rows.offset : rows.offset + len(rows) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    used = raw[ends[0] : ends[-1]] if ends.size else raw[:0]
    starts = ends.astype(np.int64) - (int(ends[0]) if ends.size else 0)
    return starts, np.concatenate([used, np.zeros(WORD_BYTES, np.uint8)])


def _rotated(values: Words, bits: int) -> Words:
    return (values << np.uint64(bits)) | (values >> np.uint64(64 - bits))


def _avalanche(values: Words) -> Words:
    values = (values ^ (values >> np.uint64(33))) * P2
    values = (values ^ (values >> np.uint64(29))) * P3
    return values ^ (values >> np.uint64(32))


def hexadecimal(numbers: Words) -> pa.Array:
    """The first 96 bits of each pair of numbers as text.

    Examples
    --------
    >>> hexadecimal(np.array([[1, 255 << 32]], np.uint64)).to_pylist()
    ['0000000000000001000000ff']
    """
    count = len(numbers)
    digits = np.frombuffer(numbers.astype(">u8").tobytes().hex().encode(), np.uint8)
    digits = np.ascontiguousarray(digits.reshape(count, -1)[:, :ID_DIGITS])
    offsets = np.arange(count + 1, dtype=np.int32) * ID_DIGITS
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(digits)]
    return pa.Array.from_buffers(pa.string(), count, buffers)
