"""The command `serve`: one process that answers over HTTP, with or without a database."""

from __future__ import annotations

import gc
import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NoReturn

import click

from model.errors import RedflareError
from service.logs import LOG_FORMAT, set_up

BACKLOG: Final = 2048  # connections that wait to be accepted
STOP_SECONDS: Final = 10  # for requests under way when asked to stop


class ServeError(RedflareError):
    """The service cannot start. The message says what is in the way."""


@click.command()
@click.option(
    "--artifact",
    type=click.Path(path_type=Path),
    help="What train wrote. Without --database nothing is kept; with one it is installed, "
    "if no model is yet.",
)
@click.option(
    "--database",
    "url",
    envvar="REDFLARE_DATABASE",
    show_envvar=True,
    help="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; sqlite:///redflare.db where "
    "neither it nor --artifact is given. Without tables, it is given them.",
)
@click.option(
    "--worker/--no-worker",
    "works",
    default=True,
    show_default=True,
    help="Work on deliveries in this process too.",
)
@click.option(
    "--without-keys",
    is_flag=True,
    help="Ask for no API keys, though there is a database; only with a --host of this machine.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@LOG_FORMAT
def serve(
    artifact: Path | None,
    url: str | None,
    works: bool,
    without_keys: bool,
    host: str,
    port: int,
    log_format: str,
) -> None:
    """Answer score requests over HTTP: POST /v1/score, documented at /openapi.json.

    With a database it takes webhooks at /webhooks/{source} too, from the sources of
    REDFLARE_WEBHOOKS or REDFLARE_WEBHOOK_SECRETS; each is kept before it is acknowledged, scored by
    the worker and written back to the destinations of REDFLARE_DESTINATIONS.

    With a database whoever asks needs a key of redflare keys create; without one nothing is kept,
    and everybody who reaches the port is answered.

    The artifact is verified first. Stops on SIGTERM or Ctrl-C when the requests under way are
    answered. REDFLARE_MAX_BODY_BYTES sets the largest request (10 MiB),
    REDFLARE_REQUEST_SECONDS how long one may take to arrive (30), REDFLARE_MAX_CONNECTIONS how many
    connections there may be at a time (512), REDFLARE_REQUESTS_A_MINUTE how many requests one key,
    or one address without keys, may send (12000). /healthz, /readyz and /metrics say how it is,
    without a key; a service in which a delivery waits for more than REDFLARE_READY_QUEUE_SECONDS
    (300) is not ready.
    """
    # Uvicorn raises SIGTERM again when all is answered, and then the command is done.
    signal.signal(signal.SIGTERM, _stop)
    # One request is too small to share out: threads would only wait for each other. Read by
    # NumPy's libraries when they are first imported, so before all that imports them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import uvicorn

    from service.app import create_app
    from service.deadline import deadline_protocol
    from service.settings import Settings

    check_without_keys(host, without_keys=without_keys)
    settings = Settings.from_environment(os.environ)
    set_up(log_format)
    with listen(host, port) as listener, ExitStack() as ending:
        if artifact is not None and url is None:
            from model.artifact import Artifact
            from model.scorer import Scorer

            scorer = Scorer(Artifact.load(artifact))
            app = create_app(scorer, settings)
            version: str | None = scorer.artifact.model_version
            notes: tuple[str, ...] = ()
        else:
            from service.serving import serve_database

            served = serve_database(
                url, artifact, settings, ending, works=works, without_keys=without_keys
            )
            app, version, notes = served.app, served.version, served.notes
        config = uvicorn.Config(
            app,
            access_log=False,  # `service.request_log` does
            http=deadline_protocol(settings.request_seconds),
            limit_concurrency=settings.max_connections,
            lifespan="off",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            ws="none",
        )
        for note in notes:
            click.echo(note, err=True)
        where = f"[{host}]" if ":" in host else host
        click.echo(
            f"Serving {f'model {version}' if version else 'without a model'} "
            f"on http://{where}:{listener.getsockname()[1]}"
        )
        # The model stays for good: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        uvicorn.Server(config).run(sockets=[listener])


def _stop(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def check_without_keys(host: str, *, without_keys: bool) -> None:
    """Refuse to ask for no keys where others than this machine may ask.

    Raises
    ------
    ServeError
        If the address is not one of this machine alone.

    Examples
    --------
    >>> check_without_keys("127.0.0.1", without_keys=True)
    """
    from service.origin import is_own_name

    if without_keys and not is_own_name(f"[{host}]" if ":" in host else host):
        raise ServeError(
            f"--without-keys with --host {host}",
            "an address of this machine alone, as 127.0.0.1",
            "leave --without-keys out, and make a key with redflare keys create",
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Raises
    ------
    ServeError
        If the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        unknown_host = isinstance(error, socket.gaierror)
        reason = error.strerror if unknown_host else os.strerror(error.errno or 0)
        raise ServeError(
            f"--host {host} --port {port}",
            f"an address to listen on ({reason})",
            "choose another port, or stop what listens there",
        ) from error
