"""What is answered under ``/v1``: the score of a deal, what if, and the model in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
from anyio import to_thread
from fastapi import APIRouter
from starlette.types import Scope

from model.errors import RedflareError
from model.scorer import Scorer
from service.access import ADMITTED
from service.batch_wire import Batch, inside
from service.company import Company
from service.endpoint import Endpoint
from service.forms import ModelAnswer
from service.problems import Refused, refused_by
from service.scoring import score_question, what_if_question
from service.storage.errors import StoreUnavailable
from service.unavailable import unavailable
from service.what_if_wire import read_supposition, read_what_if
from service.wire import read_question

# A change is scored event by event, which holds up the others however short its question is; with
# an escape its name may be written in any way.
LONG_ANSWERS: Final = (b"since", b"\\u")


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreEndpoint(Endpoint):
    """``POST /v1/score``: one deal with its events in the body, its score back.

    Parameters
    ----------
    in_force
        Answers the scorer of the model in force.
    clock
        Tells the present, UTC.
    """

    in_force: Callable[[], Scorer]
    clock: Callable[[], datetime]

    async def respond(self, _scope: Scope, body: bytes) -> bytes:
        """See `Endpoint`."""
        if any(name in body for name in LONG_ANSWERS):
            return await to_thread.run_sync(self.answer, body, limiter=self.long_ones)
        return await self.in_thread_if_long(self.answer, body)

    def answer(self, body: bytes) -> bytes:
        """The JSON of the score that the JSON of a request asks for.

        Raises
        ------
        Refused
            If it cannot be answered.
        """
        try:
            question = read_question(body)
            return orjson.dumps(score_question(self.in_force(), question, self.clock()))
        except RedflareError as error:
            raise refused_by(error) from error


class WhatIfEndpoint(ScoreEndpoint):
    """``POST /v1/what-if``: one deal with its events, and what is supposed to happen to it."""

    async def respond(self, _scope: Scope, body: bytes) -> bytes:
        """See `Endpoint`."""
        return await to_thread.run_sync(self.answer, body, limiter=self.long_ones)

    def answer(self, body: bytes) -> bytes:
        """The JSON of the what-if that the JSON of a request asks for.

        Raises
        ------
        Refused
            If it cannot be answered.
        """
        try:
            question = read_what_if(body)
            return orjson.dumps(what_if_question(self.in_force(), question, self.clock()))
        except RedflareError as error:
            raise refused_by(error) from error


class ScoresEndpoint(ScoreEndpoint):
    """``POST /v1/scores``: many deals with their events, a score or a problem for each."""

    async def respond(self, _scope: Scope, body: bytes) -> bytes:
        """See `Endpoint`."""
        return await to_thread.run_sync(self.answer, body, limiter=self.long_ones)

    def answer(self, body: bytes) -> bytes:
        """The JSON of the scores that the JSON of a request asks for.

        Raises
        ------
        Refused
            If it cannot be answered at all.
        """
        try:
            batch = Batch(body)
        except RedflareError as error:
            raise refused_by(error) from error
        scorer, now = self.in_force(), self.clock()
        found: list[object] = []
        refused = []
        for index in range(len(batch)):
            try:
                try:
                    found.append(score_question(scorer, batch.question(index), now))
                except RedflareError as error:
                    raise refused_by(error) from error
            except Refused as refusal:
                problem = inside(refusal, index)
                deal_id = batch.deal_id(index)
                refused.append({"index": index, "deal_id": deal_id, "problem": problem})
        return orjson.dumps({"scores": found, "refused": refused})


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredWhatIfEndpoint(Endpoint):
    """``POST /v1/deals/{deal_id}/what-if``: what is supposed to happen to a deal that is kept.

    Parameters
    ----------
    company
        Whose deal it is.
    """

    company: Company

    async def respond(self, scope: Scope, body: bytes) -> bytes:
        """See `Endpoint`."""
        return await to_thread.run_sync(self._answer, scope, body, limiter=self.long_ones)

    def _answer(self, scope: Scope, body: bytes) -> bytes:
        company, deal_id = self.company, scope["path_params"]["deal_id"]
        try:
            with company.database.reading() as connection:
                company.deal(connection, deal_id, scope[ADMITTED])
                events, heard = company.events(connection, deal_id), company.heard(connection)
            question = read_supposition(body, events, heard)
            return orjson.dumps(what_if_question(company.in_force(), question, company.clock()))
        except StoreUnavailable as error:
            raise unavailable(error) from error
        except RedflareError as error:
            raise refused_by(error) from error


def model_answer(scorer: Scorer) -> ModelAnswer:
    """What is to be known of the model in force."""
    artifact = scorer.artifact
    training = artifact.facts["training"]
    return ModelAnswer(
        model_version=artifact.model_version,
        schema_version=artifact.schema_version,
        edges_days=artifact.edges.tolist(),
        known_before=datetime.fromisoformat(artifact.facts["known_before"]),
        trained_deals=training["deals"],
        won_deals=training["won"],
        features=len(artifact.grid.features),
    )


def model_routes(in_force: Callable[[], Scorer]) -> APIRouter:
    """The route that says which model is in force.

    Parameters
    ----------
    in_force
        Answers the scorer of the model in force.
    """
    router = APIRouter()

    @router.get("/v1/model", summary="The model in force", operation_id="model")
    async def model() -> ModelAnswer:
        return model_answer(in_force())

    return router
