"""The log of the BPI Challenge 2012 by the mapping that the README shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.imports import ROOT, Folder, shared_data

LEAKING = {"A_REGISTERED", "A_ACTIVATED", "O_ACCEPTED", "O_DECLINED", "O_CANCELLED"}


def log() -> Path:
    given = os.environ.get("REDFLARE_BPI2012")
    place = Path(given) if given else shared_data() / "bpi2012" / "events.parquet"
    if not place.is_file():
        pytest.skip(f"no log at {place}: set REDFLARE_BPI2012 to it")
    return place


def test_the_whole_log_becomes_deals_without_what_announces_their_end(tmp_path: Path) -> None:
    folder = Folder(tmp_path, str(ROOT / "tests" / "data" / "bpi2012.toml"))
    summary, rejects = folder.add(log())
    assert not rejects
    assert summary.rows_read == 262_200
    kinds = folder.events("kind")
    counts = {kind: kinds.count(kind) for kind in ("deal_opened", "deal_won", "message_sent")}
    assert counts == {"deal_opened": 5015, "deal_won": 2246, "message_sent": 7030}
    assert kinds.count("amount_changed") == 5015
    assert not LEAKING & set(folder.events("name"))
