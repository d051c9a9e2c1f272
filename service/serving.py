"""The web application of a service that has a database."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from starlette.types import ASGIApp

from service.app import create_app, utc_now
from service.composition import compose
from service.settings import Settings
from service.storage.database import DEFAULT_URL
from service.webhooks.routes import WebhookEndpoint


def serve_database(
    url: str | None, artifact: Path | None, works: bool, settings: Settings, ending: ExitStack
) -> tuple[ASGIApp, str | None]:
    """Put the application together and begin to work.

    Parameters
    ----------
    url
        Of the database; None takes the default.
    artifact
        Installed where no model is in force yet.
    works
        Whether to work on deliveries in this process.
    settings
        Of the service.
    ending
        Told what is to be done when the application ends.

    Returns
    -------
    tuple
        The application, and the version of the model in force, None where there is none.
    """
    service = compose(url or DEFAULT_URL, os.environ, artifact)
    ending.callback(service.close)
    if works:
        service.worker.start()
    else:
        service.worker.start_watching()
    endpoint = WebhookEndpoint(
        sources=service.sources, inbox=service.writer, settings=settings, clock=utc_now
    )
    app = create_app(
        service.in_force,
        settings,
        webhooks=endpoint,
        database=service.database,
        metrics=service.metrics,
    )
    scorer = service.models.scorer
    return app, None if scorer is None else scorer.artifact.model_version
