"""How the service is, for whoever runs it: ``/healthz``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

from typing import Final

import orjson
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.forms import CheckForm, HealthAnswer, ReadyAnswer
from service.metrics import Metrics
from service.problems import MEDIA_TYPE, NOT_READY
from service.readiness import Readiness, problem_of

NO_STORE: Final = {"cache-control": "no-store"}


def status_routes(readiness: Readiness, metrics: Metrics) -> APIRouter:
    """The routes that say how the service is. They need no key: keep them inside.

    Parameters
    ----------
    readiness
        Of the service.
    metrics
        What it measures.
    """
    router = APIRouter()

    @router.get("/healthz", summary="Whether the process answers", operation_id="healthz")
    async def healthz() -> HealthAnswer:
        return HealthAnswer(status="ok")

    # Not awaited: the framework has it look at the database in a thread.
    @router.get("/readyz", summary="Whether the service can do its work", operation_id="readyz")
    def readyz() -> ReadyAnswer:
        needs = readiness.needs()
        problem = problem_of(needs)
        if problem is not None:
            return Response(  # type: ignore[return-value] # a problem instead, as documented
                orjson.dumps(problem), NOT_READY.status, NO_STORE, MEDIA_TYPE
            )
        checks = [CheckForm.model_validate(need.to_json()) for need in needs]
        return ReadyAnswer(status="ready", checks=checks)

    @router.get(
        "/metrics",
        summary="What is measured",
        operation_id="metrics",
        description="In Prometheus' text format.",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def exposed() -> Response:
        return Response(metrics.exposed(), 200, NO_STORE, CONTENT_TYPE_LATEST)

    return router
