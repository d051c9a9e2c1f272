"""What is answered under ``/v1``: the score of a deal, what if, and the model in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter
from starlette.types import Receive, Scope, Send

from model.errors import RedflareError
from model.scorer import Scorer
from service.exchange import (
    Disconnected,
    check_media_type,
    read_body,
    send_json,
    send_refusal,
)
from service.forms import ModelAnswer
from service.problems import Refused, refused_by
from service.scoring import score_question, what_if_question
from service.settings import Settings
from service.what_if_wire import read_what_if
from service.wire import read_question

INLINE_BYTES: Final = 2**16  # a longer body is answered in a thread, not to hold up the others


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreEndpoint:
    """``POST /v1/score``: one deal with its events in the body, its score back.

    An ASGI application: a framework's reading, validating and writing of a body takes as long as
    scoring it.

    Parameters
    ----------
    in_force
        Answers the scorer of the model in force.
    settings
        Of the service.
    clock
        Tells the present, UTC.
    """

    in_force: Callable[[], Scorer]
    settings: Settings
    clock: Callable[[], datetime]
    long_ones: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            length = check_media_type(scope)
            body = await read_body(
                receive, length, self.settings.max_body_bytes, self.settings.request_seconds
            )
            if len(body) <= INLINE_BYTES:
                answer = self.answer(body)
            else:
                answer = await to_thread.run_sync(self.answer, body, limiter=self.long_ones)
        except Refused as refusal:
            await send_refusal(receive, send, refusal.problem)
        except Disconnected:
            return
        else:
            await send_json(send, answer)

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
