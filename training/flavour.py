"""The model as MLflow loads it: models from code, an artifact of numbers, and no pickle.

`training.registry` logs this file as the model's code, beside the package `model` and the
artifact. It is imported by MLflow alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from model.artifact import Artifact
from model.event_table import EVENT_SCHEMA, check_events, sort_events
from model.events import microseconds, parse_time
from model.feature_rows import FeatureRowError, encode, score_rows, usual_days
from model.feeds import feeds_of
from model.history import History
from model.own_features import VARIABLE, declare
from model.score import Score
from model.scorer import Scorer

TIMES: Final = ("occurred_at", "known_at")
COLUMNS: Final = ("deal_id", "probability", "low", "high", "average", "curve", "drivers")


class DealModel(PythonModel):
    """Answers a frame of events, or of features, with probabilities by date and drivers."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the artifact, checked against its manifest; own features, where they are named."""
        for path in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
            declare(Path(path))
        self.scorer = Scorer(Artifact.load(Path(context.artifacts["artifact"])))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Score a frame.

        Parameters
        ----------
        model_input
            Events, in the columns of `model.event_table.EVENT_SCHEMA`: one row comes back for
            each deal open at ``as_of``. Or features, by name: one row for each row.
        params
            ``days`` ahead, those of training where there are none; ``as_of`` for events (ISO 8601
            with its offset); and how many ``drivers`` to name: 0 names all that add anything.

        Returns
        -------
        DataFrame
            With the columns `COLUMNS`; numbers are None for a deal known too little.

        Raises
        ------
        RedflareError
            If the frame, the moment, the days or the number of drivers cannot be used.
        """
        asked = dict(params or {})
        given, drivers = asked.get("days"), int(asked.get("drivers", 10))
        days = usual_days(self.scorer.edges) if given is None else float(given)
        if drivers < 0:
            raise FeatureRowError(f"drivers {drivers}", "0 for all, or how many", "leave it out")
        most = drivers or None
        if "kind" in model_input.columns:
            answers = self._events(model_input, str(asked.get("as_of") or ""), days, most)
        else:
            answers = self._rows(model_input, days, most)
        return pd.DataFrame(answers, columns=list(COLUMNS))

    def _events(
        self, frame: pd.DataFrame, as_of: str, days: float, most: int | None
    ) -> list[dict[str, Any]]:
        if not as_of:
            raise FeatureRowError(
                "events without the parameter as_of",
                "the moment to score, as 2026-01-12T08:00:00Z",
                'pass params={"as_of": ...}',
            )
        now = microseconds(parse_time("as_of", as_of))
        self.scorer.check_as_of(now, hindsight=False)
        history = History.from_table(events_of(frame))
        deal = np.arange(history.deals)
        moment, ahead = np.full(history.deals, now), np.full(history.deals, days)
        feeds = self.scorer.feeds(feeds_of(history))
        scored = self.scorer.score_many(history, deal, moment, ahead, feeds, checked=True)
        scores = self.scorer.scores(history, deal, moment, ahead, scored, None, most)
        return [_of_score(score) for score in scores]

    def _rows(self, frame: pd.DataFrame, days: float, most: int | None) -> list[dict[str, Any]]:
        scorer = self.scorer
        columns = {str(name): frame[name].tolist() for name in frame.columns}
        x = encode(scorer.features, columns)
        found = score_rows(scorer.artifact, x, days)
        ids = columns.get("deal_id") or [str(each) for each in frame.index]
        edges = scorer.edges[1:].tolist()
        answers = []
        for row, deal_id in enumerate(ids):
            points = found.split.points[row]
            order = np.argsort(-np.abs(points), kind="stable")[:most]
            answers.append(
                {
                    "deal_id": deal_id,
                    "probability": float(found.split.probability[row]),
                    "low": float(found.low[row]),
                    "high": float(found.high[row]),
                    "average": float(found.split.average[row]),
                    "curve": [
                        {"days": day, "probability": p, "low": low, "high": high}
                        for day, p, low, high in zip(
                            edges,
                            found.curve[row].tolist(),
                            found.curve_low[row].tolist(),
                            found.curve_high[row].tolist(),
                            strict=True,
                        )
                    ],
                    "drivers": [
                        _driver(scorer.driver(j, float(x[row, j]), float(points[j])))
                        for j in order.tolist()
                        if points[j]
                    ],
                }
            )
        return answers


def _of_score(score: Score) -> dict[str, Any]:
    spread = score.interval
    return {
        "deal_id": score.deal_id,
        "probability": score.probability,
        "low": None if spread is None else spread.low,
        "high": None if spread is None else spread.high,
        "average": score.average_probability,
        "curve": [
            {"days": p.days, "probability": p.probability, "low": p.low, "high": p.high}
            for p in score.curve
        ],
        "drivers": [_driver(each) for each in score.drivers],
    }


def _driver(driver: Any) -> dict[str, Any]:
    return {"feature": driver.feature, "points": driver.points, "phrase": driver.phrase}


def events_of(frame: pd.DataFrame) -> pa.Table:
    """A frame of events as a checked table.

    Parameters
    ----------
    frame
        Times as timestamps with a zone, or ISO 8601 texts with their offset.

    Raises
    ------
    EventError
        If it breaks the schema.
    """
    columns = {}
    for name in frame.columns:
        values = [None if _is_null(value) else value for value in frame[name].tolist()]
        if name in TIMES:
            values = [_moment(name, value) for value in values]
        elif name == "date":
            values = [_day(value) for value in values]
        known = name in EVENT_SCHEMA.names
        columns[str(name)] = pa.array(values, EVENT_SCHEMA.field(name).type if known else None)
    return sort_events(check_events(pa.table(columns), "the frame of events"))


def _is_null(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def _moment(name: str, value: Any) -> datetime | None:
    if value is None:
        return None
    return parse_time(name, value if isinstance(value, str) else value.isoformat())


def _day(value: Any) -> date | None:
    if isinstance(value, str):
        return date.fromisoformat(value[:10])
    return value.astimezone(UTC).date() if isinstance(value, datetime) and value.tzinfo else value


set_model(DealModel())
