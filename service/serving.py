"""The web application of a service that has a database."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import select
from starlette.types import ASGIApp

from service.access import Guard
from service.app import create_app, utc_now
from service.composition import Service, compose
from service.limiting import Limiter
from service.review.process import ReviewProcess
from service.review.review_settings import ReviewSettings
from service.review.routes import ReviewPages
from service.settings import Settings
from service.storage import keys
from service.storage.database import DEFAULT_URL
from service.storage.schema import FEED_HOURS
from service.webhooks.routes import WebhookEndpoint

SWITCH_SECONDS: Final = 0.001  # for which the worker's thread may keep those that answer waiting


@dataclass(frozen=True, kw_only=True)
class Served:
    """What is to be served.

    Parameters
    ----------
    app
        The application.
    version
        Of the model in force; None where there is none.
    notes
        What is to be known or done before anything can be asked.
    """

    app: ASGIApp
    version: str | None
    notes: tuple[str, ...]


def serve_database(
    url: str | None,
    artifact: Path | None,
    settings: Settings,
    ending: ExitStack,
    *,
    works: bool,
    without_keys: bool,
) -> Served:
    """Put the application together and begin to work.

    Parameters
    ----------
    url
        Of the database; None takes the default.
    artifact
        Installed where no model is in force yet.
    settings
        Of the service.
    ending
        Told what is to be done when the application ends.
    works
        Whether to work on deliveries in this process.
    without_keys
        Whether to ask for no keys.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    service = compose(url or DEFAULT_URL, os.environ, artifact)
    ending.callback(service.close)
    if works:
        service.worker.start()
    else:
        service.worker.start_watching()
    endpoint = WebhookEndpoint(
        sources=service.sources, inbox=service.writer, settings=settings, clock=utc_now
    )
    reviews = ReviewProcess(url or DEFAULT_URL, ReviewSettings.from_environment(os.environ))
    ending.callback(reviews.close)
    reviews.start_warming(lambda: _has_deals(service))
    limiter = Limiter(settings.requests_a_minute)
    guard = Guard(service.database, limiter, utc_now, without_keys=without_keys)
    app = create_app(
        service.in_force,
        settings,
        webhooks=endpoint,
        database=service.database,
        metrics=service.metrics,
        guard=guard,
        review=ReviewPages(answering=reviews.answer),
        writer=service.writer,
        person=service.person,
    )
    scorer = service.models.scorer
    return Served(
        app=app,
        version=None if scorer is None else scorer.artifact.model_version,
        notes=_notes(service, without_keys=without_keys),
    )


def _has_deals(service: Service) -> bool:
    with service.database.reading() as connection:
        return connection.execute(select(FEED_HOURS.c.hour).limit(1)).first() is not None


def _notes(service: Service, *, without_keys: bool) -> tuple[str, ...]:
    """What is to be known or done before anything can be asked."""
    where = f"--database {service.database.name}"
    notes = []
    if service.models.scorer is None:
        notes.append(f"Nothing is scored yet: redflare model install DIRECTORY {where}")
    with service.database.reading() as connection:
        has_keys = any(key.revoked_at is None for key in keys.listed(connection))
    if without_keys:
        notes.append("No keys are asked for: whoever uses this machine may read and change all.")
    elif not has_keys:
        notes.append(f"Nobody may ask yet: redflare keys create TITLE --scope admin {where}")
    return tuple(notes)
