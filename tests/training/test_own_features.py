from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from threadpoolctl import threadpool_limits

from model.artifact import Artifact
from model.event_table import write_events
from model.own_features import VARIABLE, declare
from service.batch import load_scorer
from service.cli import main
from tests.training.companies import deals_table
from training import fit
from training.boosting import Settings

TRAIN = ("--known-before", "2027-04-20", "--edges", "30", "--spacing", "10", "--jobs", "1")
SCORE = ("--as-of", "2027-04-20", "--close-by", "2027-05-10", "--jobs", "1")


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=10, trees=20)])
    monkeypatch.setattr("model.own_features._DECLARED", {})
    load_scorer.cache_clear()
    with threadpool_limits(1):
        yield


@pytest.fixture
def desk(tmp_path: Path, root: Path) -> Path:
    """A company, and the README's file of own features."""
    page = (root / "README.md").read_text(encoding="utf-8")
    block = re.search(
        r"<!-- test: file my_features.py -->\n```python\n(.*?)^```", page, re.S | re.M
    )
    assert block is not None
    (tmp_path / "my_features.py").write_text(block[1])
    write_events(deals_table(), tmp_path / "events.parquet")
    return tmp_path


def test_own_features_reach_training_scores_and_drivers(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events, artifact, out = (
        str(desk / name) for name in ("events.parquet", "own", "scores.parquet")
    )
    file = desk / "my_features.py"
    # The company sends no mails: replies alone would all be a share of 1.
    file.write_text(file.read_text().replace('"message_sent"', '"stage_changed"'))

    assert main(["train", events, *TRAIN, "--out", artifact, "--features", str(file)]) == 0
    own = Artifact.load(Path(artifact))
    assert own.features["own"] == declare(file).to_json()
    assert "reply_share" in own.features["names"]
    assert main(["train", events, *TRAIN, "--out", str(desk / "plain")]) == 0
    assert "own" not in Artifact.load(desk / "plain").features

    monkeypatch.setattr("model.own_features._DECLARED", {})
    asked = ["score", events, "--artifact", artifact, *SCORE, "--out", out]
    capsys.readouterr()
    assert main(asked) == 2
    assert "own features of my_features.py, which was not named" in capsys.readouterr().err
    monkeypatch.setenv(VARIABLE, str(file))
    assert main(asked) == 0
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    assert len(rows) > 3
    scorer = load_scorer(Path(artifact))
    place = scorer.features.names.index("reply_share")
    assert scorer.driver(place, 0.5, 0.01).phrase == "50% of the mails are the customer's"
    shutil.copy(file, desk / "kept.py")
    file.write_text(file.read_text() + "# another\n")
    monkeypatch.setattr("model.own_features._DECLARED", {})
    load_scorer.cache_clear()
    assert main(asked) == 2
    assert "which has changed since" in capsys.readouterr().err
