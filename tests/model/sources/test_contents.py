from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from model.sources.contents import LONG_BYTES, contents, hexadecimal

GOLDEN = [
    "d8a310150df90781766b3308",
    "e6fe375efe59cfab4458f28c",
    "07ffd3af0d84c21f37e1d503",
    "bce0bc1483a582840815c37c",
]


def test_an_id_made_once_is_the_same_in_every_version() -> None:
    texts = ["", "D-1", "D-1\x1f2026-01-05T09:00:00Z\x1fcall", "x" * (LONG_BYTES + 1)]
    assert hexadecimal(contents(pa.array(texts))).to_pylist() == GOLDEN


@given(st.lists(st.text(max_size=40), min_size=1, max_size=20), st.integers(0, 19))
def test_an_id_depends_on_the_text_alone(texts: list[str], spot: int) -> None:
    ids = hexadecimal(contents(pa.array(texts, pa.string()))).to_pylist()
    spot %= len(texts)
    alone = hexadecimal(contents(pa.array(texts, pa.string()).slice(spot, 1))).to_pylist()
    assert alone == [ids[spot]]
    assert len(set(ids)) == len(set(texts))


def test_texts_that_differ_in_one_byte_anywhere_differ_in_their_ids() -> None:
    base = "a" * 40
    texts = (
        [base] + [f"{base[:i]}b{base[i + 1 :]}" for i in range(40)] + [base[:i] for i in range(40)]
    )
    texts += [base + "\x00", base + "\x00\x00"]
    numbers = contents(pa.array(texts))
    for lane in (0, 1):
        assert len(set(numbers[:, lane].tolist())) == len(texts)
