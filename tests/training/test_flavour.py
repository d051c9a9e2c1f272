from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from model.artifact import Artifact
from model.errors import RedflareError
from model.event_table import EVENT_SCHEMA
from model.feature_rows import decode
from model.feeds import feeds_of
from model.history import History
from model.scorer import Scorer
from tests.conftest import SMALL_KNOWN_BEFORE
from training.candidate import ARTIFACT, read_candidate
from training.logged_model import ignore_its_own, save_flavour
from training.simulate import Simulation

EXACT = 1e-12
AS_OF = SMALL_KNOWN_BEFORE
DAYS = 45.0


class Both:
    """The same deals by the scorer and by what `mlflow.pyfunc` loaded."""

    def __init__(self, company: Simulation, folder: Path, loaded: Any) -> None:
        self.loaded = loaded
        self.events = company.events.to_pandas()
        self.scorer = Scorer(Artifact.load(folder / ARTIFACT))
        history = History.from_table(company.events)
        feeds = self.scorer.feeds(feeds_of(history))
        moments = np.full(history.deals, self.scorer.known_before)
        x = self.scorer.score_many(history, np.arange(history.deals), moments, None, feeds)
        self.open = np.flatnonzero(x.is_open)
        self.x = x.x[self.open]
        self.scores = [
            self.scorer.score(history, AS_OF, days=DAYS, deal=deal, feeds=feeds, most=None)
            for deal in self.open.tolist()
        ]

    def agree(self, answers: pd.DataFrame) -> None:
        assert len(answers) == len(self.scores) > 20
        for answer, score in zip(answers.to_dict("records"), self.scores, strict=True):
            assert score.interval is not None
            wanted = {
                "probability": score.probability,
                "low": score.interval.low,
                "high": score.interval.high,
                "average": score.average_probability,
            }
            assert {name: answer[name] for name in wanted} == pytest.approx(wanted, abs=EXACT)
            points = {each["feature"]: each["points"] for each in answer["drivers"]}
            assert points == pytest.approx(
                {each.feature: each.points for each in score.drivers}, abs=EXACT
            )
            assert [each["phrase"] for each in answer["drivers"]] == [
                each.phrase for each in score.drivers
            ]
            assert [each["probability"] for each in answer["curve"]] == pytest.approx(
                [each.probability for each in score.curve], abs=EXACT
            )


@pytest.fixture
def both(
    make_candidate: Callable[..., Path],
    small_company: Simulation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Both:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    folder = make_candidate()
    save_flavour(folder, read_candidate(folder), tmp_path / "model")
    with warnings.catch_warnings():
        ignore_its_own()
        import mlflow.pyfunc

        return Both(small_company, folder, mlflow.pyfunc.load_model(str(tmp_path / "model")))


def test_a_frame_of_features_scores_as_the_scorer_does(both: Both) -> None:
    frame = pd.DataFrame(decode(both.scorer.features, both.x))

    both.agree(both.loaded.predict(frame, params={"days": DAYS, "drivers": 0}))

    usual = both.loaded.predict(frame)
    at_30_days = [curve[1]["probability"] for curve in usual["curve"]]
    assert usual["probability"].tolist() == pytest.approx(at_30_days, abs=EXACT)
    assert usual["drivers"].map(len).max() == 10


def test_a_frame_of_events_scores_as_the_scorer_does(both: Both) -> None:
    asked = {"as_of": AS_OF.isoformat(), "days": DAYS, "drivers": 0}

    both.agree(both.loaded.predict(both.events, params=asked))

    texts = both.events.assign(
        **{
            name: both.events[name].map(pd.Timestamp.isoformat)
            for name in ("occurred_at", "known_at")
        }
    )
    both.agree(both.loaded.predict(texts, params=asked))


def test_the_server_of_mlflow_answers_as_the_scorer_does(both: Both) -> None:
    """The application that ``mlflow models serve`` runs."""
    with warnings.catch_warnings():
        ignore_its_own()
        from mlflow.pyfunc import scoring_server

        served = httpx.ASGITransport(app=scoring_server.init(both.loaded))
    table = json.loads(both.events.to_json(orient="split", date_format="iso", index=False))
    params = {"as_of": AS_OF.isoformat(), "days": DAYS, "drivers": 0}

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=served, base_url="http://served") as client:
            asked = {"dataframe_split": table, "params": params}
            return await client.post("/invocations", json=asked)

    answer = asyncio.run(ask())

    assert answer.status_code == 200, answer.text
    both.agree(pd.DataFrame(answer.json()["predictions"]))


def test_nothing_of_it_is_a_pickle(both: Both, tmp_path: Path) -> None:
    files = {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()}

    assert files <= {".py", ".json", ".yaml", ".toml", ".txt", ".npz", ".typed", ""}
    assert both.loaded.metadata.signature.params is not None
    assert {"deal_id", "silence_days"} <= set(both.loaded.metadata.get_input_schema().input_names())


def test_what_cannot_be_scored_is_told(both: Both) -> None:
    features = pd.DataFrame(decode(both.scorer.features, both.x))
    naive = both.events.assign(occurred_at="2026-01-05T09:00:00")
    cases: list[tuple[pd.DataFrame, dict[str, Any], str]] = [
        (features.drop(columns="silence_days"), {}, "no column silence_days"),
        (both.events, {}, "events without the parameter as_of"),
        (both.events, {"as_of": "2020-01-01"}, "cut-off"),
        (naive, {"as_of": "2026-01-12"}, "a time with its UTC offset"),
        (features, {"days": 4000.0}, "at most 180 days"),
        (features, {"days": 0.0}, "days"),
        (both.events, {"as_of": "2026-01-12", "days": 0.0}, "days"),
        (features, {"drivers": -1}, "drivers -1"),
    ]
    for frame, params, said in cases:
        with pytest.raises(RedflareError, match=said):
            both.loaded.predict(frame, params=params)
    assert set(EVENT_SCHEMA.names).isdisjoint(features.columns)
