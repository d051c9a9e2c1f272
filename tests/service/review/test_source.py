"""Which models a review of a database is made with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from model.artifact import Artifact
from model.events import DAY_US, microseconds
from model.period import quarter_until, week_begin
from service.review.question import Question
from service.review.source import models_at
from service.storage.database import Database
from tests.service.review.conftest import install

WEEK_US = 7 * DAY_US


def test_each_past_moment_has_the_model_that_was_in_force_then(
    database: Database, small_artifact: Path, tmp_path: Path
) -> None:
    as_of = week_begin("2026-W03")
    first = Artifact.load(small_artifact)
    second = replace(first, facts={**first.facts, "known_before": "2026-01-11T00:00:00+00:00"})
    second.save(tmp_path / "second")
    install(database, small_artifact, datetime(2025, 11, 25, tzinfo=UTC))
    install(database, tmp_path / "second", as_of - timedelta(days=1))
    question = Question(
        as_of=as_of,
        since=as_of - timedelta(days=7),
        period=quarter_until(datetime(2026, 3, 31).date()),  # noqa: DTZ001 - a day
    )

    found = models_at(database, question)

    assert found.now is not None
    assert found.then is not None
    assert found.now.artifact.model_version == second.model_version
    assert found.then.artifact.model_version == first.model_version
    now = microseconds(as_of)
    assert {moment for moment in found.past if moment >= now - 8 * WEEK_US} == {
        now - back * WEEK_US for back in range(1, 7)
    }
    assert {each.artifact.model_version for each in found.past.values()} == {first.model_version}
    assert len(set(map(id, found.past.values()))) == 1, "loaded once"
    assert found.at(now - 8 * WEEK_US) is found.then
